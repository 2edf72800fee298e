"""How the tickets API describes itself; what all operations share is added by `helpdesk.api.schema`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema

from tickets.filters import SORTS, TicketFilter

IF_MATCH = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER, description="The ETag of the ticket as you read it; 412 when it is old."
)
IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match", str, OpenApiParameter.HEADER, description="304 when the ticket still has this ETag."
)


def ticket_filters() -> list[OpenApiParameter]:
    """The parameters of the list of tickets."""
    return [
        OpenApiParameter(
            name,
            str,
            description=made.extra.get("help_text", ""),
            enum=list(SORTS) if name == "sort" else None,
        )
        for name, made in TicketFilter.base_filters.items()
    ]


def described(
    operation_id: str,
    summary: str,
    *,
    answer: Any,
    status: int = 200,
    also: Mapping[int, Any] | None = None,
    request: Any = None,
    needs: str = "",
    description: str = "",
    parameters: Sequence[OpenApiParameter] = (),
    locks: bool = False,
    tag: str = "Tickets",
    **more: Any,
) -> Callable[[Any], Any]:
    """The description of an operation: `needs` says whose role may do it, `locks` adds the `If-Match`."""
    return extend_schema(
        operation_id=operation_id,
        summary=summary,
        description=" ".join(part for part in (description, f"For {needs}." if needs else "") if part),
        request=request,
        responses={status: answer, **(also or {})},
        parameters=[*parameters, *([IF_MATCH] if locks else [])],
        tags=[tag],
        **more,
    )
