"""The tickets API. A method reads the input, makes one domain call, and writes the answer."""

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any, cast
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Lower
from django.http import FileResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, inline_serializer
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from helpdesk.accounts.roles import Permission
from helpdesk.api.idempotency import idempotent
from helpdesk.api.schema import PAGE_PARAMETERS, PaginationSerializer, envelope_of
from helpdesk.api.throttles import CallerThrottle
from helpdesk.api.views import ApiView, PublicApiView
from helpdesk.errors import InvalidInput, NotAllowed, NotFound
from tickets.api import schema
from tickets.api import serializers as shapes
from tickets.api.schema import IF_NONE_MATCH, described
from tickets.events import Actor
from tickets.filters import TicketFilter, exact_total
from tickets.models import Activity, Attachment, CannedResponse, Category, Comment, Field, Tag, Ticket, TicketLink
from tickets.services import assignment, base, conversation, editing, files, merging, opening, setup, status

PAGING = frozenset({"page", "limit"})
_ETAG = re.compile(r'(W/)?"([^"]*)"')
# What a browser could run, should anybody ever show it: sent as plain bytes.
_ACTIVE_CONTENT = re.compile(r"html|svg|xml|script|pdf|flash", re.IGNORECASE)

AGENTS = "agents"
EVERYONE = "all members"
ADMINS = "admins"


def _versions(header: str, *, weak: bool) -> set[int] | None:
    """The versions that a list of ETags names; None for `*`. What we never gave names none."""
    if header.strip() == "*":
        return None
    return {
        int(tag) for is_weak, tag in _ETAG.findall(header) if re.fullmatch(r"\d{1,9}", tag) and (weak or not is_weak)
    }


class TicketView(ApiView):
    """What the endpoints of tickets share."""

    problems = dict.fromkeys(("POST", "PUT", "PATCH", "DELETE"), (409,))

    @property
    def actor(self) -> Actor:
        """The member, as the log names them."""
        return base.agent(self.membership)

    def ticket(self, ticket_id: UUID) -> Ticket:
        """The ticket of the address. Raises NotFound, also for a foreign one."""
        return base.find_ticket(self.workspace.pk, ticket_id)

    def expected_version(self, ticket: Ticket) -> int | None:
        """The version that `If-Match` asks for, None without one.

        Of several it is the ticket's own if that is among them; an ETag that is no version of
        ours stands for one that no ticket has.
        """
        header = self.request.headers.get("If-Match")
        if header is None or (wanted := _versions(header, weak=False)) is None:
            return None
        return ticket.version if ticket.version in wanted else next(iter(wanted), -1)

    @contextlib.contextmanager
    def as_expected(self, ticket: Ticket, *others: Ticket) -> Iterator[None]:
        """Hold the ticket at the version of `If-Match` while a service without that check works on it.

        `others` are what the service will lock besides: all are locked in the order of their ids.
        Raises LostUpdate.
        """
        version = self.expected_version(ticket)
        if version is None:
            yield
            return
        with transaction.atomic():
            for row in sorted({ticket, *others}, key=lambda row: row.pk):
                base.lock(row, expected_version=version if row == ticket else None, merged=True)
            yield

    def detail(self, ticket_id: UUID, *, status: int = 200) -> Response:
        """A ticket in full, with its ETag."""
        found = shapes.ticket_detail(self.workspace.pk, ticket_id)
        if found is None:
            raise NotFound("There is no such ticket.", errors={"id": ["There is no such ticket."]})
        return Response(found, status=status, headers={"ETag": f'"{found["version"]}"'})

    def only_parameters(self, *names: str) -> None:
        """Raises InvalidInput naming the query parameters that are not among `names`, page and limit."""
        unknown = [name for name in self.request.query_params if name not in names and name not in PAGING]
        if unknown:
            errors = {name: ["There is no such parameter."] for name in unknown}
            raise InvalidInput(
                f"There is no such parameter: {', '.join(unknown)}.", code="bad_parameter", errors=errors
            )


# --- Tickets ----------------------------------------------------------------------------------


class Tickets(TicketView):
    """The queue."""

    problems = {}

    @described(
        "tickets_list",
        "List tickets",
        answer=envelope_of("tickets", shapes.TicketItem),
        parameters=[*schema.ticket_filters(), *PAGE_PARAMETERS],
        needs=EVERYONE,
        description="Live tickets, newest first unless `sort` says otherwise. Values of a list mean either.",
    )
    def get(self, request: Request) -> HttpResponseBase:
        tickets = TicketFilter(request.query_params, workspace=self.workspace, user=self.membership.user, also=PAGING)
        tickets.check()
        return self.page(
            tickets.qs.values(*shapes.ITEM_FIELDS),
            plural="tickets",
            to_json=lambda rows: [shapes.plain(row) for row in rows],
            total=lambda: exact_total(tickets),
        )

    @described(
        "tickets_create",
        "Create a ticket",
        request=shapes.TicketIn,
        answer=shapes.TicketCreated,
        status=201,
        needs=AGENTS,
    )
    @idempotent
    def post(self, request: Request) -> HttpResponseBase:
        given = self.read(shapes.TicketIn)
        ticket = opening.open_ticket(workspace=self.workspace, channel="api", actor=self.actor, now=self.now, **given)
        headers = {"Location": f"/api/tickets/{ticket.pk}", "ETag": f'"{ticket.version}"'}
        return Response(shapes.ticket_created(ticket), status=201, headers=headers)


class OneTicket(TicketView):
    """A ticket."""

    @described(
        "tickets_get",
        "Get a ticket",
        answer=shapes.TicketDetail,
        also={304: OpenApiResponse(description="It is still what you have.")},
        parameters=[IF_NONE_MATCH],
        needs=EVERYONE,
    )
    def get(self, request: Request, ticket_id: UUID) -> HttpResponseBase:
        answer = self.detail(ticket_id)
        if (header := request.headers.get("If-None-Match")) is not None:
            known = _versions(header, weak=True)
            if known is None or cast(dict, answer.data)["version"] in known:
                return Response(status=304, headers={"ETag": answer["ETag"]})
        return answer

    @described(
        "tickets_update",
        "Update a ticket",
        request=shapes.TicketChanges,
        answer=shapes.TicketDetail,
        locks=True,
        needs=AGENTS,
        description="Changes the fields that are sent.",
    )
    def put(self, request: Request, ticket_id: UUID) -> HttpResponseBase:
        ticket = self.ticket(ticket_id)
        editing.update_ticket(
            ticket=ticket,
            changes=self.read(shapes.TicketChanges),
            actor=self.actor,
            now=self.now,
            expected_version=self.expected_version(ticket),
        )
        return self.detail(ticket_id)

    @described(
        "tickets_patch",
        "Update a ticket",
        request=shapes.TicketChanges,
        answer=shapes.TicketDetail,
        locks=True,
        needs=AGENTS,
        description="The same as PUT.",
    )
    def patch(self, request: Request, ticket_id: UUID) -> HttpResponseBase:
        return self.put(request, ticket_id)

    @described(
        "tickets_delete",
        "Delete a ticket",
        answer=None,
        status=204,
        locks=True,
        needs=AGENTS,
        description="Puts it into the trash, from where an admin can restore it for 30 days.",
    )
    def delete(self, request: Request, ticket_id: UUID) -> HttpResponseBase:
        ticket = self.ticket(ticket_id)
        with self.as_expected(ticket):
            editing.trash(ticket=ticket, actor=self.actor, now=self.now)
        return Response(status=204)


def _action(operation_id: str, summary: str, **more: Any) -> Callable[[Any], Any]:
    """The description of an action on a ticket, which answers with the ticket."""
    usual: dict[str, Any] = {"request": shapes.Nothing, "answer": shapes.TicketDetail, "locks": True, "needs": AGENTS}
    return described(operation_id, summary, **(usual | more))


class Resolve(TicketView):
    """open, pending → resolved."""

    @_action(
        "tickets_resolve",
        "Resolve a ticket",
    )
    def post(self, request: Request, ticket_id: UUID) -> HttpResponseBase:
        self.read(shapes.Nothing)
        ticket = self.ticket(ticket_id)
        version = self.expected_version(ticket)
        status.change_status(ticket=ticket, to="resolved", actor=self.actor, now=self.now, expected_version=version)
        return self.detail(ticket_id)


class Close(TicketView):
    """resolved → closed."""

    @_action(
        "tickets_close",
        "Close a resolved ticket",
    )
    def post(self, request: Request, ticket_id: UUID) -> HttpResponseBase:
        self.read(shapes.Nothing)
        ticket = self.ticket(ticket_id)
        version = self.expected_version(ticket)
        status.change_status(ticket=ticket, to="closed", actor=self.actor, now=self.now, expected_version=version)
        return self.detail(ticket_id)


class Reopen(TicketView):
    """resolved, closed → open."""

    @_action(
        "tickets_reopen",
        "Reopen a resolved or closed ticket",
    )
    def post(self, request: Request, ticket_id: UUID) -> HttpResponseBase:
        self.read(shapes.Nothing)
        ticket = self.ticket(ticket_id)
        version = self.expected_version(ticket)
        status.reopen(ticket=ticket, actor=self.actor, now=self.now, expected_version=version)
        return self.detail(ticket_id)


class Assign(TicketView):
    """Gives a ticket to an agent."""

    @_action(
        "tickets_assign",
        "Assign a ticket",
        request=shapes.AssignIn,
    )
    def post(self, request: Request, ticket_id: UUID) -> HttpResponseBase:
        given = self.read(shapes.AssignIn)
        ticket = self.ticket(ticket_id)
        version = self.expected_version(ticket)
        assignment.assign(ticket=ticket, actor=self.actor, now=self.now, expected_version=version, **given)
        return self.detail(ticket_id)


class Unassign(TicketView):
    """Takes a ticket from its agent."""

    @_action(
        "tickets_unassign",
        "Unassign a ticket",
    )
    def post(self, request: Request, ticket_id: UUID) -> HttpResponseBase:
        self.read(shapes.Nothing)
        ticket = self.ticket(ticket_id)
        version = self.expected_version(ticket)
        assignment.unassign(ticket=ticket, actor=self.actor, now=self.now, expected_version=version)
        return self.detail(ticket_id)


class Merge(TicketView):
    """Makes a ticket a part of another."""

    @_action(
        "tickets_merge",
        "Merge a ticket into another",
        request=shapes.MergeIn,
        description="Answers with the target.",
    )
    def post(self, request: Request, ticket_id: UUID) -> HttpResponseBase:
        given = self.read(shapes.MergeIn)
        source = self.ticket(ticket_id)
        target = base.find_ticket(self.workspace.pk, given["target_id"], "target_id")
        with self.as_expected(source, target):
            merging.merge(source=source, target_id=target.pk, actor=self.actor, now=self.now)
        return self.detail(target.pk)


class Unmerge(TicketView):
    """Undoes a merge."""

    @_action(
        "tickets_unmerge",
        "Undo the merge of a ticket",
        description="Answers with the ticket.",
    )
    def post(self, request: Request, ticket_id: UUID) -> HttpResponseBase:
        self.read(shapes.Nothing)
        ticket = self.ticket(ticket_id)
        with self.as_expected(ticket, *([ticket.merged_into] if ticket.merged_into else [])):
            merging.unmerge(source=ticket, actor=self.actor, now=self.now)
        return self.detail(ticket_id)


class Split(TicketView):
    """Makes a comment the beginning of a ticket of its own."""

    @_action(
        "tickets_split",
        "Split a comment into a new ticket",
        request=shapes.SplitIn,
        status=201,
        description="Answers with the new ticket, which is linked to this one.",
    )
    @idempotent
    def post(self, request: Request, ticket_id: UUID) -> HttpResponseBase:
        given = self.read(shapes.SplitIn)
        ticket = self.ticket(ticket_id)
        comment = _comment(ticket, given["comment_id"], "comment_id")
        with self.as_expected(ticket):
            new = merging.split(comment=comment, subject=given["subject"], actor=self.actor, now=self.now)
        answer = self.detail(new.pk, status=201)
        answer["Location"] = f"/api/tickets/{new.pk}"
        return answer


class Links(TicketView):
    """Tickets that belong together."""

    @described(
        "tickets_links",
        "List the links of a ticket",
        answer=envelope_of("links", shapes.LinkOut),
        parameters=PAGE_PARAMETERS,
        needs=EVERYONE,
    )
    def get(self, request: Request, ticket_id: UUID) -> HttpResponseBase:
        self.only_parameters()
        ticket = self.ticket(ticket_id)
        rows = (
            TicketLink.objects.for_workspace(self.workspace)
            .filter(Q(ticket=ticket, other__trashed_at=None) | Q(other=ticket, ticket__trashed_at=None))
            .select_related("ticket", "other")
            .order_by("created_at", "id")
        )
        return self.page(rows, plural="links", to_json=lambda links: [shapes.link(row, ticket.pk) for row in links])

    @described(
        "tickets_link",
        "Link a ticket to another",
        request=shapes.LinkIn,
        answer=shapes.LinkOut,
        status=201,
        locks=True,
        needs=AGENTS,
    )
    @idempotent
    def post(self, request: Request, ticket_id: UUID) -> HttpResponseBase:
        given = self.read(shapes.LinkIn)
        ticket = self.ticket(ticket_id)
        with self.as_expected(ticket):
            made = merging.link(ticket=ticket, actor=self.actor, now=self.now, **given)
        return Response(shapes.link(made, ticket.pk), status=201)


class Watch(TicketView):
    """Hearing about a ticket."""

    permissions = {"POST": Permission.NOTE, "DELETE": Permission.NOTE}

    @described(
        "tickets_watch",
        "Watch a ticket",
        request=shapes.Nothing,
        answer=None,
        status=204,
        needs=EVERYONE,
    )
    def post(self, request: Request, ticket_id: UUID) -> HttpResponseBase:
        self.read(shapes.Nothing)
        editing.watch(ticket=self.ticket(ticket_id), member=self.membership, watching=True, now=self.now)
        return Response(status=204)

    @described(
        "tickets_unwatch",
        "Watch a ticket no longer",
        answer=None,
        status=204,
        needs=EVERYONE,
    )
    def delete(self, request: Request, ticket_id: UUID) -> HttpResponseBase:
        editing.watch(ticket=self.ticket(ticket_id), member=self.membership, watching=False, now=self.now)
        return Response(status=204)


class Activities(TicketView):
    """The log of a ticket."""

    @described(
        "tickets_activities",
        "List what happened to a ticket",
        answer=envelope_of("activities", shapes.ActivityOut),
        parameters=PAGE_PARAMETERS,
        needs=EVERYONE,
        description="Oldest first.",
    )
    def get(self, request: Request, ticket_id: UUID) -> HttpResponseBase:
        self.only_parameters()
        rows = Activity.objects.for_workspace(self.workspace).filter(ticket=self.ticket(ticket_id))
        return self.page(
            rows.order_by("occurred_at", "id"),
            plural="activities",
            to_json=lambda page: [shapes.activity(row) for row in page],
        )


class Trash(TicketView):
    """What was deleted in the last 30 days."""

    permissions = {"GET": Permission.MANAGE}

    @described(
        "tickets_trash",
        "List the trash",
        answer=inline_serializer(
            "TrashPage", {"tickets": shapes.TrashedItem(many=True), "pagination": PaginationSerializer()}
        ),
        parameters=PAGE_PARAMETERS,
        needs=ADMINS,
        description="Newest first.",
    )
    def get(self, request: Request) -> HttpResponseBase:
        self.only_parameters()
        rows = Ticket.objects.for_workspace(self.workspace).trashed().order_by("-trashed_at", "-id")
        return self.page(
            rows.values(*shapes.ITEM_FIELDS, "trashed_at"),
            plural="tickets",
            to_json=lambda page: [shapes.plain(row) for row in page],
        )


class Restore(TicketView):
    """Brings a ticket back from the trash."""

    permissions = {"POST": Permission.MANAGE}

    @_action(
        "tickets_restore",
        "Restore a ticket from the trash",
        needs=ADMINS,
        locks=False,
    )
    def post(self, request: Request, ticket_id: UUID) -> HttpResponseBase:
        self.read(shapes.Nothing)
        editing.restore(workspace_id=self.workspace.pk, ticket_id=ticket_id, actor=self.actor, now=self.now)
        return self.detail(ticket_id)


# --- Comments ---------------------------------------------------------------------------------


def _comment(ticket: Ticket, comment_id: UUID, field: str = "id") -> Comment:
    """A comment of the ticket that is not deleted. Raises NotFound naming `field`."""
    found: Comment | None = ticket.comments.filter(pk=comment_id, deleted_at=None).first()
    if found is None:
        raise NotFound("There is no such comment.", errors={field: ["There is no such comment."]})
    return found


def _comment_json(comment: Comment) -> dict[str, Any]:
    row = {name: getattr(comment, name) for name in shapes.COMMENT_FIELDS}
    return shapes.comments([row], comment.attachments.order_by("created_at", "id"))[0]


class Comments(TicketView):
    """The conversation."""

    permissions = {"POST": Permission.NOTE}

    @described(
        "comments_list",
        "List the comments of a ticket",
        answer=envelope_of("comments", shapes.CommentOut),
        parameters=PAGE_PARAMETERS,
        needs=EVERYONE,
        description="Oldest first, notes too.",
        tag="Comments",
    )
    def get(self, request: Request, ticket_id: UUID) -> HttpResponseBase:
        self.only_parameters()
        rows = self.ticket(ticket_id).comments.filter(deleted_at=None).order_by("created_at", "id")

        def to_json(page: list[dict[str, Any]]) -> list[dict[str, Any]]:
            attached = Attachment.objects.for_workspace(self.workspace).filter(comment__in=[row["id"] for row in page])
            return shapes.comments(page, attached.order_by("created_at", "id") if page else [])

        return self.page(rows.values(*shapes.COMMENT_FIELDS), plural="comments", to_json=to_json)

    @described(
        "comments_create",
        "Add a comment",
        request=shapes.CommentIn,
        answer=shapes.CommentOut,
        status=201,
        locks=True,
        needs="agents; light agents write notes only",
        tag="Comments",
    )
    @idempotent
    def post(self, request: Request, ticket_id: UUID) -> HttpResponseBase:
        given = self.read(shapes.CommentIn)
        ticket = self.ticket(ticket_id)
        with self.as_expected(ticket):
            comment = conversation.agent_reply(
                ticket=ticket,
                author=self.membership,
                body=given["body"],
                internal=given["is_internal"],
                attachment_ids=given.get("attachment_ids", ()),
                channel="api",
                now=self.now,
            )
        return Response(_comment_json(comment), status=201)


class OneComment(TicketView):
    """A comment."""

    permissions = {"PUT": Permission.NOTE, "PATCH": Permission.NOTE, "DELETE": Permission.NOTE}

    def own(self, ticket_id: UUID, comment_id: UUID) -> Comment:
        """The comment, if this caller may change it: the service asks the role, this the key's scopes."""
        comment = _comment(self.ticket(ticket_id), comment_id)
        if comment.author_user_id != self.membership.user_id and not self.caller.may(Permission.MANAGE):
            raise NotAllowed("Only its author or an admin may change a comment.")
        if not comment.is_internal and not self.caller.may(Permission.WORK):
            raise NotAllowed("Your role may write notes, not answer customers.")
        return comment

    @described(
        "comments_update",
        "Update a comment",
        request=shapes.CommentChanges,
        answer=shapes.CommentOut,
        locks=True,
        needs="its author and admins; a customer's words stay as they are",
        tag="Comments",
    )
    def put(self, request: Request, ticket_id: UUID, comment_id: UUID) -> HttpResponseBase:
        given = self.read(shapes.CommentChanges)
        comment = self.own(ticket_id, comment_id)
        with self.as_expected(comment.ticket):
            comment = conversation.edit_comment(comment=comment, editor=self.membership, now=self.now, **given)
        return Response(_comment_json(comment))

    @described(
        "comments_patch",
        "Update a comment",
        request=shapes.CommentChanges,
        answer=shapes.CommentOut,
        locks=True,
        needs="its author and admins",
        description="The same as PUT.",
        tag="Comments",
    )
    def patch(self, request: Request, ticket_id: UUID, comment_id: UUID) -> HttpResponseBase:
        return self.put(request, ticket_id, comment_id)

    @described(
        "comments_delete",
        "Delete a comment",
        answer=None,
        status=204,
        locks=True,
        needs="its author and admins",
        description="The log keeps what it said.",
        tag="Comments",
    )
    def delete(self, request: Request, ticket_id: UUID, comment_id: UUID) -> HttpResponseBase:
        comment = self.own(ticket_id, comment_id)
        with self.as_expected(comment.ticket):
            conversation.delete_comment(comment=comment, editor=self.membership, now=self.now)
        return Response(status=204)


# --- Attachments ------------------------------------------------------------------------------


class Attachments(TicketView):
    """The files of a ticket."""

    permissions = {"POST": Permission.NOTE}
    parser_classes = (MultiPartParser,)

    @described(
        "attachments_list",
        "List the files of a ticket",
        answer=envelope_of("attachments", shapes.TicketAttachmentOut),
        parameters=PAGE_PARAMETERS,
        needs=EVERYONE,
        tag="Attachments",
    )
    def get(self, request: Request, ticket_id: UUID) -> HttpResponseBase:
        self.only_parameters()
        rows = Attachment.objects.for_workspace(self.workspace).filter(ticket=self.ticket(ticket_id))
        return self.page(
            rows.filter(comment__deleted_at=None).order_by("created_at", "id"),
            plural="attachments",
            to_json=lambda page: [shapes.ticket_attachment(row) for row in page],
        )

    @described(
        "attachments_create",
        "Upload a file",
        request={"multipart/form-data": shapes.Upload},
        answer=shapes.TicketAttachmentOut,
        status=201,
        locks=True,
        needs=EVERYONE,
        description="It waits, seen by agents only, for the comment that names it in `attachment_ids`.",
        tag="Attachments",
    )
    @idempotent
    def post(self, request: Request, ticket_id: UUID) -> HttpResponseBase:
        given = self.read(shapes.Upload)
        ticket = self.ticket(ticket_id)
        with self.as_expected(ticket):
            made = files.attach(
                ticket=ticket,
                upload=given["file"],
                uploaded_by=self.membership.user,
                actor=self.actor,
                now=self.now,
            )
        return Response(shapes.ticket_attachment(made), status=201)


class Download(PublicApiView):
    """A file, for whoever has its link."""

    throttle_classes = (CallerThrottle,)

    @described(
        "attachments_download",
        "Download a file",
        answer=OpenApiTypes.BINARY,
        parameters=[OpenApiParameter("signature", str, required=True, description="As in the `url` of the file.")],
        description="The link is good for 15 minutes and needs no token. Always a download, never shown.",
        tag="Attachments",
        auth=[],
    )
    def get(self, request: Request, attachment_id: UUID) -> HttpResponseBase:
        missing = NotFound("There is no such file, or the link to it has expired.", code="no_such_file")
        if not files.is_signed(attachment_id, request.query_params.get("signature", "")):
            raise missing
        # The signature was made for a member of the file's workspace: it stands for the scope.
        found = Attachment.unscoped.filter(pk=attachment_id, ticket__trashed_at=None, comment__deleted_at=None).first()
        if found is None:
            raise missing
        try:
            content = found.file.open("rb")
        except FileNotFoundError:
            raise missing from None
        is_active = _ACTIVE_CONTENT.search(found.content_type)
        answer = FileResponse(
            content,
            as_attachment=True,
            filename=found.name,
            content_type="application/octet-stream" if is_active else found.content_type,
        )
        answer["X-Content-Type-Options"] = "nosniff"
        answer["Content-Security-Policy"] = "sandbox; default-src 'none'"
        answer["Cache-Control"] = "private, no-store"
        return answer


# --- Categories -------------------------------------------------------------------------------


class Categories(TicketView):
    """The topics of tickets."""

    permissions = {"POST": Permission.MANAGE}

    @described(
        "categories_list",
        "List categories",
        answer=envelope_of("categories", shapes.CategoryOut),
        parameters=PAGE_PARAMETERS,
        needs=EVERYONE,
        description="By name; `parent_id` makes the tree.",
        tag="Categories",
    )
    def get(self, request: Request) -> HttpResponseBase:
        self.only_parameters()
        rows = Category.objects.for_workspace(self.workspace).filter(archived_at=None).order_by(Lower("name"), "id")
        return self.page(
            rows.values(*shapes.CATEGORY_FIELDS),
            plural="categories",
            to_json=lambda page: [shapes.plain(row) for row in page],
        )

    @described(
        "categories_create",
        "Create a category",
        request=shapes.CategoryIn,
        answer=shapes.CategoryOut,
        status=201,
        needs=ADMINS,
        tag="Categories",
    )
    @idempotent
    def post(self, request: Request) -> HttpResponseBase:
        made = setup.save_category(workspace=self.workspace, changes=self.read(shapes.CategoryIn))
        headers = {"Location": f"/api/tickets/categories/{made.pk}"}
        return Response(shapes.category(made), status=201, headers=headers)


class OneCategory(TicketView):
    """A category."""

    permissions = {"PUT": Permission.MANAGE, "PATCH": Permission.MANAGE, "DELETE": Permission.MANAGE}

    def category(self, category_id: UUID) -> Category:
        """The category of the address. Raises NotFound."""
        return cast(Category, base.find_category(self.workspace.pk, category_id, "id"))

    @described("categories_get", "Get a category", answer=shapes.CategoryOut, needs=EVERYONE, tag="Categories")
    def get(self, request: Request, category_id: UUID) -> HttpResponseBase:
        return Response(shapes.category(self.category(category_id)))

    @described(
        "categories_update",
        "Update a category",
        request=shapes.CategoryChanges,
        answer=shapes.CategoryOut,
        needs=ADMINS,
        description="Changes the fields that are sent.",
        tag="Categories",
    )
    def put(self, request: Request, category_id: UUID) -> HttpResponseBase:
        changes = self.read(shapes.CategoryChanges)
        category = self.category(category_id)
        return Response(
            shapes.category(setup.save_category(workspace=self.workspace, changes=changes, category=category))
        )

    @described(
        "categories_patch",
        "Update a category",
        request=shapes.CategoryChanges,
        answer=shapes.CategoryOut,
        needs=ADMINS,
        description="The same as PUT.",
        tag="Categories",
    )
    def patch(self, request: Request, category_id: UUID) -> HttpResponseBase:
        return self.put(request, category_id)

    @described(
        "categories_delete",
        "Delete a category",
        answer=None,
        status=204,
        needs=ADMINS,
        description="It can no longer be chosen; its tickets keep it. Refused while categories are below it.",
        tag="Categories",
    )
    def delete(self, request: Request, category_id: UUID) -> HttpResponseBase:
        setup.delete_category(category=self.category(category_id), now=self.now)
        return Response(status=204)


# --- Custom fields ----------------------------------------------------------------------------


class Fields(TicketView):
    """What a workspace asks of its tickets besides what every ticket says."""

    permissions = {"POST": Permission.MANAGE}

    @described(
        "fields_list",
        "List custom fields",
        answer=envelope_of("fields", shapes.FieldOut),
        parameters=PAGE_PARAMETERS,
        needs=EVERYONE,
        description="In their order. A ticket has its answers in `custom_fields`.",
        tag="Custom fields",
    )
    def get(self, request: Request) -> HttpResponseBase:
        self.only_parameters()
        rows = Field.objects.for_workspace(self.workspace).filter(archived_at=None).order_by("position", "id")
        return self.page(
            rows.values(*shapes.FIELD_FIELDS),
            plural="fields",
            to_json=lambda page: [shapes.plain(row) for row in page],
        )

    @described(
        "fields_create",
        "Create a custom field",
        request=shapes.FieldIn,
        answer=shapes.FieldOut,
        status=201,
        needs=ADMINS,
        tag="Custom fields",
    )
    @idempotent
    def post(self, request: Request) -> HttpResponseBase:
        made = setup.save_field(workspace=self.workspace, changes=self.read(shapes.FieldIn), now=self.now)
        headers = {"Location": f"/api/tickets/fields/{made.pk}"}
        return Response(shapes.field(made), status=201, headers=headers)


class OneField(TicketView):
    """A custom field."""

    permissions = {"PUT": Permission.MANAGE, "PATCH": Permission.MANAGE, "DELETE": Permission.MANAGE}

    def field(self, field_id: UUID) -> Field:
        """The field of the address. Raises NotFound."""
        return base.find_field(self.workspace.pk, field_id)

    @described("fields_get", "Get a custom field", answer=shapes.FieldOut, needs=EVERYONE, tag="Custom fields")
    def get(self, request: Request, field_id: UUID) -> HttpResponseBase:
        return Response(shapes.field(self.field(field_id)))

    @described(
        "fields_update",
        "Update a custom field",
        request=shapes.FieldChanges,
        answer=shapes.FieldOut,
        needs=ADMINS,
        description="Changes the properties that are sent.",
        tag="Custom fields",
    )
    def put(self, request: Request, field_id: UUID) -> HttpResponseBase:
        changes = self.read(shapes.FieldChanges)
        saved = setup.save_field(workspace=self.workspace, changes=changes, field=self.field(field_id), now=self.now)
        return Response(shapes.field(saved))

    @described(
        "fields_patch",
        "Update a custom field",
        request=shapes.FieldChanges,
        answer=shapes.FieldOut,
        needs=ADMINS,
        description="The same as PUT.",
        tag="Custom fields",
    )
    def patch(self, request: Request, field_id: UUID) -> HttpResponseBase:
        return self.put(request, field_id)

    @described(
        "fields_delete",
        "Delete a custom field",
        answer=None,
        status=204,
        needs=ADMINS,
        description="It is no longer asked or shown; the answers come back with a field of the same key.",
        tag="Custom fields",
    )
    def delete(self, request: Request, field_id: UUID) -> HttpResponseBase:
        setup.delete_field(field=self.field(field_id), now=self.now)
        return Response(status=204)


# --- Canned responses -------------------------------------------------------------------------


class CannedResponseView(TicketView):
    """What the endpoints of canned responses share."""

    problems = {}

    def find(self, response_id: UUID) -> CannedResponse:
        """The canned response of the address. Raises NotFound."""
        found: CannedResponse | None = (
            CannedResponse.objects.for_workspace(self.workspace).filter(pk=response_id).first()
        )
        if found is None:
            message = "There is no such canned response."
            raise NotFound(message, errors={"id": [message]})
        return found

    def own(self, response_id: UUID) -> CannedResponse:
        """The canned response, if the caller made it or is an admin. Raises NotAllowed, NotFound."""
        found = self.find(response_id)
        if found.created_by_id != self.membership.user_id and not self.caller.may(Permission.MANAGE):
            raise NotAllowed("Only who made it or an admin may change a canned response.")
        return found


class CannedResponses(CannedResponseView):
    """Saved replies."""

    problems = {}

    @described(
        "canned_responses_list",
        "List canned responses",
        answer=envelope_of("canned_responses", shapes.CannedResponseOut),
        parameters=[
            OpenApiParameter("search", str, description="A part of the title or the shortcut."),
            *PAGE_PARAMETERS,
        ],
        needs=EVERYONE,
        description="By title.",
        tag="Canned responses",
    )
    def get(self, request: Request) -> HttpResponseBase:
        self.only_parameters("search")
        rows = CannedResponse.objects.for_workspace(self.workspace).order_by(Lower("title"), "id")
        if wanted := request.query_params.get("search", "").strip():
            rows = rows.filter(Q(title__icontains=wanted) | Q(shortcut__icontains=wanted.removeprefix("/")))
        return self.page(
            rows.values(*shapes.CANNED_FIELDS),
            plural="canned_responses",
            to_json=lambda page: [shapes.plain(row) for row in page],
        )

    @described(
        "canned_responses_create",
        "Create a canned response",
        request=shapes.CannedResponseIn,
        answer=shapes.CannedResponseOut,
        status=201,
        needs=AGENTS,
        tag="Canned responses",
    )
    @idempotent
    def post(self, request: Request) -> HttpResponseBase:
        made = setup.save_canned_response(
            workspace=self.workspace,
            changes=self.read(shapes.CannedResponseIn),
            author=self.membership.user,
            now=self.now,
        )
        headers = {"Location": f"/api/tickets/canned-responses/{made.pk}"}
        return Response(shapes.canned_response(made), status=201, headers=headers)


class OneCannedResponse(CannedResponseView):
    """A canned response."""

    @described(
        "canned_responses_get",
        "Get a canned response",
        answer=shapes.CannedResponseOut,
        needs=EVERYONE,
        tag="Canned responses",
    )
    def get(self, request: Request, response_id: UUID) -> HttpResponseBase:
        return Response(shapes.canned_response(self.find(response_id)))

    @described(
        "canned_responses_update",
        "Update a canned response",
        request=shapes.CannedResponseChanges,
        answer=shapes.CannedResponseOut,
        needs="agents, their own; admins, all",
        description="Changes the fields that are sent.",
        tag="Canned responses",
    )
    def put(self, request: Request, response_id: UUID) -> HttpResponseBase:
        changes = self.read(shapes.CannedResponseChanges)
        saved = setup.save_canned_response(
            workspace=self.workspace, changes=changes, response=self.own(response_id), now=self.now
        )
        return Response(shapes.canned_response(saved))

    @described(
        "canned_responses_patch",
        "Update a canned response",
        request=shapes.CannedResponseChanges,
        answer=shapes.CannedResponseOut,
        needs="agents, their own; admins, all",
        description="The same as PUT.",
        tag="Canned responses",
    )
    def patch(self, request: Request, response_id: UUID) -> HttpResponseBase:
        return self.put(request, response_id)

    @described(
        "canned_responses_delete",
        "Delete a canned response",
        answer=None,
        status=204,
        needs="agents, their own; admins, all",
        tag="Canned responses",
    )
    def delete(self, request: Request, response_id: UUID) -> HttpResponseBase:
        setup.delete_canned_response(response=self.own(response_id))
        return Response(status=204)


class UseCannedResponse(CannedResponseView):
    """Counts a use."""

    permissions = {"POST": Permission.NOTE}

    @described(
        "canned_responses_use",
        "Count a use of a canned response",
        request=shapes.Nothing,
        answer=shapes.CannedResponseOut,
        needs=EVERYONE,
        tag="Canned responses",
    )
    def post(self, request: Request, response_id: UUID) -> HttpResponseBase:
        self.read(shapes.Nothing)
        used = setup.use_canned_response(response=self.find(response_id))
        return Response(shapes.canned_response(used))


# --- Tags -------------------------------------------------------------------------------------


class Tags(TicketView):
    """The words that agents put on tickets."""

    problems = {}

    @described(
        "tags_list",
        "List tags",
        answer=envelope_of("tags", shapes.TagOut),
        parameters=[OpenApiParameter("search", str, description="The beginning of the tag."), *PAGE_PARAMETERS],
        needs=EVERYONE,
        description="By name.",
    )
    def get(self, request: Request) -> HttpResponseBase:
        self.only_parameters("search")
        rows = Tag.objects.for_workspace(self.workspace).order_by("name")
        if wanted := request.query_params.get("search", "").strip().lower():
            rows = rows.filter(name__startswith=wanted)
        return self.page(
            rows.values("id", "name"), plural="tags", to_json=lambda page: [shapes.plain(row) for row in page]
        )
