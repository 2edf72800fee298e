"""Django admin of the automation: rules are changed by their services, the rest is to look at."""

from django.contrib import admin

from helpdesk.accounts.admin_site import ReadOnlyAdmin
from tickets.admin_site import OfTicket
from tickets.automation.models import (
    DryRun,
    DryRunRow,
    Due,
    Effect,
    Macro,
    RecurringRun,
    RecurringTicket,
    Rule,
    RuleBook,
    Run,
    Waiting,
)


@admin.register(Rule)
class RuleAdmin(ReadOnlyAdmin):
    """Automation rules; Settings and the API change them."""

    list_display = ("name", "position", "is_active", "stops", "notice", "updated_at", "archived_at")
    list_filter = ("is_active", ("archived_at", admin.EmptyFieldListFilter))
    search_fields = ("name",)
    ordering = ("position",)


@admin.register(RuleBook)
class RuleBookAdmin(ReadOnlyAdmin):
    """How often the rules of a workspace have changed."""

    list_display = ("workspace", "version", "reckoned_version")
    list_select_related = ("workspace",)
    search_fields = ("workspace__name",)


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


@admin.register(Due)
class DueAdmin(OfTicket):
    """When rules that wait for a time will look at tickets."""

    list_display = ("due_at", "rule", "ticket", "trigger")
    list_filter = ("trigger",)
    list_select_related = ("rule", "ticket")


@admin.register(Effect)
class EffectAdmin(OfTicket):
    """Mail and calls that rules and macros want sent."""

    list_display = ("created_at", "kind", "target", "status", "attempts", "next_at", "error")
    list_filter = ("kind", "status")
    search_fields = ("target",)


@admin.register(Macro)
class MacroAdmin(ReadOnlyAdmin):
    """Macros; the API changes them."""

    list_display = ("name", "position", "is_active", "usage_count", "last_used_at", "archived_at")
    list_filter = ("is_active", ("archived_at", admin.EmptyFieldListFilter))
    search_fields = ("name", "description")
    ordering = ("position",)


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
