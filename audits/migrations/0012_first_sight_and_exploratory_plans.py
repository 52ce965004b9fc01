from django.db import migrations, models

CONCLUSIONS = [
    ("evidence", "evidence"),
    ("inconclusive", "inconclusive"),
    ("no_evidence", "no evidence"),
    ("exploratory_small_p", "exploratory: small p"),
    ("exploratory_no_small_p", "exploratory: no small p"),
]


class Migration(migrations.Migration):
    dependencies = [("audits", "0011_identity_of_models")]

    operations = [
        migrations.AddField(model_name="plan", name="exploratory", field=models.BooleanField(default=False)),
        migrations.AddField(model_name="plan", name="recipient_at_issue", field=models.BooleanField(default=False)),
        migrations.AddField(
            model_name="registeredmodel", name="published_on", field=models.DateField(blank=True, null=True)
        ),
        migrations.AlterField(
            model_name="audit",
            name="conclusion",
            field=models.CharField(blank=True, choices=CONCLUSIONS, max_length=30),
        ),
        migrations.AlterField(
            model_name="auditrow",
            name="conclusion",
            field=models.CharField(choices=CONCLUSIONS, max_length=30),
        ),
    ]
