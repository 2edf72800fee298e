"""A kind of mail more: a customer's link to sign in. The choices are Django's alone; no SQL is run."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("mail", "0003_settings_manager"),
    ]

    operations = [
        migrations.AlterField(
            model_name="outgoing",
            name="kind",
            field=models.CharField(
                choices=[
                    ("reply", "Answer"),
                    ("acknowledgement", "Acknowledgement"),
                    ("resolution", "Resolution"),
                    ("notice", "Notice to an agent"),
                    ("sign_in", "Link to sign in"),
                ],
                max_length=16,
            ),
        ),
    ]
