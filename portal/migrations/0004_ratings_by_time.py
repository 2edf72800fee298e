"""Reports ask for the ratings of a period; the index is made without locking out writers."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # CREATE INDEX CONCURRENTLY does not run in a transaction

    dependencies = [("portal", "0003_article_words")]

    operations = [
        AddIndexConcurrently(
            model_name="satisfaction",
            index=models.Index(fields=["workspace", "created_at"], name="ticket_satisfaction_given"),
        ),
    ]
