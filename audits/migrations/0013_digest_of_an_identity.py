from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("audits", "0012_first_sight_and_exploratory_plans")]

    operations = [
        migrations.AddField(
            model_name="registeredmodel",
            name="identity_digest",
            field=models.CharField(blank=True, default="", max_length=64),
            preserve_default=False,
        ),
    ]
