from django.urls import include, path

urlpatterns = [
    path("", include(f"provenance.urls.{noun}"))
    for noun in ("site", "accounts", "jobs", "people", "status", "log", "uploads", "datasets", "keys", "releases")
]
