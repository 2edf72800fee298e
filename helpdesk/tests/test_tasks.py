"""The ground floor's background work."""

import datetime as dt

import pytest
from django.utils import timezone
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from helpdesk.accounts import tokens
from helpdesk.accounts.tests.factories import MembershipFactory
from helpdesk.api.models import IdempotencyKey
from helpdesk.tasks import forget_expired_tokens, forget_idempotency_keys

pytestmark = pytest.mark.django_db


def test_expired_refresh_tokens_are_forgotten_and_living_ones_kept():
    member, now = MembershipFactory(), timezone.now()
    tokens.issue(membership=member, now=now)
    tokens.issue(membership=member, now=now - dt.timedelta(days=15))
    forget_expired_tokens()
    assert [row.created_at for row in OutstandingToken.objects.all()] == [now]


def test_kept_answers_are_forgotten_after_a_day():
    workspace, now = MembershipFactory().workspace, timezone.now()
    for key, age in (("old", 25), ("new", 23)):
        IdempotencyKey.unscoped.create(
            workspace=workspace, caller="public", key=key, created_at=now - dt.timedelta(hours=age)
        )
    forget_idempotency_keys()
    assert [kept.key for kept in IdempotencyKey.unscoped.all()] == ["new"]
