"""Background work of the ground floor."""

import datetime as dt
from typing import Any

from celery import shared_task
from celery.signals import worker_ready
from django.core.cache import cache
from django.utils import timezone

WORKER_SEEN = "worker-seen"
WORKER_SEEN_SECONDS = 60


@shared_task
def heartbeat() -> None:
    """Say that a worker is alive; `/readyz` wants to have heard it within a minute."""
    cache.set(WORKER_SEEN, timezone.now().isoformat(), timeout=WORKER_SEEN_SECONDS)


@worker_ready.connect
def _heard_at_once(**_: Any) -> None:
    """A worker that has just begun is ready now, not at the next beat."""
    heartbeat()


@shared_task
def forget_idempotency_keys() -> None:
    """Delete the kept answers that are older than a day."""
    from helpdesk.api.models import IdempotencyKey

    IdempotencyKey.unscoped.filter(created_at__lt=timezone.now() - dt.timedelta(days=1)).delete()


@shared_task
def forget_expired_tokens() -> None:
    """Delete the ids of refresh tokens that have expired; their end needs no remembering."""
    from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

    OutstandingToken.objects.filter(expires_at__lt=timezone.now()).delete()
