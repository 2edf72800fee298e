"""The OpenAPI document: what every operation has in common is written here, once.

`Operation` adds to each operation the problems it may answer, the bearer tokens and the
`Idempotency-Key` header. A view names what cannot be known from outside:
`problems = {"PUT": (409, 412)}`.
"""

import re
from functools import cache, lru_cache
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import render
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiYamlRenderer
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from helpdesk.api import idempotency, pagination
from helpdesk.api.errors import CONTENT_TYPE
from helpdesk.api.throttles import CallerThrottle
from helpdesk.api.views import PublicApiView

PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "A refusal (RFC 9457). `code` is for programs, `detail` for people, `errors` names fields.",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "errors": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
    },
    "required": ["type", "title", "status", "detail", "code"],
}

PROBLEMS = {
    400: "Something in the request is not acceptable; `errors` names it.",
    401: "No token or key, or one that opens nothing.",
    403: "The role, the scopes of the key, or the site whose page asks, do not allow this.",
    404: "There is no such thing in this workspace, or no such page.",
    405: "Not with this method.",
    409: "The state of the thing does not permit this now.",
    411: "The body came without a `Content-Length`.",
    412: "Somebody changed it since it was read (`If-Match`).",
    413: "The body is too big.",
    415: "The body is not of a type that this endpoint reads.",
    422: "The `Idempotency-Key` was used for another request.",
    429: "Too many requests; `Retry-After` says when to come again.",
    503: "The database does not answer; try again.",
}

PAGE_PARAMETERS = [
    OpenApiParameter(
        "page",
        {"type": "integer", "minimum": 1, "maximum": pagination.MAX_PAGE, "default": 1},
        description="Which page, from 1. A page behind the last is 404.",
    ),
    OpenApiParameter(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": pagination.MAX_LIMIT, "default": pagination.DEFAULT_LIMIT},
        description="Rows per page.",
    ),
]


class PaginationSerializer(serializers.Serializer[Any]):
    """Where a page stands in its list."""

    page = serializers.IntegerField(min_value=1)
    limit = serializers.IntegerField(min_value=1, max_value=pagination.MAX_LIMIT)
    total = serializers.IntegerField(min_value=0)
    totalPages = serializers.IntegerField(min_value=0)  # noqa: N815 (the specification's name)


@cache
def envelope_of(plural: str, item: type[serializers.Serializer[Any]]) -> Any:
    """Describes a list answer: the items under their plural name, and `pagination`. The same list is described once."""
    name = "".join(part.capitalize() for part in re.split(r"[-_ ]", plural))
    return inline_serializer(f"{name}Page", {plural: item(many=True), "pagination": PaginationSerializer()})


class BearerScheme(OpenApiAuthenticationExtension):
    """How the document names our authentication."""

    target_class = "helpdesk.api.authentication.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "An access token from `POST /api/auth/token`, or an API key (`hdk_…`) from the settings.",
        }


class Operation(AutoSchema):
    """One operation, with all that our views have in common."""

    def get_override_parameters(self) -> list[Any]:
        parameters = list(super().get_override_parameters())
        if self._is_idempotent():
            parameters.append(
                OpenApiParameter(
                    idempotency.HEADER,
                    {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
                    OpenApiParameter.HEADER,
                    description="Send the same key with a repeated request: the first answer comes again, for a day.",
                )
            )
        return parameters

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        operation = super().get_operation(*args, **kwargs)
        if not operation:
            return operation
        problem = ResolvedComponent(name="Problem", type=ResolvedComponent.SCHEMA, schema=PROBLEM, object="Problem")
        self.registry.register_on_missing(problem)
        for status in self._problem_statuses(operation):
            described: dict[str, Any] = {
                "description": PROBLEMS.get(status) or HTTPStatus(status).phrase,
                "content": {CONTENT_TYPE: {"schema": problem.ref}},
            }
            if status in (429, 503):
                described["headers"] = {
                    "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait."}
                }
            operation["responses"].setdefault(str(status), described)
        if self._is_idempotent():
            for status, response in operation["responses"].items():
                if status.startswith("2"):
                    response.setdefault("headers", {})[idempotency.REPLAYED] = {
                        "schema": {"type": "string", "enum": ["true"]},
                        "description": "Sent when this is the kept answer of an earlier request.",
                    }
        operation["responses"] = dict(sorted(operation["responses"].items()))
        return operation

    def _is_idempotent(self) -> bool:
        return bool(getattr(getattr(self.view, self.method.lower(), None), "is_idempotent", False))

    def _problem_statuses(self, operation: dict[str, Any]) -> list[int]:
        statuses = {400, 405, 429, 503}
        if self.view.authentication_classes:
            statuses |= {401, 403}
        names = {parameter["name"] for parameter in operation.get("parameters", [])}
        if "{" in self.path or "page" in names or ("requestBody" in operation and self.view.authentication_classes):
            statuses.add(404)
        if self.method in ("POST", "PUT", "PATCH", "DELETE"):
            statuses |= {411, 413, 415}
        if "If-Match" in names:
            statuses.add(412)
        if self._is_idempotent():
            statuses.add(422)
        return sorted(statuses | set(getattr(self.view, "problems", {}).get(self.method, ())))


def refuse_unknown_fields(result: Any, generator: Any, request: Any, public: bool) -> Any:
    """Say in the document what the inputs do: fields that are not listed are refused."""
    for name, component in result.get("components", {}).get("schemas", {}).items():
        if name.endswith("Request") and component.get("type") == "object":
            component.setdefault("additionalProperties", False)
    return result


# --- Serving it -------------------------------------------------------------------------------

TYPES = {"json": "application/json", "yaml": "application/yaml"}


@lru_cache(maxsize=2)
def document(kind: str) -> bytes:
    """The OpenAPI document as `json` or `yaml`; made once for each process."""
    data = SchemaGenerator().get_schema(request=None, public=True)
    rendered: bytes = (OpenApiYamlRenderer() if kind == "yaml" else OpenApiJsonRenderer()).render(
        data, renderer_context={}
    )
    return rendered


class Schema(PublicApiView):
    """The OpenAPI document of this API."""

    parameters = ("format",)
    throttle_classes = (CallerThrottle,)

    @extend_schema(
        operation_id="schema",
        summary="This document",
        tags=["This document"],
        parameters=[OpenApiParameter("format", str, enum=list(TYPES), description="JSON unless told otherwise.")],
        responses={(200, "application/json"): OpenApiTypes.OBJECT, (200, "application/yaml"): OpenApiTypes.OBJECT},
    )
    def get(self, request: Request) -> HttpResponse:
        """The OpenAPI 3.1 document, as JSON or YAML."""
        accepted = request.META.get("HTTP_ACCEPT", "")
        kind = request.query_params.get("format", "yaml" if "yaml" in accepted else "json")
        if kind not in TYPES:
            raise ValidationError({"format": [f"Give one of {', '.join(TYPES)}."]})
        return HttpResponse(
            document(kind), content_type=TYPES[kind], headers={"Cache-Control": "public, max-age=300", "Vary": "Accept"}
        )


class Docs(PublicApiView):
    """Swagger UI, from our own static files, under the same content security policy as every page."""

    throttle_classes = (CallerThrottle,)

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        """The page; its script reads `/api/schema`."""
        title = settings.SPECTACULAR_SETTINGS["TITLE"]
        return render(request._request, "api/docs.html", {"title": title})
