"""The admin of every model: no list asks per row, nobody sees or touches another workspace's rows."""

import datetime as dt
import re
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from helpdesk.accounts.models import ApiKey, Contact, Invitation, Membership, Organization, User, Workspace
from helpdesk.accounts.tests.factories import (
    ContactFactory,
    MembershipFactory,
    OrganizationFactory,
    TeamFactory,
    UserFactory,
    WorkspaceFactory,
)
from helpdesk.api.models import IdempotencyKey
from tickets.events import SYSTEM
from tickets.models import (
    Activity,
    Attachment,
    CannedResponse,
    Category,
    Chat,
    ChatSettings,
    Comment,
    CustomerToken,
    Field,
    Participant,
    Tag,
    Ticket,
    TicketLink,
    TicketTag,
    View,
    Watcher,
)
from tickets.services import assignment, merging
from tickets.tests.factories import NOW, CannedResponseFactory, CategoryFactory, FieldFactory, make_reply, make_ticket

pytestmark = pytest.mark.django_db

MOST_QUERIES = 12
GOLD = {
    "name": "Gold",
    "first_response_hours": 1,
    "resolution_hours": 8,
    "priority_overrides": "{}",
    "conditions": "{}",
    "at_risk_percent": 75,
    "position": 1,
}
NINE_TO_SIX = {"name": "Office", "timezone": "UTC", "schedule": '{"monday": {"start": "09:00", "end": "18:00"}}'}


Cursor: Any = apps.get_model("webhooks", "Cursor")


def name_of(model: Any) -> str:
    return f"{model._meta.app_label}_{model._meta.model_name}"


def list_url(model: Any) -> str:
    return reverse(f"admin:{name_of(model)}_changelist")


def change_url(row: Any) -> str:
    return reverse(f"admin:{name_of(type(row))}_change", args=[row.pk])


def fill(workspace: Workspace, start: int, count: int) -> None:
    """`count` rows of every model in the workspace, each pointing to rows of its own."""
    for n in range(start, start + count):
        word = f"{workspace.slug}-{n}"
        member = MembershipFactory(workspace=workspace)
        team = TeamFactory(workspace=workspace)
        team.members.add(member)
        parent = CategoryFactory(workspace=workspace)
        category = CategoryFactory(workspace=workspace, parent=parent)
        contact = ContactFactory(workspace=workspace, organization=OrganizationFactory(workspace=workspace))
        FieldFactory(workspace=workspace)
        CannedResponseFactory(workspace=workspace, category=category, created_by=member.user)
        tag = Tag.unscoped.create(workspace=workspace, name=word)
        View.unscoped.create(workspace=workspace, name=word, owner=member.user)
        tickets = [
            make_ticket(workspace, requester_email=f"{word}-{m}@example.com", category_id=category.pk) for m in range(2)
        ]
        first, second = tickets
        assignment.assign(ticket=first, assignee_id=member.user_id, actor=SYSTEM, now=NOW)
        comment = make_reply(first, member)
        TicketTag.objects.create(ticket=first, tag=tag)
        Watcher.unscoped.get_or_create(workspace=workspace, ticket=first, user=member.user)
        Participant.unscoped.create(workspace=workspace, ticket=first, contact=contact)
        TicketLink.unscoped.create(workspace=workspace, ticket=first, other=second, kind="related")
        Attachment.unscoped.create(
            workspace=workspace, ticket=first, comment=comment, name=word, size=1, sha256=word, uploaded_by=member.user
        )
        Chat.unscoped.create(workspace=workspace, ticket=first, conversation_id=word, opened_by="key")
        ChatSettings.unscoped.get_or_create(workspace=workspace)
        CustomerToken.unscoped.get_or_create(
            workspace=workspace, ticket=first, contact=contact, nonce=b"x" * 32, token_hash=word, expires_at=NOW
        )
        merging.merge(source=second, target_id=first.pk, actor=SYSTEM, now=NOW)
        ApiKey.unscoped.create(
            workspace=workspace, membership=member, name=word, prefix="hdk_", key_hash=word, scopes=["read"]
        )
        Invitation.unscoped.create(
            workspace=workspace,
            email=f"{word}@example.com",
            role="agent",
            token_hash=word,
            invited_by=member.user,
            expires_at=NOW,
        )
        IdempotencyKey.unscoped.create(workspace=workspace, caller="x", key=word, endpoint="/", body_hash=word)
        give_service_levels(workspace, word, first, member)
        give_automation(workspace, word, first, team)
        give_mail(workspace, word, first, comment, member)
        give_webhooks(workspace, word, first, member)
        give_portal(workspace, word, first, contact, member)


def give_portal(workspace: Workspace, word: str, ticket: Ticket, contact: Contact, member: Membership) -> None:
    """A row of every model of the portal."""
    model = {model.__name__: model.unscoped for model in apps.get_app_config("portal").get_models()}  # type: ignore[attr-defined]
    times = {"created_at": NOW, "updated_at": NOW}
    slug = word.lower()
    model["Satisfaction"].create(workspace=workspace, ticket=ticket, contact=contact, rating=5, resolved_at=NOW)
    category = model["ArticleCategory"].create(workspace=workspace, name=word, slug=slug, **times)
    article = model["Article"].create(
        workspace=workspace, category=category, title=word, slug=slug, body=word, from_ticket=ticket, **times
    )
    model["ArticleFeedback"].create(workspace=workspace, article=article, visitor=word, is_helpful=True, **times)
    model["ArticleWord"].create(workspace=workspace, word=word)
    model["PortalSettings"].get_or_create(workspace=workspace, defaults={"updated_at": NOW})
    model["SignInLink"].create(
        workspace=workspace, contact=contact, token_hash=word, created_at=NOW, expires_at=NOW + dt.timedelta(hours=1)
    )
    model["PrivacyRequest"].create(
        workspace=workspace, kind="export", address_hash=word, requested_by=member.user, created_at=NOW
    )


def give_service_levels(workspace: Workspace, word: str, ticket: Ticket, member: Membership) -> None:
    """A row of every model of the service levels."""
    model = {name: apps.get_model("slas", name).unscoped for name in ("BusinessHours", "SLAPolicy", "SLATerms", "Job")}
    hours = model["BusinessHours"].create(workspace=workspace, name=word)
    apps.get_model("slas", "WorkingHours").unscoped.create(workspace=workspace, membership=member, business_hours=hours)
    model["Job"].create(workspace=workspace, kind="derive")
    policy = model["SLAPolicy"].create(workspace=workspace, name=word, first_response_hours=1, resolution_hours=8)
    terms = model["SLATerms"].create(workspace=workspace, policy=policy, document={}, digest=word)
    apps.get_model("slas", "Clock").unscoped.create(
        workspace=workspace,
        ticket=ticket,
        policy=policy,
        terms=terms,
        goal="resolution",
        run="running",
        target=dt.timedelta(hours=8),
        used=dt.timedelta(),
        started_at=NOW,
        as_of=NOW,
        deadline_set_at=NOW,
    )


def give_automation(workspace: Workspace, word: str, ticket: Ticket, team: Any) -> None:
    """A row of every model of the automation."""
    model = {model.__name__: model.unscoped for model in apps.get_app_config("automation").get_models()}  # type: ignore[attr-defined]
    rule = model["Rule"].create(workspace=workspace, name=word, triggers=["created"])
    model["Macro"].create(workspace=workspace, name=word, actions=[{"do": "escalate"}])
    activity = ticket.activities.first()
    model["Run"].create(workspace=workspace, rule=rule, ticket=ticket, activity=activity, trigger="created", ran_at=NOW)
    model["Due"].create(workspace=workspace, rule=rule, ticket=ticket, activity=activity, trigger="idle", due_at=NOW)
    model["Effect"].create(
        workspace=workspace, ticket=ticket, kind="mail", target=word, content={}, next_at=NOW, created_at=NOW
    )
    model["Waiting"].create(workspace=workspace, ticket=ticket, rule=rule, team=team, method="least_busy", since=NOW)
    asked = apps.get_model("automation", "DryRun").unscoped.create(
        workspace=workspace, rule=rule, asked={}, since=NOW - dt.timedelta(days=30), until=NOW
    )
    apps.get_model("automation", "DryRunRow").unscoped.create(
        workspace=workspace,
        dry_run=asked,
        ticket=ticket,
        activity=activity,
        trigger="created",
        happened_at=NOW,
        is_matched=True,
    )
    recurring = model["RecurringTicket"].create(
        workspace=workspace, name=word, schedule={}, team=team, team_name="t", last_ticket=ticket
    )
    model["RecurringRun"].create(
        workspace=workspace, recurring=recurring, occurrence_at=NOW, is_opened=True, ticket=ticket, ran_at=NOW
    )


def give_mail(workspace: Workspace, word: str, ticket: Ticket, comment: Comment, member: Membership) -> None:
    """A row of every model of mail."""
    model = {model.__name__: model.unscoped for model in apps.get_app_config("mail").get_models()}  # type: ignore[attr-defined]
    mailbox = model["Mailbox"].create(workspace=workspace, address=f"{word}@acme.example".lower())
    model["MailSettings"].get_or_create(workspace=workspace)
    model["ParsingRule"].create(workspace=workspace, mailbox=mailbox, name=word, position=1)
    model["Incoming"].create(
        workspace=workspace,
        mailbox=mailbox,
        size=1,
        sha256=word,
        way="smtp",
        received_at=NOW,
        ticket=ticket,
        comment=comment,
    )
    model["BlockedSender"].create(workspace=workspace, pattern=f"{word}@spam.example", created_by=member.user)
    model["Outgoing"].create(
        workspace=workspace,
        mailbox=mailbox,
        ticket=ticket,
        comment=comment,
        activity_id=comment.pk,
        kind="reply",
        recipient=f"{word}@example.com",
        message_id=word,
        next_at=NOW,
        created_at=NOW,
    )
    model["Undeliverable"].create(workspace=workspace, address=f"{word}@example.com", bounced_at=NOW)
    model["NoticePreference"].create(workspace=workspace, membership=member)


def give_webhooks(workspace: Workspace, word: str, ticket: Ticket, member: Membership) -> None:
    """A row of every model of webhooks."""
    model = {model.__name__: model for model in apps.get_app_config("webhooks").get_models()}
    endpoint = model["Endpoint"].unscoped.create(  # type: ignore[attr-defined]
        workspace=workspace,
        url=f"https://{word}.example/hook".lower(),
        events=["ticket.created"],
        secret_sealed="sealed",
        secret_changed_at=NOW,
        active_since=NOW,
        created_by=member.user,
        created_at=NOW,
        updated_at=NOW,
    )
    activity = ticket.activities.first()
    delivery = model["Delivery"].unscoped.create(  # type: ignore[attr-defined]
        workspace=workspace,
        endpoint=endpoint,
        activity=activity,
        message_id=activity.pk,  # type: ignore[union-attr]
        event="ticket.created",
        body="{}",
        next_at=NOW,
        created_at=NOW,
    )
    model["Attempt"].unscoped.create(  # type: ignore[attr-defined]
        workspace=workspace, delivery=delivery, started_at=NOW, duration_ms=1, url=word, request_headers={}
    )
    model["EndpointHour"].unscoped.create(workspace=workspace, endpoint=endpoint, hour=NOW)  # type: ignore[attr-defined]
    model["Cursor"]._default_manager.get_or_create(pk=1)


@pytest.fixture
def owner() -> Membership:
    return MembershipFactory(role="owner", user__name="Olga Owner")


@pytest.fixture
def console(client: Client, owner: Membership) -> Client:
    client.force_login(owner.user)
    return client


@pytest.fixture
def root(client: Client) -> Client:
    root = Client()
    root.force_login(UserFactory(is_superuser=True))
    return root


@pytest.fixture
def foreign() -> Workspace:
    workspace = WorkspaceFactory(name="Foreign company")
    fill(workspace, 0, 1)
    return workspace


def ours() -> list[Any]:
    return [
        model
        for model in admin.site._registry
        if model._meta.app_label in {"accounts", "api", "tickets", "automation", "mail", "webhooks", "slas", "portal"}
        and model is not Cursor  # the one row that is of no workspace: see below
    ]


def queries(client: Client, url: str) -> int:
    client.get(url)
    with CaptureQueriesContext(connection) as seen:
        answer = client.get(url)
    assert answer.status_code == 200, url
    return len(seen)


class TestEveryModel:
    def test_is_registered(self) -> None:
        models = [
            model
            for label in ("accounts", "api", "tickets", "automation", "mail", "webhooks", "slas", "portal")
            for model in apps.get_app_config(label).get_models()
        ]
        assert [model for model in models if not admin.site.is_registered(model)] == [TicketTag]  # inside its ticket

    def test_has_a_list_that_does_not_ask_per_row(self, root: Client, console: Client, owner: Membership) -> None:
        fill(owner.workspace, 0, 2)
        pages = [list_url(model) for model in admin.site._registry]
        few = {(who, url): queries(who, url) for who in (root, console) for url in pages if _may_see(who, url)}
        fill(owner.workspace, 2, 4)
        fill(WorkspaceFactory(), 0, 1)
        many = {(who, url): queries(who, url) for who, url in few}
        assert {url: (few[who, url], count) for (who, url), count in many.items() if count > few[who, url]} == {}
        assert {url: count for (_, url), count in many.items() if count > MOST_QUERIES} == {}
        assert len(many) > len(ours()) * 2 - 1

    def test_shows_search_filters_and_columns(self) -> None:
        for model in ours():
            shown = admin.site._registry[model]
            assert shown.search_fields, model
            assert tuple(shown.list_display) != ("__str__",), model

    def test_answers_any_search(self, root: Client, console: Client, owner: Membership) -> None:
        fill(owner.workspace, 0, 1)
        for model in ours():
            for words in ("#1001", "jane@example.com", "a b 'c\" %_\\ ²", "9" * 300):
                assert root.get(list_url(model), {"q": words}).status_code == 200, (model, words)
            assert console.get(list_url(model), {"q": "1001 words"}).status_code == 200, model

    def test_can_be_opened(self, root: Client, console: Client, owner: Membership) -> None:
        fill(owner.workspace, 0, 1)
        for model in ours():
            row = model._meta.default_manager.first()
            assert row is not None, model
            for who in (root, console):
                if model is not User:
                    assert who.get(change_url(row)).status_code == 200, model

    def test_of_another_workspace_is_not_there(self, console: Client, foreign: Workspace) -> None:
        for model in ours():
            if model in (User, Workspace):
                row = foreign if model is Workspace else Membership.unscoped.filter(workspace=foreign)[0].user
            else:
                row = model.unscoped.filter(workspace=foreign).first()
            page = console.get(list_url(model), {"place": "all"} if model is Ticket else {}).content.decode()
            assert change_url(row) not in page, model
            for view in ("change", "history", "delete"):
                url = reverse(f"admin:{name_of(model)}_{view}", args=[row.pk])
                assert console.get(url).status_code in (403, 404), url
                assert console.post(url, {"post": "yes"}).status_code in (403, 404), url

    def test_never_names_another_workspace(self, console: Client, owner: Membership, foreign: Workspace) -> None:
        fill(owner.workspace, 0, 1)
        names = {"Foreign company", foreign.slug} | {
            str(row) for model in (Category, Organization) for row in model.unscoped.filter(workspace=foreign)
        }
        pattern = re.compile("|".join(rf"\b{re.escape(name)}\b" for name in names))
        for model in ours():
            for url in (list_url(model), reverse(f"admin:{name_of(model)}_add")):
                answer = console.get(url)
                assert answer.status_code in (200, 403)
                assert not pattern.search(answer.content.decode()), url

    def test_that_is_of_no_workspace_is_for_superusers(self, root: Client, console: Client) -> None:
        row, _ = Cursor._default_manager.get_or_create(pk=1)
        for url in (list_url(Cursor), change_url(row)):
            assert root.get(url).status_code == 200
            assert console.get(url).status_code == 403

    def test_of_webhooks_shows_no_secret(self, root: Client, console: Client, owner: Membership) -> None:
        fill(owner.workspace, 0, 1)
        endpoint = apps.get_model("webhooks", "Endpoint").unscoped.get()
        fields = ("secret_sealed", "old_secret_sealed", "headers_sealed")
        for name in fields:
            setattr(endpoint, name, f"hidden-{name}")
        endpoint.save()
        for who in (root, console):
            for url in (list_url(type(endpoint)), change_url(endpoint)):
                page = who.get(url).content.decode()
                assert endpoint.url in page
                assert not [name for name in fields if f"hidden-{name}" in page or name in page]


def _may_see(client: Client, url: str) -> bool:
    return client.get(url).status_code == 200


class TestWhatServicesWrite:
    @pytest.mark.parametrize(
        "name",
        ["activity", "assignment", "merge", "sequence", "ticketcount", "comment", "searchdocument", "customertoken"],
    )
    def test_cannot_be_changed_by_anybody(self, root: Client, owner: Membership, name: str) -> None:
        fill(owner.workspace, 0, 1)
        model = apps.get_model("tickets", name)
        row = model.unscoped.first()
        assert root.get(reverse(f"admin:{name_of(model)}_add")).status_code == 403
        assert root.post(change_url(row), {}).status_code == 403
        assert root.post(reverse(f"admin:{name_of(model)}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
        assert model.unscoped.filter(pk=row.pk).exists()

    def test_a_ticket_is_changed_through_the_service(self, console: Client, owner: Membership) -> None:
        ticket = make_ticket(owner.workspace)
        answer = console.post(change_url(ticket), _ticket_form(ticket, subject="Better words", status="closed"))
        assert answer.status_code == 302, answer.context["adminform"].form.errors
        ticket.refresh_from_db()
        assert (ticket.subject, ticket.status, ticket.version) == ("Better words", "open", 2)
        activity = Activity.unscoped.filter(ticket=ticket, event="ticket.updated").get()
        assert activity.actor_user == owner.user

    def test_a_category_of_another_workspace_is_refused(
        self, console: Client, root: Client, owner: Membership, foreign: Workspace
    ) -> None:
        ticket = make_ticket(owner.workspace)
        category = Category.unscoped.filter(workspace=foreign)[0]
        for who in (console, root):
            answer = who.post(change_url(ticket), _ticket_form(ticket, category=category.pk))
            assert answer.status_code == 200
        ticket.refresh_from_db()
        assert (ticket.category, ticket.version) == (None, 1)

    def test_tickets_go_into_the_trash_and_come_back(self, console: Client, owner: Membership) -> None:
        ticket = make_ticket(owner.workspace)
        act(console, Ticket, "put_into_trash", ticket)
        ticket.refresh_from_db()
        assert ticket.trashed_by == owner.user
        assert str(ticket.pk) not in console.get(list_url(Ticket)).content.decode()
        act(console, Ticket, "take_out_of_trash", ticket, place="trash")
        ticket.refresh_from_db()
        assert ticket.trashed_at is None
        assert Activity.unscoped.filter(ticket=ticket, event="ticket.restored").exists()

    def test_a_foreign_ticket_does_not_go_into_the_trash(self, console: Client, foreign: Workspace) -> None:
        ticket = Ticket.unscoped.filter(workspace=foreign, merged_into=None)[0]
        act(console, Ticket, "put_into_trash", ticket)
        ticket.refresh_from_db()
        assert ticket.trashed_at is None

    def test_what_a_service_refuses_is_said_and_not_written(self, console: Client, owner: Membership) -> None:
        top = CategoryFactory(workspace=owner.workspace, name="Top")
        below = CategoryFactory(workspace=owner.workspace, parent=top)
        form = {"name": "Top", "color": "#112233", "description": "", "parent": str(below.pk)}
        answer = console.post(change_url(top), form, follow=True)
        assert "below itself" in answer.content.decode()
        top.refresh_from_db()
        assert top.parent is None and top.color != "#112233"


def _ticket_form(ticket: Ticket, **changes: Any) -> dict[str, Any]:
    form = {name: getattr(ticket, name) for name in ("subject", "description", "priority")}
    management = {"tickettag_set-TOTAL_FORMS": 0, "tickettag_set-INITIAL_FORMS": 0}
    return form | management | {"category": "", "team": ""} | changes


def act(client: Client, model: Any, action: str, row: Any, **query: str) -> None:
    url = list_url(model) + ("?" + "&".join(f"{k}={v}" for k, v in query.items()) if query else "")
    client.post(url, {"action": action, "_selected_action": [str(row.pk)]})


class TestSetup:
    def test_a_row_gets_the_workspace_of_who_makes_it(self, console: Client, owner: Membership) -> None:
        console.post(reverse("admin:tickets_category_add"), {"name": "Billing", "color": "#112233", "workspace": "x"})
        category = Category.unscoped.get(name="Billing")
        assert category.workspace == owner.workspace

    def test_a_field_is_changed_and_archived_through_the_service(self, console: Client, owner: Membership) -> None:
        field: Any = FieldFactory(workspace=owner.workspace, kind="choice", options=["a, b", "c"], position=1)
        form = {"label": "Plan", "options": "a, b\r\nc", "is_required": "on", "position": 1}
        assert console.post(change_url(field), form).status_code == 302
        field.refresh_from_db()
        assert (field.label, field.is_required, field.options) == ("Plan", True, ["a, b", "c"])
        act(console, Field, "archive", field)
        field.refresh_from_db()
        assert field.archived_at
        assert console.post(change_url(field), form | {"label": "Again"}).status_code == 403

    def test_a_canned_response_keeps_its_author(self, console: Client, owner: Membership) -> None:
        form = {"title": "Thanks", "shortcut": "thanks", "content": "Thank you.", "category": ""}
        console.post(reverse("admin:tickets_cannedresponse_add"), form)
        response = CannedResponse.unscoped.get(shortcut="thanks")
        assert (response.workspace, response.created_by) == (owner.workspace, owner.user)

    @pytest.mark.parametrize(
        ("path", "form"),
        [
            ("tickets_tag", {"name": "urgent"}),
            ("tickets_category", {"name": "Billing", "color": "#112233"}),
            (
                "tickets_field",
                {"label": "P", "key": "plan", "kind": "choice", "options": "A\nB", "position": 1},
            ),
            ("tickets_cannedresponse", {"title": "T", "shortcut": "thanks", "content": "c"}),
            ("slas_slapolicy", GOLD),
            ("slas_businesshours", NINE_TO_SIX),
            ("accounts_team", {"name": "First line"}),
            ("accounts_contact", {"email": "jane@example.com", "attributes": "{}"}),
        ],
    )
    def test_the_same_name_twice_is_an_error_not_a_crash(
        self, console: Client, owner: Membership, path: str, form: dict[str, Any]
    ) -> None:
        url = reverse(f"admin:{path}_add")
        model = apps.get_model(*path.split("_"))
        for _ in range(2):
            assert console.post(url, form).status_code in (200, 302)
        assert model.unscoped.filter(workspace=owner.workspace).count() == 1

    @pytest.mark.parametrize(
        "overrides", ["[]", '{"later": {}}', '{"high": {"hours": 1}}', '{"high": {"resolution_hours": 0}}']
    )
    def test_unreadable_overrides_of_a_policy_are_refused(self, console: Client, overrides: str) -> None:
        form = GOLD | {"priority_overrides": overrides}
        assert console.post(reverse("admin:slas_slapolicy_add"), form).status_code == 200
        assert not apps.get_model("slas", "SLAPolicy").unscoped.exists()

    @pytest.mark.parametrize("schedule", ["[]", '{"someday": {}}', '{"monday": {"start": "18:00", "end": "09:00"}}'])
    def test_unreadable_business_hours_are_refused(self, console: Client, schedule: str) -> None:
        form = NINE_TO_SIX | {"schedule": schedule}
        assert console.post(reverse("admin:slas_businesshours_add"), form).status_code == 200
        assert not apps.get_model("slas", "BusinessHours").unscoped.exists()

    def test_a_policy_that_is_saved_in_the_admin_has_its_terms(self, console: Client, owner: Membership) -> None:
        assert console.post(reverse("admin:slas_slapolicy_add"), GOLD).status_code == 302
        policy = apps.get_model("slas", "SLAPolicy").unscoped.get(workspace=owner.workspace)
        assert policy.terms.document["targets"]["low"] == {"first_response": 3600, "resolution": 8 * 3600}
        assert apps.get_model("slas", "Job").unscoped.filter(kind="derive").count() == 1

    def test_the_index_uses_the_words_of_the_specification(self, console: Client) -> None:
        page = console.get(reverse("admin:index")).content.decode()
        for words in ("Ticket categories", "SLA policies", "Business hours", "Canned responses"):
            assert words in page


def test_a_big_table_is_counted_only_so_far(owner: Membership, monkeypatch: pytest.MonkeyPatch) -> None:
    from helpdesk.accounts import admin_site

    monkeypatch.setattr(admin_site, "COUNTED_UP_TO", 3)
    fill(owner.workspace, 0, 3)
    paginator = admin_site.CountingUpTo(Comment.unscoped.order_by("-pk"), 2)
    assert paginator.count == 3
    tickets = admin_site.CountingUpTo(Ticket.unscoped.order_by("-pk"), 2)
    assert tickets.count == 4
