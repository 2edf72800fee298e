"""Nothing that only agents know leaves through a public door, whatever is asked.

One world holds a mark in everything that a customer must not see (`portal.tests.markers`). Then every public address
is asked, rightly and wrongly, and every answer and every mail to a customer is searched for the marks and for agents'
words.

**A new address** under `/portal/` or `/api/public/` fails the first test until `CASES` has what is asked of it.
"""

import base64
import datetime as dt
import json
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any
from uuid import uuid4

import pytest
from django.core import mail as out
from django.core.files.base import ContentFile
from django.db import models, transaction
from django.http import HttpResponse
from django.test import Client
from django.urls import get_resolver, reverse
from django.utils import timezone

from helpdesk.accounts.models import Contact, User, Workspace
from helpdesk.accounts.tests.factories import OrganizationFactory, TeamFactory, WorkspaceFactory
from portal.models import Article, ArticleCategory, PortalSettings, Satisfaction, SignInLink
from portal.services import requests, visits
from portal.tests.factories import a_file, finish, make_article, make_request
from portal.tests.markers import KEPT, PUBLIC, Marks, every_model, everything_in, plant, spellings_of
from portal.tests.timing import unlimited
from tickets import access
from tickets.mail.models import Mailbox, Outgoing
from tickets.mail.services import sending
from tickets.mail.tests.factories import MailboxFactory
from tickets.models import Attachment, Chat, Comment, Ticket, Watcher
from tickets.services import assignment, base, chats, conversation, editing, files, merging
from tickets.tests.factories import CategoryFactory, FieldFactory, make_agent, make_reply
from tickets.tests.test_admin import fill

pytestmark = pytest.mark.django_db

JANE, BOSS, THIRD = "jane@customers.example", "boss@customers.example", "third@customers.example"
CHAT = {"conversation_id": "conversation-of-jane", "subject": "From a chat", "customer_email": "chat@customers.example"}
# What agents say among themselves; customers' pages and mails have other words.
AGENTS_WORDS = re.compile(
    r"\b(?:assignees?|(?:un)?assigned|SLAs?|service levels?|breach(?:es|ed)?|overdue|internal|notes?|macros?|canned"
    r"|automations?|rules?|priority|urgent|tags?|watch(?:ers?|ing)|escalat\w+|queues?|quarantined?|webhooks?|mailbox(?:es)?"
    r"|workspaces?|members?|teams?|light agents?|drafts?|merged?|trash(?:ed)?|transcripts?|custom fields?|api keys?)\b",
    re.IGNORECASE,
)
PICTURE = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"  # one dot
EVERY_METHOD = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class World:
    """A workspace with two of everything, one customer with a ticket among it, and a second workspace."""

    def __init__(self) -> None:
        now = timezone.now()
        self.workspace: Any = WorkspaceFactory(name="Acme Help", slug="acme")
        fill(self.workspace, 0, 2)
        fill(WorkspaceFactory(name="Other Company"), 0, 1)
        self.named = make_agent(self.workspace, user__name="Maria Rossi", user__email="maria@acme.example")
        self.nameless = make_agent(self.workspace, user__name="", user__email="insider@acme.example")
        light = make_agent(self.workspace, "light", user__name="Lee Light", user__email="light@acme.example")
        by = base.agent(self.nameless)
        self.mailbox = MailboxFactory(workspace=self.workspace, address="help@acme.example", is_default=True)
        shelf = {"created_at": now, "updated_at": now}
        shelves = ArticleCategory.unscoped
        passwords = shelves.create(workspace=self.workspace, name="Passwords", slug="passwords", **shelf)
        make_article(self.workspace, body="Choose **Forgot**.", slug="reset-your-password", category=passwords)
        self.ticket, self.token = self._asked(now)
        ticket = self.ticket
        editing.update_ticket(ticket=ticket, changes={"cc": [BOSS], "tags": ["vip"]}, actor=by, now=now)
        assignment.assign(ticket=ticket, assignee_id=self.nameless.user_id, actor=by, now=now)
        self._set_aside(ticket, light, now)
        boss = Contact.unscoped.get(workspace=self.workspace, email=BOSS)
        conversation.customer_reply(ticket=ticket, contact=boss, body="Me too", channel="email", now=now)
        make_reply(
            ticket, self.named, now=now, body="We look into it", attachment_ids=[self._file(ticket, self.named, now)]
        )
        make_reply(ticket, self.nameless, now=now, body="It is done")
        # Another customer's ticket was merged into it, and one of the same customer stands beside it.
        source, _ = make_request(self.workspace, requester_email=THIRD, requester_name="Third")
        merging.merge(source=source, target_id=ticket.pk, actor=by, now=now)
        self.beside, _ = make_request(self.workspace, requester_email=JANE)
        finish(ticket, "resolved", now=now, by=self.named)
        requests.rate_request(ticket=ticket, contact=ticket.requester, rating=4, feedback="Quick", now=now)
        self.handed = chats.open_from_chat(
            workspace=self.workspace,
            sender=chats.Sender(has_key=False, network="127.0.0.1"),
            request=chats.Request(**CHAT, chat_history=[{"role": "bot", "content": "What is it?"}]),
            now=now,
        )
        self._dress(now)
        self.marks: Marks = plant(shown_of=self.shown_of)
        for name in ("note.txt", "waiting.txt"):
            self.marks.words[f"what {name} says"] = "what an internal file says"
        self.ticket.refresh_from_db()
        self.file = Attachment.unscoped.filter(ticket=ticket, comment__is_internal=False).latest("pk")
        self.other_file = Attachment.unscoped.exclude(ticket=ticket).earliest("pk")
        self.chat, self.chat_token = self.handed.ticket, self.handed.token
        self.draft = Article.unscoped.filter(workspace=self.workspace, status="draft").earliest("pk").slug
        self.draft_title = Article.unscoped.get(workspace=self.workspace, slug=self.draft).title
        empty = ArticleCategory.unscoped.filter(workspace=self.workspace).exclude(slug="passwords")
        self.hidden_category = empty.earliest("pk").slug
        self.proven_token = access.mailed(self.token)
        self.not_hers = Ticket.unscoped.filter(workspace=self.workspace).exclude(requester__email=JANE).latest("pk")
        self.other_chat = Chat.unscoped.filter(workspace=self.workspace).earliest("pk").conversation_id
        self.hidden_file = Attachment.unscoped.filter(ticket=ticket, is_internal=True).earliest("pk")

    def _asked(self, now: dt.datetime) -> tuple[Ticket, str]:
        fields = dict.fromkeys([FieldFactory(workspace=self.workspace).key], "internal answer")
        made = make_request(self.workspace, requester_email=JANE, uploads=[a_file("mine.txt")], now=now)
        company = OrganizationFactory(workspace=self.workspace)
        Contact.unscoped.filter(pk=made[0].requester_id).update(organization=company, name="Stored Name")
        ticket = editing.update_ticket(
            ticket=made[0],
            changes={
                "priority": "urgent",
                "category_id": CategoryFactory(workspace=self.workspace).pk,
                "custom_fields": fields,
            },
            actor=base.agent(self.nameless),
            now=now,
        )
        Ticket.unscoped.filter(pk=ticket.pk).update(
            team=TeamFactory(workspace=self.workspace), external_id="imported-from-elsewhere"
        )
        return ticket, made[1]

    def _file(self, ticket: Ticket, by: Any, now: dt.datetime, name: str = "answer.txt") -> Any:
        upload = a_file(name, f"what {name} says".encode())
        return files.attach(ticket=ticket, upload=upload, uploaded_by=by.user, actor=base.agent(by), now=now).pk

    def _set_aside(self, ticket: Ticket, light: Any, now: dt.datetime) -> None:
        """Notes, their files, a file that waits for its message, and a message that was taken back."""
        make_reply(
            ticket,
            light,
            now=now,
            body="Among us",
            internal=True,
            attachment_ids=[self._file(ticket, light, now, "note.txt")],
        )
        self._file(ticket, light, now, "waiting.txt")
        slip = make_reply(ticket, self.named, now=now, body="A slip")
        conversation.delete_comment(comment=slip, editor=self.named, now=now)
        Watcher.unscoped.get_or_create(workspace=self.workspace, ticket=ticket, user=light.user)

    def _dress(self, now: dt.datetime) -> None:
        """The portal has its own looks, and Jane asked for a link that signs her in."""
        own = PortalSettings.unscoped.get(workspace=self.workspace)
        own.accent, own.welcome_title, own.welcome_text = "#0f766e", "Welcome", "How can we help?"
        own.logo_type, own.requests_per_hour = "image/gif", 10_000
        own.logo.save("logo", ContentFile(base64.b64decode(PICTURE)))
        visits.send_links(workspace_id=self.workspace.pk, address=JANE, now=now)
        link = SignInLink.unscoped.get(contact__email=JANE)
        self.sign_in_token, self.visit = (
            visits.token_of(link),
            {visits.cookie_name(self.workspace.pk): visits.cookie_of(link)},
        )

    def shown_of(self, row: Any) -> set[str]:
        """The columns of a row that Jane may see, on her page, in her mail, or anywhere on the portal."""
        shown = PUBLIC.get(row._meta.label, set()) if self._shows(row) else set()
        if isinstance(row, Mailbox) and shown:  # what its mail is sent with stays as it is
            shown = shown | {column.name for column in row._meta.fields if column.name.startswith("smtp_")}
        if isinstance(row, Comment) and row.author_user_id == self.nameless.user_id:
            return shown - {"author_name"}  # their address
        return shown

    def _shows(self, row: Any) -> bool:
        mine = {self.ticket.pk, self.handed.ticket.pk}
        label, is_ours = row._meta.label, getattr(row, "workspace_id", None) == self.workspace.pk
        match row:
            case Ticket() | Workspace():
                return row.pk in mine | {self.workspace.pk}
            case Comment():
                return row.ticket_id in mine and not row.is_internal and row.deleted_at is None
            case Attachment():
                said = row.comment is None or (not row.comment.is_internal and row.comment.deleted_at is None)
                return row.ticket_id in mine and said and not row.is_internal
            case Satisfaction() | Chat():
                return row.ticket_id in mine
            case Contact():
                return is_ours and row.email in (JANE, BOSS, THIRD, CHAT["customer_email"])
            case User():
                return row.pk == self.named.user_id
            case Mailbox():
                return row.pk == self.mailbox.pk
            case Article():
                return is_ours and row.status == "published"
            case ArticleCategory():
                return is_ours and row.articles.filter(status="published").exists()
        return is_ours and label in {"portal.PortalSettings", "portal.SignInLink"}


def page(name: str, /, *args: str, cookie: str = "$token", method: str = "get", **data: Any) -> Callable[[World], Any]:
    """Ask for a page as a browser with this cookie, or the visitor's (`visit`). `$name` is something of the world."""

    def ask(world: World) -> Any:
        client = Client()
        jar = world.visit if cookie == "visit" else {"request_token": _of(world, cookie)} if cookie else {}
        for key, value in jar.items():
            client.cookies[key] = value
        address = reverse(name, args=[_of(world, one) for one in args])
        return getattr(client, method)(address, {key: _of(world, value) for key, value in data.items()})

    ask.is_visitor = cookie == "visit" or "$sign_in_token" in data.values()  # type: ignore[attr-defined]
    return ask


def call(name: str, /, *args: str, method: str = "post", key: str = "", **data: Any) -> Callable[[World], Any]:
    """Ask an endpoint with a JSON body, or with a query for GET; `key` goes into `Authorization`."""

    def ask(world: World) -> Any:
        address = reverse(name, args=[_of(world, one) for one in args])
        body = {field: _of(world, value) for field, value in data.items()}
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        if method == "get":
            return Client().get(address, body, headers=headers)
        return Client().post(address, json.dumps(body), content_type="application/json", headers=headers)

    ask.is_visitor = data.get("access_token") == "$proven_token"  # type: ignore[attr-defined]
    return ask


def _of(world: World, value: Any) -> Any:
    """`$name` stands for something of the world; of rows it is the id."""
    if callable(value):
        return value()
    if not (isinstance(value, str) and value.startswith("$")):
        return value
    found: Any = getattr(world, value[1:])
    return str(found.pk) if isinstance(found, models.Model) else found


UNKNOWN = str(uuid4())
WRONG = "x" * 43
REQUEST = {"subject": "Hello", "description": "It *broke*.", "requester_email": JANE, "requester_name": "Jane"}
FORM = {"subject": "Hello", "description": "It *broke*.", "email": JANE, "name": "Jane"}

# What is asked of each public address: at least once so that it does what it is for, and once so that it refuses.
CASES: dict[str, list[Callable[[World], Any]]] = {
    "portal:home": [
        page("portal:home", "acme"),
        page("portal:home", "acme", cookie="visit"),
        page("portal:home", "nobody"),
    ],
    "portal:submit": [
        page("portal:submit", "acme"),
        page("portal:submit", "nobody"),
        page("portal:submit", "acme", method="post", **FORM),
        page("portal:submit", "acme", method="post", **FORM | {"description": "", "email": "x"}),
        page("portal:submit", "acme", method="post", **FORM, website="x"),
        page("portal:submit", "acme", method="post", **FORM, files=lambda: a_file("empty.txt", b"")),
    ],
    "portal:language": [
        page("portal:language", "acme", method="post", language="de", next="/portal/acme"),
        page("portal:language", "acme", method="post", language="xx"),
        page("portal:language", "nobody", method="post", language="de"),
    ],
    "portal:brand": [page("portal:brand", "acme"), page("portal:brand", "nobody")],
    "portal:logo": [page("portal:logo", "acme"), page("portal:logo", "nobody")],
    "portal:widget": [page("portal:widget", "acme"), page("portal:widget", "nobody")],
    "portal:article": [
        page("portal:article", "acme", "reset-your-password"),
        page("portal:article", "acme", "there-is-none"),
        page("portal:article", "acme", "$draft"),
    ],
    "portal:category": [
        page("portal:category", "acme", "passwords"),
        page("portal:category", "acme", "$hidden_category"),
        page("portal:category", "acme", "there-is-none"),
    ],
    "portal:search": [
        page("portal:search", "acme", q="password"),
        page("portal:search", "acme", q="pasword nothing at all"),
        page("portal:search", "acme", q="$draft_title"),
        page("portal:search", "acme"),
        page("portal:search", "nobody", q="password"),
    ],
    "portal:suggestions": [
        page("portal:suggestions", "acme", q="reset password", cookie=""),
        page("portal:suggestions", "acme", q="Cannot log in", cookie="visit"),
        page("portal:suggestions", "nobody", q="reset password"),
    ],
    "portal:article-feedback": [
        page("portal:article-feedback", "acme", "reset-your-password", method="post", helpful="no", comment="Old"),
        page("portal:article-feedback", "acme", "reset-your-password", method="post", helpful="perhaps"),
        page("portal:article-feedback", "acme", "$draft", method="post", helpful="yes"),
    ],
    "portal:article-view": [
        page("portal:article-view", "acme", "reset-your-password", method="post"),
        page("portal:article-view", "acme", "$draft", method="post"),
        page("portal:article-view", "nobody", "reset-your-password", method="post"),
    ],
    "portal:requests": [
        page("portal:requests", "acme", cookie=""),
        page("portal:requests", "acme", cookie="visit"),
        page("portal:requests", "acme", cookie="visit", show="open", page="9"),
        page("portal:requests", "acme", cookie="", method="post", email=JANE),
        page("portal:requests", "acme", cookie="", method="post", email="nobody@customers.example"),
        page("portal:requests", "acme", cookie="", method="post", email="x"),
        page("portal:requests", "nobody", cookie="visit"),
    ],
    "portal:sign-in": [
        page("portal:sign-in", "acme", cookie="", token="$sign_in_token"),
        page("portal:sign-in", "acme", cookie="", token=WRONG),
        page("portal:sign-in", "nobody", cookie="", token="$sign_in_token"),
    ],
    "portal:sign-out": [
        page("portal:sign-out", "acme", cookie="visit", method="post"),
        page("portal:sign-out", "acme", cookie="visit"),
    ],
    "portal:ticket": [
        page("portal:ticket", "$ticket"),
        page("portal:ticket", "$ticket", cookie="", token="$token"),
        page("portal:ticket", "$ticket", cookie="", token="$token", rating="5"),
        page("portal:ticket", "$ticket", cookie=WRONG),
        page("portal:ticket", "$beside"),
        page("portal:ticket", "$beside", cookie="visit"),
        page("portal:ticket", "$not_hers", cookie="visit"),
        page("portal:ticket", UNKNOWN),
        page("portal:ticket", "$ticket", method="post", body="Once more"),
        page("portal:ticket", "$ticket", method="post", body="Once more", files=lambda: a_file("again.txt")),
        page("portal:ticket", "$ticket", method="post", body=""),
        page("portal:ticket", "$chat", cookie="$chat_token"),
    ],
    "portal:close": [
        page("portal:close", "$chat", cookie="$chat_token", method="post"),
        page("portal:close", "$ticket", method="post"),
        page("portal:close", "$ticket", cookie=WRONG, method="post"),
    ],
    "portal:reopen": [
        page("portal:reopen", "$ticket", method="post", body="It is back", reason="It is back"),
        page("portal:reopen", "$ticket", method="post"),
        page("portal:reopen", "$chat", cookie="$chat_token", method="post"),
        page("portal:reopen", "$ticket", cookie=WRONG, method="post"),
    ],
    "portal:rate": [
        page("portal:rate", "$ticket", method="post", rating="2", feedback="Slow"),
        page("portal:rate", "$ticket", method="post", rating="9"),
        page("portal:rate", "$chat", cookie="$chat_token", method="post", rating="5"),
        page("portal:rate", "$ticket", cookie=WRONG, method="post", rating="2"),
    ],
    "portal:file": [
        page("portal:file", "$ticket", "$file"),
        page("portal:file", "$ticket", "$hidden_file"),
        page("portal:file", "$ticket", "$other_file"),
        page("portal:file", "$ticket", "$file", cookie=WRONG),
    ],
    "portal:public-attachment": [
        call("portal:public-attachment", "$ticket", "$file", method="get", access_token="$token"),
        call("portal:public-attachment", "$ticket", "$hidden_file", method="get", access_token="$token"),
        call("portal:public-attachment", "$ticket", "$other_file", method="get", access_token="$token"),
        call("portal:public-attachment", "$ticket", "$file", method="get", access_token=WRONG),
    ],
    "portal:public-challenge": [
        call("portal:public-challenge", method="get", workspace_id="$workspace"),
        call("portal:public-challenge", method="get", workspace_id=UNKNOWN),
        call("portal:public-challenge", method="get", workspace_id="x"),
    ],
    "portal:public-lookup": [
        call("portal:public-lookup", method="get", email=JANE, workspace_id="$workspace"),
        call("portal:public-lookup", method="get", email="nobody@customers.example"),
        call("portal:public-lookup", method="get", email=JANE, access_token="$token"),
        call("portal:public-lookup", method="get", email=JANE, access_token="$proven_token"),
        call("portal:public-lookup", method="get", email=BOSS, access_token="$token"),
        call("portal:public-lookup", method="get", email="x"),
        call("portal:public-lookup", method="get", email=JANE, workspace_id="x"),
    ],
    "portal:public-tickets": [
        call("portal:public-tickets", workspace_id="$workspace", **REQUEST),
        call("portal:public-tickets", workspace_id="$workspace", **REQUEST | {"requester_email": "x"}),
        call("portal:public-tickets", workspace_id=UNKNOWN, **REQUEST),
    ],
    "portal:public-ticket": [
        call("portal:public-ticket", "$ticket", method="get", access_token="$token"),
        call("portal:public-ticket", "$chat", method="get", access_token="$chat_token"),
        call("portal:public-ticket", "$ticket", method="get", access_token=WRONG),
        call("portal:public-ticket", "$beside", method="get", access_token="$token"),
    ],
    "portal:public-reply": [
        call("portal:public-reply", "$ticket", access_token="$token", body="Once more"),
        call("portal:public-reply", "$ticket", access_token="$token", body=""),
        call("portal:public-reply", "$ticket", access_token=WRONG, body="Once more"),
    ],
    "portal:public-satisfaction": [
        call("portal:public-satisfaction", "$ticket", access_token="$token", rating=1),
        call("portal:public-satisfaction", "$ticket", access_token="$token", rating=0),
        call("portal:public-satisfaction", "$chat", access_token="$chat_token", rating=1),
        call("portal:public-satisfaction", "$ticket", access_token=WRONG, rating=1),
    ],
    "portal:public-from-chat": [
        call("portal:public-from-chat", workspace_id="$workspace", **CHAT),
        call("portal:public-from-chat", workspace_id="$workspace", **CHAT | {"conversation_id": "another"}),
        call("portal:public-from-chat", workspace_id="$workspace", **CHAT | {"conversation_id": ""}),
        call("portal:public-from-chat", workspace_id="$workspace", key="hdc_wrong", **CHAT),
        call("portal:public-from-chat", workspace_id="$workspace", **CHAT | {"conversation_id": "$other_chat"}),
    ],
    "portal:public-escalate": [
        call("portal:public-escalate", workspace_id="$workspace", reason="angry", **CHAT),
        call("portal:public-escalate", workspace_id="$workspace", reason="", **CHAT),
        call(
            "portal:public-escalate", workspace_id="$workspace", reason="x", **CHAT | {"conversation_id": "$other_chat"}
        ),
    ],
}


@pytest.fixture(scope="module")
def made(module_transaction: Any) -> World:
    with module_transaction():
        return World()


@pytest.fixture
def world(made: World, db: None) -> Iterator[World]:
    with unlimited():
        yield made


def public_names() -> list[str]:
    """The names of all public addresses."""
    return sorted(name for name, route in _routes() if route.startswith(("portal/", "api/public/")))


def _routes(patterns: Any = None, route: str = "", space: str = "") -> Iterator[tuple[str, str]]:
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        here = route + str(pattern.pattern)
        if hasattr(pattern, "url_patterns"):
            yield from _routes(
                pattern.url_patterns, here, f"{space}{pattern.namespace}:" if pattern.namespace else space
            )
        elif pattern.name:
            yield f"{space}{pattern.name}", here


class Words(HTMLParser):
    """What a page says to people: its texts, and the attributes that are read out."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self._silent = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep what is read out."""
        self._silent = tag if tag in ("script", "style") else ""
        self.said += [value or "" for name, value in attrs if name in ("title", "alt", "placeholder", "aria-label")]

    def handle_data(self, data: str) -> None:
        """Keep what is shown."""
        if not self._silent:
            self.said.append(data)


def agents_words_in(text: str) -> list[str]:
    """The words of agents that a page or a mail in HTML, or a text, has."""
    words = Words()
    words.feed(text)
    return sorted({word.lower() for word in AGENTS_WORDS.findall(" ".join(words.said))})


def followed(world: World, answer: Any) -> list[Any]:
    """The answer, and the page that it leads to with the cookies that it gives."""
    if answer.status_code != 302:
        return [answer]
    client = Client()
    client.cookies["request_token"] = world.token
    for name, morsel in answer.cookies.items():
        client.cookies[name] = morsel.value
    return [answer, client.get(answer["Location"])]


def check(world: World, answer: Any, what: str, *, is_visitor: bool = False) -> None:
    """Nothing in the answer is for agents only. A visitor who signed in sees all requests of theirs."""
    asked = getattr(answer, "request", {})
    address = f"{asked.get('PATH_INFO', '')}?{asked.get('QUERY_STRING', '')}"  # a page may say what it was asked for
    known = {world.beside.pk} if is_visitor else ()
    assert world.marks.found_in(everything_in(answer), known=known, asked=address) == set(), what
    if "html" in answer.get("Content-Type", ""):
        assert agents_words_in(answer.content.decode()) == [], what


class TestTheMarks:
    """The search finds what there is to find."""

    def test_are_in_everything_that_can_hold_one(self, world: World) -> None:
        assert sorted(world.marks.refused) == []  # what cannot hold a mark is named in KEPT, with the reason
        labels = {
            f"{model._meta.label}.{column.name}" for model in every_model() for column in model._meta.concrete_fields
        }
        assert set(KEPT) <= labels
        assert {f"{label}.{name}" for label, names in PUBLIC.items() for name in names} <= labels

    @pytest.mark.parametrize(
        "place", ["accounts.User.email", "tickets.Comment.body", "tickets.Tag.name", "mail.Incoming.trace"]
    )
    def test_are_found_however_they_are_written(self, world: World, place: str) -> None:
        mark = next(mark for mark, where in world.marks.words.items() if where == place)
        for spelling, said in spellings_of(mark).items():
            answer = HttpResponse(b"<p>before " + said + b" after</p>" if spelling != "gzip" else said)
            assert world.marks.found_in(everything_in(answer) if spelling != "gzip" else said) == {place}, spelling

    def test_are_found_in_headers_and_cookies(self, world: World) -> None:
        mark = next(mark for mark, where in world.marks.words.items() if where == "accounts.Team.name")
        answer = HttpResponse("x", headers={"X-Team": mark})
        assert world.marks.found_in(everything_in(answer)) == {"accounts.Team.name"}
        answer = HttpResponse("x")
        answer.set_cookie("team", mark)
        assert world.marks.found_in(everything_in(answer)) == {"accounts.Team.name"}

    def test_are_ids_too_with_and_without_their_dashes(self, world: World) -> None:
        for one in (str(world.named.user_id), world.named.user_id.hex, f"ticket-{world.named.pk}.png"):
            assert world.marks.found_in(f"a {one} b")
        assert not world.marks.found_in(f"{world.ticket.pk} {world.file.pk} {world.workspace.pk}")

    def test_fail_a_page_that_shows_one(self, world: World) -> None:
        with pytest.raises(AssertionError):
            check(world, HttpResponse(world.nameless.user_id), "an id")
        with pytest.raises(AssertionError):
            check(world, HttpResponse("<p>Your <b>SLA</b> was breached</p>"), "a word")

    def test_are_seen_by_agents(self, world: World) -> None:
        """What customers must not see is there to be seen: the console shows plenty of it."""
        console = Client()
        console.force_login(world.named.user)
        page = console.get(reverse("tickets:ticket", args=[world.ticket.pk]))
        found = world.marks.found_in(everything_in(page))
        expected = {"tickets.Tag.name", "tickets.Comment.body_html", "accounts.Team.name", "accounts.User.name"}
        assert page.status_code == 200 and expected <= found


def test_every_public_address_has_its_cases() -> None:
    assert public_names() == sorted(CASES)


@pytest.mark.parametrize("name", CASES)
class TestEveryPublicAddress:
    def test_gives_nothing_away(self, name: str, world: World) -> None:
        codes = set()
        for number, ask in enumerate(CASES[name]):
            with transaction.atomic():
                answer = ask(world)
                codes.add(answer.status_code // 100)
                for one in followed(world, answer):
                    what = f"{name}, case {number}: {one.status_code}"
                    check(world, one, what, is_visitor=getattr(ask, "is_visitor", False))
                transaction.set_rollback(True)
        assert 4 in codes and codes & {2, 3} and 5 not in codes, codes

    def test_gives_nothing_away_whatever_method_it_is_asked_with(self, name: str, world: World) -> None:
        args = {"ticket_id": world.ticket.pk, "file_id": world.file.pk, "article_slug": "reset-your-password"} | {
            "category_slug": "passwords"
        }
        (route,) = {route for known, route in _routes() if known == name}
        address = "/" + re.sub(r"<\w+:(\w+)>", lambda part: str(args.get(part[1], "acme")), route)
        for method in EVERY_METHOD:
            client = Client(enforce_csrf_checks=True)
            client.cookies["request_token"] = world.token
            with transaction.atomic():
                answer = client.generic(method, address)
                check(world, answer, f"{method} {address}")
                transaction.set_rollback(True)


class TestMailToCustomers:
    def test_gives_nothing_away(self, world: World) -> None:
        before = set(Outgoing.unscoped.values_list("pk", flat=True))
        now = timezone.now()
        asked, _ = make_request(world.workspace, requester_email=JANE)
        conversation.customer_reply(
            ticket=world.ticket, contact=world.ticket.requester, body="Not yet", channel="portal", now=now
        )
        by = world.named
        make_reply(world.ticket, by, now=now, body="A last word")
        make_reply(world.ticket, world.nameless, now=now, body="And another")
        make_reply(world.ticket, by, now=now, body="Among us again", internal=True)
        later = now + dt.timedelta(minutes=1)
        finish(Ticket.unscoped.get(pk=world.ticket.pk), "resolved", now=later, by=by)
        kinds = set()
        rows = Outgoing.unscoped.exclude(pk__in=before).filter(ticket__in=[world.ticket.pk, asked.pk])
        for row in rows.exclude(kind="notice"):
            out.outbox.clear()
            sending.send(outgoing_id=row.pk, now=now + dt.timedelta(hours=1))
            for letter in out.outbox:
                kinds.add(row.kind)
                message: Any = letter.message()
                assert world.marks.found_in(message.as_bytes()) == set(), row.kind
                for part in message.walk():
                    content = part.get_payload(decode=True) or b""
                    assert world.marks.found_in(content) == set(), (row.kind, part.get_content_type())
                    if part.get_content_maintype() == "text":
                        assert agents_words_in(content.decode()) == [], (row.kind, part.get_content_type())
        assert {"acknowledgement", "reply", "resolution"} <= kinds
