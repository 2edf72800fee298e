"""What the tests of the API share: a caller, and a watch over what is written."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from django.db.models import Sum
from django.test import Client
from django.utils import timezone

from helpdesk.accounts import tokens
from helpdesk.accounts.models import Contact, Membership
from helpdesk.api.models import IdempotencyKey
from tickets.models import (
    Activity,
    Assignment,
    Attachment,
    CannedResponse,
    Category,
    Comment,
    Field,
    Merge,
    Participant,
    Tag,
    Ticket,
    TicketLink,
    TicketTag,
    Watcher,
)

ROLES = ["owner", "admin", "agent", "light"]
UNKNOWN = "0190aaaa-0000-7000-8000-000000000000"


class Api:
    """Calls the API as a member; as nobody without one."""

    def __init__(self, member: Membership | None = None, *, token: str = "") -> None:
        self.client = Client()
        if member is not None:
            token = tokens.issue(membership=member, now=timezone.now()).access
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def __call__(self, method: str, path: str, body: Any = None, *, raw: bytes | None = None, **headers: str) -> Any:
        """`headers` are written with underscores: `If_Match='"3"'`."""
        sent = self.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        data = raw if raw is not None else json.dumps(body).encode() if body is not None else b""
        given = {"data": data, "content_type": "application/json"} if data else {}
        return self.client.generic(method, f"/api{path}", headers=sent, **given)

    def get(self, path: str, **headers: str) -> Any:
        return self("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self("POST", path, body, **headers)

    def put(self, path: str, body: Any = None, **headers: str) -> Any:
        return self("PUT", path, body, **headers)

    def patch(self, path: str, body: Any = None, **headers: str) -> Any:
        return self("PATCH", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Any:
        return self("DELETE", path, **headers)

    def upload(self, path: str, **fields: Any) -> Any:
        return self.client.post(f"/api{path}", fields, headers=self.headers)


def refused(response: Any, status: int, *fields: str) -> dict[str, Any]:
    """The problem that a refusal answers with; its `errors` name exactly `fields`, if any are given."""
    assert response.status_code == status, (response.status_code, response.content)
    assert response["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["status"] == status
    assert problem["detail"]
    assert problem["code"]
    if fields:
        assert set(problem["errors"]) == set(fields), problem
    return problem


def _state() -> dict[str, Any]:
    models = [
        Ticket,
        Comment,
        Activity,
        Assignment,
        Attachment,
        Category,
        CannedResponse,
        Contact,
        Field,
        IdempotencyKey,
        Merge,
        Participant,
        Tag,
        TicketLink,
        Watcher,
    ]
    state: dict[str, Any] = {model.__name__: model.unscoped.count() for model in models}
    state["tags on tickets"] = TicketTag.objects.count()
    state["versions"] = Ticket.unscoped.aggregate(n=Sum("version"))["n"]
    state["uses"] = CannedResponse.unscoped.aggregate(n=Sum("usage_count"))["n"]
    state["names"] = sorted(Category.unscoped.values_list("name", "archived_at"), key=str)
    state["texts"] = sorted(CannedResponse.unscoped.values_list("title", "content"), key=str)
    state["fields"] = sorted(Field.unscoped.values_list("key", "label", "options", "position", "archived_at"), key=str)
    state["answers"] = list(Ticket.unscoped.order_by("pk").values_list("custom_fields", flat=True))
    state["bodies"] = sorted(Comment.unscoped.values_list("body", "deleted_at"), key=str)
    return state


@contextlib.contextmanager
def nothing_written() -> Iterator[None]:
    """Whatever happens inside leaves no trace in the database."""
    before = _state()
    yield
    assert _state() == before


@contextlib.contextmanager
def unchanged(*models: Any) -> Iterator[None]:
    """Whatever happens inside leaves every row of these models as it is."""

    def rows() -> list[Any]:
        return [list(model.unscoped.order_by("pk").values()) for model in models]

    before = rows()
    yield
    assert rows() == before
