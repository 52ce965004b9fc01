from django.urls import path

from audits.views import overview

urlpatterns = [path("", overview.overview, name="overview")]
