"""Erasing a customer: the row stays as nobody, numbers, times and counts stay, and no word of theirs.

It goes twice through everything. The first time ends what would still be sent; some minutes later the second time
erases what was in somebody's hands at that moment: an answer to a webhook, a ticket that was just being opened.

A batch of tickets is done in several transactions, one after the other, in an order in which nothing that was erased
can be written anew from what was not: first the ticket with its log, then what was made of it.
"""

import datetime as dt
import secrets
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.postgres.fields import ArrayField
from django.db import connection, models, transaction
from django.db.models import Q, TextField
from django.db.models.functions import Cast

from helpdesk.accounts.models import Contact, WorkspaceModel, new_id
from helpdesk.api.models import IdempotencyKey
from portal.models import Article, PrivacyRequest, Satisfaction, SignInLink
from portal.services import articles, privacy_export, privacy_work, reading
from tickets import search
from tickets.automation.services import erasing as automation
from tickets.mail.services import erasing as mail
from tickets.models import Attachment, Comment
from tickets.services import erasing as tickets
from tickets.services.erasing import BATCH, Erasure, Scope
from tickets.traces import TEXT, Traces
from tickets.webhooks.services import erasing as webhooks

# Longer than anything that leaves the helpdesk is leased for.
SETTLES = dt.timedelta(minutes=2, seconds=10)
ROUNDS = 2
OVERTAKEN = "The customer was erased meanwhile."
# What is not about customers: people who work here, and settings that name addresses of the workspace itself.
LEFT_ALONE = frozenset(
    {
        "accounts.Membership",
        "accounts.Invitation",
        "accounts.ApiKey",
        "mail.Mailbox",
        "webhooks.Endpoint",
        "slas.SLATerms",
        "portal.PrivacyRequest",
    }
)


def counts_of(*, workspace_id: UUID, address: str) -> dict[str, int]:
    """How many rows of each kind are about an address."""
    contact: Contact | None = Contact.objects.for_workspace(workspace_id).filter(email=address).first()
    contact_id = contact.pk if contact else None
    scope = tickets.find_scope(workspace_id=workspace_id, contact_id=contact_id, address=address)
    erasure = Erasure(workspace_id, contact_id, Traces(address, ""), new_id())
    ratings = Satisfaction.objects.for_workspace(workspace_id).filter(contact=contact_id) if contact_id else None
    return {
        "customers": 1 if contact else 0,
        **tickets.counts_of(workspace_id=workspace_id, contact_id=contact_id, scope=scope),
        "ratings": ratings.count() if ratings is not None else 0,
        **mail.counts_of(erasure=erasure),
    }


def go_on(request: PrivacyRequest, *, clock: Callable[[], dt.datetime]) -> None:
    """Erase, batch by batch, from where it stands. Raises `privacy_work.Superseded`."""
    if not request.work:
        _begin(request, clock())
    elif request.work["round"] != request.round:
        _begin_again(request, clock())
    erasure, scope = _kept(request)
    left = [pk for pk in scope.all if request.last_ticket_id is None or pk > request.last_ticket_id]
    for start in range(0, len(left), BATCH):
        batch = left[start : start + BATCH]
        _erase_batch(erasure, scope.part(batch), clock())
        privacy_work.renew(request, now=clock(), last_ticket_id=batch[-1], done=request.done + len(batch))
    _erase_the_rest(erasure, request, clock)
    if request.round < ROUNDS:
        privacy_work.pause(request, until=clock() + SETTLES, round=request.round + 1, last_ticket_id=None)
        return
    privacy_work.end(request, now=clock(), address="")


@transaction.atomic
def _begin(request: PrivacyRequest, now: dt.datetime) -> None:
    """Find what it is about, and make the customer nobody: who writes from the address now is somebody new."""
    workspace_id, address = request.workspace_id, request.address
    contacts = Contact.objects.for_workspace(workspace_id).select_for_update()
    contact: Contact | None = contacts.filter(email=address).first()
    contact_id = contact.pk if contact else None
    scope = tickets.find_scope(workspace_id=workspace_id, contact_id=contact_id, address=address)
    stand_in = f"erased-{secrets.token_hex(6)}@erased.invalid"
    names = mail.names_of(erasure=Erasure(workspace_id, contact_id, Traces(address, stand_in), new_id()))
    counts = counts_of(workspace_id=workspace_id, address=address)
    if contact is not None:
        names |= tickets.names_of(workspace_id=workspace_id, contact=contact)
        tickets.erase_contact(contact=contact, stand_in=stand_in)
    work = {
        "contact": str(contact_id) if contact_id else None,
        "stand_in": stand_in,
        "names": sorted(names),
        "until": str(new_id()),
        "own": _texts(scope.own),
        "near": _texts(scope.near),
        "round": 1,
    }
    privacy_work.renew(request, now=now, work=work, counts=counts, total=ROUNDS * len(scope.all))


def _kept(request: PrivacyRequest) -> tuple[Erasure, Scope]:
    work = request.work
    of_text = Traces(request.address, work["stand_in"], tuple(work["names"]))
    contact_id = UUID(work["contact"]) if work["contact"] else None
    erasure = Erasure(request.workspace_id, contact_id, of_text, UUID(work["until"]))
    return erasure, Scope([UUID(pk) for pk in work["own"]], [UUID(pk) for pk in work["near"]])


def _begin_again(request: PrivacyRequest, now: dt.datetime) -> None:
    """The same tickets once more, and those that came to the contact while the first round went."""
    erasure, before = _kept(request)
    own, near = set(before.own), set(before.near)
    if erasure.contact_id is not None:
        found = tickets.find_scope(
            workspace_id=erasure.workspace_id, contact_id=erasure.contact_id, address=erasure.traces.stand_in
        )
        own |= set(found.own)
        near |= set(found.near)
    again = Scope(sorted(own), sorted(near - own))
    work = {**request.work, "own": _texts(again.own), "near": _texts(again.near), "round": request.round}
    privacy_work.renew(request, now=now, work=work, total=request.done + len(again.all))


def _texts(ids: list[UUID]) -> list[str]:
    return [str(pk) for pk in ids]


def _erase_batch(erasure: Erasure, scope: Scope, now: dt.datetime) -> None:
    shown = _shown_in_admin(erasure, scope)
    tickets.erase_tickets(erasure=erasure, scope=scope)
    mail.erase_mail_of_tickets(erasure=erasure, scope=scope, now=now)
    automation.erase_rules_of_tickets(erasure=erasure, scope=scope)
    webhooks.erase_webhooks_of_tickets(erasure=erasure, scope=scope)
    _erase_ratings(erasure, scope)
    _erase_articles(erasure, scope)
    _forget_answers(erasure, scope)
    LogEntry.objects.filter(object_id__in=shown).update(object_repr=TEXT)


def _shown_in_admin(erasure: Erasure, scope: Scope) -> list[str]:
    """The ids of things whose names in the admin's own log may be words of the person."""
    ids = set(scope.own)
    for model in (Comment, Attachment):
        rows = model.objects.for_workspace(erasure.workspace_id)
        ids |= set(rows.filter(ticket__in=scope.own).values_list("pk", flat=True))
    if erasure.contact_id is not None:
        rows = Comment.objects.for_workspace(erasure.workspace_id).filter(ticket__in=scope.near)
        ids |= set(rows.filter(author_contact=erasure.contact_id).values_list("pk", flat=True))
        ids.add(erasure.contact_id)
    return [str(pk) for pk in ids]


def _erase_ratings(erasure: Erasure, scope: Scope) -> None:
    rows = Satisfaction.objects.for_workspace(erasure.workspace_id)
    if erasure.contact_id is not None:
        rows.filter(contact=erasure.contact_id).exclude(feedback="").update(feedback="")
    for rating in rows.filter(ticket__in=scope.all).exclude(feedback=""):
        feedback = erasure.traces.clean(rating.feedback, parts=rating.ticket_id in scope.own)
        rows.filter(pk=rating.pk).exclude(feedback=feedback).update(feedback=feedback)


def _erase_articles(erasure: Erasure, scope: Scope) -> None:
    """Articles that were made of the person's requests: an agent's text, in which they are named."""
    for article in Article.objects.for_workspace(erasure.workspace_id).filter(from_ticket__in=scope.own):
        _write_article(
            article,
            {name: erasure.traces.clean(getattr(article, name), parts=True) for name in ("title", "body", "body_html")},
        )


def _write_article(article: Article, texts: dict[str, str]) -> None:
    changed = {name: text for name, text in texts.items() if getattr(article, name) != text}
    if not changed:
        return
    if "title" in changed:
        changed["title"] = changed["title"][:160]
    Article.objects.for_workspace(article.workspace_id).filter(pk=article.pk).update(**changed)
    articles.index(article=article)


def _forget_answers(erasure: Erasure, scope: Scope) -> None:
    """Answers that are kept for a day, to be given again: those about the person's requests."""
    named = Q(pk__in=[])
    for pk in scope.own:
        named |= Q(text__contains=str(pk))
    rows = IdempotencyKey.objects.for_workspace(erasure.workspace_id).annotate(text=Cast("body", TextField()))
    rows.filter(named).delete()


# --- What no ticket leads to ------------------------------------------------------------------


def _erase_the_rest(erasure: Erasure, request: PrivacyRequest, clock: Callable[[], dt.datetime]) -> None:
    workspace_id, now = erasure.workspace_id, clock()
    if erasure.contact_id is not None:
        SignInLink.objects.for_workspace(workspace_id).filter(contact=erasure.contact_id).delete()
    mail.erase_mail_of_address(erasure=erasure, now=now)
    if request.round == 1:
        mail.erase_originals_that_name(erasure=erasure, alive=lambda: privacy_work.renew(request, now=clock()), now=now)
    automation.erase_from_templates(erasure=erasure, now=now)
    keys = IdempotencyKey.objects.for_workspace(workspace_id).annotate(text=Cast("body", TextField()))
    keys.filter(_written(erasure, ["text", "key"]), pk__lt=erasure.until).delete()
    earlier = PrivacyRequest.objects.for_workspace(workspace_id).filter(address=erasure.traces.address)
    for one in earlier.exclude(pk=request.pk):
        # First the row, so that a worker who is making a file sees that nobody wants it any more.
        rows = PrivacyRequest.objects.for_workspace(workspace_id).filter(pk=one.pk)
        rows.filter(next_at__isnull=False).update(status="failed", next_at=None, ended_at=now, error=OVERTAKEN)
        rows.update(address="", file="")
        privacy_export.discard(one)
    entries = LogEntry.objects.filter(_written(erasure, ["object_repr"]))
    # The admin's log has no workspace; what an admin of another one did to their own rows is not ours.
    entries.filter(Q(object_id__in=_ids_here(erasure, entries))).update(object_repr=TEXT)
    for model in apps.get_models():
        if issubclass(model, WorkspaceModel) and model._meta.label not in LEFT_ALONE:
            _replace_address(erasure, model)
            privacy_work.renew(request, now=clock())
    reading.forget_words(workspace_id=workspace_id)


def _ids_here(erasure: Erasure, entries: Any) -> list[str]:
    """The ids of this workspace's rows among those that entries of the admin's log are about."""
    found: set[str] = set()
    for entry in entries.select_related("content_type"):
        model = entry.content_type.model_class() if entry.content_type else None
        if model is None or not issubclass(model, WorkspaceModel):
            continue
        rows = model.objects.for_workspace(erasure.workspace_id)
        if rows.filter(pk=entry.object_id).exists():
            found.add(entry.object_id)
    return sorted(found)


def _written(erasure: Erasure, names: list[str]) -> Q:
    """Where one of these columns has the address, however it is spelled."""
    found = Q(pk__in=[])
    for name in names:
        for spelling in erasure.traces.spellings:
            found |= Q(**{f"{name}__icontains": spelling})
    return found


def text_fields(model: type[models.Model]) -> list[Any]:
    """The columns of a model in which people's words may stand."""
    kinds = (models.CharField, models.TextField, models.JSONField, ArrayField)
    return [
        field
        for field in model._meta.concrete_fields
        if isinstance(field, kinds) and not field.choices and not isinstance(field, models.GeneratedField)
    ]


def _replace_address(erasure: Erasure, model: Any) -> None:
    """Put the other address into every older row of the workspace that still names the person's, row by row.

    The whole table is read, once: an address may stand in any text. Names are not looked for here, since other
    people have the same.
    """
    fields = text_fields(model)
    if not fields:
        return
    columns = {f"text_of_{field.name}": Cast(field.name, TextField()) for field in fields}
    here = model.objects.for_workspace(erasure.workspace_id)
    rows = here.alias(**columns)
    ids = list(rows.filter(_written(erasure, list(columns)), pk__lt=erasure.until).values_list("pk", flat=True))
    for pk in ids:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('helpdesk.erasing', 'on', true)")
            row = (
                model.objects.for_workspace(erasure.workspace_id).select_for_update(of=("self",)).filter(pk=pk).first()
            )
            if row is None:
                continue
            changed = {}
            for field in fields:
                before = getattr(row, field.attname)
                after = _with_other_address(erasure.traces, before)
                if after != before:
                    longest = getattr(field, "max_length", None)
                    changed[field.attname] = after[:longest] if isinstance(after, str) and longest else after
            if model is Article:
                _write_article(row, changed)
            elif changed:
                here.filter(pk=pk).update(**changed)
        if changed and model in (Comment, tickets.Ticket):
            search.index(row.ticket_id if model is Comment else row.pk)


def _with_other_address(of_text: Traces, value: Any) -> Any:
    if isinstance(value, str):
        return of_text.without_address(value)
    if isinstance(value, dict):
        return {of_text.without_address(key): _with_other_address(of_text, one) for key, one in value.items()}
    if isinstance(value, list):
        return [_with_other_address(of_text, one) for one in value]
    return value
