from django.apps import AppConfig


class ProvenanceConfig(AppConfig):
    name = "provenance"
    verbose_name = "What is ours"

    def ready(self) -> None:
        # Job kinds register themselves where they are defined; web and worker both need to know them.
        from provenance import tasks  # noqa: F401
