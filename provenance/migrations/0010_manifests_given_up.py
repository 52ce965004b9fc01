from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("provenance", "0009_overlaps_of_versions")]

    operations = [
        migrations.AddField(model_name="version", name="given_up_at", field=models.DateTimeField(null=True)),
        migrations.AddField(
            model_name="version",
            name="given_up_because",
            field=models.CharField(blank=True, default="", max_length=300),
            preserve_default=False,
        ),
    ]
