from django.urls import path

from provenance.views import status

urlpatterns = [path("status/", status.status, name="status")]
