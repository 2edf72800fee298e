"""Django admin of what customers told us."""

from django.contrib import admin

from portal.models import Satisfaction
from tickets.admin_site import OfTicket


@admin.register(Satisfaction)
class SatisfactionAdmin(OfTicket):
    """Ratings, as customers gave them."""

    list_display = ("ticket", "contact", "rating", "feedback", "resolved_at", "created_at")
    list_filter = ("rating",)
    list_select_related = ("ticket", "contact")
