"""Signing in, who am I, and the people of a workspace: members, teams, contacts."""

from typing import Any
from uuid import UUID

from django.db.models import Prefetch, Q
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from helpdesk.accounts import services, tokens
from helpdesk.accounts.models import Contact, Membership, Team
from helpdesk.accounts.roles import Permission, Role
from helpdesk.api.schema import PAGE_PARAMETERS, envelope_of
from helpdesk.api.throttles import SignInThrottle
from helpdesk.api.views import ApiView, PublicApiView, StrictSerializer

ROLES = [role.value for role in Role]


# --- What comes in ----------------------------------------------------------------------------


class SignInInput(StrictSerializer):
    """Who wants to sign in, and where."""

    email = serializers.EmailField(max_length=254)
    password = serializers.CharField(max_length=1000, trim_whitespace=False, write_only=True)
    workspace_id = serializers.UUIDField(
        required=False, allow_null=True, help_text="One of the person's workspaces; their oldest when left out."
    )


class RefreshInput(StrictSerializer):
    """A refresh token."""

    refresh = serializers.CharField(max_length=4000, trim_whitespace=False)


class OwnAvailabilityInput(StrictSerializer):
    """Whether I am there."""

    is_available = serializers.BooleanField(required=False)


class AvailabilityInput(OwnAvailabilityInput):
    """What rules may give to a member; what is not sent stays."""

    capacity = serializers.IntegerField(
        min_value=1,
        max_value=services.MAX_CAPACITY,
        required=False,
        allow_null=True,
        help_text="Open tickets that rules give them at most; null: no limit.",
    )


# --- What goes out ----------------------------------------------------------------------------


class OwnUser(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    email = serializers.EmailField()
    name = serializers.CharField()
    role = serializers.ChoiceField(ROLES)


class OwnWorkspace(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    slug = serializers.CharField()


class Me(serializers.Serializer[Any]):
    user = OwnUser()
    workspace = OwnWorkspace()


class SignedIn(Me):
    access = serializers.CharField()
    refresh = serializers.CharField()


class Member(OwnUser):
    is_active = serializers.BooleanField()


class TeamOutput(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    member_ids = serializers.ListField(child=serializers.UUIDField())
    lead_id = serializers.UUIDField(allow_null=True, help_text="One of the members, or nobody.")


class ContactOutput(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    email = serializers.EmailField()
    name = serializers.CharField()
    organization_id = serializers.UUIDField(allow_null=True)
    attributes = serializers.DictField()


class Availability(serializers.Serializer[Any]):
    is_available = serializers.BooleanField(help_text="Rules give no ticket to somebody who is away.")
    capacity = serializers.IntegerField(allow_null=True, help_text="Open tickets at most; null: no limit.")


def me_json(membership: Membership) -> dict[str, Any]:
    """A person and their workspace, as the sign-in answers."""
    user, workspace = membership.user, membership.workspace
    return {
        "user": {"id": user.pk, "email": user.email, "name": user.name, "role": membership.role},
        "workspace": {"id": workspace.pk, "name": workspace.name, "slug": workspace.slug},
    }


def member_json(membership: Membership) -> dict[str, Any]:
    """One member; the id is the person's, as `assignee_id` takes it."""
    user = membership.user
    return {
        "id": user.pk,
        "email": user.email,
        "name": user.name,
        "role": membership.role,
        "is_active": tokens.is_active(membership),
    }


def availability_json(membership: Membership) -> dict[str, Any]:
    """What rules may give to a member."""
    return {"is_available": membership.is_available, "capacity": membership.capacity}


def contact_json(contact: Contact) -> dict[str, Any]:
    """One customer."""
    return {
        "id": contact.pk,
        "email": contact.email,
        "name": contact.name,
        "organization_id": contact.organization_id,
        "attributes": contact.attributes,
    }


def team_json(team: Team) -> dict[str, Any]:
    """One team, with the ids of its people."""
    return {
        "id": team.pk,
        "name": team.name,
        "member_ids": [member.user_id for member in team.members.all()],
        "lead_id": team.lead.user_id if team.lead else None,
    }


def _pair(signed: tokens.SignedIn) -> Response:
    body = {"access": signed.access, "refresh": signed.refresh, **me_json(signed.membership)}
    return Response(body, headers={"Cache-Control": "no-store"})


# --- Endpoints --------------------------------------------------------------------------------


class SignIn(PublicApiView):
    """Tokens for an e-mail address and a password."""

    throttle_classes = (SignInThrottle,)
    problems = {"POST": (401, 403, 404)}

    @extend_schema(
        operation_id="sign_in", summary="Sign in", tags=["Signing in"], request=SignInInput, responses={200: SignedIn}
    )
    def post(self, request: Request) -> Response:
        """Sign in: an access token for 15 minutes and a refresh token for 14 days."""
        given = self.read(SignInInput)
        return _pair(
            tokens.sign_in(
                request=request._request,
                email=given["email"],
                password=given["password"],
                workspace_id=given.get("workspace_id"),
                now=self.now,
            )
        )


class RefreshTokens(PublicApiView):
    """The next pair of tokens."""

    throttle_classes = (SignInThrottle,)
    problems = {"POST": (401,)}

    @extend_schema(
        operation_id="refresh_tokens",
        summary="Refresh the tokens",
        tags=["Signing in"],
        request=RefreshInput,
        responses={200: SignedIn},
    )
    def post(self, request: Request) -> Response:
        """Exchange a refresh token for a new pair; each works once."""
        return _pair(tokens.refresh(token=self.read(RefreshInput)["refresh"], now=self.now))


class RevokeToken(PublicApiView):
    """The end of a refresh token."""

    throttle_classes = (SignInThrottle,)

    @extend_schema(
        operation_id="revoke_token",
        summary="Sign out",
        tags=["Signing in"],
        request=RefreshInput,
        responses={204: None},
    )
    def post(self, request: Request) -> Response:
        """Sign out: end a refresh token. One that is dead already is no error."""
        tokens.revoke(token=self.read(RefreshInput)["refresh"])
        return Response(status=204)


class MeView(ApiView):
    """Who the token or key acts for."""

    parameters = ()

    @extend_schema(operation_id="me", summary="Who am I", tags=["People"], responses={200: Me})
    def get(self, request: Request) -> Response:
        """The person and the workspace that this token or key acts for."""
        return Response(me_json(self.membership))


class OwnAvailability(ApiView):
    """Whether the caller is given tickets by rules."""

    permissions = {"PUT": Permission.NOTE, "PATCH": Permission.NOTE}  # not by a key that only reads
    parameters = ()

    @extend_schema(
        operation_id="own_availability", summary="Am I available", tags=["People"], responses={200: Availability}
    )
    def get(self, request: Request) -> Response:
        """Whether rules give me tickets, and how many open ones at most."""
        return Response(availability_json(self.membership))

    @extend_schema(
        operation_id="set_own_availability",
        summary="Come or go",
        tags=["People"],
        request=OwnAvailabilityInput,
        responses={200: Availability},
    )
    def put(self, request: Request) -> Response:
        """Say whether I am available; while I am away, rules give me no tickets."""
        given = self.read(OwnAvailabilityInput)
        me = self.membership
        return Response(availability_json(services.set_availability(membership=me, by=me, now=self.now, **given)))

    @extend_schema(
        operation_id="patch_own_availability",
        summary="Come or go",
        tags=["People"],
        request=OwnAvailabilityInput,
        responses={200: Availability},
    )
    def patch(self, request: Request) -> Response:
        """The same as PUT."""
        return self.put(request)


class UserAvailability(ApiView):
    """Whether a member is given tickets by rules, and how many."""

    permissions = {"PUT": Permission.MANAGE, "PATCH": Permission.MANAGE}
    parameters = ()

    @extend_schema(
        operation_id="set_availability",
        summary="Set a member's availability and capacity",
        tags=["People"],
        request=AvailabilityInput,
        responses={200: Availability},
    )
    def put(self, request: Request, user_id: UUID) -> Response:
        """Changes the fields that are sent. For admins."""
        given = self.read(AvailabilityInput)
        member = services.find_member(self.workspace.pk, user_id)
        saved = services.set_availability(membership=member, by=self.membership, now=self.now, **given)
        return Response(availability_json(saved))

    @extend_schema(
        operation_id="patch_availability",
        summary="Set a member's availability and capacity",
        tags=["People"],
        request=AvailabilityInput,
        responses={200: Availability},
    )
    def patch(self, request: Request, user_id: UUID) -> Response:
        """The same as PUT. For admins."""
        return self.put(request, user_id)


class Users(ApiView):
    """The members of the workspace."""

    permissions = {"GET": Permission.READ}
    parameters = ("page", "limit")

    @extend_schema(
        operation_id="list_users",
        summary="List the members",
        tags=["People"],
        parameters=PAGE_PARAMETERS,
        responses={200: envelope_of("users", Member)},
    )
    def get(self, request: Request) -> Response:
        """The members of the workspace, by name; those who left have `is_active: false`."""
        rows = Membership.objects.for_workspace(self.workspace).select_related("user").order_by("user__name", "user_id")
        return self.page(rows, plural="users", to_json=lambda found: map(member_json, found))


class Teams(ApiView):
    """The teams of the workspace."""

    permissions = {"GET": Permission.READ}
    parameters = ("page", "limit")

    @extend_schema(
        operation_id="list_teams",
        summary="List the teams",
        tags=["People"],
        parameters=PAGE_PARAMETERS,
        responses={200: envelope_of("teams", TeamOutput)},
    )
    def get(self, request: Request) -> Response:
        """The teams of the workspace, by name, with the ids of their members and of their lead."""
        members = Prefetch("members", queryset=Membership.unscoped.only("user_id").order_by("user_id"))
        rows = (
            Team.objects.for_workspace(self.workspace)
            .select_related("lead")
            .prefetch_related(members)
            .order_by("name", "id")
        )
        return self.page(rows, plural="teams", to_json=lambda found: map(team_json, found))


class Contacts(ApiView):
    """The customers of the workspace."""

    permissions = {"GET": Permission.READ}
    parameters = ("page", "limit", "search")

    @extend_schema(
        operation_id="list_contacts",
        summary="List the customers",
        tags=["People"],
        parameters=[
            *PAGE_PARAMETERS,
            OpenApiParameter("search", OpenApiTypes.STR, description="A part of the name or of the address."),
        ],
        responses={200: envelope_of("contacts", ContactOutput)},
    )
    def get(self, request: Request) -> Response:
        """The customers of the workspace, by address."""
        rows = Contact.objects.for_workspace(self.workspace).order_by("email")
        if wanted := request.query_params.get("search", "").strip():
            rows = rows.filter(Q(email__icontains=wanted) | Q(name__icontains=wanted))
        return self.page(rows, plural="contacts", to_json=lambda found: map(contact_json, found))
