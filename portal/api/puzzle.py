"""The puzzle before a request."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from helpdesk.errors import InvalidInput
from portal.api.base import CustomerView
from portal.services import puzzles, requests


class PuzzleParameters(serializers.Serializer[Any]):
    """What a client needs to solve the puzzle, named as ALTCHA names it."""

    algorithm = serializers.ChoiceField(choices=[puzzles.ALGORITHM])
    cost = serializers.IntegerField(help_text="Rounds of PBKDF2.")
    expiresAt = serializers.IntegerField(help_text="When it ends, in seconds since 1970.")  # noqa: N815
    keyLength = serializers.IntegerField(help_text="Bytes of the derived key.")  # noqa: N815
    keyPrefix = serializers.CharField(help_text="How the right key begins, in hexadecimal.")  # noqa: N815
    keySignature = serializers.CharField()  # noqa: N815
    nonce = serializers.CharField(help_text="Begins the password, in hexadecimal; the tried number (uint32) ends it.")
    salt = serializers.CharField(help_text="In hexadecimal.")


class Puzzle(serializers.Serializer[Any]):
    """A puzzle, as the clients of ALTCHA (version 2) read it."""

    parameters = PuzzleParameters()
    signature = serializers.CharField()


class Challenge(CustomerView):
    """Ask for a puzzle."""

    parameters = ("workspace_id",)
    problems = {"GET": (403, 404)}
    token_comes_with = ()

    @extend_schema(
        operation_id="public_challenge",
        summary="Ask for a puzzle",
        description="For `proof` of *Submit a request*, where the workspace asks for one: ALTCHA, version 2. The proof "
        'is the JSON `{"challenge": …, "solution": {"counter": 123, "derivedKey": "…"}}` in base64. It is good for '
        f"one request to this workspace, within {puzzles.LIFETIME.seconds // 60} minutes.",
        parameters=[OpenApiParameter("workspace_id", UUID, required=True)],
        responses={200: Puzzle},
        tags=["Public"],
    )
    def get(self, request: Request) -> Response:
        """A new puzzle; nothing is kept of it."""
        try:
            workspace_id = UUID(request.query_params.get("workspace_id", ""))
        except ValueError:
            raise InvalidInput.of("workspace_id", "This must be the id of a workspace.") from None
        workspace = self.admit(requests.find_workspace(workspace_id))
        return Response(puzzles.make(workspace=workspace, now=self.now))
