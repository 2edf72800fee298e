"""What a customer wrote with a rating, as agents read it on the ticket's page."""

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from helpdesk.accounts.tests.factories import WorkspaceFactory
from portal.services import requests
from portal.tests.factories import finish, make_request
from tickets.tests.factories import make_agent

pytestmark = pytest.mark.django_db


@pytest.fixture
def rated() -> Any:
    """A function: rate a resolved request of one workspace, and give the page that its agent sees."""
    workspace = WorkspaceFactory()
    agent = make_agent(workspace)
    client = Client()
    client.force_login(agent.user)

    def rate(rating: int, feedback: str) -> str:
        ticket, _ = make_request(workspace)
        finish(ticket, "resolved", now=timezone.now())
        ticket.refresh_from_db()
        requests.rate_request(
            ticket=ticket, contact=ticket.requester, rating=rating, feedback=feedback, now=timezone.now()
        )
        return client.get(reverse("tickets:ticket", args=[ticket.pk])).content.decode()

    return rate


def test_stands_beside_the_rating_in_the_conversation_and_in_the_log(rated):
    page = rated(2, "It took three days.\nNobody called.")
    said = 'rated the help with <b>2</b> of 5: <q dir="auto">It took three days.\nNobody called.</q>'
    assert page.count(said) == 2
    assert page.index('id="conversation"') < page.index(said)


def test_is_text_whatever_markup_is_in_it(rated):
    page = rated(1, '<script>alert(1)</script><img src=x onerror="alert(2)"></q> **bold** {{ ticket }}')
    assert "<script>alert" not in page and "<img src=x" not in page
    escaped = "&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x onerror=&quot;alert(2)&quot;&gt;&lt;/q&gt; **bold** {{ ticket }}"  # noqa: E501
    assert page.count(f'<q dir="auto">{escaped}</q>') == 2


def test_a_rating_without_words_is_only_a_number(rated):
    assert not re.search(r"of 5:|<q", rated(5, ""))
