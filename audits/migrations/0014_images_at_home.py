from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("audits", "0013_digest_of_an_identity")]

    operations = [
        migrations.AddField(model_name="plan", name="views", field=models.PositiveIntegerField(default=10)),
        migrations.AddField(model_name="plan", name="smallest_crop", field=models.FloatField(default=0.6)),
        migrations.AddField(model_name="plan", name="looks", field=models.PositiveIntegerField(default=1)),
        migrations.AddField(
            model_name="plan", name="membership_score", field=models.CharField(default="density", max_length=20)
        ),
    ]
