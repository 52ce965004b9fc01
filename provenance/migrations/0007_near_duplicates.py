from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('provenance', '0005_clusters'),
    ]

    operations = [
        migrations.AddField(
            model_name='version',
            name='near_duplicates',
            field=models.JSONField(null=True),
        ),
    ]
