"""Comments and files."""

from typing import Any
from uuid import UUID

from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from helpdesk.accounts.roles import Permission
from helpdesk.api.downloads import download
from helpdesk.api.idempotency import idempotent
from helpdesk.api.schema import PAGE_PARAMETERS, envelope_of
from helpdesk.api.throttles import CallerThrottle
from helpdesk.api.views import PublicApiView
from helpdesk.errors import NotAllowed, NotFound
from tickets.api import serializers as shapes
from tickets.api.schema import described
from tickets.api.views.base import EVERYONE, TicketView, find_comment
from tickets.models import Attachment, Comment
from tickets.services import conversation, files


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
        if not comment.is_internal:
            comment.refresh_from_db(fields=["delivery"])  # whoever mails it has said so in the same transaction
        return Response(_comment_json(comment), status=201)


class OneComment(TicketView):
    """A comment."""

    permissions = {"PUT": Permission.NOTE, "PATCH": Permission.NOTE, "DELETE": Permission.NOTE}

    def own(self, ticket_id: UUID, comment_id: UUID) -> Comment:
        """The comment, if this caller may change it: the service asks the role, this the key's scopes."""
        comment = find_comment(self.ticket(ticket_id), comment_id)
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
        return download(content, name=found.name, content_type=found.content_type)
