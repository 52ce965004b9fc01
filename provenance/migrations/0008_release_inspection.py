from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('provenance', '0007_near_duplicates'),
    ]

    operations = [
        migrations.AddField(
            model_name='release',
            name='inspection',
            field=models.JSONField(null=True),
        ),
    ]
