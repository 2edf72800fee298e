"""Who may go through which door: every address of the product, as data.

A row is an address, a method and the lowest role that may use it. Each row is tried by every role,
by somebody who is signed out, and by the owner of another workspace. A new address without a row
fails the first test.
"""

import re
from copy import copy
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from helpdesk.accounts import services as accounts
from helpdesk.accounts import tokens
from helpdesk.accounts.models import Invitation, Membership, Team
from helpdesk.accounts.tests.factories import TeamFactory, WorkspaceFactory
from portal.models import Article, ArticleCategory
from portal.services import portals
from portal.tests.article_rows import make_article, make_category
from portal.tests.pictures import png
from tickets.models import (
    Activity,
    Attachment,
    CannedResponse,
    Category,
    ChatSettings,
    Comment,
    Field,
    Ticket,
    View,
)
from tickets.services import base, editing, setup
from tickets.tests.factories import (
    NOW,
    CannedResponseFactory,
    CategoryFactory,
    FieldFactory,
    make_agent,
    make_reply,
    make_ticket,
)

pytestmark = pytest.mark.django_db

# The app beside this one is known by name only (see the import contracts).
DryRun, Macro, Recurring, Rule = (
    apps.get_model("automation", name) for name in ("DryRun", "Macro", "RecurringTicket", "Rule")
)
BusinessHours, WorkingHours, Policy, Job = (
    apps.get_model("slas", name) for name in ("BusinessHours", "WorkingHours", "SLAPolicy", "Job")
)
Mailbox, Incoming, BlockedSender, NoticePreference = (
    apps.get_model("mail", name) for name in ("Mailbox", "Incoming", "BlockedSender", "NoticePreference")
)
PrivacyRequest = apps.get_model("portal", "PrivacyRequest")
Endpoint, Delivery = (apps.get_model("webhooks", name) for name in ("Endpoint", "Delivery"))
MailSettings, Outgoing, ParsingRule, Undeliverable = (
    apps.get_model("mail", name) for name in ("MailSettings", "Outgoing", "ParsingRule", "Undeliverable")
)
CHANGEABLE: tuple[Any, ...] = (
    Activity,
    Article,
    ArticleCategory,
    Attachment,
    BlockedSender,
    BusinessHours,
    CannedResponse,
    Category,
    ChatSettings,
    Comment,
    Delivery,
    DryRun,
    Endpoint,
    Field,
    Invitation,
    Incoming,
    Job,
    Macro,
    MailSettings,
    Mailbox,
    Membership,
    NoticePreference,
    Outgoing,
    ParsingRule,
    Policy,
    PrivacyRequest,
    Recurring,
    Rule,
    Team,
    Ticket,
    Undeliverable,
    View,
    WorkingHours,
)
ROLES = ["light", "agent", "admin", "owner"]
ANYBODY = "anybody"  # signed in or not
SIGNED_IN = "light"  # every member


@dataclass(frozen=True)
class Row:
    """One door. `thing` names the object that the address is about; it is unknown to strangers."""

    method: str
    name: str
    lowest: str
    thing: str = ""
    body: dict[str, Any] = field(default_factory=dict)
    extra: tuple[str, ...] = ()

    @property
    def is_api(self) -> bool:
        """Whether the address answers JSON to a bearer token."""
        return self.name.startswith(
            ("api:", "tickets_api:", "slas:api-", "automation:api-", "webhooks:api-", "analytics:api-", "portal:public")
        )

    def __str__(self) -> str:
        return f"{self.method} {self.name}"


def rows(methods: str, name: str, lowest: str, thing: str = "", /, *extra: str, **body: Any) -> list[Row]:
    return [Row(method, name, lowest, thing, body, extra) for method in methods.split()]


PICTURE = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"  # one dot
MAIL = (
    "From: Jane <jane@customers.example>\r\nTo: help@acme.example\r\nSubject: Hello\r\n"
    'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
    "--b\r\nContent-Type: text/plain\r\n\r\nHello\r\n"
    '--b\r\nContent-Type: image/gif; name="dot.gif"\r\nContent-Transfer-Encoding: base64\r\n'
    f"Content-ID: <dot>\r\n\r\n{PICTURE}\r\n--b--\r\n"
).encode()

RECURRING: dict[str, Any] = {
    "name": "x",
    "schedule": {"every": "day", "at": "09:00", "timezone": "UTC", "starts_on": "2026-01-01", "ends_on": None},
    "subject": "x",
    "description": "x",
    "requester_email": "x@example.com",
}

PAGES = [
    *rows("GET", "front-door", ANYBODY),
    *rows("GET", "healthz", ANYBODY),
    *rows("GET", "readyz", ANYBODY),
    # The demo's mail: 404 everywhere else
    *rows("GET", "dev-mail", ANYBODY),
    *rows("GET", "dev-mail-letter", ANYBODY, "", "none.eml"),
    *rows("GET", "dev-mail-html", ANYBODY, "", "none.eml"),
    *rows("GET", "dev-mail-raw", ANYBODY, "", "none.eml"),
    # Accounts
    *rows("GET", "accounts:admin", ANYBODY),
    *rows("GET POST", "accounts:sign-in", ANYBODY),
    *rows("POST", "accounts:sign-out", ANYBODY),
    *rows("GET", "accounts:signed-out", ANYBODY),
    *rows("GET POST", "accounts:password-reset", ANYBODY),
    *rows("GET", "accounts:password-reset-sent", ANYBODY),
    *rows("GET", "accounts:password-reset-complete", ANYBODY),
    *rows("GET POST", "accounts:password-reset-confirm", ANYBODY, "", "uid", "nonsense"),
    *rows("GET", "accounts:invitation", ANYBODY, "", "nonsense"),
    *rows("GET POST", "accounts:invitation-accept", ANYBODY),
    *rows("GET POST", "accounts:profile", SIGNED_IN),
    *rows("POST", "accounts:password-change", SIGNED_IN),
    *rows("POST", "accounts:api-key-create", SIGNED_IN),
    *rows("POST", "accounts:api-key-revoke", SIGNED_IN, "own_key"),
    *rows("POST", "accounts:workspace-switch", SIGNED_IN),
    *rows("POST", "accounts:availability", "agent", is_available="0"),
    *rows("GET", "accounts:members", "admin"),
    *rows("POST", "accounts:member-invite", "admin"),
    *rows("POST", "accounts:member-role", "admin", "member", role="light"),
    *rows("POST", "accounts:member-availability", "admin", "member", is_available="0", capacity="5"),
    *rows("POST", "accounts:member-deactivate", "admin", "member"),
    *rows("POST", "accounts:member-reactivate", "admin", "member"),
    *rows("POST", "accounts:invitation-revoke", "admin", "invitation"),
    *rows("GET POST", "accounts:workspace", "admin"),
    *rows("GET POST", "accounts:teams", "admin"),
    *rows("GET POST", "accounts:team", "admin", "team"),
    *rows("POST", "accounts:team-delete", "admin", "team"),
    # Console
    *rows("GET", "tickets:all", ANYBODY),  # leads to the queue, which asks
    *rows("GET", "tickets:queue", SIGNED_IN, "", "all"),
    *rows("POST", "tickets:view-save", SIGNED_IN, "", "all", name="Mine"),
    *rows("POST", "tickets:view-delete", SIGNED_IN, "own_view"),
    *rows("GET", "tickets:trash", "admin"),
    *rows("POST", "tickets:restore", "admin", "trashed"),
    *rows("GET POST", "tickets:new", "agent"),
    *rows("GET", "tickets:similar", "agent"),
    *rows("GET", "tickets:attachment", SIGNED_IN, "attachment"),
    *rows("POST", "tickets:preview", SIGNED_IN, body="**x**"),
    *rows("GET POST", "tickets:comment-edit", SIGNED_IN, "own_comment", body="x"),
    *rows("POST", "tickets:comment-delete", SIGNED_IN, "own_comment"),
    *rows("GET POST", "tickets:comment-split", "agent", "comment", subject="x"),
    *rows("GET", "tickets:ticket", SIGNED_IN, "ticket"),
    *rows("POST", "tickets:reply", SIGNED_IN, "ticket", body="x", internal="1"),
    *rows("POST", "tickets:assign", "agent", "ticket"),
    *rows("POST", "tickets:unassign", "agent", "ticket"),
    *rows("POST", "tickets:assign-to-me", "agent", "ticket"),
    *rows("POST", "tickets:status", "agent", "ticket", to="pending"),
    *rows("POST", "tickets:update", "agent", "ticket", priority="low"),
    *rows("POST", "tickets:merge", "agent", "ticket"),
    *rows("POST", "tickets:unmerge", "agent", "ticket"),
    *rows("POST", "tickets:link", "agent", "ticket"),
    *rows("POST", "tickets:cc-add", "agent", "ticket", address="cc@customers.example"),
    *rows("POST", "tickets:watch", SIGNED_IN, "ticket"),
    *rows("POST", "tickets:ticket-trash", "agent", "ticket"),
    *rows("GET", "tickets:canned-search", "agent"),
    *rows("POST", "tickets:canned-use", "agent", "canned"),
    *rows("GET", "tickets:settings-categories", "admin"),
    *rows("GET POST", "tickets:category-new", "admin"),
    *rows("GET POST", "tickets:category-edit", "admin", "category"),
    *rows("POST", "tickets:category-delete", "admin", "category"),
    *rows("GET", "tickets:settings-fields", "admin"),
    *rows("GET POST", "tickets:field-new", "admin"),
    *rows("GET POST", "tickets:field-edit", "admin", "field"),
    *rows("POST", "tickets:field-delete", "admin", "field"),
    *rows("GET POST", "tickets:settings-chatbot", "admin", requires_key="0"),
    *rows("POST", "tickets:chatbot-key", "admin"),
    *rows("GET", "tickets:settings-canned-responses", SIGNED_IN),
    *rows("GET POST", "tickets:canned-response-new", "agent"),
    *rows("GET POST", "tickets:canned-response-edit", "admin", "canned"),
    *rows("POST", "tickets:canned-response-delete", "admin", "canned"),
    # Service levels
    *rows("GET", "slas:policies", "admin"),
    *rows("GET POST", "slas:policy-new", "admin"),
    *rows("GET POST", "slas:policy-edit", "admin", "sla_policy"),
    *rows("POST", "slas:policy-move", "admin", "sla_policy", direction="up"),
    *rows("POST", "slas:policy-delete", "admin", "sla_policy"),
    *rows("POST", "slas:policy-what-if", "admin", "sla_policy"),
    *rows("GET", "slas:business-hours", "admin"),
    *rows("GET POST", "slas:hours-new", "admin"),
    *rows("GET POST", "slas:hours-edit", "admin", "hours"),
    *rows("POST", "slas:hours-preview", "admin"),
    *rows("GET", "slas:hours-regions", "admin"),
    *rows("POST", "slas:hours-delete", "admin", "hours"),
    *rows("POST", "slas:hours-what-if", "admin", "hours"),
    *rows("GET", "slas:job", "admin", "sla_job"),
    *rows("GET", "slas:why", SIGNED_IN, "ticket"),
    # Automation
    *rows("GET", "automation:rules", "admin"),
    *rows("GET POST", "automation:rule-new", "admin"),
    *rows("POST", "automation:order", "admin", rule_ids=["$rule"]),
    *rows("GET POST", "automation:rule-edit", "admin", "rule"),
    *rows("POST", "automation:rule-move", "admin", "rule", direction="up"),
    *rows("POST", "automation:rule-switch", "admin", "rule", is_active="0"),
    *rows("POST", "automation:rule-delete", "admin", "rule"),
    *rows("GET", "automation:rule-log", "admin", "rule"),
    *rows("GET", "automation:why", SIGNED_IN, "ticket"),
    *rows("GET POST", "automation:dry-run", "admin", "rule"),
    *rows("POST", "automation:dry-run-switch-on", "admin", "rule"),
    # Macros
    *rows("GET", "automation:macro-list", "admin"),
    *rows("GET POST", "automation:macro-new", "admin"),
    *rows("GET POST", "automation:macro-edit", "admin", "macro"),
    *rows("POST", "automation:macro-move", "admin", "macro", direction="down"),
    *rows("POST", "automation:macro-delete", "admin", "macro"),
    *rows("GET", "automation:macros", "agent"),
    *rows("POST", "automation:macros-run", "agent", macro="$macro", ticket=["$ticket", "$other_ticket"]),
    *rows("GET", "automation:ticket-macros", "agent", "ticket"),
    *rows("POST", "automation:macro-run", "agent", "ticket", "$macro"),
    # Reports
    *rows("GET", "analytics:reports", ANYBODY),  # leads to the first report, which asks
    *rows("GET", "analytics:csat", SIGNED_IN),
    # Help articles
    *rows("GET", "portal:articles", SIGNED_IN),
    *rows("GET POST", "portal:article-new", "agent"),
    *rows("GET", "portal:article-edit", SIGNED_IN, "article"),
    *rows("POST", "portal:article-edit", "agent", "article", title="x", body="x", version="1"),
    *rows("GET", "portal:article-text", SIGNED_IN, "article"),
    *rows("POST", "portal:article-unpublish", "agent", "article"),
    *rows("POST", "portal:article-delete", "admin", "article"),
    *rows("GET", "portal:articles-for-ticket", SIGNED_IN, "ticket"),
    *rows("POST", "portal:article-from-ticket", "agent", "ticket"),
    *rows("GET", "portal:article-categories", "admin"),
    *rows("GET POST", "portal:article-category-new", "admin", name="x"),
    *rows("GET POST", "portal:article-category-edit", "admin", "article_category", name="x"),
    *rows("POST", "portal:article-category-move", "admin", "article_category", direction="down"),
    *rows("POST", "portal:article-category-order", "admin", category_ids=["$article_category"]),
    *rows("POST", "portal:article-category-delete", "admin", "article_category"),
    *rows("POST", "slas:give-policy", "agent", "ticket", policy_id="$sla_policy"),
    *rows("GET", "automation:recurring", "admin"),
    *rows("GET POST", "automation:recurring-new", "admin"),
    *rows("POST", "automation:recurring-preview", "admin"),
    *rows("GET POST", "automation:recurring-edit", "admin", "recurring"),
    *rows("GET", "automation:recurring-log", "admin", "recurring"),
    *rows("POST", "automation:recurring-switch", "admin", "recurring", to="off"),
    *rows("POST", "automation:recurring-delete", "admin", "recurring"),
    # Mail, as agents see it
    *rows("GET", "mail:original", SIGNED_IN, "incoming"),
    *rows("GET", "mail:original-inline", SIGNED_IN, "incoming", "0"),
    *rows("GET", "mail:original-download", SIGNED_IN, "incoming"),
    *rows("GET", "mail:ticket-original", SIGNED_IN, "ticket"),
    *rows("GET", "mail:comment-original", SIGNED_IN, "comment"),
    *rows("GET", "mail:delivery", SIGNED_IN, "comment"),
    *rows("POST", "mail:resend", "agent", "comment"),
    *rows("POST", "mail:take-back", "agent", "own_comment"),
    *rows("GET POST", "mail:not-a-ticket", "agent", "ticket", block="address"),
    *rows("POST", "mail:unblock", "agent", pattern="@spam.example"),
    *rows("GET POST", "mail:notices", SIGNED_IN),
    *rows("GET", "mail:mentions", SIGNED_IN),
    # Settings of mail
    *rows("GET", "mail:mailboxes", "admin"),
    *rows("GET POST", "mail:mailbox-new", "admin"),
    *rows("GET POST", "mail:mailbox-edit", "admin", "mailbox"),
    *rows("POST", "mail:mailbox-secret", "admin", "mailbox"),
    *rows("POST", "mail:mailbox-default", "admin", "mailbox"),
    *rows("POST", "mail:mailbox-switch", "admin", "mailbox", is_active="0"),
    *rows("POST", "mail:mailbox-delete", "admin", "mailbox"),
    *rows("GET POST", "mail:writing", "admin"),
    *rows("GET", "mail:rules", "admin"),
    *rows("GET POST", "mail:rule-new", "admin"),
    *rows("GET POST", "mail:rule-edit", "admin", "parsing_rule"),
    *rows("POST", "mail:rule-move", "admin", "parsing_rule", direction="down"),
    *rows("POST", "mail:rule-switch", "admin", "parsing_rule", is_active="0"),
    *rows("POST", "mail:rule-delete", "admin", "parsing_rule"),
    *rows("GET POST", "mail:rules-try", "admin"),
    *rows("GET", "mail:trace", "admin"),
    *rows("GET", "mail:incoming", "admin", "incoming"),
    *rows("POST", "mail:incoming-rerun", "admin", "incoming"),
    *rows("POST", "mail:incoming-delete", "admin", "incoming"),
    *rows("GET", "mail:outgoing", "admin"),
    *rows("POST", "mail:outgoing-resend", "admin", "outgoing"),
    *rows("GET POST", "mail:addresses", "admin", pattern="@spam.example"),
    *rows("POST", "mail:sender-unblock", "admin", pattern="@spam.example"),
    *rows("POST", "mail:reachable", "admin", address="dead@customers.example"),
    # Settings of privacy
    *rows("GET", "portal:privacy", "admin"),
    *rows("POST", "portal:privacy-export", "admin", address="jane@customers.example"),
    *rows("POST", "portal:privacy-erase", "admin", address="jane@customers.example"),
    *rows("GET", "portal:privacy-file", "admin", "privacy_request"),
    *rows("POST", "portal:privacy-again", "admin", "privacy_request"),
    # Settings of webhooks
    *rows("GET", "webhooks:endpoints", "admin"),
    *rows("GET POST", "webhooks:new", "admin"),
    *rows("GET POST", "webhooks:endpoint", "admin", "webhook"),
    *rows("POST", "webhooks:switch", "admin", "webhook", is_active="0"),
    *rows("POST", "webhooks:rotate", "admin", "webhook", both_for_hours="0"),
    *rows("POST", "webhooks:test", "admin", "webhook", event="ticket.created"),
    *rows("POST", "webhooks:replay-range", "admin", "webhook"),
    *rows("POST", "webhooks:delete", "admin", "webhook"),
    *rows("GET", "webhooks:deliveries", "admin", "webhook"),
    *rows("GET", "webhooks:delivery", "admin", "webhook", "$hook_delivery"),
    *rows("POST", "webhooks:replay", "admin", "webhook", "$hook_delivery"),
    # Portal
    *rows("GET", "portal:home", ANYBODY, "slug"),
    *rows("GET POST", "portal:submit", ANYBODY, "slug"),
    *rows("GET", "portal:suggestions", ANYBODY, "slug"),
    *rows("POST", "portal:language", ANYBODY, "slug", language="de", next="/portal/acme/new"),
    *rows("GET", "portal:brand", ANYBODY, "slug"),
    *rows("GET", "portal:logo", ANYBODY, "slug"),
    *rows("GET POST", "portal:settings", "admin"),
    *rows("GET", "portal:settings-accent", "admin"),
    *rows("GET POST", "portal:requests", ANYBODY, "slug"),
    *rows("POST", "portal:sign-out", ANYBODY, "slug"),
    # Help articles, for visitors
    *rows("GET", "portal:search", ANYBODY, "slug"),
    *rows("GET", "portal:category", ANYBODY, "slug", "$article_category_slug"),
    *rows("GET", "portal:article", ANYBODY, "slug", "$article_slug"),
    *rows("POST", "portal:article-feedback", ANYBODY, "slug", "$article_slug", helpful="yes"),
    *rows("POST", "portal:article-view", ANYBODY, "slug", "$article_slug"),
    *rows("GET", "portal:widget", ANYBODY, "slug"),
]

API = [
    *rows("POST", "api:token", ANYBODY),
    *rows("POST", "api:refresh", ANYBODY),
    *rows("POST", "api:revoke", ANYBODY),
    *rows("GET", "api:me", SIGNED_IN),
    *rows("GET", "api:users", SIGNED_IN),
    *rows("GET", "api:teams", SIGNED_IN),
    *rows("GET", "api:contacts", SIGNED_IN),
    *rows("GET", "api:schema", ANYBODY),
    *rows("GET", "api:docs", ANYBODY),
    *rows("GET", "tickets_api:tickets", SIGNED_IN),
    *rows("POST", "tickets_api:tickets", "agent"),
    *rows("GET", "tickets_api:trash", "admin"),
    *rows("GET", "tickets_api:feed", SIGNED_IN),
    *rows("GET", "analytics:api-export", SIGNED_IN),
    *rows("GET", "tickets_api:ticket", SIGNED_IN, "ticket"),
    *rows("PUT PATCH DELETE", "tickets_api:ticket", "agent", "ticket"),
    *[
        row
        for action in ("resolve", "close", "reopen", "unassign", "unmerge")
        for row in rows("POST", f"tickets_api:{action}", "agent", "ticket")
    ],
    *rows("POST", "tickets_api:assign", "agent", "ticket", assignee_id="$agent_user"),
    *rows("POST", "tickets_api:merge", "agent", "ticket", target_id="$other_ticket"),
    *rows("POST", "tickets_api:split", "agent", "ticket", comment_id="$comment", subject="x"),
    *rows("GET", "tickets_api:links", SIGNED_IN, "ticket"),
    *rows("POST", "tickets_api:links", "agent", "ticket", other_id="$other_ticket", kind="related"),
    *rows("POST DELETE", "tickets_api:watch", SIGNED_IN, "ticket"),
    *rows("POST", "tickets_api:restore", "admin", "trashed"),
    *rows("GET", "tickets_api:activities", SIGNED_IN, "ticket"),
    *rows("GET POST", "tickets_api:comments", SIGNED_IN, "ticket", body="x", is_internal=True),
    *rows("PUT PATCH", "tickets_api:comment", SIGNED_IN, "own_comment", body="x"),
    *rows("DELETE", "tickets_api:comment", SIGNED_IN, "own_comment"),
    *rows("GET POST", "tickets_api:attachments", SIGNED_IN, "ticket", file="$upload"),
    *rows("GET", "tickets_api:categories", SIGNED_IN),
    *rows("POST", "tickets_api:categories", "admin"),
    *rows("GET", "tickets_api:category", SIGNED_IN, "category"),
    *rows("PUT PATCH DELETE", "tickets_api:category", "admin", "category"),
    *rows("GET", "tickets_api:fields", SIGNED_IN),
    *rows("POST", "tickets_api:fields", "admin"),
    *rows("GET", "tickets_api:field", SIGNED_IN, "field"),
    *rows("PUT PATCH DELETE", "tickets_api:field", "admin", "field"),
    *rows("GET", "tickets_api:canned-responses", SIGNED_IN),
    *rows("POST", "tickets_api:canned-responses", "agent"),
    *rows("GET", "tickets_api:canned-response", SIGNED_IN, "canned"),
    *rows("PUT PATCH DELETE", "tickets_api:canned-response", "admin", "canned"),
    *rows("POST", "tickets_api:canned-response-use", SIGNED_IN, "canned"),
    *rows("GET", "tickets_api:tags", SIGNED_IN),
    *rows("GET", "analytics:api-csat", SIGNED_IN),
    *rows("GET", "analytics:api-distribution", SIGNED_IN),
    *rows("GET", "analytics:api-overview", SIGNED_IN),
    *rows("GET", "slas:api-policies", SIGNED_IN),
    *rows("POST", "slas:api-policies", "admin", name="x", first_response_hours=1, resolution_hours=2),
    *rows("GET", "slas:api-policy", SIGNED_IN, "sla_policy"),
    *rows("PUT PATCH DELETE", "slas:api-policy", "admin", "sla_policy"),
    *rows("POST", "slas:api-policy-what-if", "admin", "sla_policy", changes={}),
    *rows("GET", "slas:api-hours-list", SIGNED_IN),
    *rows("POST", "slas:api-hours-list", "admin", schedule={}),
    *rows("GET", "slas:api-hours", SIGNED_IN, "hours"),
    *rows("PUT PATCH DELETE", "slas:api-hours", "admin", "hours"),
    *rows("POST", "slas:api-hours-what-if", "admin", "hours", changes={}),
    *rows("GET", "slas:api-jobs", "admin"),
    *rows("GET", "slas:api-job", "admin", "sla_job"),
    *rows("GET", "slas:api-ticket-sla", SIGNED_IN, "ticket"),
    *rows("PUT", "slas:api-ticket-sla", "agent", "ticket", policy_id="$sla_policy"),
    *rows("GET", "slas:api-hours-agents", SIGNED_IN, "hours"),
    *rows("PUT", "slas:api-hours-agents", "admin", "hours", user_ids=["$agent_user"]),
    *rows("GET", "automation:api-rules", SIGNED_IN),
    *rows("POST", "automation:api-rules", "admin", name="x", triggers=["created"], actions=[{"do": "escalate"}]),
    *rows("GET", "automation:api-rule", SIGNED_IN, "rule"),
    *rows("PUT PATCH DELETE", "automation:api-rule", "admin", "rule"),
    *rows("PUT", "automation:api-order", "admin", rule_ids=["$rule"]),
    *rows("GET", "automation:api-rule-log", SIGNED_IN, "rule"),
    *rows("GET", "automation:api-dry-runs", SIGNED_IN, "rule"),
    *rows("POST", "automation:api-dry-runs", "admin", "rule"),
    *rows("GET", "automation:api-dry-run", SIGNED_IN, "dry_run"),
    *rows("GET", "automation:api-dry-run-rows", SIGNED_IN, "dry_run"),
    *rows("GET", "automation:api-ticket-log", SIGNED_IN, "ticket"),
    *rows("GET", "automation:api-macros", SIGNED_IN),
    *rows("POST", "automation:api-macros", "admin", name="x", actions=[{"do": "escalate"}]),
    *rows("GET", "automation:api-macro", SIGNED_IN, "macro"),
    *rows("PUT PATCH DELETE", "automation:api-macro", "admin", "macro"),
    *rows("POST", "automation:api-macro-run", "agent", "macro", ticket_ids=["$ticket", "$other_ticket"]),
    *rows("GET", "automation:api-recurring-tickets", SIGNED_IN),
    *rows("POST", "automation:api-recurring-tickets", "admin", **RECURRING),
    *rows("GET", "automation:api-recurring-ticket", SIGNED_IN, "recurring"),
    *rows("PUT PATCH DELETE", "automation:api-recurring-ticket", "admin", "recurring"),
    *rows("GET", "automation:api-recurring-runs", SIGNED_IN, "recurring"),
    *rows("GET", "analytics:api-volume", SIGNED_IN),
    *rows("GET", "analytics:api-peak-hours", SIGNED_IN),
    *rows("GET", "webhooks:api-webhooks", "admin"),
    *rows("POST", "webhooks:api-webhooks", "admin", url="http://93.184.215.14/hook", events=["ticket.created"]),
    *rows("GET", "webhooks:api-events", SIGNED_IN),
    *rows("GET PUT PATCH DELETE", "webhooks:api-webhook", "admin", "webhook"),
    *rows("POST", "webhooks:api-secret", "admin", "webhook"),
    *rows("POST", "webhooks:api-test", "admin", "webhook"),
    *rows(
        "POST", "webhooks:api-replay", "admin", "webhook", **{"from": "2026-01-01T00:00Z", "to": "2026-01-02T00:00Z"}
    ),
    *rows("GET", "webhooks:api-deliveries", "admin", "webhook"),
    *rows("GET", "webhooks:api-delivery", "admin", "webhook", "$hook_delivery"),
    *rows("POST", "webhooks:api-delivery-replay", "admin", "webhook", "$hook_delivery"),
    *rows("GET PUT PATCH", "automation:api-own-availability", SIGNED_IN, is_available=False),
    *rows("PUT PATCH", "automation:api-availability", "admin", "agent_user", is_available=False, capacity=5),
    *rows("GET", "analytics:api-agents", SIGNED_IN),
    *rows("GET", "analytics:api-sla-detailed", SIGNED_IN),
    *rows("POST", "portal:public-tickets", ANYBODY),
    *rows("GET", "portal:public-challenge", ANYBODY),
    *rows("GET", "portal:public-lookup", ANYBODY),
    *rows("POST", "portal:public-from-chat", ANYBODY),
    *rows("POST", "portal:public-escalate", ANYBODY),
]

TABLES = [connection.ops.quote_name(model._meta.db_table) for model in CHANGEABLE]
EVERYTHING = (
    " UNION ALL ".join(f"SELECT {place}, row::text FROM {table} AS row" for place, table in enumerate(TABLES))
    + " ORDER BY 1, 2"
)

# Opened by a secret of their own (a token, a cookie, a signature), which their own tests try.
BY_SECRET = {
    "portal:ticket",
    "portal:rate",
    "portal:close",
    "portal:reopen",
    "portal:sign-in",
    "portal:file",
    "portal:public-ticket",
    "portal:public-attachment",
    "portal:public-reply",
    "portal:public-satisfaction",
    "tickets_api:attachment",
    "mail:api-inbound",
    "mail:provider",
}


class World:
    """A workspace with one of everything, and what each of its members owns."""

    def __init__(self) -> None:
        self.workspace = WorkspaceFactory()
        self.members = {name: make_agent(self.workspace, role=name) for name in ROLES}
        agent = self.members["agent"]
        self.ticket = make_ticket(self.workspace)
        trashed = make_ticket(self.workspace)
        editing.trash(ticket=trashed, actor=base.agent(agent), now=NOW)
        attachment = Attachment(workspace=self.workspace, ticket=self.ticket, name="a.txt", size=1)
        attachment.file = ContentFile(b"x", "a.txt")
        attachment.save()
        portals.change_settings(
            workspace=self.workspace,
            by=self.members["owner"],
            changes={"logo": SimpleUploadedFile("logo.png", png())},
            now=NOW,
        )
        invitation, _ = accounts.invite_member(
            workspace=self.workspace,
            email="new@example.com",
            role="agent",
            invited_by=self.members["owner"],
            now=timezone.now(),
        )
        self.things = {
            "ticket": self.ticket.pk,
            "other_ticket": make_ticket(self.workspace).pk,
            "trashed": trashed.pk,
            "comment": make_reply(self.ticket, agent).pk,
            "attachment": attachment.pk,
            "member": make_agent(self.workspace).pk,
            "agent_user": agent.user_id,
            "invitation": invitation.pk,
            "team": TeamFactory(workspace=self.workspace).pk,
            "category": CategoryFactory(workspace=self.workspace).pk,
            "canned": CannedResponseFactory(workspace=self.workspace).pk,
            "field": FieldFactory(workspace=self.workspace).pk,
            "sla_policy": Policy.unscoped.create(
                workspace=self.workspace,
                name="p",
                first_response_hours=1,
                resolution_hours=2,
                business_hours_only=False,
            ).pk,
            "hours": BusinessHours.unscoped.create(workspace=self.workspace, name="h").pk,
            "sla_job": Job.unscoped.create(workspace=self.workspace, kind="derive").pk,
            "rule": Rule.unscoped.create(
                workspace=self.workspace,
                name="r",
                triggers=["created"],
                conditions={"all": []},
                actions=[{"do": "escalate"}],
            ).pk,
            "macro": Macro.unscoped.create(
                workspace=self.workspace, name="m", actions=[{"do": "set_priority", "priority": "low"}]
            ).pk,
            "recurring": Recurring.unscoped.create(workspace=self.workspace, **RECURRING | {"name": "r"}).pk,
            "slug": self.workspace.slug,
        }
        self.things["dry_run"] = DryRun.unscoped.create(
            workspace=self.workspace,
            rule_id=self.things["rule"],
            asked={"name": "r", "triggers": ["created"], "conditions": {"all": []}, "actions": [{"do": "escalate"}]},
            since=NOW,
            until=timezone.now(),
        ).pk
        mailbox = Mailbox.unscoped.create(workspace=self.workspace, address=f"help@{self.workspace.slug}.example")
        for comment_id, outcome in ((None, "ticket_created"), (self.things["comment"], "comment_added")):
            message = Incoming(
                workspace=self.workspace, mailbox=mailbox, ticket=self.ticket, comment_id=comment_id,
                status="done", outcome=outcome, size=len(MAIL), sha256="0" * 64, way="smtp", received_at=NOW,
            )  # fmt: skip
            message.raw.save("m.eml", ContentFile(MAIL))
            self.things["incoming"] = message.pk
        self.things["mailbox"] = mailbox.pk
        self.things["parsing_rule"] = ParsingRule.unscoped.create(
            workspace=self.workspace, mailbox=mailbox, name="r", position=1, actions=[{"do": "drop"}]
        ).pk
        self.things["outgoing"] = Outgoing.unscoped.create(
            workspace=self.workspace, mailbox=mailbox, ticket=self.ticket,
            comment=make_reply(self.ticket, agent), activity_id=uuid4(), kind="reply",
            recipient="x@customers.example", message_id=uuid4().hex, status="failed", created_at=NOW,
            ended_at=NOW,
        ).pk  # fmt: skip
        asked = PrivacyRequest(
            workspace=self.workspace, kind="export", address="x@customers.example", address_hash="0" * 64,
            status="failed", created_at=NOW, ended_at=NOW, file_until=timezone.now() + timedelta(days=1),
        )  # fmt: skip
        asked.file.save(f"{self.workspace.pk}/{asked.pk.hex}.zip", ContentFile(b"PK"))
        self.things["privacy_request"] = asked.pk
        self.things["webhook"] = Endpoint.unscoped.create(
            workspace=self.workspace, url="http://93.184.215.14/hook", events=["ticket.created"], secret_sealed="",
            secret_changed_at=NOW, active_since=NOW, created_at=NOW, updated_at=NOW,
        ).pk  # fmt: skip
        self.things["hook_delivery"] = Delivery.unscoped.create(
            workspace=self.workspace, endpoint_id=self.things["webhook"], message_id=uuid4(), event="ticket.created",
            body="{}", status="failed", created_at=NOW, ended_at=NOW,
        ).pk  # fmt: skip
        shelf = make_category(self.workspace)
        self.things |= {"article_category": shelf.pk, "article_category_slug": shelf.slug}
        article = make_article(self.workspace, self.members["admin"], category_id=shelf.pk)
        self.things |= {"article": article.pk, "article_slug": article.slug}
        self.own = {role: self._own(member) for role, member in self.members.items()}
        self.belongs_to("agent")

    def anew(self) -> "World":
        """The same for one test: its members as the database has them, and a list of things of its own."""
        mine = copy(self)
        mine.things = dict(self.things)
        members = Membership.unscoped.select_related("user", "workspace").in_bulk([m.pk for m in self.members.values()])
        mine.members = {role: members[member.pk] for role, member in self.members.items()}
        mine.workspace = mine.members["owner"].workspace  # type: ignore[assignment]
        return mine

    def _own(self, me: Membership) -> dict[str, Any]:
        key, _ = tokens.make_api_key(membership=me, name="k", scopes=["read"], expires_at=None, now=timezone.now())
        return {
            "own_comment": make_reply(self.ticket, me, internal=True).pk,
            "own_key": key.pk,
            "own_view": setup.save_view(workspace=self.workspace, owner=me.user, name="v", query="", now=NOW).pk,
        }

    def belongs_to(self, role: str) -> None:
        """Let the things called `own_…` be those of the member with this role."""
        self.things |= self.own[role]

    def filled(self, value: Any) -> Any:
        """`$name` in a row's body stands for a thing of this world."""
        if value == "$upload":
            return SimpleUploadedFile("a.txt", b"words")
        if isinstance(value, list):
            return [self.filled(one) for one in value]
        return str(self.things[value[1:]]) if isinstance(value, str) and value.startswith("$") else value


@pytest.fixture(scope="module")
def made(module_transaction: Any) -> World:
    """The one world of all these tests; each of them takes its own work on it back."""
    with module_transaction():
        return World()


@pytest.fixture
def world(made: World, db: None) -> World:
    return made.anew()


def everything() -> list[Any]:
    """The rows that a request could change, as text: one query for all tables."""
    with connection.cursor() as cursor:
        cursor.execute(EVERYTHING)
        return cursor.fetchall()


def call(row: Row, world: World, member: Any, replace: Any = None, method: str = "") -> tuple[int, bool]:
    """The status of one request, and whether it wrote anything; what it wrote is taken back."""
    thing = replace or world.things.get(row.thing)
    args: list[Any] = [thing] if row.thing else []
    if row.name == "tickets_api:comment":
        args = [world.ticket.pk, thing]
    url = reverse(row.name, args=[*args, *map(world.filled, row.extra)])
    client = Client()
    headers = {}
    body = {name: world.filled(value) for name, value in row.body.items()}
    kwargs: dict[str, Any] = {"data": body}
    if row.is_api:
        if "$upload" not in row.body.values():
            kwargs["content_type"] = "application/json"
        if member:
            headers["Authorization"] = f"Bearer {tokens.issue(membership=member, now=timezone.now()).access}"
    elif member:
        client.force_login(member.user)
    send = getattr(client, (method or row.method).lower())
    if (method or row.method) == "GET":
        kwargs = {}
    with transaction.atomic():
        before = everything()
        response = send(url, headers=headers, **kwargs)
        if response.streaming:
            b"".join(response)  # a file that nobody reads stays open
        wrote = everything() != before
        transaction.set_rollback(True)
    if response.status_code == 302 and "/sign-in" in response["Location"]:
        return 401, wrote
    return response.status_code, wrote


def expected_of(row: Row, role: str) -> bool:
    return row.lowest == ANYBODY or ROLES.index(role) >= ROLES.index(row.lowest)


def all_names(resolver: URLResolver | None = None, prefix: str = "") -> set[str]:
    found: set[str] = set()
    for pattern in (resolver or get_resolver()).url_patterns:
        if isinstance(pattern, URLResolver):
            if pattern.namespace == "admin":
                continue  # has tests of its own, address by address
            inner = f"{prefix}{pattern.namespace}:" if pattern.namespace else prefix
            found |= all_names(pattern, inner)
        elif isinstance(pattern, URLPattern):
            found.add(f"{prefix}{pattern.name}")
    return found


def test_every_address_has_its_row():
    assert all_names() == {row.name for row in PAGES + API} | BY_SECRET


@pytest.mark.parametrize("row", PAGES + API, ids=str)
def test_each_role_gets_in_exactly_where_the_matrix_says(row, world):
    for role in ROLES:
        world.belongs_to(role)
        status, wrote = call(row, world, world.members[role])
        if expected_of(row, role):
            assert status not in (401, 403, 405, 500), f"{role} should get in, and got {status}"
            if row.thing:
                assert status != 404, f"{role} should find it"
        else:
            assert status == 403, f"{role} should be refused, and got {status}"
            assert not wrote


@pytest.mark.parametrize("row", PAGES + API, ids=str)
def test_signed_out_people_get_in_only_where_anybody_does(row, world):
    status, wrote = call(row, world, None)
    if row.lowest == ANYBODY:
        assert status != 500
    else:
        assert status == 401
        assert not wrote


@pytest.mark.parametrize("row", [row for row in PAGES + API if row.thing and row.thing != "slug"], ids=str)
def test_a_thing_of_another_workspace_is_like_one_that_does_not_exist(row, world):
    stranger = make_agent(WorkspaceFactory(), role="owner")
    assert call(row, world, stranger) == (404, False)
    assert call(row, world, world.members["owner"], replace=uuid4()) == (404, False)


@pytest.mark.parametrize("row", [row for row in PAGES + API if row.method != "GET"], ids=str)
def test_reading_an_address_never_changes_anything(row, world):
    world.belongs_to("owner")
    status, wrote = call(row, world, world.members["owner"], method="GET")
    assert status < 500
    assert not wrote


def test_no_page_runs_styles_or_loads_anything_but_our_own_files(world):
    client = Client()
    client.force_login(world.members["owner"].user)
    seen = 0
    for row in PAGES:
        if row.method != "GET":
            continue
        args = [world.things[row.thing]] if row.thing else []
        answer = client.get(reverse(row.name, args=[*args, *map(world.filled, row.extra)]))
        if answer.streaming:
            b"".join(answer)  # a file that nobody reads stays open
        if not answer["Content-Type"].startswith("text/html") or answer.status_code != 200:
            continue
        seen += 1
        policy = answer["Content-Security-Policy"]
        assert "unsafe" not in policy and "*" not in policy and "http" not in policy, row
        assert "default-src 'self'" in policy or "default-src 'none'" in policy, row
        page = answer.content.decode()
        assert not re.findall(r"<[^>]+\s(?:style|on\w+)=|<style|<script(?![^>]*\ssrc=)[^>]*>", page), row
        # A canonical address is named to search engines; nothing is loaded from it.
        loading = r"<(?:script|link(?! rel=\"canonical\" )|img|iframe)[^>]+(?:src|href)=\"(?:https?:)?//"
        assert not re.findall(loading, page), row
    assert seen > 20
