"""Django admin of what customers told us."""

from django.contrib import admin

from helpdesk.accounts.admin_site import ReadOnlyAdmin
from portal.models import (
    Article,
    ArticleCategory,
    ArticleFeedback,
    ArticleWord,
    PortalSettings,
    PrivacyRequest,
    Satisfaction,
    SignInLink,
)
from tickets.admin_site import OfTicket


@admin.register(Satisfaction)
class SatisfactionAdmin(OfTicket):
    """Ratings, as customers gave them."""

    list_display = ("ticket", "contact", "rating", "feedback", "resolved_at", "created_at")
    list_filter = ("rating",)
    list_select_related = ("ticket", "contact")


@admin.register(ArticleCategory)
class ArticleCategoryAdmin(ReadOnlyAdmin):
    """Shelves of help articles; they are kept in the console."""

    list_display = ("name", "workspace", "slug", "position")
    list_select_related = ("workspace",)
    list_filter = ("created_at",)
    search_fields = ("name",)


@admin.register(Article)
class ArticleAdmin(ReadOnlyAdmin):
    """Help articles; they are written in the console."""

    list_display = ("title", "workspace", "category", "status", "view_count", "helpful_count", "unhelpful_count")
    list_filter = ("status",)
    list_select_related = ("workspace", "category")
    search_fields = ("title",)
    exclude = ("words",)


@admin.register(ArticleFeedback)
class ArticleFeedbackAdmin(ReadOnlyAdmin):
    """Whether articles helped."""

    list_display = ("article", "is_helpful", "comment", "created_at")
    search_fields = ("article__title", "comment")
    list_filter = ("is_helpful",)
    list_select_related = ("article",)
    exclude = ("visitor",)


@admin.register(ArticleWord)
class ArticleWordAdmin(ReadOnlyAdmin):
    """Words that misspelt ones are compared with; the database keeps them."""

    list_display = ("word", "workspace")
    search_fields = ("word",)
    list_select_related = ("workspace",)


@admin.register(PortalSettings)
class PortalSettingsAdmin(ReadOnlyAdmin):
    """How portals look; set in the console."""

    list_display = ("workspace", "welcome_title", "accent", "language", "asks_proof")
    list_filter = ("asks_proof",)
    search_fields = ("workspace__name",)
    list_select_related = ("workspace",)


@admin.register(SignInLink)
class SignInLinkAdmin(ReadOnlyAdmin):
    """Links to the list of requests that were mailed."""

    list_display = ("contact", "created_at", "expires_at", "revoked_at")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter),)
    search_fields = ("contact__email",)
    list_select_related = ("contact",)
    exclude = ("token_hash",)


@admin.register(PrivacyRequest)
class PrivacyRequestAdmin(ReadOnlyAdmin):
    """Exports and erasures, with who asked for them."""

    list_display = ("kind", "workspace", "status", "requested_by", "created_at", "ended_at")
    search_fields = ("address", "requested_by__email")
    list_filter = ("kind", "status")
    list_select_related = ("workspace", "requested_by")
    exclude = ("address_hash",)
