"""What every page knows beside the navigation."""

from django.conf import settings
from django.http import HttpRequest


def demo_instance(request: HttpRequest) -> dict[str, bool]:
    """Whether the people and images here are invented; every page says so."""
    return {"demo_instance": settings.DEMO_FILE.exists()}
