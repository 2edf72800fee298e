"""The form with which a customer rates how their request was resolved."""

import datetime as dt
import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from portal.models import Satisfaction
from portal.tests.factories import finish, make_request
from tickets.models import Activity, Ticket
from tickets.services import base, merging
from tickets.services.base import Original
from tickets.services.conversation import customer_reply
from tickets.tests.factories import make_agent

pytestmark = pytest.mark.django_db
DAY = dt.timedelta(days=1)


@pytest.fixture
def workspace() -> Workspace:
    return WorkspaceFactory(name="Acme Help", slug="acme")


@pytest.fixture
def opened(client: Client, workspace: Workspace) -> Ticket:
    """A resolved request, whose link this browser has opened."""
    ticket, token = make_request(workspace)
    finish(ticket, "resolved", now=timezone.now())
    client.get(page_of(ticket), {"token": token})
    ticket.refresh_from_db()
    return ticket


def page_of(ticket: Ticket) -> str:
    return reverse("portal:ticket", args=[ticket.pk])


def rate(client: Client, ticket: Ticket, **given: Any) -> Any:
    return client.post(reverse("portal:rate", args=[ticket.pk]), given)


def test_is_there_once_the_request_is_resolved(client: Client, workspace: Workspace) -> None:
    ticket, token = make_request(workspace)
    client.get(page_of(ticket), {"token": token})
    assert 'id="rate"' not in client.get(page_of(ticket)).text
    for move in ("resolved", "closed"):
        finish(ticket, move, now=timezone.now())
        html = client.get(page_of(ticket)).text
        assert 'id="rate"' in html and "How was our help?" in html
        for words in ("Very bad", "Bad", "Okay", "Good", "Very good"):
            assert f"<span>{words}</span>" in html
    finish(ticket, "open", now=timezone.now())
    assert 'id="rate"' not in client.get(page_of(ticket)).text


def test_is_kept_shown_and_can_be_changed(client: Client, opened: Ticket) -> None:
    answer = rate(client, opened, rating="2", feedback="Too slow")
    assert answer.status_code == 302 and answer.url == f"{page_of(opened)}?sent=rating#rate"
    html = client.get(answer.url).text
    assert "your rating was sent" in html and "Your rating: Bad, 2 of 5" in html and "Too slow</textarea>" in html
    rate(client, opened, rating="5", feedback="")
    given = Satisfaction.unscoped.get()
    assert (given.rating, given.feedback, given.contact) == (5, "", opened.requester)
    assert "Your rating: Very good, 5 of 5" in client.get(page_of(opened)).text


def test_a_link_only_chooses_and_records_nothing(client: Client, workspace: Workspace) -> None:
    ticket, token = make_request(workspace)
    finish(ticket, "resolved", now=timezone.now())
    before = Activity.unscoped.count()
    answer = client.get(page_of(ticket), {"token": token, "rating": "4"})
    assert answer.url == f"{page_of(ticket)}?rating=4" and token not in answer.url
    html = client.get(answer.url).text
    chosen = [tag for tag in re.findall(r"<input[^>]*type=.radio.[^>]*>", html) if " checked" in tag]
    assert len(chosen) == 1 and 'value="4"' in chosen[0]
    assert not Satisfaction.unscoped.exists() and Activity.unscoped.count() == before
    for odd in ("0", "6", "x", "4.5", "٤"):
        assert client.get(page_of(ticket), {"token": token, "rating": odd}).url == page_of(ticket)


@pytest.mark.parametrize("rating", ["", "0", "6", "2.5", "good", "<b>"])
def test_what_is_no_rating_is_refused_at_its_field(client: Client, opened: Ticket, rating: str) -> None:
    answer = rate(client, opened, rating=rating, feedback="Kept for you")
    assert answer.status_code == 400 and "Please choose one of the five" in answer.text
    assert 'id="id_rating_error"' in answer.text and "Kept for you</textarea>" in answer.text
    assert not Satisfaction.unscoped.exists()


def test_a_comment_that_is_too_long_is_refused_at_its_field(client: Client, opened: Ticket) -> None:
    answer = rate(client, opened, rating="3", feedback="x" * 5001)
    assert answer.status_code == 400 and 'id="id_feedback_error"' in answer.text
    assert not Satisfaction.unscoped.exists()


def test_what_was_reopened_meanwhile_is_refused_in_words(client: Client, opened: Ticket) -> None:
    finish(opened, "open", now=timezone.now())
    answer = rate(client, opened, rating="3")
    assert answer.status_code == 400 and "A request can be rated once it is resolved." in answer.text
    assert not Satisfaction.unscoped.exists()


def test_after_14_days_it_stands(client: Client, opened: Ticket) -> None:
    rate(client, opened, rating="4", feedback="Fine")
    Satisfaction.unscoped.update(created_at=timezone.now() - 15 * DAY)
    html = client.get(page_of(opened)).text
    assert "Your rating: Good, 4 of 5" in html and "Fine" in html and "Change my rating" not in html
    answer = rate(client, opened, rating="1")
    assert answer.status_code == 400 and "can be changed for 14 days" in answer.text
    assert Satisfaction.unscoped.get().rating == 4


def test_without_the_link_there_is_nothing_to_rate(client: Client, opened: Ticket) -> None:
    stranger = Client()
    assert rate(stranger, opened, rating="1").status_code == 404
    stranger.cookies["request_token"] = "x" * 43
    answer = rate(stranger, opened, rating="1")
    assert answer.status_code == 404 and answer["Cache-Control"] == "no-store"
    assert not Satisfaction.unscoped.exists()
    assert client.get(reverse("portal:rate", args=[opened.pk])).status_code == 405


def test_a_request_that_was_joined_with_another_is_not_rated(
    client: Client, workspace: Workspace, opened: Ticket
) -> None:
    agent = make_agent(workspace)
    other, _ = make_request(workspace, requester_email="sam@customers.example")
    merging.merge(source=opened, target_id=other.pk, actor=base.agent(agent), now=timezone.now())
    assert 'id="rate"' not in client.get(page_of(opened)).text
    rate(client, opened, rating="1")
    assert not Satisfaction.unscoped.exists()


def test_too_much_from_one_network_is_429_with_the_words_kept(
    client: Client, opened: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helpdesk.api.throttles.rate_of", lambda scope: (1, 60))
    rate(client, opened, rating="2")
    answer = rate(client, opened, rating="4", feedback="Two words")
    assert answer.status_code == 429 and answer["Retry-After"] and "Two words" in answer.text
    assert Satisfaction.unscoped.get().rating == 2


def test_costs_one_query_more_than_reading(client: Client, opened: Ticket, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(5):  # the link, the portal, the files, the messages, the rating
        client.get(page_of(opened))


def test_customers_open_quoted_text_and_see_nothing_of_how_mail_fares(
    client: Client, workspace: Workspace, opened: Ticket
) -> None:
    given = customer_reply(
        ticket=opened,
        contact=opened.requester,
        body="Thanks",
        channel="email",
        now=timezone.now(),
        original=Original(folded_text="> You <wrote>"),
    )
    assert given.comment
    given.comment.delivery = {"state": "bounced", "at": "2026-03-02T09:00:00+00:00", "to": [], "reason": "user unknown"}
    given.comment.save()
    html = client.get(page_of(opened)).text
    assert "Show quoted text" in html and "&gt; You &lt;wrote&gt;" in html
    assert "user unknown" not in html and "ounced" not in html
