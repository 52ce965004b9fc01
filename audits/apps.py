from django.apps import AppConfig


class AuditsConfig(AppConfig):
    name = "audits"
    verbose_name = "What we test"

    def ready(self) -> None:
        # Job kinds register themselves where they are defined; web and worker both need to know them.
        from audits import tasks  # noqa: F401

        # What pilots measured stands on the form of a release, which knows nothing of pilots.
        from audits.services.pilots import forecasts  # noqa: F401
