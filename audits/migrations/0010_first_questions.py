from django.db import migrations, models
from django.utils import timezone


def note_what_was_asked(apps, schema_editor):
    """Runs from before the first question was noted, and results that a job which failed after them had undone.

    A cancelled run that had begun always counted. Of the others, a job that got on has had answers of the suspect,
    which is asked first.
    """
    Audit = apps.get_model("audits", "Audit")
    for audit in Audit.objects.exclude(conclusion="").exclude(state="done"):
        audit.state, audit.finished_at = "done", audit.finished_at or timezone.now()
        audit.save(update_fields=["state", "finished_at"])
    begun = (
        models.Q(state="cancelled", job__attempt__gt=0) | models.Q(job__progress_done__gt=0) | models.Q(state="done")
    )
    for audit in Audit.objects.filter(begun, asked_at=None).select_related("job"):
        audit.asked_at = (audit.job and audit.job.started_at) or audit.created_at
        audit.save(update_fields=["asked_at"])


class Migration(migrations.Migration):
    dependencies = [("audits", "0009_few_pairs_tell_nothing")]

    operations = [
        migrations.AddField(model_name="audit", name="asked_at", field=models.DateTimeField(null=True)),
        migrations.RunPython(note_what_was_asked, migrations.RunPython.noop),
    ]
