"""Tickets, and what can be done to them."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiResponse, inline_serializer
from rest_framework.request import Request
from rest_framework.response import Response

from helpdesk.accounts.roles import Permission
from helpdesk.api.idempotency import idempotent
from helpdesk.api.schema import PAGE_PARAMETERS, PaginationSerializer, envelope_of
from tickets.api import schema
from tickets.api import serializers as shapes
from tickets.api.schema import IF_NONE_MATCH, described
from tickets.api.views.base import ADMINS, AGENTS, EVERYONE, PAGING, TicketView, find_comment, tags_named
from tickets.filters import TicketFilter, exact_total
from tickets.models import Activity, Ticket, TicketLink
from tickets.services import assignment, base, editing, merging, opening, status


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
        tickets = TicketFilter(
            request.query_params, workspace=self.workspace, user=self.membership.user, now=self.now, also=PAGING
        )
        tickets.check()
        return self.page(
            tickets.qs.values(*shapes.ITEM_FIELDS),
            plural="tickets",
            to_json=lambda rows: [shapes.ticket_item(row, self.now) for row in rows],
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
        header = request.headers.get("If-None-Match", "")
        if header.strip() == "*" or answer["ETag"].strip('"') in tags_named(header, weak=True):
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
        chain = [merge.target for merge in merging.merges_from(ticket)]
        with self.as_expected(ticket, *(target for target in chain if target.trashed_at is None)):
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
        comment = find_comment(ticket, given["comment_id"], "comment_id")
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
            to_json=lambda page: [shapes.ticket_item(row, self.now) for row in page],
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
