"""Django admin of what customers told us."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from helpdesk.accounts.admin_site import ReadOnlyAdmin
from portal.models import Satisfaction


@admin.register(Satisfaction)
class SatisfactionAdmin(ReadOnlyAdmin):
    """Ratings, as customers gave them."""

    big = True
    list_display = ("ticket", "contact", "rating", "feedback", "resolved_at", "created_at")
    list_filter = ("rating",)
    list_select_related = ("ticket", "contact")
    search_fields = ("ticket__subject", "feedback")
    search_help_text = "A ticket's number, or words of its subject or of the feedback"
    sortable_by = ()

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        digits = search_term.strip().removeprefix("#")
        if digits.isascii() and digits.isdigit() and len(digits) < 19:
            return queryset.filter(ticket__number=int(digits)), False
        return super().get_search_results(request, queryset, search_term)
