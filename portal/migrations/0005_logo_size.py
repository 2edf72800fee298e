"""Logos tell their size, so that pages leave room for them."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("portal", "0004_article_words")]

    operations = [
        migrations.AddField(
            model_name="portalsettings",
            name="logo_width",
            field=models.PositiveIntegerField(
                db_default=0, default=0, editable=False, help_text="In pixels; 0 without a logo."
            ),
        ),
        migrations.AddField(
            model_name="portalsettings",
            name="logo_height",
            field=models.PositiveIntegerField(
                db_default=0, default=0, editable=False, help_text="In pixels; 0 without a logo."
            ),
        ),
    ]
