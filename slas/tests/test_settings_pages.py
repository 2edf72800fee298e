"""Settings of the service levels in the console: policies, business hours, jobs."""

import datetime as dt
import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from helpdesk.accounts.models import Membership, Organization
from helpdesk.accounts.tests.factories import WorkspaceFactory
from slas.models import BusinessHours, Job, SLAPolicy
from slas.services import jobs, setup
from slas.tasks import run_job
from slas.tests.factories import WEEK, make_hours, make_policy
from tickets.models import Ticket
from tickets.tests.factories import CategoryFactory, make_agent, make_ticket

pytestmark = pytest.mark.django_db
UNKNOWN = "01890a5d-ac96-774b-bcce-b302099a8057"  # an id that nothing has
HTMX = {"HX-Request": "true"}
LONG = "Gold-Platinum " * 5 + "customers"  # 79 characters


@pytest.fixture
def admin() -> Membership:
    member = make_agent(WorkspaceFactory(name="Demo"), role="admin")
    make_policy(member.workspace, name="Standard")
    return member


@pytest.fixture
def client(admin: Membership) -> Client:
    return signed_in(admin)


def signed_in(member: Membership) -> Client:
    client = Client()
    client.force_login(member.user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def url(name: str, *args: Any) -> str:
    return reverse(f"slas:{name}", args=args)


def words(answer: Any) -> str:
    """The text of a page as one reads it."""
    body = re.sub(r"<(script|template)\b.*?</\1>", " ", answer.content.decode(), flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body).replace("&#x27;", "’").replace("\u2060", ""))


def policies(member: Membership) -> Any:
    return SLAPolicy.objects.for_workspace(member.workspace).live()


def everything() -> list[Any]:
    return [list(model.unscoped.order_by("pk").values()) for model in (SLAPolicy, BusinessHours, Job)]


def queries(client: Client, address: str, **data: Any) -> int:
    with CaptureQueriesContext(connection) as asked:
        client.post(address, data) if data else client.get(address)
    return len(asked)


def policy_sent(**changes: Any) -> dict[str, Any]:
    """What a browser sends for a policy."""
    blank = {
        f"{priority}_{goal}_hours": ""
        for priority in ("urgent", "high", "medium", "low")
        for goal in ("first_response", "next_response", "resolution")
    }
    return {
        "name": "Gold",
        "first_response_hours": "4",
        "next_response_hours": "",
        "resolution_hours": "24",
        **blank,
        "business_hours_only": "on",
        "business_hours_id": "",
        "pending_pauses": ["resolution"],
        "at_risk_percent": "75",
        "is_default": "0",
        "organizations": "",
        "attributes": "",
        **changes,
    }


def hours_sent(**changes: Any) -> dict[str, Any]:
    """What a browser sends for business hours: Monday to Friday, 9 to 18."""
    days = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    sent: dict[str, Any] = {"name": "Berlin", "timezone": "Europe/Berlin", "country": "", "other_dates": ""}
    for day in days:
        sent |= {f"{day}_start": [""], f"{day}_end": [""]}
    for day in days[:5]:
        sent |= {f"{day}_open": "1", f"{day}_start": ["09:00", ""], f"{day}_end": ["18:00", ""]}
    sent |= {"holiday_date": ["", ""], "holiday_name": ["", ""], "holiday_hours": ["", ""]}
    return sent | changes


class TestThePolicies:
    def test_they_are_listed_in_order_as_lines_that_one_can_read(self, admin, client):
        billing = CategoryFactory(workspace=admin.workspace, name="Billing")
        acme = Organization.unscoped.create(workspace=admin.workspace, name="Acme")
        nights = make_hours(admin.workspace, name="Nights")
        make_policy(
            admin.workspace,
            name="Gold",
            is_default=False,
            first_response_hours=0.5,
            next_response_hours=None,
            resolution_hours=24,
            priority_overrides={"urgent": {"first_response_hours": 0.25, "resolution_hours": 1.5}},
            business_hours_id=nights.pk,
            conditions={
                "category_ids": [str(billing.pk)],
                "organization_ids": [str(acme.pk)],
                "attributes": {"plan": ["pro", "enterprise"]},
            },
        )
        make_policy(admin.workspace, name="Spare", is_default=False, business_hours_only=False)
        page = words(client.get(url("policies")))
        for said in (
            "Tickets in Billing, from Acme, with plan pro or enterprise",
            "First response 30 min · Resolution 24 h, by business hours Nights",
            "Urgent first response 15 min, resolution 1 h 30 min",
            "Nobody by itself",
            "First response 2 h · Next response 4 h · Resolution 8 h, round the clock",
            "Standard Default",
            "Everybody else",
            "by business hours Nine to six",
        ):
            assert said in page
        assert page.index("Gold") < page.index("Spare") < page.index("Everybody else")

    def test_what_is_gone_meanwhile_is_named_so(self, admin, client):
        policy = make_policy(admin.workspace, name="Gold", is_default=False)
        SLAPolicy.unscoped.filter(pk=policy.pk).update(
            conditions={"category_ids": [UNKNOWN], "organization_ids": [UNKNOWN]}
        )
        assert "Tickets in a deleted category, from a deleted organisation" in words(client.get(url("policies")))
        assert client.get(url("policy-edit", policy.pk)).status_code == 200

    def test_without_any_there_is_something_to_do(self):
        page = words(signed_in(make_agent(WorkspaceFactory(), role="admin")).get(url("policies")))
        assert "No SLA policies yet" in page

    @pytest.mark.parametrize(
        ("direction", "name", "order", "focus"),
        [
            ("up", "B", ["B", "A", "C", "Standard"], "down"),
            ("down", "A", ["B", "A", "C", "Standard"], "down"),
            ("down", "B", ["A", "C", "B", "Standard"], "up"),
            ("up", "A", ["A", "B", "C", "Standard"], "up"),
            ("down", "C", ["A", "B", "C", "Standard"], "down"),
            ("down", "Standard", ["A", "B", "C", "Standard"], "down"),
        ],
    )
    def test_they_change_places(self, admin, client, direction, name, order, focus):
        made = {one: make_policy(admin.workspace, name=one, is_default=False) for one in "ABC"}
        made["Standard"] = policies(admin).get(name="Standard")
        answer = client.post(url("policy-move", made[name].pk), {"direction": direction})
        assert [policy.name for policy in setup.policies(admin.workspace.pk)] == order
        assert answer.url.startswith(f"{url('policies')}?job=")
        assert answer.url.endswith(f"#{focus}-{made[name].pk}")

    def test_one_is_deleted_and_the_default_is_not(self, admin, client):
        gold = make_policy(admin.workspace, name="Gold", is_default=False)
        standard = policies(admin).get(name="Standard")
        assert "Deleted the policy “Gold”" in words(client.post(url("policy-delete", gold.pk), follow=True))
        assert "make another policy the default first" in words(
            client.post(url("policy-delete", standard.pk), follow=True)
        )
        assert [policy.name for policy in policies(admin)] == ["Standard"]

    def test_the_list_costs_the_same_queries_for_sixty(self, admin, client):
        acme = Organization.unscoped.create(workspace=admin.workspace, name="Acme")
        category = CategoryFactory(workspace=admin.workspace)
        conditions = {"organization_ids": [str(acme.pk)], "category_ids": [str(category.pk)]}
        make_policy(admin.workspace, name="First", is_default=False, conditions=conditions)
        queries(client, url("policies"))
        before = queries(client, url("policies"))
        SLAPolicy.unscoped.bulk_create(
            SLAPolicy(
                workspace=admin.workspace,
                name=f"{LONG[:70]} {n}",
                first_response_hours=1,
                resolution_hours=2,
                conditions=conditions,
                position=n + 2,
            )
            for n in range(60)
        )
        assert before == queries(client, url("policies")) <= 12
        assert words(client.get(url("policies"))).count("Tickets in") == 61


class TestOnePolicy:
    def test_it_is_made_with_everything(self, admin, client):
        category = CategoryFactory(workspace=admin.workspace)
        acme = Organization.unscoped.create(workspace=admin.workspace, name="Acme")
        nights = make_hours(admin.workspace, name="Nights")
        sent = policy_sent(
            first_response_hours="0.5",
            urgent_first_response_hours="0.25",
            urgent_next_response_hours="1",
            low_resolution_hours="72",
            business_hours_id=str(nights.pk),
            pending_pauses=["first_response", "resolution"],
            category_ids=[str(category.pk)],
            organizations="ACME\r\n",
            attributes='plan = pro, "a, b"\r\nvip=yes',
        )
        answer = client.post(url("policy-new"), sent)
        made = policies(admin).get(name="Gold")
        assert answer.url == f"{url('policies')}?job={jobs.latest(admin.workspace.pk, 'derive').pk}"
        assert (made.first_response_hours, made.next_response_hours, made.resolution_hours) == (0.5, None, 24)
        assert made.priority_overrides == {
            "urgent": {"first_response_hours": 0.25, "next_response_hours": 1},
            "low": {"resolution_hours": 72},
        }
        assert (made.business_hours, made.business_hours_only, made.at_risk_percent) == (nights, True, 75)
        assert made.pending_pauses == ["first_response", "resolution"]
        assert made.conditions == {
            "category_ids": [str(category.pk)],
            "organization_ids": [str(acme.pk)],
            "attributes": {"plan": ["pro", "a, b"], "vip": ["yes"]},
        }
        # What is shown and sent again unchanged changes nothing.
        shown = client.get(url("policy-edit", made.pk)).context["form"]
        again = {field.html_name: field.value() for field in shown if field.value() not in (None, False)}
        assert client.post(url("policy-edit", made.pk), again).status_code == 302
        same = policies(admin).get(name="Gold")
        assert (same.conditions, same.priority_overrides, same.terms_id) == (
            made.conditions,
            made.priority_overrides,
            made.terms_id,
        )

    def test_it_becomes_the_default_and_loses_its_conditions(self, admin, client):
        gold = make_policy(admin.workspace, name="Gold", is_default=False, conditions={"attributes": {"plan": ["pro"]}})
        client.post(url("policy-edit", gold.pk), policy_sent(is_default="1", attributes="plan = pro"))
        gold.refresh_from_db()
        assert (gold.is_default, gold.conditions) == (True, {})
        assert not policies(admin).get(name="Standard").is_default

    def test_the_default_is_asked_for_no_conditions_and_stays_the_default(self, admin, client):
        standard = policies(admin).get(name="Standard")
        page = client.get(url("policy-edit", standard.pk))
        assert "is_default" not in page.context["form"].fields
        client.post(url("policy-edit", standard.pk), policy_sent(name="Basic", attributes="plan = pro"))
        standard.refresh_from_db()
        assert (standard.name, standard.is_default, standard.conditions) == ("Basic", True, {})

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("name", ""),
            ("name", "x" * 81),
            ("name", "standard"),
            ("first_response_hours", ""),
            ("first_response_hours", "0"),
            ("resolution_hours", "-1"),
            ("resolution_hours", "1e400"),
            ("next_response_hours", "soon"),
            ("urgent_resolution_hours", "100001"),
            ("low_first_response_hours", "nan"),
            ("business_hours_id", UNKNOWN),
            ("pending_pauses", ["sleep"]),
            ("at_risk_percent", "100"),
            ("is_default", "2"),
            ("category_ids", [UNKNOWN]),
            ("organizations", "Nobody Ltd"),
            ("attributes", "plan"),
            ("attributes", "plan ="),
            ("attributes", 'plan = "pro'),
            ("attributes", "\n".join(f"a{n} = 1" for n in range(21))),
        ],
    )
    def test_wrong_input_comes_back_filled_in_and_nothing_is_written(self, client, field, value):
        before = everything()
        sent = policy_sent(high_resolution_hours="7.25") | {field: value}
        answer = client.post(url("policy-new"), sent)
        assert answer.status_code == 400
        assert list(answer.context["form"].errors) == [field]
        assert 'value="7.25"' in answer.content.decode()
        assert f'id="id_{field}_error"' in answer.content.decode()
        assert everything() == before

    def test_categories_and_organisations_of_others_are_unknown(self, client):
        others = WorkspaceFactory()
        Organization.unscoped.create(workspace=others, name="Acme")
        theirs = CategoryFactory(workspace=others)
        for field, value in (("organizations", "Acme"), ("category_ids", [str(theirs.pk)])):
            assert list(client.post(url("policy-new"), policy_sent(**{field: value})).context["form"].errors) == [field]

    def test_an_empty_target_shows_what_it_inherits(self, admin, client):
        page = client.get(url("policy-edit", policies(admin).get().pk)).content.decode()
        shown = re.search(r'<input[^>]*name="urgent_first_response_hours"[^>]*>', page)
        assert shown
        assert 'placeholder="2"' in shown[0]

    def test_an_archived_category_stays_a_condition_until_it_is_unticked(self, admin, client):
        category = CategoryFactory(workspace=admin.workspace, name="Old")
        gold = make_policy(
            admin.workspace, name="Gold", is_default=False, conditions={"category_ids": [str(category.pk)]}
        )
        type(category).unscoped.filter(pk=category.pk).update(archived_at=dt.datetime(2024, 1, 1, tzinfo=dt.UTC))
        assert "Old (archived)" in words(client.get(url("policy-edit", gold.pk)))
        client.post(url("policy-edit", gold.pk), policy_sent(category_ids=[str(category.pk)]))
        gold.refresh_from_db()
        assert gold.conditions == {"category_ids": [str(category.pk)]}

    def test_a_long_name_is_kept_whole(self, admin, client):
        client.post(url("policy-new"), policy_sent(name=LONG))
        assert policies(admin).filter(name=LONG).exists()
        assert LONG in words(client.get(url("policies")))

    @pytest.mark.parametrize("name", ["policy-new", "policy-edit"])
    def test_its_page_costs_the_same_queries_for_any_number(self, admin, client, name):
        address = url(name, policies(admin).get().pk) if name == "policy-edit" else url(name)
        queries(client, address)
        before = queries(client, address)
        for n in range(8):
            CategoryFactory(workspace=admin.workspace)
            make_hours(admin.workspace, name=f"Hours {n}")
            Organization.unscoped.create(workspace=admin.workspace, name=f"Company {n}")
        assert before == queries(client, address) <= 11


class TestBusinessHours:
    def test_they_are_listed_with_their_week_in_words(self, admin, client):
        split = [{"start": "09:00", "end": "12:00"}, {"start": "13:00", "end": "24:00"}]
        day = {"start": "00:00", "end": "24:00"}
        make_hours(
            admin.workspace,
            name="Split",
            timezone="America/New_York",
            schedule={"monday": split, "tuesday": split, "thursday": split, "saturday": day, "sunday": day},
            holidays=["2030-12-25", "2030-12-26"],
            country="DE",
            region="BY",
        )
        make_hours(admin.workspace, name="Asleep", schedule={})
        page = words(client.get(url("business-hours")))
        for said in (
            "Nine to six Default UTC Mon–Fri 09:00–18:00",
            "America/New York",
            "Mon–Tue 09:00–12:00 and 13:00–24:00 Thu 09:00–12:00 and 13:00–24:00 Sat–Sun all day",
            "2 dates Public holidays: Germany, Bayern",
            "Never open: tickets get no deadline",
        ):
            assert said in page

    def test_without_any_there_is_something_to_do(self):
        page = words(signed_in(make_agent(WorkspaceFactory(), role="admin")).get(url("business-hours")))
        assert "No business hours yet" in page

    def test_they_are_made_with_everything(self, admin, client):
        sent = hours_sent(
            monday_start=["13:00", "", "09:00"],
            monday_end=["18:00", "", "12:00"],
            saturday_start=["10:00"],
            saturday_end=["14:00"],  # not ticked: closed
            sunday_open="1",
            sunday_start=["22:00"],
            sunday_end=["00:00"],
            holiday_date=["2030-12-25", "", "2030-12-24"],
            holiday_name=["Christmas Day", "", "Christmas Eve"],
            holiday_hours=["", "", "9-12, 14:00 – 16:30"],
            other_dates="2030-01-06 | closed | Epiphany\r\n\r\n2030-01-07",
            country="DE",
            region="BY",
        )
        answer = client.post(url("hours-new"), sent)
        made = BusinessHours.objects.for_workspace(admin.workspace).get(name="Berlin")
        assert answer.url.startswith(f"{url('business-hours')}?job=")
        assert made.schedule["monday"] == [{"start": "09:00", "end": "12:00"}, {"start": "13:00", "end": "18:00"}]
        assert made.schedule["sunday"] == {"start": "22:00", "end": "24:00"}
        assert "saturday" not in made.schedule
        assert made.holidays == [
            {"date": "2030-01-06", "name": "Epiphany"},
            "2030-01-07",
            {
                "date": "2030-12-24",
                "name": "Christmas Eve",
                "intervals": [{"start": "09:00", "end": "12:00"}, {"start": "14:00", "end": "16:30"}],
            },
            {"date": "2030-12-25", "name": "Christmas Day"},
        ]
        assert (made.timezone, made.country, made.region, made.is_default) == ("Europe/Berlin", "DE", "BY", False)
        # What is shown is what was typed.
        form = client.get(url("hours-edit", made.pk)).context["form"]
        assert form.week[0].pairs == [("09:00", "12:00"), ("13:00", "18:00")]
        assert form.week[6].pairs == [("22:00", "00:00")]
        assert form.week[6].bar == [(22 * 60, 120)]
        assert [row.hours for row in form.dates] == ["", "", "09:00–12:00, 14:00–16:30", ""]

    def test_earlier_dates_and_very_many_stand_in_the_text(self, admin, client):
        dates = ["2020-05-01", *((dt.date(2040, 1, 1) + dt.timedelta(days=n)).isoformat() for n in range(200))]
        hours = make_hours(admin.workspace, name="Many", holidays=dates)
        form = client.get(url("hours-edit", hours.pk)).context["form"]
        assert len(form.dates) == 150
        text = form["other_dates"].value()
        assert text.splitlines()[0] == "2020-05-01 | closed"
        sent = hours_sent(
            name="Many",
            holiday_date=[row.date for row in form.dates],
            holiday_name=[""] * 150,
            holiday_hours=[""] * 150,
            other_dates=text,
        )
        assert client.post(url("hours-edit", hours.pk), sent).status_code == 302
        hours.refresh_from_db()
        assert hours.holidays == dates

    @pytest.mark.parametrize(
        ("changes", "where", "message"),
        [
            ({"name": ""}, "name", "required"),
            ({"name": "nine to six"}, "name", "already"),
            ({"timezone": "Berlin"}, "timezone", "Choose a timezone"),
            ({"timezone": "../../etc/passwd"}, "timezone", "Choose a timezone"),
            ({"country": "XX"}, "country", "XX"),
            ({"monday_start": ["18:00"], "monday_end": ["09:00"]}, "monday", "is not after"),
            ({"friday_start": [""], "friday_end": [""]}, "friday", "Say from when until when"),
            ({"tuesday_start": ["09:00"], "tuesday_end": [""]}, "tuesday", "The end must be a time"),
            (
                {"monday_start": ["09:00", "11:00"], "monday_end": ["12:00", "13:00"]},
                "monday",
                "09:00–12:00 and 11:00–13:00 overlap",
            ),
            ({"holiday_date": ["2030-02-30"]}, "date", "This is no date"),
            ({"holiday_name": ["Party"]}, "date", "This is no date"),
            ({"holiday_date": ["2030-05-01"], "holiday_hours": ["late"]}, "date", "The start must be a time"),
            ({"holiday_date": ["2030-05-01"] * 2, "holiday_name": ["A", "B"]}, "date", "listed twice"),
            ({"other_dates": "2030-05-01\nsoon"}, "other_dates", "Line 2: This is no date"),
        ],
    )
    def test_wrong_input_comes_back_at_its_place_and_nothing_is_written(self, client, changes, where, message):
        before = everything()
        answer = client.post(url("hours-new"), hours_sent(thursday_start=["07:45"], **changes))
        form = answer.context["form"]
        assert answer.status_code == 400
        assert 'value="07:45"' in answer.content.decode()
        said = {row.name: row.errors for row in form.week} | {"date": [e for row in form.dates for e in row.errors]}
        said |= {name: form[name].errors for name in form.fields}
        assert [name for name, errors in said.items() if errors] == [where]
        assert message in " ".join(said[where])
        assert everything() == before

    def test_a_region_of_another_country_is_forgotten(self, admin, client):
        client.post(url("hours-new"), hours_sent(country="AT", region="BY"))
        made = BusinessHours.objects.for_workspace(admin.workspace).get(name="Berlin")
        assert (made.country, made.region) == ("AT", "")

    def test_more_rows_are_shown_without_saving(self, client):
        before = everything()
        answer = client.post(url("hours-new"), hours_sent(name="", country="DE", more="1"))
        assert answer.status_code == 200
        assert "Bayern" in words(answer)
        assert everything() == before

    def test_they_become_the_default(self, admin, client):
        nights = make_hours(admin.workspace, name="Nights")
        client.post(url("hours-edit", nights.pk), hours_sent(name="Nights", is_default="on"))
        assert BusinessHours.objects.for_workspace(admin.workspace).get(is_default=True) == nights
        assert "is_default" not in client.get(url("hours-edit", nights.pk)).context["form"].fields

    def test_they_are_deleted_unless_they_are_needed(self, admin, client):
        nights, used = make_hours(admin.workspace, name="Nights"), make_hours(admin.workspace, name="Used")
        make_policy(admin.workspace, name="Gold", is_default=False, business_hours_id=used.pk)
        default = BusinessHours.objects.for_workspace(admin.workspace).get(is_default=True)
        for hours, message in (
            (nights, "Deleted the business hours “Nights”"),
            (used, "The policy “Gold” counts by these"),
            (default, "make other business hours the default first"),
        ):
            assert message in words(client.post(url("hours-delete", hours.pk), follow=True))
        assert {row.name for row in BusinessHours.objects.for_workspace(admin.workspace).live()} == {
            "Nine to six",
            "Used",
        }

    def test_their_pages_cost_the_same_queries_for_any_number(self, admin, client):
        nights = make_hours(admin.workspace, name="Nights")
        addresses = [url("business-hours"), url("hours-new"), url("hours-edit", nights.pk)]
        for address in addresses:
            queries(client, address)
        before = [queries(client, address) for address in addresses]
        for n in range(9):
            hours = make_hours(admin.workspace, name=f"{LONG[:70]} {n}", holidays=["2030-12-25"], country="DE")
            make_policy(admin.workspace, name=f"Policy {n}", is_default=False, business_hours_id=hours.pk)
        assert before == [queries(client, address) for address in addresses]
        assert max(before) <= 9


class TestThePreview:
    @pytest.fixture(autouse=True)
    def _monday_evening(self, monkeypatch):
        monkeypatch.setattr("django.utils.timezone.now", lambda: dt.datetime(2026, 3, 2, 17, 30, tzinfo=dt.UTC))

    def test_it_says_when_targets_that_begin_now_are_due(self, client):
        page = words(client.post(url("hours-preview"), hours_sent(name="")))
        # In Berlin it is 18:30 and closed; four hours later on Tuesday, at one.
        for said in (
            "Opened now, a 4 h target is due Tue 13:00",
            "It is Mon 18:30 in Europe/Berlin, and you are closed",
            "1 h Tue 10:00",
            "8 h Tue 17:00",
            "24 h Thu 15:00",
        ):
            assert said in page

    def test_hours_that_never_open_are_said_to(self, client):
        sent = {name: value for name, value in hours_sent().items() if not name.endswith("_open")}
        assert "These hours never open: tickets under them get no deadline." in words(
            client.post(url("hours-preview"), sent)
        )

    def test_mistakes_are_named_at_their_day(self, client):
        answer = client.post(url("hours-preview"), hours_sent(tuesday_start=["19:00"], timezone="x"))
        assert answer.status_code == 200
        assert "Tuesday: The end 18:00 is not after the start 19:00." in words(answer)
        assert "Choose a timezone" in words(answer)

    def test_it_is_on_the_page_from_the_start(self, admin, client):
        hours = make_hours(admin.workspace, name="Nights")
        assert "a 4 h target is due Tue 12:30" in words(client.get(url("hours-edit", hours.pk)))
        assert "a 4 h target is due" in words(client.get(url("hours-new")))

    def test_it_writes_nothing_and_asks_for_nothing_but_the_reader(self, client):
        before = everything()
        queries(client, url("hours-preview"), **hours_sent())
        assert queries(client, url("hours-preview"), **hours_sent()) <= 3
        assert everything() == before

    def test_regions_come_with_the_next_public_holidays(self, client):
        page = words(client.get(url("hours-regions"), {"country": "DE", "region": "BY"}))
        assert "Next in Germany, Bayern:" in page
        assert "Fri 3 Apr 2026" in page
        assert page.count("2026") == 5
        for nonsense in ({"country": "XX"}, {"country": "DE", "region": "' OR 1"}, {}):
            assert client.get(url("hours-regions"), nonsense).status_code == 200


class TestWhatIf:
    def breached(self, member: Membership, number: int = 3) -> None:
        """Tickets that nobody answered for a week."""
        now = dt.datetime.now(dt.UTC)
        for n in range(number):
            make_ticket(member.workspace, now=now - dt.timedelta(days=7), subject=f"Slow {n}", priority="urgent")

    def test_a_draft_is_tried_without_saving_it(self, admin, client):
        self.breached(admin)
        standard = policies(admin).get()
        before = (list(policies(admin).values()), list(Ticket.unscoped.order_by("pk").values()))
        sent = policy_sent(first_response_hours="900", days="30")
        part = client.post(url("policy-what-if", standard.pk), sent, headers=HTMX)
        assert "Trying it on the tickets of the last 30 days" in words(part)
        assert "hx-trigger" in part.content.decode()
        job = jobs.latest(admin.workspace.pk, "what_if")
        run_job(str(job.pk))
        over = client.get(url("job", job.pk), headers=HTMX)
        assert "hx-trigger" not in over.content.decode()
        for said in (
            "3 promises would have been broken instead of 6: −3, fewer",
            "3 tickets of the last 30 days. Nothing was saved.",
            "Urgent 6 3 −3 fewer",
            "High 0 0 the same",
            "First response 3 0 −3 fewer",
            "3 tickets would change",
            "− no longer broken: first response",
        ):
            assert said in words(over)
        assert (list(policies(admin).values()), list(Ticket.unscoped.order_by("pk").values())) == before
        with_frame = client.get(url("job", job.pk))
        assert "<html" in with_frame.content.decode()

    def test_the_default_can_be_tried_in_another_policy(self, admin, client):
        self.breached(admin)
        gold = make_policy(admin.workspace, name="Gold", is_default=False)
        sent = policy_sent(is_default="1", first_response_hours="900", resolution_hours="900", days="")
        client.post(url("policy-what-if", gold.pk), sent, headers=HTMX)
        job = jobs.latest(admin.workspace.pk, "what_if")
        run_job(str(job.pk))
        assert "0 promises would have been broken instead of 6" in words(client.get(url("job", job.pk), headers=HTMX))
        assert policies(admin).get(name="Standard").is_default

    def test_hours_can_be_tried_and_what_gets_worse_is_said(self, admin, client):
        self.breached(admin, 1)
        hours = BusinessHours.objects.for_workspace(admin.workspace).get()
        BusinessHours.unscoped.filter(pk=hours.pk).update(schedule={})
        setup.save_hours(workspace=admin.workspace, changes={"schedule": {}}, hours=hours, now=dt.datetime.now(dt.UTC))
        sent = hours_sent(timezone="UTC", days="90")
        sent |= {f"{day}_open": "1" for day in ("saturday", "sunday")}
        sent |= {
            f"{day}_{end}": [time]
            for day in ("saturday", "sunday")
            for end, time in (("start", "00:00"), ("end", "00:00"))
        }
        client.post(url("hours-what-if", hours.pk), sent, headers=HTMX)
        job = jobs.latest(admin.workspace.pk, "what_if")
        run_job(str(job.pk))
        page = words(client.get(url("job", job.pk), headers=HTMX))
        assert "2 promises would have been broken instead of 0: +2, more" in page
        assert "+ broken: first response, resolution" in page

    def test_without_scripts_it_leads_to_the_page_of_the_job(self, admin, client):
        standard = policies(admin).get()
        answer = client.post(url("policy-what-if", standard.pk), policy_sent(days="7"))
        assert answer.url == url("job", jobs.latest(admin.workspace.pk, "what_if").pk)
        assert "See how far it is" in words(client.get(answer.url))

    @pytest.mark.parametrize("headers", [HTMX, {}])
    def test_a_draft_with_mistakes_is_refused_with_their_names(self, admin, client, headers):
        standard, hours = policies(admin).get(), BusinessHours.objects.for_workspace(admin.workspace).get()
        before = everything()
        answers = [
            client.post(
                url("policy-what-if", standard.pk), policy_sent(resolution_hours="0", days="7"), headers=headers
            ),
            client.post(url("hours-what-if", hours.pk), hours_sent(monday_end=["08:00"], days="7"), headers=headers),
        ]
        assert [answer.status_code for answer in answers] == [400, 400]
        assert "Default: resolution in hours: A target must be more than zero hours." in words(answers[0]).replace(
            " :", ":"
        )
        assert "Monday: The end 08:00 is not after the start 09:00." in words(answers[1])
        assert everything() == before

    def test_very_many_changes_end_in_a_number(self, admin, client):
        job = jobs.start(workspace=admin.workspace, kind="what_if", now=dt.datetime.now(dt.UTC), draft={"days": None})
        count = {"tickets": 5, "now": 0, "then": 1234}
        row = {
            "id": UNKNOWN,
            "number": 7,
            "priority": "low",
            "subject": LONG,
            "gained": ["next_response"] * 2,
            "lost": [],
        }
        result = {
            **count,
            "gained": 1234,
            "lost": 0,
            "differing": 1201,
            "by_priority": {"low": count},
            "by_goal": {"next_response": count},
            "changed": [row],
        }
        jobs.finish(job, result=result, now=dt.datetime.now(dt.UTC))
        page = words(client.get(url("job", job.pk)))
        assert "1,234 promises would have been broken instead of 0: +1,234, more" in page
        assert "next response ×2" in page
        assert "and 1,200 more" in page


class TestJobs:
    def test_saving_shows_how_the_clocks_are_reckoned_anew(self, admin, client):
        for n in range(2):
            make_ticket(admin.workspace, now=dt.datetime.now(dt.UTC), subject=str(n))
        page = client.post(url("policy-new"), policy_sent(), follow=True)
        assert "Saved. The clocks of 2 open tickets are being reckoned anew." in words(page)
        job = jobs.latest(admin.workspace.pk, "derive")
        jobs.progress(job, done=1, total=2, now=dt.datetime.now(dt.UTC))
        Job.unscoped.filter(pk=job.pk).update(state="running")
        part = client.get(url("job", job.pk), headers=HTMX).content.decode()
        assert 'value="50"' in part
        assert "<html" not in part
        Job.unscoped.filter(pk=job.pk).update(state="waiting")
        run_job(str(job.pk))
        over = client.get(url("job", job.pk), headers=HTMX)
        assert "The clocks of 2 open tickets were reckoned anew." in words(over)
        assert "hx-get" not in over.content.decode()

    def test_its_end_says_how_many_deadlines_moved(self, admin, client):
        job = jobs.latest(admin.workspace.pk, "derive")
        for moved, said in ((37, "37 tickets got another deadline."), (1, "1 ticket got"), (0, "No deadline changed.")):
            jobs.finish(job, result={"tickets": 1204, "moved": moved}, now=dt.datetime.now(dt.UTC))
            page = words(client.get(url("job", job.pk), headers=HTMX))
            assert "The clocks of 1,204 open tickets were reckoned anew." in page
            assert said in page

    def test_a_list_shows_the_reckoning_while_it_runs_and_once_when_it_ended(self, admin, client):
        job = jobs.latest(admin.workspace.pk, "derive")
        for name in ("policies", "business-hours"):
            assert "are being reckoned anew" in words(client.get(url(name)))
        jobs.finish(job, result={"tickets": 0, "moved": 0}, now=dt.datetime.now(dt.UTC))
        assert "no open tickets whose clocks would change" in words(client.get(f"{url('policies')}?job={job.pk}"))
        for address in (url("policies"), f"{url('policies')}?job={UNKNOWN}", f"{url('policies')}?job=x"):
            assert client.get(address).context["job"] is None

    @pytest.mark.parametrize(
        ("kind", "advice"), [("derive", "save it to begin again"), ("what_if", "choose a shorter")]
    )
    def test_a_failed_one_says_what_to_do_next(self, admin, client, kind, advice):
        job = jobs.start(workspace=admin.workspace, kind=kind, now=dt.datetime.now(dt.UTC))
        jobs.finish(job, result={"error": "There is no such policy."}, now=dt.datetime.now(dt.UTC), failed=True)
        answer = client.get(url("job", job.pk), headers=HTMX)
        assert "There is no such policy." in words(answer)
        assert advice in words(answer)
        assert "hx-get" not in answer.content.decode()

    def test_one_that_nobody_begins_says_so(self, admin, client):
        job = jobs.latest(admin.workspace.pk, "derive")  # of 2024
        assert "Nobody has begun yet" in words(client.get(url("job", job.pk), headers=HTMX))


def test_members_of_other_workspaces_find_nothing(admin):
    stranger = make_agent(WorkspaceFactory(), role="owner")
    standard, hours = policies(admin).get(), BusinessHours.objects.for_workspace(admin.workspace).get()
    job = jobs.latest(admin.workspace.pk, "derive")
    client = signed_in(stranger)
    before = everything()
    for name, pk in (
        ("policy-edit", standard.pk),
        ("policy-move", standard.pk),
        ("policy-delete", standard.pk),
        ("policy-what-if", standard.pk),
        ("hours-edit", hours.pk),
        ("hours-delete", hours.pk),
        ("hours-what-if", hours.pk),
        ("job", job.pk),
    ):
        sent = policy_sent() | hours_sent()
        assert client.post(url(name, pk), sent).status_code in (404, 405)
        assert client.get(url(name, pk)).status_code in (404, 405)
    assert everything() == before


@pytest.mark.parametrize("role", ["light", "agent"])
def test_only_admins_get_in(admin, role):
    client = signed_in(make_agent(admin.workspace, role=role))
    for name in ("policies", "policy-new", "business-hours", "hours-new", "hours-regions"):
        assert client.get(url(name)).status_code == 403
    assert client.post(url("hours-preview"), hours_sent()).status_code == 403
    assert "sign-in" in Client().get(url("policies")).url


def test_the_factory_week_is_what_the_form_begins_with(client):
    form = client.get(url("hours-new")).context["form"]
    assert [row.name for row in form.week if row.is_open] == list(WEEK)
