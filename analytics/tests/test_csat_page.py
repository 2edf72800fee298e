"""The page of the report on satisfaction."""

import datetime as dt
import re
from itertools import pairwise
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from analytics.tests.factories import make_rated
from analytics.views import charts
from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import TeamFactory, WorkspaceFactory
from tickets.tests.factories import make_agent

URL = "/reports/csat"
NOON = dt.datetime(2026, 3, 10, 12, 0, tzinfo=dt.UTC)
MARCH = {"from": "2026-03-01", "to": "2026-03-31"}


@pytest.fixture
def workspace() -> Workspace:
    made: Any = WorkspaceFactory(timezone="Europe/Rome")
    return made


@pytest.fixture
def client(workspace: Workspace) -> Client:
    client = Client()
    client.force_login(make_agent(workspace, role="light").user)
    return client


def words(answer: Any) -> str:
    """What people read, without markup."""
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


@pytest.mark.django_db
class TestThePage:
    def test_tells_the_figures_and_leads_to_the_tickets(self, client: Client, workspace: Workspace) -> None:
        agent = make_agent(workspace, user__name="Aisha Khan")
        ticket = make_rated(workspace, 5, NOON, agent=agent, feedback="<b>Quick</b>, thank you")
        make_rated(workspace, 2, NOON)
        make_rated(workspace, 3, NOON - dt.timedelta(days=31))
        make_rated(WorkspaceFactory(), 1, NOON, feedback="Somebody else's")
        answer = client.get(URL, {**MARCH, "compare": "previous"})
        said = words(answer)
        assert answer.status_code == 200
        for expected in (
            "CSAT 50.0 % 1 of 2 ratings are 4 or 5 50.0 points up from 0.0 %",
            "Average rating 3.50 from 1 (bad) to 5 (very good) 0.50 up from 3.00",
            "Ratings 2 first given in this period 1 up from 1",
            "Response rate 100.0 % 2 of 2 resolutions rated as before (100.0 %)",
            "1 – 31 Mar 2026 · Europe/Rome · compared with 29 Jan – 28 Feb 2026",
            "Aisha Khan 1 5.00 100.0 %",
            "Nobody 1 2.00 0.0 %",
            "5 of 5 &lt;b&gt;Quick&lt;/b&gt;, thank you",
        ):
            assert expected in said
        assert f'href="/tickets/{ticket.pk}"' in answer.content.decode() and "Somebody else" not in said

    def test_without_ratings_says_what_to_do(self, client: Client) -> None:
        said = words(client.get(URL))
        assert "No ratings in this period" in said and "CSAT –" in said and "<svg class" not in said

    def test_shows_the_last_days_as_people_choose_them(self, client: Client, workspace: Workspace) -> None:
        make_rated(workspace, 4, timezone.now() - dt.timedelta(days=20))
        assert "Ratings 0 first" in words(client.get(URL, {"days": "7"}))
        assert "Ratings 1 first" in words(client.get(URL, {"days": "30"}))
        assert 'href="?days=30" aria-current="true"' in client.get(URL).content.decode()
        kept = client.get(URL, {**MARCH, "compare": "previous", "priority": "high", "page": "2"}).content.decode()
        assert 'href="?compare=previous&amp;priority=high&amp;days=7"' in kept

    @pytest.mark.parametrize(
        ("asked", "named"),
        [
            ({"from": "soon"}, "From: Write a day"),
            ({"from": "2026-03-02", "to": "2026-03-01"}, "To: The period has to begin before it ends."),
            ({"days": "8"}, "Days: Possible, without from and to: 7, 30, 90."),
            ({"days": "7", "from": "2026-03-02"}, "Days: "),
            ({"colour": "red"}, "Colour: There is no such parameter."),
        ],
    )
    def test_refuses_by_name_and_keeps_what_was_typed(self, client: Client, asked: dict[str, str], named: str) -> None:
        answer = client.get(URL, asked)
        assert answer.status_code == 400 and named in words(answer) and "CSAT" not in words(answer)
        assert f'value="{asked.get("from", "")}"' in answer.content.decode()

    def test_keeps_the_filters_and_says_so(self, client: Client, workspace: Workspace) -> None:
        team = TeamFactory(workspace=workspace)
        make_rated(workspace, 5, NOON, team_id=team.pk)
        make_rated(workspace, 1, NOON)
        answer = client.get(URL, {**MARCH, "team": str(team.pk), "tag": "", "timezone": "Asia/Tokyo"})
        said, page = words(answer), answer.content.decode()
        assert "Average rating 5.00" in said and "only the tickets of your filters" in said
        assert f'<option value="{team.pk}" selected>' in page
        assert '<input type="hidden" name="timezone" value="Asia/Tokyo">' in page
        assert "No ratings of these tickets" in words(client.get(URL, {**MARCH, "status": "open"}))

    def test_lists_comments_by_page(self, client: Client, workspace: Workspace) -> None:
        for number in range(21):
            make_rated(workspace, 4, NOON + dt.timedelta(hours=number), feedback=f"Words {number:02}")
        assert "1–20 of 21 comments" in words(client.get(URL, MARCH)) and "Words 00" not in words(
            client.get(URL, MARCH)
        )
        assert "Words 00" in words(client.get(URL, {**MARCH, "page": "2"}))

    def test_needs_as_many_queries_for_much_as_for_little(
        self, client: Client, workspace: Workspace, django_assert_num_queries: Any
    ) -> None:
        for day in range(3):
            make_rated(workspace, 1 + day, NOON, agent=make_agent(workspace), feedback="Words")
            with django_assert_num_queries(12):  # session, user, member, 2 of the shell; 4 figures, 2 before, comments
                client.get(URL, {**MARCH, "compare": "previous"})


class TestTheScale:
    @given(most=st.integers(0, 10**9))
    def test_is_of_few_round_numbers_that_reach_the_highest(self, most: int) -> None:
        marks = charts.scale(most)
        assert marks[0] == 0 and marks[-1] >= most and 2 <= len(marks) <= 6
        assert len({later - mark for mark, later in pairwise(marks)}) == 1
        assert marks[1] == 1 or str(marks[1]).rstrip("0") in ("1", "2", "5")

    def test_columns_stand_on_the_base_and_end_below_the_top(self) -> None:
        chart = charts.columns([("1 Mar", "t", 10, 4), ("2 Mar", "t", 0, 0)])
        first, second = chart.columns
        assert first.y + first.height == chart.base == first.filled_y + first.filled_height and first.y >= charts.ABOVE
        assert (second.height, second.value) == (0, "") and first.value == "10"
