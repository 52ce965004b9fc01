from django.urls import path

from provenance.views import site

urlpatterns = [
    path("", site.overview, name="overview"),
    path("healthz", site.health, name="health"),
]
