"""All real addresses, and a few that only the tests of the ground floor have."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import include, path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from helpdesk.accounts.models import Team, Workspace
from helpdesk.accounts.roles import Permission
from helpdesk.api.idempotency import idempotent
from helpdesk.api.throttles import page_throttle
from helpdesk.api.views import ApiView, PublicApiView, StrictSerializer
from helpdesk.errors import Conflict, LostUpdate


class PlaceInput(StrictSerializer):
    city = serializers.CharField()


class TeamInput(StrictSerializer):
    name = serializers.CharField(max_length=80)
    size = serializers.IntegerField(required=False)
    share = serializers.FloatField(required=False)
    is_open = serializers.BooleanField(required=False)
    kind = serializers.ChoiceField(["inner", "outer"], required=False)
    words = serializers.ListField(child=serializers.CharField(), required=False)
    place = PlaceInput(required=False)
    others = PlaceInput(many=True, required=False)
    extra = serializers.JSONField(required=False)


class MakeTeam(ApiView):
    permissions = {"POST": Permission.MANAGE}

    @idempotent
    def post(self, request: Request) -> Response:
        given = self.read(TeamInput)
        if given["name"] == "taken":
            Team.unscoped.create(workspace=self.workspace, name="half done")
            raise Conflict("This name is taken.")
        if given["name"] == "refused":
            Team.unscoped.create(workspace=self.workspace, name="half done")
            return Response({"name": "refused"}, status=400)
        team = Team.unscoped.create(workspace=self.workspace, name=given["name"])
        return Response({"z": 1, "id": team.pk, "a": 2}, status=201, headers={"Location": f"/teams/{team.pk}"})

    def put(self, request: Request) -> Response:
        raise LostUpdate("Changed meanwhile.")

    def get(self, request: Request) -> Response:
        raise Http404("No Team matches the given query.")

    def delete(self, request: Request) -> Response:
        Team.unscoped.filter(name="a" * 200, pk="00000000-0000-0000-0000-000000000000").delete()
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute("SELECT 1000000::smallint")
        return Response(status=204)


class OpenForm(PublicApiView):
    def idempotency_owner(self) -> tuple[Workspace, str]:
        return Workspace.objects.get(), "public"

    @idempotent
    def post(self, request: Request) -> Response:
        given = self.read(TeamInput)
        team = Team.unscoped.create(workspace=Workspace.objects.get(), name=given["name"])
        return Response({"id": team.pk}, status=201)


@page_throttle("public")
def a_page(request: HttpRequest) -> HttpResponse:
    return HttpResponse("fine")


handler404 = "helpdesk.views.not_found"
handler500 = "helpdesk.views.server_error"
urlpatterns: list[Any] = [
    path("api/test/teams", MakeTeam.as_view()),
    path("api/test/other-teams", MakeTeam.as_view()),
    path("api/test/form", OpenForm.as_view()),
    path("test/page", a_page),
    path("", include("helpdesk.urls")),
]
