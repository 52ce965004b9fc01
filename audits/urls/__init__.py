from django.urls import include, path

urlpatterns = [
    path("", include(f"audits.urls.{noun}"))
    for noun in (
        "overview",
        "models",
        "audits",
        "reports",
        "trainings",
        "calibrations",
        "clusterings",
        "pilots",
        "robustness",
    )
]
