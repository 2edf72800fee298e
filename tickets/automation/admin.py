"""Django admin of the automation: rules are changed by their services, the rest is to look at."""

from django.contrib import admin

from helpdesk.accounts.admin_site import ReadOnlyAdmin
from tickets.admin_site import OfTicket
from tickets.automation.models import DryRun, DryRunRow, Rule, Run, Waiting


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


@admin.register(DryRun)
class DryRunAdmin(ReadOnlyAdmin):
    """What rules would have done, as asked."""

    list_display = (
        "rule",
        "status",
        "matched_tickets",
        "tickets",
        "matched_events",
        "events",
        "created_at",
        "finished_at",
    )
    list_filter = ("status",)
    list_select_related = ("rule",)
    search_fields = ("rule__name",)
    ordering = ("-created_at",)


@admin.register(DryRunRow)
class DryRunRowAdmin(OfTicket):
    """What a rule would have done to each ticket, and why."""

    list_display = ("dry_run", "ticket", "trigger", "is_matched", "happened_at")
    list_filter = ("is_matched", "trigger")
    list_select_related = ("dry_run", "ticket")
