"""The product's URLs and the style guide, which the product itself shows in DEBUG only."""

from django.urls import path

from config.urls import handler400, handler403, handler404, handler500, urlpatterns
from provenance.views import styleguide

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]

urlpatterns = [path("styleguide/", styleguide.styleguide, name="styleguide"), *urlpatterns]
