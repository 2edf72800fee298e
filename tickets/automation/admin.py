"""Django admin of the automation: rules are changed by their services, the rest is to look at."""

from django.contrib import admin

from helpdesk.accounts.admin_site import ReadOnlyAdmin
from tickets.admin_site import OfTicket
from tickets.automation.models import RecurringRun, RecurringTicket, Rule, Run, Waiting


@admin.register(Rule)
class RuleAdmin(ReadOnlyAdmin):
    """Automation rules; the API changes them."""

    list_display = ("name", "position", "is_active", "stops", "notice", "updated_at", "archived_at")
    list_filter = ("is_active", ("archived_at", admin.EmptyFieldListFilter))
    search_fields = ("name",)
    ordering = ("position",)


@admin.register(Run)
class RunAdmin(OfTicket):
    """What rules did, and why."""

    list_display = ("rule", "ticket", "trigger", "ran_at")
    list_filter = ("trigger",)
    list_select_related = ("rule", "ticket")


@admin.register(Waiting)
class WaitingAdmin(OfTicket):
    """Tickets that wait for an agent who is free."""

    list_display = ("ticket", "rule", "team", "method", "since")
    list_filter = ("method",)
    list_select_related = ("ticket", "rule", "team")


@admin.register(RecurringTicket)
class RecurringTicketAdmin(ReadOnlyAdmin):
    """Tickets that open by themselves; the settings of the console change them."""

    list_display = ("name", "is_active", "next_at", "last_at", "last_ticket", "notice", "archived_at")
    list_filter = ("is_active", ("archived_at", admin.EmptyFieldListFilter))
    list_select_related = ("last_ticket",)
    search_fields = ("name", "subject")
    ordering = ("name",)


@admin.register(RecurringRun)
class RecurringRunAdmin(OfTicket):
    """What became of each occurrence."""

    list_display = ("recurring", "occurrence_at", "is_opened", "ticket", "text")
    list_filter = ("is_opened",)
    list_select_related = ("recurring", "ticket")
