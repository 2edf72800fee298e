"""Django admin of the accounts, and the admin site that workspace admins share."""

from django.contrib.admin import AdminSite


class HelpdeskAdminSite(AdminSite):
    """Placeholder until the admin slice."""
