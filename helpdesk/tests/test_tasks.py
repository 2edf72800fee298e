"""The ground floor's background work."""

import datetime as dt
from types import SimpleNamespace

import pytest
from celery import current_app
from celery.fixups.django import DjangoWorkerFixup
from celery.signals import task_postrun, task_prerun
from django.db import OperationalError, connection, connections
from django.utils import timezone
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from helpdesk.accounts import tokens
from helpdesk.accounts.tests.factories import MembershipFactory
from helpdesk.api.models import IdempotencyKey
from helpdesk.tasks import forget_expired_tokens, forget_idempotency_keys

pytestmark = pytest.mark.django_db


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("is_eager", "is_well"), [(False, True), (True, False)])
def test_a_worker_whose_connection_was_cut_has_a_new_one_for_its_next_task(is_eager, is_well):
    task = forget_expired_tokens
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    other = connections.create_connection("default")
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    other.close()
    with pytest.raises(OperationalError):  # the task that finds it so
        task()
    task_prerun.send(sender=task, task=SimpleNamespace(request=SimpleNamespace(is_eager=is_eager)))
    try:
        if is_well:
            task()
        else:  # an eager task is part of its caller, and so is its connection
            with pytest.raises(OperationalError):
                task()
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("age", [0, 600])
def test_a_connection_that_may_not_be_kept_ends_with_its_task(monkeypatch, age):
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", age)
    forget_expired_tokens()
    task = SimpleNamespace(request=SimpleNamespace(is_eager=False))
    task_postrun.send(sender=forget_expired_tokens, task=task)
    assert (connection.connection is None) == (age == 0)
    connection.close()


def test_workers_keep_their_connection_from_task_to_task():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    worker = DjangoWorkerFixup(current_app)
    worker.on_task_postrun(sender=forget_expired_tokens)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        assert cursor.fetchone() == (pid,)


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
