from django.urls import include, path

urlpatterns = [path("", include(f"audits.urls.{noun}")) for noun in ("models", "audits", "reports", "trainings")]
