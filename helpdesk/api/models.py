"""Answers that are given again: idempotency keys."""

from django.db import models
from django.utils import timezone

from helpdesk.accounts.models import WorkspaceModel


class IdempotencyKey(WorkspaceModel):
    """The answer to a create that came with an `Idempotency-Key`, kept for a day."""

    caller = models.CharField(max_length=80, help_text="Whose key it is: the member, or the public form.")
    key = models.CharField(max_length=200)
    endpoint = models.CharField(max_length=200)
    body_hash = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    body = models.JSONField(null=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "idempotency_keys"
        constraints = [
            models.UniqueConstraint(fields=["workspace", "caller", "key"], name="one_answer_per_idempotency_key")
        ]
        indexes = [models.Index(fields=["created_at"], name="idempotency_keys_by_age")]

    def __str__(self) -> str:
        return self.key
