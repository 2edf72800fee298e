"""The subject beside the words to search: a column with a constant default, so no row is rewritten."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tickets", "0006_at_risk_index")]

    operations = [
        migrations.AddField(
            model_name="searchdocument",
            name="subject",
            field=models.CharField(db_default="", default="", editable=False, max_length=255),
        ),
    ]
