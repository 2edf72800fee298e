"""What the endpoints of every app are made of: the view and the serializer bases.

class Categories(ApiView):
    permissions = {"POST": Permission.MANAGE}

    def get(self, request):
        return self.page(Category.objects.for_workspace(self.workspace).order_by("name"),
                         plural="categories", to_json=categories_json)

    @idempotent
    def post(self, request):
        given = self.read(CategoryInput)
        category = services.create_category(workspace=self.workspace, now=self.now, **given)
        return Response(category_json(category), status=201)
"""

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from rest_framework import serializers
from rest_framework.exceptions import NotAuthenticated, ValidationError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from helpdesk.accounts.models import Membership, Workspace
from helpdesk.api import pagination
from helpdesk.api.authentication import Caller
from helpdesk.api.errors import LengthRequired
from helpdesk.api.throttles import PublicThrottle

# --- Checking it ------------------------------------------------------------------------------


def _wrong_type(field: serializers.Field[Any, Any, Any, Any], value: Any) -> str | None:
    """Why a JSON value is of the wrong type for the field; DRF itself would convert many."""
    if value is None or isinstance(field, serializers.BaseSerializer):
        return None
    if isinstance(field, serializers.ListField):
        if not isinstance(value, list):
            return "This must be a list."
        return next((why for inner in value if (why := _wrong_type(field.child, inner))), None)
    if isinstance(field, serializers.MultipleChoiceField):
        return None if isinstance(value, list) else "This must be a list."
    if isinstance(field, serializers.BooleanField):
        return None if isinstance(value, bool) else "This must be true or false."
    if isinstance(field, serializers.IntegerField):
        return None if isinstance(value, int) and not isinstance(value, bool) else "This must be a whole number."
    if isinstance(field, serializers.FloatField):
        return None if isinstance(value, int | float) and not isinstance(value, bool) else "This must be a number."
    if isinstance(
        field,
        serializers.CharField
        | serializers.UUIDField
        | serializers.DateTimeField
        | serializers.DateField
        | serializers.TimeField
        | serializers.ChoiceField,
    ):
        return None if isinstance(value, str) else "This must be a string."
    return None


class StrictSerializer(serializers.Serializer[Any]):
    """An input whose unknown fields are refused by name and whose types are not converted."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return super().to_internal_value(data)
        fields = self.fields
        errors: dict[str, Any] = {}
        for name, value in data.items():
            field = fields.get(name)
            if field is None or field.read_only:
                errors[name] = ["There is no such field."]
            elif why := _wrong_type(field, value):
                errors[name] = [why]
        if not errors:
            return super().to_internal_value(data)
        try:
            super().to_internal_value({name: value for name, value in data.items() if name not in errors})
        except ValidationError as error:
            # The rest is checked too, so that all errors are told at once.
            errors = {**dict(error.detail), **errors}  # type: ignore[arg-type]
        raise ValidationError(errors)


# --- The view ---------------------------------------------------------------------------------


class AlwaysJSON(BaseContentNegotiation):
    """The API speaks JSON, whatever `Accept` asks for."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        given = request.content_type.partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == given), None)

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        first = next(iter(renderers))
        return first, first.media_type or ""


class ApiView(APIView):
    """An endpoint for members and their API keys.

    `permissions` says what each method needs (see `RoleAllows`). The helpers are `caller`,
    `workspace`, `membership`, `now`, `read()` and `page()`.
    """

    permissions: Mapping[str, Any] = {}
    # The query parameters there are; another is refused by name. None takes any.
    parameters: Collection[str] | None = None
    # Statuses that the OpenAPI document cannot know by itself, by method: {"PUT": (409, 412)}.
    problems: Mapping[str, Sequence[int]] = {}
    content_negotiation_class = AlwaysJSON
    metadata_class = None

    def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower() and not request.META.get(
            "CONTENT_LENGTH"
        ):
            # Django reads no body without a length; "this field is required" would puzzle the caller.
            raise LengthRequired
        if self.parameters is not None and (unknown := set(request.query_params) - set(self.parameters)):
            # A misspelt filter that is ignored would answer with everything.
            raise ValidationError({name: ["There is no such parameter."] for name in sorted(unknown)})

    @property
    def caller(self) -> Caller:
        """Who asks; raises NotAuthenticated (401) on a view that lets anonymous requests in."""
        if not isinstance(self.request.auth, Caller):
            raise NotAuthenticated
        return self.request.auth

    @property
    def workspace(self) -> Workspace:
        """The workspace that the request is about."""
        return self.caller.workspace

    @property
    def membership(self) -> Membership:
        """The member who acts; `membership.user` is the person."""
        return self.caller.membership

    @cached_property
    def now(self) -> dt.datetime:
        """The time of this request (aware, UTC): one for all that it does."""
        return timezone.now()

    def read(self, serializer: type[serializers.Serializer[Any]], *, partial: bool = False) -> dict[str, Any]:
        """The checked body; raises ValidationError naming the fields."""
        checked = serializer(data=self.request.data, partial=partial, context={"view": self, "request": self.request})
        checked.is_valid(raise_exception=True)
        return dict(checked.validated_data)

    def page(
        self,
        rows: "QuerySet[Any] | Sequence[Any]",
        *,
        plural: str,
        to_json: Callable[[list[Any]], Iterable[Any]],
        total: Callable[[], int] | None = None,
    ) -> Response:
        """The page of rows that was asked for, in the envelope of lists (see `pagination.paginated`)."""
        return pagination.paginated(self.request, rows, plural=plural, to_json=to_json, total=total)

    def idempotency_owner(self) -> tuple[Workspace, str]:
        """Whose `Idempotency-Key` this is: the workspace and a name of at most 80 characters.

        Public endpoints override it, for example with `(workspace, "public")`.
        """
        return self.workspace, self.caller.name

    def options(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        """Which methods there are, in `Allow`."""
        return Response(status=204)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        final = super().finalize_response(request, response, *args, **kwargs)
        # Answers are one member's own; a shared cache must not keep them.
        final.headers.setdefault("Cache-Control", "private, no-cache")
        return final


class PublicApiView(ApiView):
    """An endpoint that anybody may call; limited by address."""

    authentication_classes: Sequence[Any] = ()
    permission_classes: Sequence[Any] = ()
    throttle_classes: Sequence[Any] = (PublicThrottle,)
