"""The settings of webhooks: what the pages show, take and refuse."""

import datetime as dt
import re
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from helpdesk import sealing
from helpdesk.accounts.tests.factories import WorkspaceFactory
from tickets import feed
from tickets.tests.factories import NOW, make_agent, make_ticket
from tickets.webhooks import forms, payloads
from tickets.webhooks.models import Attempt, Delivery, Endpoint
from tickets.webhooks.services import endpoints, pages
from tickets.webhooks.templatetags.webhook_tags import hour_bars, in_words, marked, milliseconds
from tickets.webhooks.tests.page_rows import SECRET, make_attempt, make_delivery, make_endpoint, make_hours
from tickets.webhooks.views import words

pytestmark = pytest.mark.django_db

MINUTE, HOUR, DAY = dt.timedelta(minutes=1), dt.timedelta(hours=1), dt.timedelta(days=1)
URL = "https://hooks.acme.example/helpdesk"
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'{{ 7|add:7 }}{% now 'Y' %}"


@pytest.fixture
def workspace():
    return WorkspaceFactory(timezone="Europe/Rome")


@pytest.fixture
def now():
    """The pages ask the clock, so these rows are of today."""
    return timezone.now()


@pytest.fixture
def admin(client, workspace):
    client.force_login(make_agent(workspace, role="admin").user)
    return client


def page(answer, status=200):
    assert answer.status_code == status
    return re.sub(r"\s+", " ", answer.content.decode())


def at(name, *things):
    return reverse(f"webhooks:{name}", args=[thing.pk for thing in things])


def typed(**changes):
    given = {"url": URL, "description": "Billing", "events": ["ticket.created"], "is_active": "1"} | changes
    return {name: value for name, value in given.items() if value is not None}


# --- The list -----------------------------------------------------------------------------------


def test_an_empty_list_says_what_this_is_and_the_one_thing_to_do(admin):
    shown = page(admin.get(at("endpoints")))
    assert "No webhook yet" in shown and shown.count(at("new")) == 1


def test_the_list_says_how_each_endpoint_is_doing(admin, workspace, now):
    busy = make_endpoint(
        workspace, now - DAY, description="Billing", events=list(payloads.CATALOGUE)[:8], last_success_at=now
    )
    make_hours(busy, now, [(0, 0)] * 20 + [(300, 1), (600, 0), (97, 2), (0, 0)])
    make_delivery(busy, now, status="waiting")
    make_endpoint(workspace, now - HOUR, failing_since=now - HOUR, last_failure_at=now, last_error="It timed out.")
    make_endpoint(workspace, now, off_reason="gone", events=list(payloads.CATALOGUE))
    make_endpoint(workspace, now, off_reason="failing", last_error="Nobody listens there.")
    make_endpoint(workspace, now, off_reason="member")
    make_endpoint(workspace, now)
    answer = admin.get(at("endpoints"))
    shown = page(answer)
    for said in (
        "Works", "99.7 %", "of 1,000 attempts arrived", "182 ms", "and 5 more", "<b>1</b> waiting", "Failing",
        "It timed out.", "Switched off", "it said that it is gone", "All events", "nothing arrived for 5 days",
        "Nobody listens there.", "an admin switched it off", "Not used yet", "Nothing in the last 24 hours",
        "Last 24 hours: 997 attempts arrived, 3 failed",
    ):  # fmt: skip
        assert said in shown, said
    assert [row["state"][2] for row in answer.context["rows"]] == [
        "Works", "Failing", "Switched off", "Switched off", "Off", "Not used yet"
    ]  # fmt: skip


def test_the_list_takes_the_same_queries_for_one_endpoint_and_for_fifty(admin, workspace, now):
    def queries():
        with CaptureQueriesContext(connection) as caught:
            page(admin.get(at("endpoints")))
        return len(caught)

    make_hours(make_endpoint(workspace, now), now, [(5, 1)] * 24)
    few = queries()
    for _ in range(49):
        make_hours(make_endpoint(workspace, now), now, [(5, 1)])
    assert queries() == few <= 10


def test_endpoints_of_another_workspace_are_not_there(admin, now):
    foreign = make_endpoint(WorkspaceFactory(), now)
    test = make_delivery(foreign, now)
    assert foreign.url not in page(admin.get(at("endpoints")))
    for name, things in (("endpoint", [foreign]), ("deliveries", [foreign]), ("delivery", [foreign, test])):
        assert admin.get(at(name, *things)).status_code == 404
    for name in ("switch", "rotate", "test", "replay-range", "delete"):
        assert admin.post(at(name, foreign), {"event": "ticket.created", "is_active": "0"}).status_code == 404
    foreign.refresh_from_db()
    assert foreign.is_active and Delivery.unscoped.count() == 1


# --- Making and changing ------------------------------------------------------------------------


def test_a_made_endpoint_shows_its_secret_once(admin, workspace):
    answer = admin.post(at("new"), typed(**{"header.0.name": "X-Token", "header.0.value": "s3cret"}))
    made = Endpoint.unscoped.get()
    assert answer["Location"] == at("endpoint", made)
    assert (made.url, made.description, made.events, made.is_active) == (URL, "Billing", ["ticket.created"], True)
    secret = sealing.unseal(made.secret_sealed)
    answer = admin.get(at("endpoint", made))
    assert secret in page(answer) and "no-store" in answer["Cache-Control"]
    again = page(admin.get(at("endpoint", made)))
    assert secret not in again and "s3cret" not in again
    assert 'value="X-Token"' in again and "(kept; type to replace it)" in again


def test_the_secret_is_sealed_while_it_waits_to_be_shown(admin):
    admin.post(at("new"), typed())
    secret = sealing.unseal(Endpoint.unscoped.get().secret_sealed)
    assert secret not in str(dict(admin.session.items()))


def test_a_refused_endpoint_comes_back_filled_in(admin):
    answer = admin.post(
        at("new"),
        typed(url="http://127.0.0.1/x", description="For <us>", events=["ticket.merged"], is_active=None)
        | {"header.0.name": "Host", "header.0.value": "elsewhere"},
    )
    shown = page(answer, 400)
    assert "Not saved yet." in shown and "private" in shown
    assert "This header is set by the helpdesk itself." in shown
    assert 'value="http://127.0.0.1/x"' in shown and 'value="For &lt;us&gt;"' in shown and 'value="Host"' in shown
    assert re.search(r'value="ticket.merged" checked', shown) and not re.search(
        r'name="is_active" value="1" checked', shown
    )
    assert not Endpoint.unscoped.exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"url": ""}, "This field is required."),
        ({"url": "ftp://x.example"}, "http"),
        ({"url": "x\0y"}, "Null characters are not allowed."),
        ({"url": "https://x.example/" + "x" * 2000}, "at most 2000 characters"),
        ({"description": "x" * 201}, "at most 200 characters"),
        ({"events": []}, "Choose at least one event."),
        ({"events": ["ticket.nonsense"]}, "is not one of the available choices"),
        ({"header.0.name": "", "header.0.value": "x"}, "Give the header a name."),
        ({"header.0.name": "X-A", "header.0.value": ""}, "Type its value."),
        ({"header.0.name": "X-A", "header.0.value": "1", "header.1.name": "x-a", "header.1.value": "2"}, "twice"),
        ({"header.0.name": "X A", "header.0.value": "1"}, "This is no name of a header: X A."),
        ({"header.0.name": "X-A", "header.0.value": "a\r\nb"}, "plain characters"),
        ({"header.0.name": "X-A", "header.0.value": "", "header.0.kept": "X-A"}, "could stay"),
        ({f"header.{n}.{part}": f"X{n}" for n in range(21) for part in ("name", "value")}, "Up to 20 headers"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_made(admin, changes, said):
    assert said in page(admin.post(at("new"), typed() | changes), 400)
    assert not Endpoint.unscoped.exists()


def test_more_endpoints_than_a_workspace_can_have_are_refused(admin, workspace, now):
    for _ in range(endpoints.MOST):
        make_endpoint(workspace, now)
    assert "up to 50 webhooks" in page(admin.post(at("new"), typed()), 400)
    assert Endpoint.unscoped.count() == endpoints.MOST


def test_all_events_can_be_asked_for_at_once(admin):
    admin.post(at("new"), typed(events=None, all_events="1"))
    made = Endpoint.unscoped.get()
    assert made.events == list(payloads.CATALOGUE)
    assert re.search(r'name="all_events" value="1" checked', page(admin.get(at("endpoint", made))))


def test_every_event_has_its_place_in_the_form(monkeypatch):
    assert {kind.name for _, kinds in forms.grouped() for kind in kinds} == set(payloads.CATALOGUE)
    monkeypatch.setattr(forms, "GROUPS", forms.GROUPS[1:])
    groups = forms.grouped()
    assert groups[-1][0] == "More" and "ticket.created" in {kind.name for kind in groups[-1][1]}


def test_rows_of_headers_are_added_and_removed_without_saving(admin):
    given = typed(events=["ticket.merged"]) | {
        "header.0.name": "X-A", "header.0.value": "1", "header.1.name": "X-B", "header.1.value": "2"
    }  # fmt: skip
    more = page(admin.post(at("new"), given | {"change": "add-header"}))
    assert more.count('aria-label="Value"') == 3 and "Not saved yet" not in more
    fewer = page(admin.post(at("new"), given | {"change": "remove-header:0"}))
    assert 'value="X-B"' in fewer and 'value="X-A"' not in fewer and 'name="header.0.name"' in fewer
    assert f'value="{URL}"' in fewer and re.search(r'value="ticket.merged" checked', fewer)
    assert page(admin.post(at("new"), given | {"change": "nonsense"})).count('aria-label="Value"') == 2
    assert not Endpoint.unscoped.exists()


def test_an_endpoint_is_changed_and_its_headers_stay_where_they_are_not_typed_again(admin):
    admin.post(at("new"), typed(**{"header.0.name": "X-A", "header.0.value": "old"}))
    made = Endpoint.unscoped.get()
    kept = {"header.0.name": "X-A", "header.0.kept": "X-A", "header.0.value": ""}
    new = {"header.1.name": "X-B", "header.1.value": "b"}
    answer = admin.post(at("endpoint", made), typed(description="New", is_active=None) | kept | new)
    assert answer["Location"] == at("endpoint", made)
    made.refresh_from_db()
    assert endpoints.headers_of(made) == {"X-A": "old", "X-B": "b"}
    assert (made.description, made.is_active) == ("New", True)  # another button switches it
    renamed = kept | {"header.0.name": "X-C"}
    assert "type the value again" in page(admin.post(at("endpoint", made), typed() | renamed), 400)
    elsewhere = page(admin.post(at("endpoint", made), typed(url="https://other.example/") | kept), 400)
    assert "The server is another one than before: type the values again." in elsewhere
    assert 'value="https://other.example/"' in elsewhere
    made.refresh_from_db()
    assert made.url == URL and endpoints.headers_of(made) == {"X-A": "old", "X-B": "b"}
    admin.post(at("endpoint", made), typed())
    made.refresh_from_db()
    assert endpoints.headers_of(made) == {}


def test_headers_that_cannot_be_opened_any_more_are_said_to_be_lost(admin, workspace, now):
    lost = make_endpoint(workspace, now, headers_sealed="sealed with another key")
    assert "cannot be opened any more" in page(admin.get(at("endpoint", lost)))


# --- The page of one ----------------------------------------------------------------------------


def test_one_that_is_off_says_why_since_when_and_what_to_do(admin, workspace, now):
    for reason, said in (
        ("gone", "the address said that it is gone"),
        ("failing", "nothing arrived for 5 days"),
        ("member", "An admin switched it off"),
    ):
        off = make_endpoint(workspace, now - DAY, off_reason=reason, off_at=now - HOUR, last_error="It timed out.")
        shown = page(admin.get(at("endpoint", off)))
        assert said in shown and "Switch on and send what was missed since" in shown
        assert "Switch the webhook on first." in shown
    failing = make_endpoint(workspace, now - DAY, failing_since=now - HOUR, last_error="It timed out.")
    shown = page(admin.get(at("endpoint", failing)))
    assert "Nothing has arrived since" in shown and "It timed out." in shown
    assert "Switch on and send" not in shown


def test_what_was_missed_begins_with_the_first_message_that_was_cancelled(workspace):
    ticket = make_ticket(workspace, NOW)
    off = make_endpoint(workspace, NOW - DAY, off_reason="member", off_at=timezone.now())
    assert pages.missed_since(off) == off.off_at.replace(second=0, microsecond=0)
    made = make_delivery(off, ticket=ticket, status="cancelled", ended_at=off.off_at)
    recorded = made.activity.recorded_at
    off.off_at = recorded + 5 * MINUTE
    Delivery.unscoped.filter(pk=made.pk).update(ended_at=off.off_at)
    assert pages.missed_since(off) == recorded.replace(second=0, microsecond=0)
    off.failing_since = recorded - 3 * MINUTE
    assert pages.missed_since(off) == off.failing_since.replace(second=0, microsecond=0)
    off.active_since = recorded - MINUTE
    assert pages.missed_since(off) == off.active_since.replace(second=0, microsecond=0)
    off.is_active = True
    assert pages.missed_since(off) is None


def test_one_is_switched_on_and_offers_what_it_missed(admin, workspace, now):
    off = make_endpoint(workspace, now - DAY, off_reason="member", off_at=now - HOUR)
    answer = admin.post(at("switch", off), {"is_active": "1"})
    off.refresh_from_db()
    assert off.is_active
    since = parse_qs(urlsplit(answer["Location"]).query)["missed_since"][0]
    assert dt.datetime.fromisoformat(since) == (now - HOUR).replace(second=0, microsecond=0)
    shown = admin.get(answer["Location"])
    assert "It is on again." in page(shown)
    begins = dt.datetime.fromisoformat(since).astimezone(forms.zone_named("Europe/Rome"))
    assert f'value="{begins:%Y-%m-%dT%H:%M}"' in page(shown)
    assert "It is on again" not in page(admin.get(at("endpoint", off), {"missed_since": "nonsense"}))
    assert admin.post(at("switch", off), {"is_active": "0", "back": "list"})["Location"] == at("endpoints")
    off.refresh_from_db()
    assert (off.is_active, off.off_reason) == (False, "member")


def test_one_is_switched_on_and_sends_what_it_missed_at_once(admin, workspace, now):
    off = make_endpoint(workspace, now - DAY, off_reason="member", off_at=now - HOUR)
    make_ticket(workspace, now)
    feed.number()
    answer = admin.post(at("switch", off), {"is_active": "1", "send_missed": "1"}, follow=True)
    assert "Being sent: 1 that it missed." in page(answer)
    sent = Delivery.unscoped.get()
    assert (sent.status, sent.event, sent.is_test) == ("waiting", "ticket.created", False)


def test_a_span_of_time_is_read_by_the_clock_of_the_workspace(admin, workspace, now):
    hook = make_endpoint(workspace, now - DAY)
    make_ticket(workspace, now)
    feed.number()
    rome = now.astimezone(forms.zone_named("Europe/Rome"))
    span = {"from": f"{rome - 2 * MINUTE:%Y-%m-%dT%H:%M}", "to": f"{rome + 2 * MINUTE:%Y-%m-%dT%H:%M}"}
    answer = admin.post(at("replay-range", hook), span)
    assert answer["Location"] == at("deliveries", hook)
    assert Delivery.unscoped.get().status == "waiting"
    Delivery.unscoped.update(status="delivered", next_at=None, ended_at=now)
    assert "whatever happened then has arrived" in page(admin.post(at("replay-range", hook), span, follow=True))
    assert "Being sent: 1 again." in page(admin.post(at("replay-range", hook), span | {"everything": "1"}, follow=True))


@pytest.mark.parametrize(
    ("span", "said"),
    [
        ({}, "Give a day and a time."),
        ({"from": "yesterday", "to": "2026-03-02T09:00"}, "Give a day and a time."),
        ({"from": "0001-01-01T00:00", "to": "9999-12-31T23:59"}, "Give a day and a time."),
        ({"from": "2026-03-02T09:00", "to": "2026-03-02T09:00"}, "This must be after the beginning."),
    ],
)
def test_a_span_that_is_none_is_refused_at_its_field(admin, workspace, now, span, said):
    hook = make_endpoint(workspace, now)
    shown = page(admin.post(at("replay-range", hook), span), 400)
    assert said in shown and "Not saved yet" not in shown
    for typed_in in span.values():
        assert f'value="{typed_in}"' in shown
    assert not Delivery.unscoped.exists()


def test_what_is_off_sends_nothing_again_and_says_so(admin, workspace, now):
    off = make_endpoint(workspace, now, off_reason="member")
    span = {"from": "2026-03-02T09:00", "to": "2026-03-02T10:00"}
    assert "Switch the webhook on first." in page(admin.post(at("replay-range", off), span), 400)


def test_an_hour_that_comes_twice_is_the_first_one():
    form = forms.RangeForm({"from": "2026-10-25T02:30", "to": "2026-10-25T04:00"}, zone="Europe/Rome")
    assert form.is_valid()
    assert form.cleaned_data["from"].astimezone(dt.UTC) == dt.datetime(2026, 10, 25, 0, 30, tzinfo=dt.UTC)
    assert forms.RangeForm(zone="Nowhere/Land").zone == "UTC"


def test_a_new_secret_is_shown_once_while_the_one_before_goes_on_signing(admin, workspace, now):
    hook = make_endpoint(workspace, now - DAY)
    answer = admin.post(at("rotate", hook), {"both_for_hours": "72"}, follow=True)
    hook.refresh_from_db()
    new, old = endpoints.keys_of(hook, timezone.now())
    assert old == SECRET and new in page(answer) and SECRET not in page(answer)
    assert "The one before signs, too, until" in page(answer)
    assert hook.old_secret_until - hook.secret_changed_at == 72 * HOUR
    assert new not in page(admin.get(at("endpoint", hook)))
    for wrong in ("169", "-1", "x", "9" * 30):
        admin.post(at("rotate", hook), {"both_for_hours": wrong})
    assert "Choose between 0 and 168 hours." in page(
        admin.post(at("rotate", hook), {"both_for_hours": "169"}, follow=True)
    )
    admin.post(at("rotate", hook), {"both_for_hours": "0"})
    hook.refresh_from_db()
    assert len(endpoints.keys_of(hook, timezone.now())) == 1


def test_a_test_is_sent_also_by_what_is_off_and_leads_to_its_page(admin, workspace, now):
    off = make_endpoint(workspace, now, off_reason="member")
    answer = admin.post(at("test", off), {"event": "ticket.merged"})
    sent = Delivery.unscoped.get()
    assert answer["Location"] == at("delivery", off, sent)
    assert (sent.event, sent.is_test) == ("ticket.merged", True)
    assert "There is no such event." in page(admin.post(at("test", off), {"event": "x"}, follow=True))
    for _ in range(9):
        admin.post(at("test", off), {"event": "ticket.merged"})
    refused = admin.post(at("test", off), {"event": "ticket.merged"}, follow=True)
    assert "Ten tests are on their way already." in page(refused)
    assert Delivery.unscoped.count() == 10


def test_a_deleted_endpoint_takes_its_log_along(admin, workspace, now):
    hook = make_endpoint(workspace, now)
    make_attempt(make_delivery(hook, now))
    assert "Deleted the webhook to hooks.acme.example." in page(admin.post(at("delete", hook), follow=True))
    assert not Endpoint.unscoped.exists() and not Attempt.unscoped.exists()


def test_what_is_deleted_meanwhile_is_not_there_any_more(admin, workspace, now, monkeypatch):
    hook = make_endpoint(workspace, now)
    Endpoint.unscoped.all().delete()
    monkeypatch.setattr(endpoints, "find", lambda *_: hook)
    for name, given in (("switch", {"is_active": "0"}), ("delete", {})):
        assert admin.post(reverse(f"webhooks:{name}", args=[hook.pk]), given).status_code == 404
    assert "There is no such webhook." in page(admin.post(reverse("webhooks:endpoint", args=[hook.pk]), typed()), 400)


# --- The log ------------------------------------------------------------------------------------


def test_the_log_lists_every_message_newest_first_with_how_it_fared(admin, workspace, now):
    hook, ticket = make_endpoint(workspace, now), make_ticket(workspace, now)
    assert "Nothing was sent yet" in page(admin.get(at("deliveries", hook)))
    sent = make_delivery(hook, now, ticket=ticket, attempts=1, last_code=200, last_ms=182)
    again = make_delivery(
        hook, now + MINUTE, status="waiting", attempts=2, next_at=now + HOUR, last_code=503, last_ms=15000
    )
    failed = make_delivery(
        hook, now + 2 * MINUTE, event="ticket.merged", status="failed", attempts=10, last_error="It timed out."
    )
    answer = admin.get(at("deliveries", hook))
    assert [row["delivery"] for row in answer.context["rows"]] == [failed, again, sent]
    shown = page(answer)
    for said in (f"#{ticket.number}", "182 ms", "15.0 s", "next try", "It timed out.", "Test", "Delivered", "Failed"):
        assert said in shown
    for asked, rows in (
        ({"status": "failed"}, [failed]),
        ({"event": "ticket.created"}, [again, sent]),
        ({"status": "waiting", "event": "ticket.created"}, [again]),
        ({"status": "cancelled"}, []),
        ({"status": "nonsense", "event": "x"}, [failed, again, sent]),
        ({"before": "nonsense"}, []),
        ({"before": f"2026-13-99T00:00:00Z_{sent.pk}"}, []),
        ({"before": f"2026-03-02T00:00:00_{sent.pk}"}, []),
    ):
        answer = admin.get(at("deliveries", hook), asked)
        assert [row["delivery"] for row in answer.context["rows"]] == rows, asked
    assert "No such delivery" in page(answer)


def test_a_message_of_a_ticket_in_the_trash_does_not_lead_there(admin, workspace, now):
    hook, ticket = make_endpoint(workspace, now), make_ticket(workspace, now)
    sent = make_delivery(hook, now, ticket=ticket)
    ticket.trashed_at = now
    ticket.save(update_fields=["trashed_at"])
    for url in (at("deliveries", hook), at("delivery", hook, sent)):
        shown = page(admin.get(url))
        assert "in the trash" in shown and reverse("tickets:ticket", args=[ticket.pk]) not in shown


def test_ten_thousand_messages_are_walked_page_by_page_with_as_many_queries_as_one(admin, workspace, now):
    hook, ticket = make_endpoint(workspace, now), make_ticket(workspace, now)
    make_delivery(hook, now, ticket=ticket)
    Delivery.unscoped.bulk_create(
        [
            Delivery(
                workspace=workspace, endpoint=hook, message_id=uuid4(), event="ticket.created", body="{}", is_test=True,
                status="failed" if number % 100 == 0 else "delivered", created_at=NOW + (number // 3) * MINUTE,
                ended_at=NOW,
            )
            for number in range(10_000)
        ]
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE webhook_deliveries")
    seen, query, numbers = [], "", set()
    while True:
        with CaptureQueriesContext(connection) as caught:
            answer = admin.get(f"{at('deliveries', hook)}?{query}")
        numbers.add(len(caught))
        assert not [one for one in caught if "COUNT(" in one["sql"] and "webhook" in one["sql"]]
        seen += [row["delivery"].pk for row in answer.context["rows"]]
        query = answer.context["older"]
        if not query or len(seen) > 500:
            break
    assert len(numbers) == 1 and max(numbers) <= 9
    everything = Delivery.unscoped.filter(endpoint=hook).order_by("-created_at", "-pk")
    assert seen == list(everything.values_list("pk", flat=True)[: len(seen)]) and len(set(seen)) == len(seen)
    last = everything.reverse()[60]
    deep = admin.get(at("deliveries", hook), {"before": f"{last.created_at.isoformat()}_{last.pk}"})
    assert len(deep.context["rows"]) == pages.PAGE
    assert len(admin.get(at("deliveries", hook), {"status": "failed"}).context["rows"]) == pages.PAGE


# --- A message ----------------------------------------------------------------------------------


def test_a_message_tells_what_was_sent_and_what_came_back(admin, workspace, now):
    hook, ticket = make_endpoint(workspace, now), make_ticket(workspace, now)
    one = make_delivery(hook, now, ticket=ticket, attempts=2, last_code=200, last_ms=182)
    make_attempt(
        one,
        now - MINUTE,
        code=None,
        duration_ms=15000,
        error="It took too long.",
        response_headers={},
        response_body="",
    )
    make_attempt(one, now)
    shown = page(admin.get(at("delivery", hook, one)))
    for said in (
        "Delivered.", "The answer was 200, after 182 ms", "200 OK", "No answer", "It took too long.",
        "Nothing came back.",
        "nginx", "webhook-signature", "As it is sent", f"{len(one.body.encode())} bytes", f"#{ticket.number}",
        "&quot;event&quot;: &quot;ticket.created&quot;",
    ):  # fmt: skip
        assert said in shown, said
    assert SECRET not in shown and "hx-get" not in shown
    assert [entry["code"] for entry in admin.get(at("delivery", hook, one)).context["tries"]] == ["200 OK", ""]


def test_a_message_asks_for_itself_again_until_it_has_ended(admin, workspace, now):
    hook = make_endpoint(workspace, now)
    one = make_delivery(hook, now, status="waiting", next_at=now)
    shown = page(admin.get(at("delivery", hook, one)))
    assert "Being sent." in shown and 'hx-trigger="load delay:1s"' in shown and "See how far it is" in shown
    assert "Try now" not in shown  # it would come twice
    late = make_delivery(hook, now, status="waiting", next_at=now - MINUTE)
    shown = page(admin.get(at("delivery", hook, late)))
    assert "Nobody has begun yet" in shown and 'hx-trigger="load delay:10s"' in shown
    later = make_delivery(hook, now, status="waiting", attempts=3, next_at=now + HOUR, last_error="It timed out.")
    shown = page(admin.get(at("delivery", hook, later)))
    assert "3 attempts so far: It timed out." in shown and "hx-get" not in shown and "Try now" in shown


def test_a_message_is_replayed_unless_its_endpoint_is_off(admin, workspace, now):
    hook, ticket = make_endpoint(workspace, now), make_ticket(workspace, now)
    one = make_delivery(hook, now, ticket=ticket, status="failed", attempts=10)
    answer = admin.post(at("replay", hook, one))
    assert answer["Location"] == at("delivery", hook, one)
    one.refresh_from_db()
    assert (one.status, one.attempts) == ("waiting", 0)
    off = make_endpoint(workspace, now, off_reason="member")
    two = make_delivery(off, now, ticket=ticket, status="cancelled", last_error="The webhook was switched off.")
    assert "Switch it on" in page(admin.get(at("delivery", off, two)))
    assert "Switch the webhook on first." in page(admin.post(at("replay", off, two), follow=True))
    two.refresh_from_db()
    assert two.status == "cancelled"
    assert admin.post(at("replay", hook, two)).status_code == 404  # it is in the log of the other one


def test_only_the_latest_attempts_of_a_message_are_read(admin, workspace, now):
    hook = make_endpoint(workspace, now)
    one = make_delivery(hook, now, status="failed")
    for number in range(pages.MOST_TRIES + 5):
        make_attempt(one, now + number * MINUTE, response_body="x" * 10_000)
    answer = admin.get(at("delivery", hook, one))
    assert len(answer.context["tries"]) == pages.MOST_TRIES
    assert "Older attempts are not shown." in page(answer) and "Only the beginning is kept." in page(answer)


def test_the_pages_take_few_queries(admin, workspace, now):
    hook, ticket = make_endpoint(workspace, now), make_ticket(workspace, now)
    one = make_delivery(hook, now, ticket=ticket)
    for _ in range(5):
        make_attempt(one, now)
        make_delivery(hook, now)
    for url, most in ((at("endpoint", hook), 11), (at("deliveries", hook), 9), (at("delivery", hook, one), 11)):
        with CaptureQueriesContext(connection) as caught:
            page(admin.get(url))
        assert len(caught) <= most, f"{url}: {len(caught)}"


# --- Hostile texts ------------------------------------------------------------------------------


class Tags(HTMLParser):
    """The tags of a page with their attributes, as a browser reads them."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def harmless(shown):
    tags = Tags()
    tags.feed(shown)
    assert len(tags.found) > 100
    return not any(
        tag == "img"
        or (tag == "script" and not attributes.get("src"))
        or any(name.startswith("on") for name in attributes)
        for tag, attributes in tags.found
    )


def test_hostile_texts_are_only_texts(admin, workspace, now):
    hook = make_endpoint(
        workspace, now, url=f"https://hooks.acme.example/{HOSTILE}", description=HOSTILE, last_error=HOSTILE,
        failing_since=now, last_failure_at=now, headers_sealed=sealing.seal('{"X-A": "v"}'),
    )  # fmt: skip
    one = make_delivery(hook, now, status="failed", body=HOSTILE, last_error=HOSTILE)
    make_attempt(
        one, now, code=599, url=hook.url, response_headers={HOSTILE: HOSTILE}, response_body=HOSTILE, error=HOSTILE,
        request_headers={HOSTILE: HOSTILE},
    )  # fmt: skip
    for name, things in (
        ("endpoints", []),
        ("endpoint", [hook]),
        ("deliveries", [hook]),
        ("delivery", [hook, one]),
    ):
        shown = admin.get(at(name, *things)).content.decode()
        assert harmless(shown), name
        assert "alert(1)" in shown and "{{ 7|add:7 }}" in shown, name
    typed_in = {"url": HOSTILE, "description": HOSTILE, "header.0.name": HOSTILE, "header.0.value": HOSTILE}
    shown = page(admin.post(at("new"), typed() | typed_in), 400)
    assert harmless(shown)


# --- Words and bars -----------------------------------------------------------------------------


def test_bars_stand_above_and_hang_below_one_line_to_one_scale(now):
    hours = [
        type("H", (), {"start": now, "delivered": d, "failed": f})() for d, f in ((30, 0), (0, 10), (0, 0), (1, 0))
    ]
    drawn = hour_bars(hours, 43, True)
    assert 'data-kind="delivered" x="1.5" y="1.0" width="7" height="30.0"' in drawn
    assert 'data-kind="failed" x="11.5" y="32.0" width="7" height="10.0"' in drawn
    assert 'height="2.0"' in drawn and drawn.count("<title>") == 4 and "style" not in drawn
    assert in_words(hours).startswith("Last 24 hours: 31 attempts arrived, 10 failed, most of them in the hour from")
    empty = [type("H", (), {"start": now, "delivered": 0, "failed": 0})()] * 24
    assert "data-kind" not in hour_bars(empty) and in_words(empty) == "Nothing was sent in the last 24 hours"
    assert hour_bars([])


def test_small_words():
    assert [milliseconds(value) for value in (None, 0, 999, 1000, 15_049)] == ["", "0 ms", "999 ms", "1.0 s", "15.0 s"]
    assert marked("`a` <b> `c`") == "<code>a</code> &lt;b&gt; <code>c</code>"
    assert [words.code(status) for status in (None, 404, 599)] == ["", "404 Not Found", "599"]
    assert words.place("https://a.example:8443/b?c=d") == ("a.example:8443", "/b?c=d")
    assert words.place("https://a.example/") == ("a.example", "")
    assert words.place("https://[bad") == ("https://[bad", "")
