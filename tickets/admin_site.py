"""What the admin pages of every app share that show rows of tickets."""

from typing import Any

from django.http import HttpRequest

from helpdesk.accounts.admin_site import ReadOnlyAdmin
from tickets import search


def number_in(term: str) -> int | None:
    """The ticket number that somebody typed, with or without its #."""
    digits = term.strip().removeprefix("#")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 19 else None


class OfTicket(ReadOnlyAdmin):
    """Rows that hang on a ticket: found by its number or by words of its subject. Other apps' rows, too."""

    big = True
    ticket_field = "ticket"
    list_select_related: Any = ("ticket",)  # type: ignore[misc]
    search_help_text = "A ticket's number, or words of its subject"
    search_fields: Any = ("ticket__subject",)  # type: ignore[misc]
    sortable_by = ()

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        number = number_in(search_term)
        if number is not None:
            return queryset.filter(**{f"{self.ticket_field}__number": number}), False
        if not search_term.strip():
            return queryset, False
        return queryset.filter(**{f"{self.ticket_field}__in": search.having_subject(search_term)}), False
