"""Settings of the recurring tickets in the console."""

import datetime as dt
import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from helpdesk.accounts import services as accounts
from helpdesk.accounts.models import Membership
from helpdesk.accounts.tests.factories import TeamFactory, WorkspaceFactory
from tickets.automation.models import RecurringRun, RecurringTicket
from tickets.automation.services import recurring
from tickets.automation.tests.factories import make_recurring
from tickets.events import SYSTEM
from tickets.models import Ticket
from tickets.services import editing
from tickets.services import setup as ticket_setup
from tickets.tests.api import unchanged
from tickets.tests.factories import CategoryFactory, make_agent

pytestmark = pytest.mark.django_db
UNKNOWN = "01890a5d-ac96-774b-bcce-b302099a8057"  # an id that nothing has
DAY = dt.timedelta(days=1)


@pytest.fixture
def admin() -> Membership:
    return make_agent(WorkspaceFactory(name="Demo", timezone="Europe/Berlin"), role="admin")


@pytest.fixture
def client(admin: Membership) -> Client:
    client = Client()
    client.force_login(admin.user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def url(name: str, *args: Any) -> str:
    return reverse(f"automation:recurring{name}", args=args)


def words(answer: Any) -> str:
    """The text of a page as one reads it."""
    body = re.sub(r"<(script|template)\b.*?</\1>", " ", answer.content.decode(), flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body).replace("&#x27;", "’"))


def sent(**changes: Any) -> dict[str, Any]:
    """What a browser sends for every first Monday at nine; it sends the controls of the other units, too."""
    return {
        "name": "Backups",
        "interval": "1",
        "every": "month",
        "weekdays": ["monday"],
        "month": "3",
        "by": "weekday",
        "day": "15",
        "nth": "first",
        "weekday": "monday",
        "at": "09:00",
        "timezone": "Europe/Berlin",
        "starts_on": "2026-01-01",
        "ends_on": "",
        "subject": "Check the backups",
        "description": "Restore one of them.",
        "requester_email": "it@acme.example",
        "requester_name": "",
        "priority": "high",
        "category_id": "",
        "team_id": "",
        "assignee_id": "",
        "tags": "backup, it",
        "is_active": "on",
        **changes,
    }


def made(admin: Membership) -> RecurringTicket:
    found: RecurringTicket = RecurringTicket.objects.for_workspace(admin.workspace).get()
    return found


def queries(client: Client, address: str) -> int:
    client.get(address)
    with CaptureQueriesContext(connection) as asked:
        assert client.get(address).status_code == 200
    return len(asked)


class TestTheList:
    def test_each_is_a_line_that_one_can_read(self, admin: Membership, client: Client) -> None:
        now = timezone.now()
        row = make_recurring(admin.workspace, now=now - 2 * DAY)
        recurring.open_due(now=now)
        make_recurring(admin.workspace, now=now, name="Tapes", is_active=False)
        ended = {"every": "day", "at": "09:00", "timezone": "UTC", "ends_on": (now - DAY).date().isoformat()}
        make_recurring(admin.workspace, now=now - 5 * DAY, name="Over", schedule=ended)
        recurring.open_due(now=now)
        elsewhere: Any = WorkspaceFactory()
        make_recurring(elsewhere, name="Foreign")
        row.refresh_from_db()
        page = words(client.get(url("")))
        ticket = row.last_ticket
        assert ticket is not None
        for said in ("Every day at 09:00 (Europe/Berlin)", f"#{ticket.number}", "Tapes Off", "Over Ended"):
            assert said in page
        assert "Foreign" not in page
        assert row.next_at is not None
        assert f"{row.next_at:%b %Y}, 09:00" in page  # the local time, not that of UTC

    def test_without_any_there_is_something_to_do(self, client: Client) -> None:
        assert "No recurring tickets yet" in words(client.get(url("")))

    def test_what_is_gone_is_said_in_the_list_and_in_the_form(self, admin: Membership, client: Client) -> None:
        now = timezone.now()
        team = TeamFactory(workspace=admin.workspace, name="IT")
        row = make_recurring(admin.workspace, now=now - 2 * DAY, team_id=team.pk)
        accounts.delete_team(team=team, by=admin, now=now)
        recurring.open_due(now=now)
        for address in (url(""), url("-edit", row.pk), url("-log", row.pk)):
            assert "Opened without the team “IT”, which was deleted." in words(client.get(address))

    def test_pages_cost_the_same_queries_for_many(self, admin: Membership, client: Client) -> None:
        now = timezone.now()
        for n in range(3):
            agent, category = make_agent(admin.workspace), CategoryFactory(workspace=admin.workspace)
            team = TeamFactory(workspace=admin.workspace)
            named = {"assignee_id": agent.user_id, "category_id": category.pk, "team_id": team.pk}
            row = make_recurring(admin.workspace, now=now - 9 * DAY, name=f"{n}", **named)
        recurring.open_due(now=now - 3 * DAY)
        pages = (url(""), url("-log", row.pk), url("-edit", row.pk), url("-new"))
        before = [queries(client, page) for page in pages]
        for n in range(3, 20):
            make_recurring(admin.workspace, now=now - 9 * DAY, name=f"{n}", **named)
        recurring.open_due(now=now)
        assert [queries(client, page) for page in pages] == before
        assert max(before) <= 9

    def test_one_is_switched_off_and_on(self, admin: Membership, client: Client) -> None:
        row = make_recurring(admin.workspace)
        answer = client.post(url("-switch", row.pk), {"to": "off"})
        assert answer["Location"] == f"{url('')}#switch-{row.pk}"
        assert (made(admin).is_active, made(admin).next_at) == (False, None)
        client.post(url("-switch", row.pk), {"to": "on"})
        assert made(admin).is_active and made(admin).next_at is not None

    def test_one_is_deleted_and_its_tickets_stay(self, admin: Membership, client: Client) -> None:
        now = timezone.now()
        row = make_recurring(admin.workspace, now=now - 2 * DAY)
        recurring.open_due(now=now)
        assert "Deleted the recurring ticket “Backups”" in words(client.post(url("-delete", row.pk), follow=True))
        assert made(admin).archived_at is not None
        assert Ticket.objects.for_workspace(admin.workspace).count() == 1
        for name in ("-edit", "-log"):
            assert client.get(url(name, row.pk)).status_code == 404
        for name in ("-switch", "-delete", "-edit"):
            assert client.post(url(name, row.pk)).status_code == 404


class TestTheForm:
    def test_every_first_monday_at_nine_in_berlin_for_team_it(self, admin: Membership, client: Client) -> None:
        team = TeamFactory(workspace=admin.workspace, name="IT")
        answer = client.post(url("-new"), sent(team_id=str(team.pk)), follow=True)
        assert "Saved the recurring ticket “Backups”." in words(answer)
        row = made(admin)
        assert row.schedule == {
            "every": "month",
            "interval": 1,
            "nth": "first",
            "weekday": "monday",
            "at": "09:00",
            "timezone": "Europe/Berlin",
            "starts_on": "2026-01-01",
            "ends_on": None,
        }
        assert (row.team_id, row.priority, row.tags, row.is_active) == (team.pk, "high", ["backup", "it"], True)

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"every": "day", "interval": "3"}, {"every": "day", "interval": 3}),
            ({"every": "week", "weekdays": ["friday", "monday"]}, {"every": "week", "weekdays": ["monday", "friday"]}),
            ({"by": "day", "day": "31"}, {"every": "month", "day": 31}),
            ({"every": "year", "by": "day"}, {"every": "year", "month": 3, "day": 15}),
            ({"every": "year"}, {"every": "year", "month": 3, "nth": "first", "weekday": "monday"}),
            ({"at": "09:00:00", "ends_on": "2199-01-01"}, {"at": "09:00", "ends_on": "2199-01-01"}),
        ],
    )
    def test_each_unit_takes_its_own_controls_and_comes_back_as_it_was(
        self, admin: Membership, client: Client, changes: dict[str, Any], said: dict[str, Any]
    ) -> None:
        assert client.post(url("-new"), sent(**changes)).status_code == 302
        row = made(admin)
        assert row.schedule | said == row.schedule
        form = client.get(url("-edit", row.pk)).context["form"]
        again = {name: form[name].value() for name in sent()}
        again = {name: "" if value is None else value for name, value in again.items()}
        before = RecurringTicket.unscoped.values().get()
        assert client.post(url("-edit", row.pk), again | {"tags": "backup, it"}).status_code == 302
        after = RecurringTicket.unscoped.values().get()
        assert after == before | {"updated_at": after["updated_at"]}

    def test_a_refused_form_comes_back_filled_in_with_everything_that_is_wrong(self, client: Client) -> None:
        wrong = sent(name="", interval="0", every="week", at="nine", timezone="Berlin", requester_email="it")
        wrong |= {"weekdays": [], "starts_on": "2026-02-30"}
        with unchanged(RecurringTicket):
            answer = client.post(url("-new"), wrong)
        assert answer.status_code == 400
        form = answer.context["form"]
        assert set(form.errors) == {
            "name", "interval", "weekdays", "at", "timezone", "starts_on", "requester_email",
        }  # fmt: skip
        assert form["timezone"].value() == "Berlin" and form["description"].value() == "Restore one of them."
        with unchanged(RecurringTicket):
            answer = client.post(url("-new"), sent(subject="x" * 247 + "{{date}}", name="x" * 80))
        assert answer.status_code == 400 and list(answer.context["form"].errors) == ["subject"]

    def test_one_that_would_never_happen_is_refused(self, client: Client) -> None:
        with unchanged(RecurringTicket):
            answer = client.post(url("-new"), sent(ends_on="2026-01-02"))
        assert answer.status_code == 400 and "It would never happen" in words(answer)

    def test_a_name_that_is_taken_is_named(self, admin: Membership, client: Client) -> None:
        make_recurring(admin.workspace, name="BACKUPS")
        with unchanged(RecurringTicket):
            answer = client.post(url("-new"), sent())
        assert answer.status_code == 400 and "a recurring ticket with this name already" in words(answer)

    def test_what_is_gone_stays_chosen_until_somebody_chooses_otherwise(
        self, admin: Membership, client: Client
    ) -> None:
        category = CategoryFactory(workspace=admin.workspace, name="Hardware")
        row = make_recurring(admin.workspace, category_id=category.pk)
        ticket_setup.delete_category(category=category, now=timezone.now())
        assert "Hardware (gone)" in words(client.get(url("-edit", row.pk)))
        given = sent(every="day", category_id=str(category.pk), priority="low")
        assert client.post(url("-edit", row.pk), given).status_code == 302
        assert (made(admin).category_id, made(admin).priority) == (category.pk, "low")
        assert "the category “Hardware”" in made(admin).notice
        assert client.post(url("-edit", row.pk), given | {"category_id": ""}).status_code == 302
        assert (made(admin).category_id, made(admin).notice) == (None, "")

    def test_without_scripts_a_button_shows_the_next_times_and_saves_nothing(self, client: Client) -> None:
        with unchanged(RecurringTicket):
            answer = client.post(url("-new"), sent(subject="Backups of {{month}}", name="", preview="1"))
        assert answer.status_code == 200
        assert "Every first Monday of the month at 09:00 (Europe/Berlin)" in words(answer)
        assert (
            len(answer.context["preview"]["rows"]) == 5 and "{{" not in answer.context["preview"]["rows"][0]["subject"]
        )

    def test_a_stored_schedule_that_cannot_be_read_is_set_again(self, admin: Membership, client: Client) -> None:
        row = make_recurring(admin.workspace)
        RecurringTicket.unscoped.filter(pk=row.pk).update(schedule={"every": "blue moon"})
        assert "A schedule that cannot be read" in words(client.get(url("")))
        assert "Please set it again" in words(client.get(url("-edit", row.pk)))
        assert client.get(url("-log", row.pk)).status_code == 200
        assert client.post(url("-edit", row.pk), sent()).status_code == 302
        assert made(admin).schedule["every"] == "month"


class TestThePreview:
    def shown(self, client: Client, **changes: Any) -> Any:
        with unchanged(RecurringTicket):
            answer = client.post(url("-preview"), sent(**changes))
        assert answer.status_code == 200
        return answer

    def test_it_shows_the_next_five_times_of_the_schedules_own_clocks(self, client: Client) -> None:
        page = self.shown(client, every="day", timezone="Pacific/Auckland", subject="<b>{{year}}</b>")
        assert words(page).count(", 09:00") == 5
        assert "<b>2" not in page.content.decode() and "&lt;b&gt;2" in page.content.decode()

    def test_it_says_when_there_are_fewer_or_none(self, client: Client) -> None:
        tomorrow = (timezone.now() + DAY).date().isoformat()
        last = self.shown(client, every="day", starts_on=tomorrow, ends_on=tomorrow)
        assert "It happens once more:" in words(last)
        assert "It happens no more" in words(self.shown(client, ends_on="2026-01-20"))

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"timezone": "x"}, "Timezone: This must be the name of a timezone, like Europe/Berlin."),
            ({"interval": "²"}, "This must be a whole number from 1 to 24."),
            ({"interval": "9" * 30}, "This must be a whole number from 1 to 24."),
            ({"every": "hour"}, "This must be one of: day, week, month, year."),
            ({"by": "day", "day": "x"}, "This must be a whole number from 1 to 31."),
            ({"at": ""}, "At: This must be a time like 09:00."),
        ],
    )
    def test_it_says_what_is_wrong(self, client: Client, changes: dict[str, Any], said: str) -> None:
        assert said in words(self.shown(client, **changes))

    def test_an_empty_form_is_no_error(self, client: Client) -> None:
        assert client.post(url("-preview"), {}).status_code == 200


class TestTheLog:
    def test_it_names_what_was_opened_and_what_was_missed(self, admin: Membership, client: Client) -> None:
        now = timezone.now()
        row = make_recurring(admin.workspace, now=now - 3 * DAY)
        recurring.open_due(now=now)
        page = words(client.get(url("-log", row.pk)))
        ticket = Ticket.objects.for_workspace(admin.workspace).get()
        assert f"#{ticket.number} Check the backups" in page
        assert page.count("Missed: several were due at once, and only the newest was opened.") == 2
        editing.trash(ticket=ticket, actor=SYSTEM, now=now)
        for address in (url(""), url("-log", row.pk)):
            assert re.search(rf"#{ticket.number} .*in the trash", words(client.get(address)))
        assert editing.purge_trash(now=now + 31 * DAY) == 1
        assert "None yet" in words(client.get(url("")))
        assert "Deleted since" in words(client.get(url("-log", row.pk)))

    def test_it_has_pages(self, admin: Membership, client: Client) -> None:
        row = make_recurring(admin.workspace)
        start = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
        RecurringRun.unscoped.bulk_create(
            RecurringRun(
                workspace=admin.workspace,
                recurring=row,
                occurrence_at=start + n * DAY,
                is_opened=False,
                text="Missed.",
                ran_at=timezone.now(),
            )
            for n in range(60)
        )
        assert words(client.get(url("-log", row.pk))).count("Missed.") == 50
        assert words(client.get(url("-log", row.pk) + "?page=2")).count("Missed.") == 10
        assert client.get(url("-log", row.pk) + "?page=x").status_code == 200

    def test_before_the_first_time_it_says_so(self, admin: Membership, client: Client) -> None:
        assert "Nothing yet" in words(client.get(url("-log", make_recurring(admin.workspace).pk)))


def test_foreign_and_unknown_ones_are_not_found(client: Client) -> None:
    elsewhere: Any = WorkspaceFactory()
    foreign = make_recurring(elsewhere)
    with unchanged(RecurringTicket):
        for pk in (foreign.pk, UNKNOWN):
            assert client.get(url("-edit", pk)).status_code == 404
            assert client.get(url("-log", pk)).status_code == 404
            for name in ("-edit", "-switch", "-delete"):
                assert client.post(url(name, pk), sent()).status_code == 404
