"""What a workspace sets up: categories, custom fields, canned responses, tags."""

from typing import cast
from uuid import UUID

from django.db.models import Q
from django.db.models.functions import Lower
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from helpdesk.accounts.roles import Permission
from helpdesk.api.idempotency import idempotent
from helpdesk.api.schema import PAGE_PARAMETERS, envelope_of
from helpdesk.errors import NotAllowed, NotFound
from tickets.api import serializers as shapes
from tickets.api.schema import described
from tickets.api.views.base import ADMINS, AGENTS, EVERYONE, TicketView
from tickets.models import CannedResponse, Category, Field, Tag
from tickets.services import base, setup

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
        made = setup.save_category(workspace=self.workspace, changes=self.read(shapes.CategoryIn), now=self.now)
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
        saved = setup.save_category(workspace=self.workspace, changes=changes, category=category, now=self.now)
        return Response(shapes.category(saved))

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
