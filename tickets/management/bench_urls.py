"""The yardstick of `manage.py bench`: the least that Django REST Framework needs for the same answers.

No sign-in, no permissions, no middleware, no totals, no history. Served only by the benchmark's own
server (`bench_wsgi`); the product's URLs know nothing of it.
"""

import time
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.contrib.postgres.search import SearchQuery
from django.db.models import QuerySet
from django.urls import path
from rest_framework import generics, serializers
from rest_framework.pagination import BasePagination

from helpdesk.accounts.models import Contact, Workspace
from tickets.models import SearchDocument, Ticket


class MinimalTicket(serializers.ModelSerializer):
    """What the product's list shows of a ticket."""

    class Meta:
        model = Ticket
        fields = (
            "id", "ticket_number", "subject", "status", "priority", "requester_email", "requester_name", "assignee_id",
            "created_at", "updated_at",
        )  # fmt: skip


class MinimalDetail(serializers.ModelSerializer):
    """The same, with the description."""

    class Meta:
        model = Ticket
        fields = (*MinimalTicket.Meta.fields, "description")


class First20(BasePagination):
    """The first twenty rows, not counting the others."""

    def paginate_queryset(self, queryset: Any, request: Any, view: Any = None) -> list[Any]:
        return list(queryset[:20])

    def get_paginated_response(self, data: Any) -> Any:
        from rest_framework.response import Response

        return Response({"tickets": data})


@lru_cache(maxsize=1)
def _workspace_id() -> UUID:
    """Known from the start, as a program with one tenant has it in its settings."""
    return Workspace.objects.values_list("pk", flat=True).get(slug="demo")


class MinimalList(generics.ListCreateAPIView):
    """The newest tickets, those that have a word, or one more ticket."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    serializer_class = MinimalDetail
    pagination_class = First20

    def get_serializer_class(self) -> Any:
        return MinimalDetail if self.request.method == "POST" else MinimalTicket

    def get_queryset(self) -> QuerySet[Ticket]:
        rows = Ticket.unscoped.filter(workspace_id=_workspace_id(), trashed_at=None).order_by("-created_at", "-id")
        if text := self.request.GET.get("search"):
            # Match first, as every sensible search does; a plain join took 39 s for a rare word.
            words = SearchDocument.unscoped.filter(words=SearchQuery(text, config="helpdesk"))
            found = list(words.values_list("pk", flat=True)[:2000])
            rows = rows.filter(pk__in=found)
        return rows

    def perform_create(self, serializer: Any) -> None:
        workspace_id = _workspace_id()
        email = serializer.validated_data["requester_email"]
        contact, _ = Contact.unscoped.get_or_create(workspace_id=workspace_id, email=email)
        serializer.save(workspace_id=workspace_id, number=time.time_ns(), requester=contact, channel="api")


class MinimalOne(generics.RetrieveAPIView):
    """One ticket."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    serializer_class = MinimalDetail
    queryset = Ticket.unscoped.all()


urlpatterns = [
    path("tickets", MinimalList.as_view()),
    path("tickets/<uuid:pk>", MinimalOne.as_view()),
]
