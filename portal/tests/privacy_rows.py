"""A customer whose address, name and words stand everywhere, and a look into everything for what is left of them."""

import datetime as dt
from pathlib import Path
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client

from helpdesk.accounts.models import Contact, Organization, Workspace
from portal.models import Article, ArticleFeedback, PrivacyRequest, SignInLink
from portal.services import privacy, requests
from tickets.automation.models import DryRun, DryRunRow
from tickets.automation.services import macros
from tickets.automation.tests.factories import make_macro, make_recurring, make_rule, run_rules
from tickets.mail.models import Outgoing, Undeliverable
from tickets.mail.services import blocking, sending
from tickets.mail.tests.factories import MailboxFactory
from tickets.mail.tests.letters import receive
from tickets.models import Field, Ticket, View
from tickets.services import base, chats, conversation, editing, files, merging
from tickets.tests.factories import make_agent, make_reply, make_ticket
from tickets.webhooks.models import Attempt, Delivery
from tickets.webhooks.services import fanout
from tickets.webhooks.tests.rows import make_endpoint

ADDRESS = "zora.quillon@markers.example"
NAME = "Zora Quillon"
WORD = "xq7marker"  # what they wrote, in every place
FILE = b"xq7marker in a file"
MARKERS = ("zora", "quillon", "markers.example", WORD)
HIDDEN = "yk8hidden"  # what agents write for each other, and what is secret
OTHER = "ann@customers.example"
HOUR = dt.timedelta(hours=1)


def upload(name: str) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, FILE)


class Planted:
    """A workspace in which one customer has used everything. Times go on from `now`, an hour a step."""

    def __init__(self, workspace: Workspace, now: dt.datetime) -> None:
        self.workspace, self.now = workspace, now
        self.admin = make_agent(workspace, role="admin")
        self.agent = make_agent(workspace)
        self.mailbox: Any = MailboxFactory(workspace=workspace, address=f"support@{workspace.slug}.example")
        self.endpoint = make_endpoint(workspace, now=now - HOUR, by=self.admin)
        self.fields = {
            kind: Field.unscoped.create(
                workspace=workspace, key=f"a_{kind}", label=kind, kind=kind, options=["Red"] if kind == "choice" else []
            )
            for kind in ("text", "choice")
        }
        self._rules()
        self.by_portal()
        self.by_mail()
        self.by_chat()
        self.near_others()
        self.merged()
        self.in_the_trash()
        self.lists()
        self.in_settings()
        self.in_the_admins_log()
        self.deliver()

    @property
    def actor(self) -> Any:
        return base.agent(self.agent)

    def _rules(self) -> None:
        make_rule(
            self.workspace,
            {"do": "notify", "user_ids": [str(self.agent.user_id)], "team_ids": [], "body": "Look: {{customer_name}}"},
            {"do": "send_webhook", "url": "http://93.184.215.14/rule"},
            conditions={"all": [{"field": "requester", "is": [ADDRESS]}]},
        )

    def by_portal(self) -> None:
        workspace, now = self.workspace, self.now
        answer = Client().post(
            "/api/public/tickets",
            {
                "workspace_id": str(workspace.pk),
                "subject": f"{WORD} by API",
                "description": f"{WORD} again",
                "requester_email": ADDRESS,
                "requester_name": NAME,
            },
            content_type="application/json",
            headers={"Idempotency-Key": "k1"},
        )
        assert answer.status_code == 201, answer.content
        self.by_api = Ticket.unscoped.get(pk=answer.json()["ticket"]["id"])
        self.ticket, self.token = requests.submit_request(
            workspace=workspace,
            subject=f"{WORD} is broken",
            description=f"{WORD} says {NAME}, write to {ADDRESS}",
            requester_email=ADDRESS,
            requester_name=NAME,
            channel="portal",
            uploads=[upload(f"{WORD}.txt")],
            now=now,
        )
        self.contact = Contact.unscoped.get(workspace=workspace, email=ADDRESS)
        self.contact.attributes = {"plan": WORD}
        self.contact.organization = Organization.unscoped.create(
            workspace=workspace, name="Company", attributes={"billing": ADDRESS}
        )
        self.contact.save()
        editing.update_ticket(
            ticket=self.ticket,
            changes={"custom_fields": {"a_text": WORD, "a_choice": "Red"}, "subject": f"{WORD} is broken again"},
            actor=self.actor,
            now=now,
        )
        requests.answer_request(
            ticket=self.ticket,
            contact=self.contact,
            body=f"More {WORD}",
            channel="portal",
            uploads=[upload("second.txt")],
            now=now + HOUR,
        )
        make_reply(
            self.ticket,
            self.agent,
            now + HOUR,
            body=f"Dear {NAME}, hello Zora, we wrote to {ADDRESS}.",
            then="resolved",
        )
        note = make_reply(self.ticket, self.agent, now + HOUR, body=f"{HIDDEN} {NAME} called.", internal=True)
        own = SimpleUploadedFile("Zora Quillon.txt", b"an agent's own")
        files.attach(ticket=self.ticket, upload=own, uploaded_by=self.agent.user, actor=self.actor, now=now)
        conversation.edit_comment(comment=note, editor=self.agent, body=f"{HIDDEN} {NAME} called twice.", now=now)
        self.rated = requests.rate_request(
            ticket=self.ticket, contact=self.contact, rating=2, feedback=f"{WORD} took long", now=now + HOUR
        )
        macro = make_macro(
            self.workspace,
            {"do": "notify", "user_ids": [str(self.agent.user_id)], "team_ids": [], "body": "{{customer_name}} waits"},
        )
        macros.run_macro(macro=macro, ticket=self.ticket, member=self.agent, now=now + HOUR)
        for ticket in (self.ticket, self.by_api):
            run_rules(ticket, now + HOUR)

    def by_mail(self) -> None:
        first = receive(
            self.mailbox,
            now=self.now,
            body=f"{WORD} by mail.\n\n-- \n{NAME}\n{WORD} street",
            html=f"<p>{WORD} by mail.</p>",
            From=f"{NAME} <{ADDRESS}>",
            To=self.mailbox.address,
            subject=f"{WORD} by mail",
            cc=f"Ann <{OTHER}>",
            envelope_from=ADDRESS,
            envelope_to=self.mailbox.address,
            files=[(f"{WORD}.bin", FILE)],
        )
        assert first.outcome == "ticket_created", first.reason
        self.mailed = first.ticket
        answer = make_reply(self.mailed, self.agent, self.now + HOUR, body=f"Hello {NAME}.")
        for mail in Outgoing.unscoped.filter(comment=answer):
            sending.send(outgoing_id=mail.pk, now=self.now + 2 * HOUR)
        sent = Outgoing.unscoped.get(comment=answer, recipient=ADDRESS)
        receive(
            self.mailbox,
            now=self.now + 3 * HOUR,
            body=f"{WORD} answer.\n\nOn Monday Support wrote:\n> Hello {NAME}.\n> {WORD} by mail",
            From=f"{NAME} <{ADDRESS}>",
            To=self.mailbox.address,
            subject=f"Re: {WORD} by mail",
            in_reply_to=f"<{sent.message_id}>",
        )
        # What waits to be sent to them, and what was ignored and quarantined of theirs.
        make_reply(self.mailed, self.agent, self.now + 4 * HOUR, body="One more thing.")
        receive(self.mailbox, now=self.now, From=f"{NAME} <{ADDRESS}>", to=self.mailbox.address, X_Spam_Flag="YES")
        receive(
            self.mailbox, now=self.now, From="Bob <bob@customers.example>", to=self.mailbox.address,
            cc=f"{NAME} <{ADDRESS}>", X_Spam_Flag="YES",
        )  # fmt: skip

    def by_chat(self) -> None:
        handed = chats.escalate(
            workspace=self.workspace,
            sender=chats.Sender(has_key=False, network="198.51.100.0"),
            request=chats.Request(
                conversation_id=f"{WORD}-conversation",
                subject=f"{WORD} in a chat",
                description=f"{WORD}",
                customer_email=ADDRESS,
                customer_name=NAME,
                chat_history=[
                    {"role": "user", "content": f"{WORD} line"},
                    {"role": "bot", "content": f"Hello {NAME}"},
                ],
                reason="complex",
                context={"account": {"owner": NAME, "note": WORD}},
            ),
            now=self.now,
        )
        self.chat = handed.ticket

    def near_others(self) -> None:
        """In requests of somebody else: taking part, and named."""
        ticket = make_ticket(self.workspace, self.now, requester_email=OTHER, requester_name="Ann Other")
        editing.update_ticket(ticket=ticket, changes={"cc": [ADDRESS]}, actor=self.actor, now=self.now)
        conversation.customer_reply(
            ticket=ticket, contact=self.contact, body=f"{WORD} from aside", channel="email", now=self.now + HOUR
        )
        conversation.customer_reply(
            ticket=ticket,
            contact=ticket.requester,
            body=f"Thanks {NAME} and {ADDRESS}.",
            channel="email",
            original=base.Original(folded_text=f"> {WORD} from aside"),
            now=self.now + 2 * HOUR,
        )
        self.near = ticket
        self.naming = make_ticket(self.workspace, self.now, requester_email=OTHER, subject="Who is it?")
        make_reply(self.naming, self.agent, self.now, internal=True, body=f"{HIDDEN} ask {ADDRESS} about it")
        # A request that was theirs, and was given to somebody else.
        self.given_away = make_ticket(
            self.workspace, self.now, requester_email=ADDRESS, requester_name=NAME, subject=f"{WORD} given away",
            actor=base.customer(self.contact),
        )  # fmt: skip
        editing.update_ticket(
            ticket=self.given_away, changes={"requester_email": OTHER}, actor=self.actor, now=self.now + HOUR
        )

    def merged(self) -> None:
        self.source = make_ticket(
            self.workspace, self.now, requester_email=ADDRESS, requester_name=NAME, subject=f"{WORD} merged"
        )
        conversation.customer_reply(
            ticket=self.source, contact=self.contact, body=f"{WORD} moved", channel="email", now=self.now
        )
        self.target = make_ticket(self.workspace, self.now, requester_email=OTHER)
        merging.merge(source=self.source, target_id=self.target.pk, actor=self.actor, now=self.now + HOUR)

    def in_the_trash(self) -> None:
        self.trashed = make_ticket(
            self.workspace, self.now, requester_email=ADDRESS, requester_name=NAME, subject=f"{WORD} trashed"
        )
        editing.trash(ticket=self.trashed, actor=base.agent(self.admin), now=self.now + HOUR)

    def lists(self) -> None:
        workspace, now = self.workspace, self.now
        blocking.block(workspace_id=workspace.pk, pattern=ADDRESS, by=None, reason=WORD)
        Undeliverable.unscoped.create(workspace=workspace, address=ADDRESS, reason=f"<{ADDRESS}>: gone", bounced_at=now)
        SignInLink.unscoped.create(
            workspace=workspace,
            contact=self.contact,
            token_hash=workspace.pk.hex * 2,
            created_at=now,
            expires_at=now + HOUR,
        )
        article = Article.unscoped.create(
            workspace=workspace, title=f"What {NAME} asked", slug="asked", body=f"Ask {NAME}.",
            body_html=f"<p>{NAME}</p>", from_ticket=self.ticket, created_at=now, updated_at=now,
        )  # fmt: skip
        ArticleFeedback.unscoped.create(
            workspace=workspace, article=article, visitor="v", is_helpful=False, comment=f"Write to {ADDRESS}",
            created_at=now, updated_at=now,
        )  # fmt: skip

    def in_settings(self) -> None:
        make_recurring(self.workspace, self.now, requester_email=ADDRESS, requester_name=NAME)
        View.unscoped.create(workspace=self.workspace, name="Zo", query="q=zora.quillon%40markers.example")
        rule = make_rule(self.workspace, {"do": "set_priority", "priority": "low"}, is_active=False)
        dry_run = DryRun.unscoped.create(
            workspace=self.workspace, rule=rule, asked={}, since=self.now - HOUR, until=self.now
        )
        DryRunRow.unscoped.create(
            workspace=self.workspace, dry_run=dry_run, ticket=self.ticket, activity=self.ticket.activities.first(),
            trigger="created", happened_at=self.now, is_matched=True, reasons=[{"text": "x", "was": ADDRESS}],
        )  # fmt: skip

    def in_the_admins_log(self) -> None:
        for row in (self.contact, self.ticket, self.ticket.comments.first()):
            LogEntry.objects.create(
                user=self.admin.user,
                content_type=ContentType.objects.get_for_model(row),
                object_id=str(row.pk),
                object_repr=str(row)[:200],
                action_flag=CHANGE,
            )

    def deliver(self) -> None:
        """Webhooks: some messages were tried, and what they were answered repeats them; others wait."""
        while fanout.follow(now=self.now + HOUR):
            pass
        for delivery in Delivery.unscoped.filter(endpoint=self.endpoint, event="ticket.created"):
            Attempt.unscoped.create(
                workspace=self.workspace, delivery=delivery, started_at=self.now, duration_ms=1, url=self.endpoint.url,
                request_headers={}, code=200, response_body=delivery.body, response_headers={"X-Echo": WORD},
            )  # fmt: skip
            Delivery.unscoped.filter(pk=delivery.pk).update(status="delivered", next_at=None, ended_at=self.now)


# --- Looking ----------------------------------------------------------------------------------


def tables() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
        )
        return sorted(name for (name,) in cursor.fetchall())


def rows_with(*markers: str, workspace: Workspace | None = None) -> list[str]:
    """Every row of every table in which a marker stands, in any column: text, JSON, words, bytes."""
    found = []
    looked_for = [f"%{marker}%" for marker in markers]
    looked_for += [f"%{marker.encode().hex()}%" for marker in markers]
    with connection.cursor() as cursor:
        for table in tables():
            columns = {column.name for column in connection.introspection.get_table_description(cursor, table)}
            scoped = workspace is not None and "workspace_id" in columns
            where = "AND t.workspace_id = %s" if scoped else ""
            cursor.execute(
                f'SELECT t::text FROM "{table}" t WHERE t::text ILIKE ANY(%s) {where}',
                [looked_for, *([workspace.pk] if scoped and workspace else [])],
            )
            found += [f"{table}: {row}" for (row,) in cursor.fetchall()]
    return found


def files_with(workspace: Workspace, *markers: str) -> list[str]:
    """Every stored file of the workspace in which a marker stands."""
    texts = [marker.encode() for marker in markers]
    stored = (path for path in Path(default_storage.path("")).rglob("*") if path.is_file())
    mine = (path for path in stored if str(workspace.pk) in str(path))
    return [str(path) for path in mine if any(text in path.read_bytes().lower() for text in texts)]


def erase(planted: Planted, address: str = ADDRESS, at: dt.datetime | None = None) -> PrivacyRequest:
    """Have the customer erased, both rounds."""
    at = at or planted.now + dt.timedelta(days=1)
    request = privacy.ask_erasure(workspace=planted.workspace, address=address, typed=address, by=planted.admin, now=at)
    return work_off(request, at)


def work_off(request: PrivacyRequest, at: dt.datetime) -> PrivacyRequest:
    """As workers and the beat would, until it is over."""
    for _ in range(10):
        request.refresh_from_db()
        if request.is_over:
            break
        at = max(at, request.next_at or at)
        privacy.run(request_id=request.pk, clock=lambda at=at: at)  # type: ignore[misc]
    return request
