from django.db import migrations

LEVEL = 0.05


def forget_what_few_pairs_said(apps, schema_editor):
    """Tables that were said to hold although an interval reaches twice the level: there were too few pairs to tell."""
    for calibration in apps.get_model("audits", "Calibration").objects.filter(holds=True).iterator(chunk_size=20):
        rates = [rate for row in calibration.table["rows"] if row["exact"] for rate in row["rejections"]]
        if any(rate["alpha"] == LEVEL and rate["high"] >= 2 * LEVEL for rate in rates):
            calibration.holds = None
            calibration.save(update_fields=["holds"])


class Migration(migrations.Migration):
    dependencies = [("audits", "0008_clusterings")]

    operations = [migrations.RunPython(forget_what_few_pairs_said, migrations.RunPython.noop)]
