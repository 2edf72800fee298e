"""Django admin of the tickets.

What a ticket is and where it stands is changed through the services only, so that the log, the
deadlines and the totals stay true; the log itself is to look at.
"""

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.http import HttpRequest
from django.utils import timezone

from helpdesk.accounts.admin_site import ReadOnlyAdmin, ScopedRelatedFilter, WorkspaceAdmin
from helpdesk.errors import DomainError
from tickets import search
from tickets.admin_site import OfTicket, number_in
from tickets.events import Actor, ActorKind
from tickets.forms import LinesField
from tickets.models import (
    Activity,
    Assignment,
    Attachment,
    CannedResponse,
    Category,
    Comment,
    CustomerToken,
    FeedEntry,
    Field,
    Merge,
    Participant,
    SearchDocument,
    Sequence,
    Tag,
    Ticket,
    TicketCount,
    TicketLink,
    TicketTag,
    View,
    Watcher,
)
from tickets.services import editing, setup


def _actor(request: HttpRequest) -> Actor:
    user: Any = request.user
    return Actor(ActorKind.AGENT, user.name or user.email, user_id=user.pk)


# --- Tickets ----------------------------------------------------------------------------------


class InTrash(admin.SimpleListFilter):
    """Live tickets, unless the trash is asked for."""

    title = "place"
    parameter_name = "place"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("trash", "In the trash"), ("all", "Everywhere")]

    def choices(self, changelist: Any) -> Any:
        for choice, words in zip(super().choices(changelist), ["Live", "In the trash", "Everywhere"], strict=True):
            yield {**choice, "display": words}

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "trash":
            return queryset.trashed()
        return queryset if self.value() == "all" else queryset.live()


class TicketTagInline(admin.TabularInline):
    """The ticket's tags."""

    model = TicketTag
    fields = readonly_fields = ("tag",)
    extra = 0
    can_delete = False

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("tag")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.admin_site.has_permission(request)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    has_change_permission: Any = has_add_permission
    has_delete_permission: Any = has_add_permission


@admin.register(Ticket)
class TicketAdmin(WorkspaceAdmin):
    """Tickets. What can be changed here goes through the services; status and people change in the console."""

    big = True
    may_add = may_delete = False
    inlines = (TicketTagInline,)
    list_display = (
        "ticket_number",
        "subject",
        "stands",
        "priority",
        "requester_email",
        "assignee",
        "category",
        "channel",
        "created_at",
    )
    list_filter = (
        InTrash,
        "status",
        "priority",
        "channel",
        ("category", ScopedRelatedFilter),
        ("team", ScopedRelatedFilter),
    )
    list_select_related = ("assignee", "category")
    search_fields = ("subject",)
    search_help_text = "A number, the whole address of a requester, or words of the subject"
    sortable_by = ()
    changeable = ("subject", "description", "priority", "category", "team")
    autocomplete_fields = ("category", "team")
    fieldsets = (
        (None, {"fields": ("ticket_number", "subject", "description", "status", "priority", "category", "team")}),
        ("People", {"fields": ("requester", "requester_email", "requester_name", "assignee", "created_by", "channel")}),
        (
            "Times",
            {
                "fields": (
                    "created_at",
                    "updated_at",
                    "first_assigned_at",
                    "first_response_at",
                    "resolved_at",
                    "closed_at",
                    "last_message_at",
                    "next_deadline_at",
                )
            },
        ),
        ("Where it went", {"fields": ("merged_into", "trashed_at", "trashed_by", "external_id", "version")}),
    )
    actions = ("put_into_trash", "take_out_of_trash")

    @admin.display(description="status")
    def stands(self, obj: Ticket) -> str:
        """The status that people see."""
        return obj.display_status.capitalize()

    def get_ordering(self, request: HttpRequest) -> Any:
        # One workspace is read by its index; across all of them the ids are as good: they are ordered by time.
        user: Any = request.user
        return ["-pk"] if user.is_superuser else ["-created_at", "-pk"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        shown = [name for _, part in self.fieldsets for name in part["fields"] if name not in self.changeable]
        return (*shown, *self.changeable) if obj and (obj.trashed_at or obj.merged_into_id) else shown

    def get_queryset(self, request: HttpRequest) -> Any:
        rows = super().get_queryset(request)
        if request.resolver_match and request.resolver_match.url_name == "tickets_ticket_change":
            return rows.select_related("requester", "assignee", "created_by", "merged_into", "trashed_by", "workspace")
        return rows.defer("description", "description_html")

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        number = number_in(search_term)
        if number is not None:
            return queryset.filter(number=number), False
        if "@" in search_term:
            # By way of the contact, which has an index on the address.
            return queryset.filter(requester__email=search_term.strip().lower()), False
        if not search_term.strip():
            return queryset, False
        return queryset.filter(pk__in=search.having_subject(search_term)), False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        changes = {name: form.cleaned_data[name] for name in form.changed_data if name in self.changeable}
        for name in ("category", "team"):
            if name in changes:
                row = changes.pop(name)
                changes[f"{name}_id"] = row.pk if row else None
        if changes:
            # The form has already changed its own copy of the row; the service starts from the stored one.
            stored = Ticket.objects.for_workspace(obj.workspace_id).get(pk=obj.pk)
            editing.update_ticket(ticket=stored, changes=changes, actor=_actor(request), now=timezone.now())

    @admin.action(description="Put into the trash", permissions=["work"])
    def put_into_trash(self, request: HttpRequest, queryset: Any) -> None:
        """Restorable for thirty days."""
        done = 0
        for ticket in queryset.live():
            try:
                editing.trash(ticket=ticket, actor=_actor(request), now=timezone.now())
                done += 1
            except DomainError as error:
                self.message_user(request, f"{ticket.ticket_number}: {error.detail}", messages.ERROR)
        self.message_user(request, f"{done} put into the trash.")

    @admin.action(description="Take out of the trash", permissions=["work"])
    def take_out_of_trash(self, request: HttpRequest, queryset: Any) -> None:
        """Back where they were."""
        done = 0
        for ticket in queryset.trashed():
            try:
                editing.restore(
                    workspace_id=ticket.workspace_id, ticket_id=ticket.pk, actor=_actor(request), now=timezone.now()
                )
                done += 1
            except DomainError as error:
                self.message_user(request, f"{ticket.ticket_number}: {error.detail}", messages.ERROR)
        self.message_user(request, f"{done} taken out of the trash.")


@admin.register(Comment)
class CommentAdmin(OfTicket):
    """Messages and notes, as they were written."""

    list_display = ("ticket", "author_name", "beginning", "is_internal", "channel", "created_at", "deleted_at")
    list_filter = ("author_type", "is_internal", "channel")
    exclude = ("body_html",)

    @admin.display(description="text")
    def beginning(self, obj: Comment) -> str:
        """The first words."""
        return obj.body[:80]


@admin.register(Attachment)
class AttachmentAdmin(OfTicket):
    """Files; they are opened in the console, where the reader's right is checked."""

    list_display = ("name", "ticket", "content_type", "size", "is_internal", "uploaded_by", "created_at")
    list_filter = ("is_internal",)
    list_select_related = ("ticket", "uploaded_by")
    exclude = ("file",)


@admin.register(Watcher)
class WatcherAdmin(OfTicket):
    """Members who want to hear about a ticket."""

    list_display = ("ticket", "user", "created_at")
    list_select_related = ("ticket", "user")


@admin.register(Participant)
class ParticipantAdmin(OfTicket):
    """Customers in copy."""

    list_display = ("ticket", "contact", "created_at")
    list_select_related = ("ticket", "contact")


@admin.register(TicketLink)
class TicketLinkAdmin(OfTicket):
    """Relations between tickets."""

    list_display = ("ticket", "kind", "other", "created_at")
    list_filter = ("kind",)
    list_select_related = ("ticket", "other")


@admin.register(CustomerToken)
class CustomerTokenAdmin(OfTicket):
    """What opens a ticket for a customer. The secret itself is kept nowhere."""

    list_display = ("ticket", "contact", "created_at", "expires_at", "revoked_at")
    list_select_related = ("ticket", "contact")


# --- What happened ----------------------------------------------------------------------------


@admin.register(Activity)
class ActivityAdmin(OfTicket):
    """The audit log; the database itself refuses to change it."""

    list_display = ("ticket", "event", "actor_name", "actor_kind", "occurred_at", "recorded_at", "dispatched_at")
    list_filter = ("event", "actor_kind")


@admin.register(FeedEntry)
class FeedEntryAdmin(OfTicket):
    """The place of each activity in the feed."""

    ticket_field = "activity__ticket"
    list_display = ("position", "activity", "is_replay")
    list_filter = ("is_replay",)
    list_select_related = ("activity__ticket",)
    search_fields = ("activity__ticket__subject",)


@admin.register(Assignment)
class AssignmentAdmin(OfTicket):
    """Who worked on what, and when."""

    list_display = ("ticket", "assignee", "team", "assigned_by", "assigned_at", "ended_at")
    list_select_related = ("ticket", "assignee", "team", "assigned_by")


@admin.register(Merge)
class MergeAdmin(OfTicket):
    """The ledger of merges; they are undone in the console."""

    ticket_field = "source"
    search_fields = ("source__subject",)
    list_display = ("source", "target", "merged_by", "merged_at", "undone_at")
    list_select_related = ("source", "target", "merged_by")


@admin.register(SearchDocument)
class SearchDocumentAdmin(OfTicket):
    """Which tickets are in the search."""

    list_display = ("ticket",)
    exclude = ("words",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("words")


@admin.register(TicketCount)
class TicketCountAdmin(ReadOnlyAdmin):
    """Kept totals: the sum over matching rows is the number of live tickets."""

    big = True
    list_display = ("facet", "key", "status", "priority", "is_new", "tickets")
    list_filter = ("facet", "status", "priority", "is_new")
    search_fields = ("=key",)
    sortable_by = ()

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        if not search_term.strip():
            return queryset, False
        try:
            return queryset.filter(key=UUID(search_term.strip())), False
        except ValueError:
            return queryset.none(), False


@admin.register(Sequence)
class SequenceAdmin(ReadOnlyAdmin):
    """The last number that each workspace gave."""

    list_display = ("workspace", "last_number")
    list_select_related = ("workspace",)
    search_fields = ("workspace__name",)

    def get_list_display(self, request: HttpRequest) -> Any:
        return self.list_display


# --- What a workspace sets up -----------------------------------------------------------------


@admin.register(Category)
class CategoryAdmin(WorkspaceAdmin):
    """Ticket categories. One that is no longer wanted is archived: its tickets keep it."""

    may_delete = False
    list_display = ("name", "parent", "color", "created_at", "archived_at")
    list_filter = (("archived_at", admin.EmptyFieldListFilter),)
    list_select_related = ("parent",)
    search_fields = ("name", "description")
    ordering = ("name",)
    fields = ("workspace", "name", "description", "color", "parent", "created_at", "archived_at")
    readonly_fields = ("created_at", "archived_at")
    autocomplete_fields = ("parent",)
    actions = ("archive",)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        values = form.cleaned_data
        changes = {name: values[name] for name in ("name", "description", "color")}
        changes["parent_id"] = values["parent"].pk if values["parent"] else None
        stored = Category.objects.for_workspace(obj.workspace_id).get(pk=obj.pk) if change else None
        saved = setup.save_category(workspace=obj.workspace, changes=changes, category=stored, now=timezone.now())
        obj.pk = saved.pk

    @admin.action(description="Archive", permissions=["change"])
    def archive(self, request: HttpRequest, queryset: Any) -> None:
        """Tickets keep it, nobody can choose it."""
        done = 0
        for category in queryset.filter(archived_at=None):
            try:
                setup.delete_category(category=category, now=timezone.now())
                done += 1
            except DomainError as error:
                self.message_user(request, f"{category}: {error.detail}", messages.ERROR)
        self.message_user(request, f"{done} archived.")


@admin.register(Field)
class FieldAdmin(WorkspaceAdmin):
    """Custom fields of tickets. One that is no longer wanted is archived: its answers stay."""

    may_delete = False
    list_display = ("label", "key", "kind", "is_required", "position", "archived_at")
    list_filter = ("kind", ("archived_at", admin.EmptyFieldListFilter))
    search_fields = ("label", "key")
    ordering = ("position", "label")
    fields = ("workspace", "label", "key", "kind", "options", "is_required", "position", "created_at", "archived_at")
    readonly_fields = ("created_at", "archived_at")
    actions = ("archive",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        given = super().get_readonly_fields(request, obj)
        return (*given, "key", "kind") if obj else given

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest | None, **kwargs: Any) -> Any:
        if db_field.name == "options":  # an option may hold a comma
            return LinesField(required=False, help_text="Of a choice: one on each line.")
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and not (obj and obj.archived_at)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        names = ("label", "key", "kind", "options", "is_required", "position")
        changes = {name: form.cleaned_data[name] for name in names if name in form.cleaned_data}
        stored = Field.objects.for_workspace(obj.workspace_id).get(pk=obj.pk) if change else None
        saved = setup.save_field(workspace=obj.workspace, changes=changes, field=stored, now=timezone.now())
        obj.pk = saved.pk

    @admin.action(description="Archive", permissions=["work"])
    def archive(self, request: HttpRequest, queryset: Any) -> None:
        """No longer asked or shown; the answers stay with their tickets."""
        done = 0
        for field in queryset.filter(archived_at=None):
            setup.delete_field(field=field, now=timezone.now())
            done += 1
        self.message_user(request, f"{done} archived.")


@admin.register(Tag)
class TagAdmin(WorkspaceAdmin):
    """Words on tickets, in lower case."""

    list_display = ("name", "created_at")
    search_fields = ("name",)
    ordering = ("name",)
    readonly_fields = ("created_at",)


@admin.register(CannedResponse)
class CannedResponseAdmin(WorkspaceAdmin):
    """Saved replies."""

    list_display = ("title", "shortcut", "category", "usage_count", "created_by", "updated_at")
    list_filter = (("category", ScopedRelatedFilter),)
    list_select_related = ("category", "created_by")
    search_fields = ("title", "shortcut", "content")
    ordering = ("title",)
    fields = ("workspace", "title", "shortcut", "category", "content", "usage_count", "created_by", "updated_at")
    readonly_fields = ("usage_count", "created_by", "updated_at")
    autocomplete_fields = ("category",)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        values, user = form.cleaned_data, request.user
        changes = {name: values[name] for name in ("title", "shortcut", "content")}
        changes["category_id"] = values["category"].pk if values["category"] else None
        stored = CannedResponse.objects.for_workspace(obj.workspace_id).get(pk=obj.pk) if change else None
        saved = setup.save_canned_response(
            workspace=obj.workspace,
            changes=changes,
            now=timezone.now(),
            response=stored,
            author=user,  # type: ignore[arg-type]
        )
        obj.pk = saved.pk


@admin.register(View)
class ViewAdmin(WorkspaceAdmin):
    """Saved filters of the queue."""

    list_display = ("name", "query", "owner", "team", "created_at")
    list_select_related = ("owner", "team")
    search_fields = ("name", "query")
    ordering = ("name",)
    fields = ("workspace", "name", "query", "owner", "team", "created_at")
    readonly_fields = ("created_at",)
    autocomplete_fields = ("owner", "team")
