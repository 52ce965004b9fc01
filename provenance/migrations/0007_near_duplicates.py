from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('provenance', '0006_release_drop_claims'),
    ]

    operations = [
        migrations.AddField(
            model_name='version',
            name='near_duplicates',
            field=models.JSONField(null=True),
        ),
    ]
