"""A ticket's page and everything an agent does there; opening a ticket."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.postgres.expressions import ArraySubquery
from django.core.exceptions import PermissionDenied
from django.db.models import Count, F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce, JSONObject
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.dateformat import format as date_format
from django.utils.html import format_html
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from helpdesk.accounts.roles import Permission
from helpdesk.accounts.scoping import WorkspaceRequest, member_required
from helpdesk.errors import DomainError, NotAllowed
from tickets import markup, search
from tickets.events import Event
from tickets.forms import (
    CUSTOM,
    LINKS,
    PRIORITIES,
    AddressForm,
    AssignForm,
    CommentForm,
    DomainForm,
    LinkForm,
    NewTicketForm,
    OtherTicketForm,
    PropertyForm,
    ReplyForm,
    SplitForm,
    StatusForm,
)
from tickets.lifecycle import Status, moves_from
from tickets.models import (
    Activity,
    Attachment,
    CannedResponse,
    Comment,
    Field,
    Participant,
    Ticket,
    TicketLink,
    TicketTag,
    Watcher,
)
from tickets.services import assignment, base, conversation, editing, files, merging, opening, setup
from tickets.services import status as statuses
from tickets.views.chat import panel_of
from tickets.views.queue import ROW, console, queue_context, view_asked

# Said by the messages themselves, or only of interest in the log.
_NOT_INLINE = {Event.CREATED, Event.COMMENT_ADDED, Event.ATTACHMENT_ADDED}


LINES_AT_ONCE = 20  # of a chat


# --- Reading ----------------------------------------------------------------------------------


@dataclass
class Entry:
    """One thing of the conversation, in order: a message or an event."""

    at: dt.datetime
    comment: Comment | None = None
    activity: Activity | None = None
    files: list[Attachment] = field(default_factory=list)
    is_mine: bool = False
    is_guest: bool = False  # written by a customer who does not take part in the ticket
    is_mail: bool = False  # came by mail: the original can be shown
    merged_id: str = ""  # the ticket that was merged into this one and still is
    lines: list["Entry"] = field(default_factory=list)  # of a chat, where this stands for a run of them

    @property
    def earlier(self) -> list["Entry"]:
        """The lines that are shown when somebody asks for all."""
        return self.lines[:-LINES_AT_ONCE]

    @property
    def latest(self) -> list["Entry"]:
        """The lines that are always shown."""
        return self.lines[-LINES_AT_ONCE:]


def found(request: WorkspaceRequest, pk: UUID) -> Ticket:
    """The live ticket of the reader's workspace, or 404."""
    try:
        return base.find_ticket(request.workspace.pk, pk)
    except DomainError as error:
        raise Http404(error.detail) from error


def _with_everything(request: WorkspaceRequest, pk: UUID) -> Any:
    """The ticket with its people, tags, Cc, watchers, the fields that are asked of it, and the number of the
    requester's other tickets. One query.
    """
    workspace = request.workspace
    tags = TicketTag.objects.filter(ticket=OuterRef("pk")).order_by("tag__name").values("tag__name")
    cc = Participant.objects.for_workspace(workspace).filter(ticket=OuterRef("pk")).order_by("contact__email")
    watching = Watcher.objects.for_workspace(workspace).filter(ticket=OuterRef("pk")).order_by("user__name")
    asked = Field.objects.for_workspace(workspace).filter(archived_at=None).order_by("position", "pk")
    same_person = Ticket.objects.for_workspace(workspace).live().filter(requester=OuterRef("requester"))
    ticket = (
        Ticket.objects.for_workspace(workspace)
        .live()
        .with_people()
        .select_related("merged_into")
        .annotate(
            tag_names=ArraySubquery(tags),
            cc_addresses=ArraySubquery(cc.values("contact__email")),
            taking_part=ArraySubquery(cc.values("contact_id")),
            watching=ArraySubquery(watching.values(data=JSONObject(id="user_id", name="user__name"))),
            asked=ArraySubquery(
                asked.values(
                    data=JSONObject(key="key", label="label", kind="kind", options="options", is_required="is_required")
                )
            ),
            requester_tickets=Coalesce(
                Subquery(same_person.order_by().values("requester").annotate(n=Count("pk")).values("n")), 0
            ),
        )
        .filter(pk=pk)
        .first()
    )
    if ticket is None:
        raise Http404("There is no such ticket.")
    return ticket


def _conversation(request: WorkspaceRequest, ticket: Any) -> tuple[list[Entry], list[Activity], list[Attachment]]:
    """What was said and done, oldest first; the whole log; the files of the description. Three queries."""
    workspace = request.workspace
    comments = list(
        Comment.objects.for_workspace(workspace)
        .filter(ticket=ticket, deleted_at=None)
        .annotate(author_address=F("author_contact__email"))
        .order_by("created_at", "pk")
    )
    taking_part = {None, ticket.requester_id, *ticket.taking_part}
    log = list(
        Activity.objects.for_workspace(workspace)
        .filter(ticket=ticket)
        .only("ticket_id", "event", "occurred_at", "actor_kind", "actor_user_id", "actor_name", "changes", "payload")
        .order_by("occurred_at", "pk")
    )
    by_comment: dict[UUID | None, list[Attachment]] = {}
    for attachment in Attachment.objects.for_workspace(workspace).filter(ticket=ticket).order_by("created_at", "pk"):
        by_comment.setdefault(attachment.comment_id, []).append(attachment)
    may_manage = request.membership.may(Permission.MANAGE)
    entries = [
        Entry(
            comment.created_at,
            comment=comment,
            files=by_comment.get(comment.pk, []),
            is_mine=comment.author_user_id == request.user.pk or may_manage,
            is_guest=comment.author_contact_id not in taking_part,
            is_mail=comment.channel == "email" and comment.author_type == "customer",
        )
        for comment in comments
    ]
    merged = _merged_here(ticket, log)
    entries += [
        Entry(activity.occurred_at, activity=activity, merged_id=merged.get(activity.pk, ""))
        for activity in log
        if Event(activity.event) not in _NOT_INLINE
    ]
    # A reply that also resolved: what was said comes before what it did.
    entries.sort(key=lambda entry: (entry.at, entry.activity is not None))
    description_files = [file for file in by_comment.get(None, []) if not file.is_internal]
    return entries, log, description_files


def _with_chats(entries: list[Entry]) -> list[Entry]:
    """The entries, lines of a chat that follow each other as one."""
    shown: list[Entry] = []
    for entry in entries:
        if entry.comment is None or not entry.comment.is_transcript:
            shown.append(entry)
        elif shown and shown[-1].lines:
            shown[-1].lines.append(entry)
        else:
            shown.append(Entry(entry.at, lines=[entry]))
    return shown


def _merged_here(ticket: Ticket, log: list[Activity]) -> dict[UUID, str]:
    """Which tickets are merged into this one: the id of each by the activity that said so."""
    last: dict[str, Activity] = {}
    for activity in log:
        data = activity.payload.get("data", {})
        if activity.event in (Event.MERGED, Event.UNMERGED) and data.get("target_id") == str(ticket.pk):
            last[data["source_id"]] = activity
    return {activity.pk: source for source, activity in last.items() if activity.event == Event.MERGED}


def _answers(ticket: Any) -> list[dict[str, Any]]:
    """The custom fields with the ticket's answers: `value` as it is kept, `shown` as people read it."""
    answers = []
    for asked in ticket.asked:
        value = ticket.custom_fields.get(asked["key"])
        shown = value
        if isinstance(value, bool):
            shown = "Yes" if value else "No"
        elif value is not None and asked["kind"] == "date":
            shown = date_format(dt.date.fromisoformat(value), "j M Y")
        if asked["kind"] == "choice" and value is not None and value not in asked["options"]:
            asked["options"] = [*asked["options"], value]  # no longer offered, but still what it is
        answers.append({**asked, "name": CUSTOM + asked["key"], "value": value, "shown": shown})
    return answers


def kept_query(request: HttpRequest) -> str:
    """The query string that leads back to the list one came from, with its question mark."""
    given = request.GET.copy()
    for once in ("canned", "taken_back", "waiting"):
        given.pop(once, None)
    return f"?{given.urlencode()}" if given else ""


def _context(request: WorkspaceRequest, pk: UUID) -> dict[str, Any]:
    """Everything that the ticket's page shows. Eleven queries beside those of the session
    and the one that the template asks about mail, whatever is in it; one more for a ticket that came from a chat."""
    view = view_asked(request)
    context = console(request, view)
    context |= queue_context(request, view, context)
    ticket = _with_everything(request, pk)
    now = timezone.now()
    entries, log, description_files = _conversation(request, ticket)
    comments = [entry.comment for entry in entries if entry.comment]
    workspace = request.workspace
    links = (
        TicketLink.objects.for_workspace(workspace)
        .filter(Q(ticket=ticket, other__trashed_at=None) | Q(other=ticket, ticket__trashed_at=None))
        .select_related("ticket", "other")
        .order_by("created_at", "pk")
    )
    is_live = ticket.merged_into_id is None
    alike = (
        search.similar(
            workspace_id=workspace.pk,
            subject=ticket.subject,
            requester_email=ticket.requester_email,
            now=now,
            exclude=ticket.pk,
        )
        if is_live
        else []
    )
    agents = context["choices"].agents
    if ticket.assignee_id and str(ticket.assignee_id) not in dict(agents):
        agents = [*agents, (str(ticket.assignee_id), str(ticket.assignee))]  # one who left keeps finished tickets
    categories = context["choices"].categories
    if ticket.category_id and str(ticket.category_id) not in dict(categories):
        categories = [*categories, (str(ticket.category_id), f"{ticket.category} (archived)")]
    return {
        **context,
        "ticket": ticket,
        "shown_status": ticket.display_status,
        "entries": _with_chats(entries),
        "chat": panel_of(ticket),
        "log": log[::-1],
        "description_files": description_files,
        "seen_until": (comments[-1].created_at if comments else ticket.created_at).isoformat(),
        "links": [
            {
                "kind": link.kind,
                "is_other": link.other_id == ticket.pk,
                "ticket": link.ticket if link.other_id == ticket.pk else link.other,
            }
            for link in links
        ],
        "alike": alike,
        "agent_options": agents,
        "category_options": categories,
        "priority_options": PRIORITIES,
        "custom": _answers(ticket),
        "link_options": LINKS,
        "moves": {status.value for status in moves_from(ticket.status)},
        "status_options": [s.value for s in Status if s.value == ticket.status or s in moves_from(ticket.status)],
        "kept": kept_query(request),
        # A ticket that leaves the list (taken from "Unassigned") keeps its row until the list is opened anew.
        "has_row": request.POST.get("row") == "1"
        or any(row.id == ticket.pk for row in context["queue"].page.object_list),
        "is_live": is_live,
        "may_work": context["may_work"] and is_live,
        "may_note": request.membership.may(Permission.NOTE) and is_live,
        "is_watching": any(watcher["id"] == str(request.user.pk) for watcher in ticket.watching),
    }


def _page(
    request: WorkspaceRequest, pk: UUID, form: ReplyForm | None = None, status: int = 200, **extra: Any
) -> HttpResponse:
    context = _context(request, pk)
    if form is None:
        text, files_of = _taken_back(request, context["ticket"])
        form = ReplyForm(initial={"body": text or _canned_text(request, context["ticket"])})
        extra.setdefault("waiting", files_of)
    # A light agent, and whoever asks for it in the address, writes a note.
    is_note = not context["may_work"] or form["internal"].value() in (True, "1")
    return render(request, "tickets/ticket.html", context | {"form": form, "is_note": is_note} | extra, status=status)


def _canned_text(request: WorkspaceRequest, ticket: Ticket) -> str:
    """The filled-in text of `?canned=<id>`: how a canned response is inserted without scripts."""
    try:
        pk = UUID(request.GET.get("canned", ""))
    except ValueError:
        return ""
    response = CannedResponse.objects.for_workspace(request.workspace).filter(pk=pk).first()
    if response is None:
        return ""
    return setup.fill_canned_response(content=response.content, ticket=ticket, agent_name=str(request.user))


def _taken_back(request: WorkspaceRequest, ticket: Ticket) -> tuple[str, list[Attachment]]:
    """The reader's own message that `?taken_back=<id>` names, to be written anew, and the files that came with it."""
    try:
        pk = UUID(request.GET.get("taken_back", ""))
    except ValueError:
        return "", []
    rows = Comment.objects.for_workspace(request.workspace).exclude(deleted_at=None)
    comment = rows.filter(pk=pk, ticket=ticket, author_user=request.user).first()
    if comment is None:
        return "", []
    return comment.body, _waiting(request, ticket)


@require_safe
@member_required(Permission.READ)
def show(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """A ticket: conversation, composer, properties; beside it the list it was opened from."""
    return _page(request, pk)


# --- Acting -----------------------------------------------------------------------------------


def _back(request: HttpRequest, pk: UUID, anchor: str = "") -> HttpResponse:
    return redirect(reverse("tickets:ticket", args=[pk]) + kept_query(request) + anchor)


def _changed(request: WorkspaceRequest, pk: UUID, status: int = 200) -> HttpResponse:
    """What a page shows after a change: a fresh page, or for htmx the parts that may have changed.

    The composer stays as it is, so that what somebody is writing outlives a click on "Priority".
    """
    if not getattr(request, "htmx", False):
        return _back(request, pk)
    context = _context(request, pk)
    row = Ticket.objects.for_workspace(request.workspace).filter(pk=pk).values_list(*ROW, named=True).first()
    return render(request, "tickets/_changed.html", context | {"row": row, "oob": True}, status=status)


def act(
    request: WorkspaceRequest, pk: UUID, form: DomainForm | None, do: Callable[[Ticket, dict[str, Any]], str | None]
) -> HttpResponse:
    """Check the form, let `do` make its one domain call, and say what came of it."""
    ticket = found(request, pk)
    if form is not None and not form.is_valid():
        messages.error(request, _first_error(form))
        return _changed(request, pk, status=400)
    try:
        said = do(ticket, form.cleaned_data if form is not None else {})
    except DomainError as error:
        messages.error(request, next((text for texts in error.errors.values() for text in texts), error.detail))
        return _changed(request, pk, status=400 if error.status == 404 else error.status)
    if said:
        messages.success(request, said)
    return _changed(request, pk)


def _first_error(form: forms.Form) -> str:
    for name, texts in form.errors.items():
        label = (
            form.fields[name].label or name.removesuffix("_id").replace("_", " ").capitalize()
            if name in form.fields
            else ""
        )
        return f"{label}: {texts[0]}" if label else str(texts[0])
    return "Something is wrong with what was sent."


@require_POST
@member_required(Permission.NOTE)
def reply(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Send a reply or leave a note, with files, and move the ticket as the button said."""
    ticket = found(request, pk)
    form = ReplyForm(request.POST, request.FILES)
    waiting = _waiting(request, ticket)
    if not form.is_valid():
        return _page(request, pk, form, status=400, waiting=waiting)
    data = form.cleaned_data
    now = timezone.now()
    if not request.membership.may(Permission.NOTE if data["internal"] else Permission.WORK):
        raise PermissionDenied("Your role may write notes, not answer customers.")
    try:
        waiting += [
            files.attach(
                ticket=ticket, upload=upload, uploaded_by=request.user, actor=base.agent(request.membership), now=now
            )
            for upload in data["files"]
        ]
        conversation.agent_reply(
            ticket=ticket,
            author=request.membership,
            body=data["body"],
            internal=data["internal"],
            now=now,
            attachment_ids=[file.pk for file in waiting],
            then=data["then"] or None if not data["internal"] else None,
            seen_until=data["seen_until"],
        )
    except conversation.StaleReply as error:
        # Held: the agent sees what is new; sending the same form again says that they have.
        newest = error.comments[-1].created_at.isoformat()
        return _page(request, pk, form, status=409, stale=error.comments, new_seen_until=newest, waiting=waiting)
    except NotAllowed as error:
        raise PermissionDenied(error.detail) from error
    except DomainError as error:
        form.refuse(error)
        return _page(request, pk, form, status=error.status, waiting=waiting)
    words = "Note added." if data["internal"] else "Reply added."
    messages.success(request, words)
    return _back(request, pk)


def _waiting(request: WorkspaceRequest, ticket: Ticket) -> list[Attachment]:
    """The reader's uploaded files that a held or taken back reply named, still waiting for their comment."""
    given = request.POST if request.method == "POST" else request.GET
    try:
        ids = [UUID(value) for value in given.getlist("waiting")[:50]]
    except ValueError:
        return []
    if not ids:
        return []
    rows = Attachment.objects.for_workspace(request.workspace)
    return list(rows.filter(pk__in=ids, ticket=ticket, comment=None, uploaded_by=request.user))


@require_POST
@member_required(Permission.NOTE)
def preview(request: WorkspaceRequest) -> HttpResponse:
    """What the text of the composer will look like."""
    text = request.POST.get("body", "")[: base.TEXT_LENGTH]
    return render(request, "tickets/_preview.html", {"html": markup.render(text) if markup.is_text(text) else ""})


@require_POST
@member_required(Permission.WORK)
def assign(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Give the ticket to an agent; an empty choice takes it away."""
    actor, now = base.agent(request.membership), timezone.now()

    def do(ticket: Ticket, data: dict[str, Any]) -> str | None:
        if data["assignee_id"] is None:
            assignment.unassign(ticket=ticket, actor=actor, now=now)
            return "Nobody has this ticket now."
        given = assignment.assign(ticket=ticket, assignee_id=data["assignee_id"], actor=actor, now=now)
        return f"Assigned to {given.assignee}."

    return act(request, pk, AssignForm(request.POST), do)


@require_POST
@member_required(Permission.WORK)
def unassign(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Take the ticket from its agent."""
    actor, now = base.agent(request.membership), timezone.now()

    def do(ticket: Ticket, data: dict[str, Any]) -> str | None:
        assignment.unassign(ticket=ticket, actor=actor, now=now)
        return "Nobody has this ticket now."

    return act(request, pk, None, do)


@require_POST
@member_required(Permission.WORK)
def assign_to_me(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Take the ticket."""
    actor, now = base.agent(request.membership), timezone.now()

    def do(ticket: Ticket, data: dict[str, Any]) -> str | None:
        assignment.assign(ticket=ticket, assignee_id=request.user.pk, actor=actor, now=now)
        return "Assigned to you."

    return act(request, pk, None, do)


@require_POST
@member_required(Permission.WORK)
def status(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Resolve, close, reopen, wait for the customer: any move of the lifecycle."""
    actor, now = base.agent(request.membership), timezone.now()

    def do(ticket: Ticket, data: dict[str, Any]) -> str | None:
        if data["to"] == "resolve_and_close":
            return _said(statuses.resolve_and_close(ticket=ticket, actor=actor, now=now))
        if data["to"] == ticket.status:
            return None  # the choice that was there already
        return _said(statuses.change_status(ticket=ticket, to=data["to"], actor=actor, now=now))

    return act(request, pk, StatusForm(request.POST), do)


def _said(ticket: Ticket) -> str:
    return f"#{ticket.number} is {ticket.get_status_display().lower()} now."


@require_POST
@member_required(Permission.WORK)
def update(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Change properties in place: those that were sent, and no others."""
    actor, now = base.agent(request.membership), timezone.now()
    sent = any(name.startswith(CUSTOM) for name in request.POST)
    asked = [row for row in base.live_fields(request.workspace.pk) if CUSTOM + row.key in request.POST] if sent else []
    form = PropertyForm(request.POST, custom=asked)

    def do(ticket: Ticket, data: dict[str, Any]) -> str | None:
        editing.update_ticket(ticket=ticket, changes=form.given(), actor=actor, now=now)
        return "Saved."

    return act(request, pk, form, do)


@require_POST
@member_required(Permission.WORK)
def add_cc(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Let one more person take part: somebody who wrote, or whom a mail named."""
    actor, now = base.agent(request.membership), timezone.now()

    def do(ticket: Ticket, data: dict[str, Any]) -> str | None:
        present = Participant.objects.for_workspace(request.workspace).filter(ticket=ticket)
        addresses = [*present.values_list("contact__email", flat=True), data["address"]]
        # The list was read after the ticket: whoever changes it meanwhile is not overwritten.
        editing.update_ticket(
            ticket=ticket, changes={"cc": addresses}, actor=actor, now=now, expected_version=ticket.version
        )
        return f"{data['address']} gets a copy from now on."

    return act(request, pk, AddressForm(request.POST), do)


@require_POST
@member_required(Permission.READ)
def watch(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Hear about this ticket, or no longer."""
    watching = request.POST.get("watching") == "1"

    def do(ticket: Ticket, data: dict[str, Any]) -> str | None:
        editing.watch(ticket=ticket, member=request.membership, watching=watching, now=timezone.now())
        return "You watch this ticket." if watching else "You no longer watch this ticket."

    return act(request, pk, None, do)


@require_POST
@member_required(Permission.WORK)
def trash(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Put the ticket into the trash, from where an admin can take it out again."""
    ticket = found(request, pk)
    try:
        editing.trash(ticket=ticket, actor=base.agent(request.membership), now=timezone.now())
    except DomainError as error:
        raise Http404(error.detail) from error
    way_back = "An admin can restore it for 30 days."
    if request.membership.may(Permission.MANAGE):
        way_back = format_html('<a href="{}">Open the trash</a>', reverse("tickets:trash"))
    messages.success(request, format_html("Moved #{} to the trash. {}", ticket.number, way_back))
    return redirect("tickets:queue", view=view_asked(request))


# --- Merging, splitting, linking --------------------------------------------------------------


def _target(request: WorkspaceRequest, form: OtherTicketForm) -> UUID | None:
    """The id of the ticket that was named by number or id; None with an error in the form."""
    text = form.cleaned_data["target"].strip().removeprefix("#")
    rows = Ticket.objects.for_workspace(request.workspace).live()
    target: UUID | None = None
    try:
        target = rows.filter(pk=UUID(text)).values_list("pk", flat=True).first()
    except ValueError:
        if text.isascii() and text.isdigit() and len(text) <= 15:
            target = rows.filter(number=int(text)).values_list("pk", flat=True).first()
    if target is None:
        form.add_error("target", "There is no such ticket.")
    return target


@require_http_methods(["GET", "POST"])
@member_required(Permission.WORK)
def merge(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Merge this ticket into another one, named by its number."""
    ticket = found(request, pk)
    form = OtherTicketForm(request.POST or None)
    if request.method == "POST" and form.is_valid() and (target_id := _target(request, form)):
        try:
            target = merging.merge(
                source=ticket, target_id=target_id, actor=base.agent(request.membership), now=timezone.now()
            )
        except DomainError as error:
            for texts in (error.errors or {"": [error.detail]}).values():
                form.add_error("target", texts[0])
        else:
            messages.success(request, f"Merged #{ticket.number} into #{target.number}.")
            return _back(request, target.pk)
    context = {**console(request, view_asked(request)), "ticket": ticket, "form": form, "kept": kept_query(request)}
    return render(request, "tickets/merge.html", context, status=400 if form.errors else 200)


@require_POST
@member_required(Permission.WORK)
def unmerge(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Undo the merge of this ticket."""

    def do(ticket: Ticket, data: dict[str, Any]) -> str | None:
        merging.unmerge(source=ticket, actor=base.agent(request.membership), now=timezone.now())
        return f"#{ticket.number} stands for itself again."

    return act(request, pk, None, do)


@require_POST
@member_required(Permission.WORK)
def link(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Say how this ticket and another one belong together."""
    form = LinkForm(request.POST)
    if form.is_valid():
        other_id = _target(request, form)

    def do(ticket: Ticket, data: dict[str, Any]) -> str | None:
        assert other_id is not None  # noqa: S101  for the type checker: a form with an error does not come here
        merging.link(
            ticket=ticket,
            other_id=other_id,
            kind=data["kind"],
            actor=base.agent(request.membership),
            now=timezone.now(),
        )
        return "Linked."

    return act(request, pk, form, do)


def _comment(request: WorkspaceRequest, pk: UUID) -> Comment:
    rows = Comment.objects.for_workspace(request.workspace).filter(deleted_at=None, ticket__trashed_at=None)
    comment: Comment | None = rows.select_related("ticket", "ticket__workspace", "author_contact").filter(pk=pk).first()
    if comment is None:
        raise Http404("There is no such message.")
    return comment


@require_http_methods(["GET", "POST"])
@member_required(Permission.WORK)
def split(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Make a message the beginning of a ticket of its own."""
    comment = _comment(request, pk)
    form = SplitForm(request.POST or None, initial={"subject": comment.ticket.subject})
    if request.method == "POST" and form.is_valid():
        try:
            made = merging.split(
                comment=comment,
                subject=form.cleaned_data["subject"],
                actor=base.agent(request.membership),
                now=timezone.now(),
            )
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, f"Made #{made.number} from a message of #{comment.ticket.number}.")
            return _back(request, made.pk)
    return _comment_page(request, comment, form, "split")


@require_http_methods(["GET", "POST"])
@member_required(Permission.NOTE)
def edit_comment(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Change what one wrote (admins: what any agent wrote); the log keeps the text from before."""
    comment = _comment(request, pk)
    form = CommentForm(request.POST or None, initial={"body": comment.body})
    if request.method == "POST" and form.is_valid():
        try:
            conversation.edit_comment(
                comment=comment, editor=request.membership, body=form.cleaned_data["body"], now=timezone.now()
            )
        except NotAllowed as error:
            raise PermissionDenied(error.detail) from error
        except DomainError as error:
            form.refuse(error)
        else:
            return _back(request, comment.ticket_id, f"#message-{comment.pk}")
    return _comment_page(request, comment, form, "edit")


def _comment_page(request: WorkspaceRequest, comment: Comment, form: DomainForm, what: str) -> HttpResponse:
    context = {
        **console(request, view_asked(request)),
        "comment": comment,
        "ticket": comment.ticket,
        "form": form,
        "what": what,
        "kept": kept_query(request),
    }
    return render(request, "tickets/comment.html", context, status=400 if form.errors else 200)


@require_POST
@member_required(Permission.NOTE)
def delete_comment(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Take a message out of the conversation; the log keeps what it said."""
    comment = _comment(request, pk)
    try:
        conversation.delete_comment(comment=comment, editor=request.membership, now=timezone.now())
    except NotAllowed as error:
        raise PermissionDenied(error.detail) from error
    except DomainError as error:
        messages.error(request, error.detail)
        return _back(request, comment.ticket_id)
    messages.success(request, "Deleted. The activity log keeps what it said.")
    return _back(request, comment.ticket_id)


# --- Files ------------------------------------------------------------------------------------


@require_safe
@member_required(Permission.READ)
def attachment(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """A file of a ticket; always as a download, never shown inside our pages."""
    file: Attachment | None = (
        Attachment.objects.for_workspace(request.workspace).filter(pk=pk, ticket__trashed_at=None).first()
    )
    if file is None:
        raise Http404("There is no such file.")
    try:
        content = file.file.open("rb")
    except OSError as error:
        raise Http404("The file is no longer kept.") from error
    answer: Any = FileResponse(content, as_attachment=True, filename=file.name, content_type=file.content_type)
    answer["Cache-Control"] = "private, no-store"
    answer["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return cast(HttpResponse, answer)


# --- Opening a ticket -------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@member_required(Permission.WORK)
def new(request: WorkspaceRequest) -> HttpResponse:
    """The form for a new ticket, and what comes of it."""
    context = console(request, "new")
    choices = context["choices"]
    form = NewTicketForm(
        request.POST if request.method == "POST" else None,
        request.FILES if request.method == "POST" else None,
        initial={"requester_email": request.GET.get("requester", "")[:254]},
        choices={
            "category_id": [("", "None"), *choices.categories],
            "assignee_id": [("", "Nobody yet"), *choices.agents],
        },
        custom=base.live_fields(request.workspace.pk),
    )
    if request.method == "POST" and form.is_valid():
        data, now = form.cleaned_data, timezone.now()
        uploads, answers = data.pop("files"), form.take_answers()
        try:
            ticket = opening.open_ticket(
                workspace=request.workspace,
                channel="web",
                actor=base.agent(request.membership),
                now=now,
                attachments=[
                    files.prepare(
                        workspace_id=request.workspace.pk,
                        upload=upload,
                        uploaded_by=request.user,
                        now=now,
                        field="files",
                    )
                    for upload in uploads
                ],
                custom_fields=answers,
                is_complete=True,
                **data,
            )
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, f"Opened #{ticket.number}.")
            return redirect(reverse("tickets:ticket", args=[ticket.pk]))
    alike: list[Ticket] = []
    if form.is_bound:
        alike = _alike(request, form["subject"].value() or "", form["requester_email"].value() or "")
    return render(
        request, "tickets/new.html", context | {"form": form, "alike": alike}, status=400 if form.errors else 200
    )


def _alike(request: WorkspaceRequest, subject: str, requester_email: str) -> list[Ticket]:
    subject, address = subject[:255], requester_email[:254]
    if "\0" in subject + address:
        return []
    return search.similar(
        workspace_id=request.workspace.pk, subject=subject, requester_email=address, now=timezone.now()
    )


@require_safe
@member_required(Permission.WORK)
def similar(request: WorkspaceRequest) -> HttpResponse:
    """Tickets that say the same already, while a new one is being typed."""
    alike = _alike(request, request.GET.get("subject", ""), request.GET.get("requester_email", ""))
    return render(request, "tickets/_similar.html", {"alike": alike})
