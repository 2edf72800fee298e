"""App configuration of the accounts, and the admin site that workspace admins share."""

from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class AccountsConfig(AppConfig):
    default = True
    name = "helpdesk.accounts"
    label = "accounts"
    verbose_name = "Accounts"


class HelpdeskAdminConfig(admin_apps.AdminConfig):
    """Replaces the stock admin site by one that admits workspace admins."""

    default = False
    default_site = "helpdesk.accounts.admin_site.HelpdeskAdminSite"
