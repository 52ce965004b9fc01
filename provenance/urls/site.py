from django.conf import settings
from django.urls import path

from provenance.views import site, styleguide

urlpatterns = [
    path("healthz", site.health, name="health"),
]
if settings.DEBUG:
    urlpatterns.append(path("styleguide/", styleguide.styleguide, name="styleguide"))
