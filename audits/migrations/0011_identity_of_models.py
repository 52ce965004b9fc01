from django.db import migrations, models


class Migration(migrations.Migration):
    """Models that were tested before are known by their file alone until their next connection test."""

    dependencies = [("audits", "0010_first_questions")]

    operations = [
        migrations.AddField("registeredmodel", "identity", models.JSONField(default=dict)),
        migrations.AddField("registeredmodel", "known_as", models.UUIDField(null=True, db_index=True)),
    ]
