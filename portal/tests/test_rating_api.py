"""The public endpoint with which a customer rates how their request was resolved."""

import datetime as dt
import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client
from django.utils import timezone

from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.api.models import IdempotencyKey
from portal.models import Satisfaction
from portal.tests.factories import finish, make_request
from tickets import access
from tickets.models import Activity, Participant, Ticket
from tickets.services import base, merging
from tickets.tests.factories import make_agent
from tickets.webhooks.models import Delivery
from tickets.webhooks.services import fanout
from tickets.webhooks.tests.rows import NOW, make_endpoint

pytestmark = pytest.mark.django_db
DAY = dt.timedelta(days=1)


@pytest.fixture
def workspace() -> Workspace:
    return WorkspaceFactory(name="Acme Help", slug="acme")


def resolved(workspace: Workspace, now: dt.datetime | None = None, **fields: Any) -> tuple[Ticket, str]:
    """A request that was resolved, and the token that opens it."""
    now = now or timezone.now()
    ticket, token = make_request(workspace, now=now, **fields)
    return finish(ticket, "resolved", now=now), token


def rate(client: Client, ticket_id: UUID, token: str, headers: dict[str, str] | None = None, **body: Any) -> Any:
    given = json.dumps({"access_token": token, "rating": 5} | body)
    path = f"/api/public/tickets/{ticket_id}/satisfaction"
    return client.post(path, given, content_type="application/json", headers=headers or {})


def events() -> list[dict[str, Any]]:
    """What was told of ratings, oldest first."""
    rows = Activity.unscoped.filter(event="ticket.satisfaction.submitted").order_by("pk")
    return [row.payload["data"] for row in rows]


def nothing_was_written() -> bool:
    return not (Satisfaction.unscoped.exists() or events() or IdempotencyKey.unscoped.exists())


def text_of(moment: dt.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_first_rating_is_kept_and_answered_with_201(client: Client, workspace: Workspace) -> None:
    ticket, token = resolved(workspace)
    answer = rate(client, ticket.pk, token, feedback="Great support!")
    kept = Satisfaction.objects.for_workspace(workspace).get()
    assert answer.status_code == 201
    assert (kept.ticket, kept.contact, kept.rating, kept.feedback) == (ticket, ticket.requester, 5, "Great support!")
    assert answer.json() == {
        "satisfaction": {
            "rating": 5,
            "feedback": "Great support!",
            "created_at": text_of(kept.created_at),
            "updated_at": text_of(kept.created_at),
        }
    }
    assert answer["Cache-Control"] == "no-store" and answer["Referrer-Policy"] == "no-referrer"


def test_feedback_is_not_needed(client: Client, workspace: Workspace) -> None:
    ticket, token = resolved(workspace)
    assert rate(client, ticket.pk, token).json()["satisfaction"]["feedback"] == ""


def test_a_changed_rating_is_the_same_one_and_answered_with_200(client: Client, workspace: Workspace) -> None:
    ticket, token = resolved(workspace, timezone.now() - 13 * DAY)
    rate(client, ticket.pk, token, rating=2, feedback="Too slow")
    first = timezone.now() - 13 * DAY
    Satisfaction.unscoped.update(created_at=first, updated_at=first)
    answer = rate(client, ticket.pk, token, rating=4)
    kept = Satisfaction.unscoped.get()
    assert answer.status_code == 200 and (kept.rating, kept.feedback, kept.created_at) == (4, "", first)
    given = answer.json()["satisfaction"]
    assert (given["created_at"], given["updated_at"]) == (text_of(first), text_of(kept.updated_at))
    assert kept.updated_at > first and [told["rating"] for told in events()] == [2, 4]


def test_the_same_once_more_changes_nothing_and_is_answered_with_200(client: Client, workspace: Workspace) -> None:
    ticket, token = resolved(workspace)
    first = rate(client, ticket.pk, token, feedback="Good")
    again = rate(client, ticket.pk, token, feedback="Good")
    assert (first.status_code, again.status_code) == (201, 200) and first.json() == again.json()
    assert Satisfaction.unscoped.count() == 1 and len(events()) == 1


def test_the_next_resolution_has_a_rating_of_its_own(client: Client, workspace: Workspace) -> None:
    ticket, token = resolved(workspace, timezone.now() - DAY)
    rate(client, ticket.pk, token, rating=1)
    finish(ticket, "open", "resolved", now=timezone.now())
    assert rate(client, ticket.pk, token).status_code == 201
    assert sorted(Satisfaction.unscoped.values_list("rating", flat=True)) == [1, 5]


def test_a_closed_request_can_still_be_rated(client: Client, workspace: Workspace) -> None:
    ticket, token = resolved(workspace)
    finish(ticket, "closed", now=timezone.now())
    assert rate(client, ticket.pk, token).status_code == 201


def test_a_change_after_14_days_is_too_late_and_changes_nothing(client: Client, workspace: Workspace) -> None:
    ticket, token = resolved(workspace, timezone.now() - 20 * DAY)
    rate(client, ticket.pk, token, rating=4)
    Satisfaction.unscoped.update(created_at=timezone.now() - 15 * DAY)
    answer = rate(client, ticket.pk, token, rating=1)
    assert answer.status_code == 409 and answer.json()["code"] == "too_late"
    assert Satisfaction.unscoped.get().rating == 4 and len(events()) == 1
    assert rate(client, ticket.pk, token, rating=4).status_code == 200


@pytest.mark.parametrize("moves", [(), ("pending",), ("resolved", "open")])
def test_a_request_in_work_is_not_rated(client: Client, workspace: Workspace, moves: tuple[str, ...]) -> None:
    ticket, token = make_request(workspace)
    finish(ticket, *moves, now=timezone.now())
    answer = rate(client, ticket.pk, token, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 409 and answer.json()["code"] == "not_resolved"
    assert answer["Cache-Control"] == "no-store" and nothing_was_written()


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"rating": 0}, "rating"),
        ({"rating": 6}, "rating"),
        ({"rating": -(10**30)}, "rating"),
        ({"rating": "5"}, "rating"),
        ({"rating": 5.0}, "rating"),
        ({"rating": True}, "rating"),
        ({"rating": None}, "rating"),
        ({"rating": [5]}, "rating"),
        ({"feedback": 5}, "feedback"),
        ({"feedback": None}, "feedback"),
        ({"feedback": "a\0b"}, "feedback"),
        ({"feedback": "\ud83d"}, "feedback"),
        ({"feedback": "x" * 5001}, "feedback"),
        ({"access_token": ""}, "access_token"),
        ({"access_token": 5}, "access_token"),
        ({"created_at": "2026-01-01T00:00:00Z"}, "created_at"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_written(
    client: Client, workspace: Workspace, fields: dict[str, Any], wrong: str
) -> None:
    ticket, token = resolved(workspace)
    answer = rate(client, ticket.pk, token, **fields)
    assert answer.status_code == 400 and set(answer.json()["errors"]) == {wrong}
    assert nothing_was_written()


def test_a_missing_rating_and_token_are_named(client: Client, workspace: Workspace) -> None:
    ticket, _ = resolved(workspace)
    path = f"/api/public/tickets/{ticket.pk}/satisfaction"
    answer = client.post(path, "{}", content_type="application/json")
    assert answer.status_code == 400 and set(answer.json()["errors"]) == {"access_token", "rating"}
    assert nothing_was_written()


def test_wrong_ids_and_wrong_old_and_revoked_tokens_are_the_same_404(
    client: Client, workspace: Workspace, django_assert_num_queries: Any
) -> None:
    now = timezone.now()
    ticket, token = resolved(workspace)
    old, expired = resolved(workspace, now - 181 * DAY, requester_email="old@customers.example")
    gone, revoked = resolved(workspace, requester_email="gone@customers.example")
    access.revoke(ticket=gone, contact=gone.requester, now=now)
    elsewhere, _ = resolved(WorkspaceFactory())
    answers = []
    for pk, tried in (
        (uuid4(), token),
        (ticket.pk, "wrong"),
        (elsewhere.pk, token),
        (old.pk, expired),
        (gone.pk, revoked),
        (gone.pk, token),
    ):
        with django_assert_num_queries(1):
            answers.append(rate(client, pk, tried))
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    assert nothing_was_written()


def test_a_rating_goes_to_the_ticket_into_which_it_was_merged(client: Client, workspace: Workspace) -> None:
    source, token = make_request(workspace)
    target, _ = make_request(workspace)
    agent = base.agent(make_agent(workspace))
    merging.merge(source=source, target_id=target.pk, actor=agent, now=timezone.now())
    assert rate(client, source.pk, token).json()["code"] == "not_resolved" and nothing_was_written()
    finish(target, "resolved", now=timezone.now())
    assert rate(client, source.pk, token).status_code == 201
    assert Satisfaction.unscoped.get().ticket == target
    assert [told["ticket_id"] for told in events()] == [str(target.pk)]


def test_a_ticket_that_was_merged_away_from_the_customer_is_not_rated(client: Client, workspace: Workspace) -> None:
    source, token = resolved(workspace)
    target, _ = resolved(workspace, requester_email="other@customers.example")
    agent = base.agent(make_agent(workspace))
    merging.merge(source=source, target_id=target.pk, actor=agent, now=timezone.now())
    Participant.unscoped.filter(ticket=target).delete()
    answer, unknown = rate(client, source.pk, token), rate(client, uuid4(), token)
    assert answer.status_code == 404 and answer.content == unknown.content
    assert nothing_was_written()


def test_webhooks_hear_of_a_rating_once(client: Client, workspace: Workspace) -> None:
    make_endpoint(workspace, now=NOW)
    ticket, token = resolved(workspace)
    for _ in range(2):
        rate(client, ticket.pk, token, rating=3, feedback="Fine.")
    while fanout.follow(now=timezone.now()):
        pass
    said = json.loads(Delivery.unscoped.get(event="ticket.satisfaction.submitted").body)["data"]
    assert (said["ticket_id"], said["rating"], said["feedback"]) == (str(ticket.pk), 3, "Fine.")


def test_with_one_key_the_first_answer_comes_again_without_a_token(client: Client, workspace: Workspace) -> None:
    ticket, token = resolved(workspace)
    first, again = (rate(client, ticket.pk, token, headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert first.status_code == again.status_code == 201 and first.json() == again.json()
    assert set(again.json()) == {"satisfaction"} and again["Idempotency-Replayed"] == "true"
    assert again["Cache-Control"] == "no-store" and len(events()) == 1


def test_too_often_is_429_and_writes_nothing(
    client: Client, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket, token = resolved(workspace)
    monkeypatch.setattr("helpdesk.api.throttles.rate_of", lambda scope: (1, 60))
    assert rate(client, ticket.pk, "wrong").status_code == 404
    answer = rate(client, ticket.pk, token)
    assert answer.status_code == 429 and int(answer["Retry-After"]) > 0
    assert nothing_was_written()


def test_is_a_post(client: Client, workspace: Workspace) -> None:
    ticket, token = resolved(workspace)
    path = f"/api/public/tickets/{ticket.pk}/satisfaction"
    assert client.get(path, {"access_token": token}).status_code == 405
