"""Customers who come back: the link that was mailed to them."""

from django.db import models

from helpdesk.accounts.models import Contact, WorkspaceModel


class SignInLink(WorkspaceModel):
    """A link that was mailed to an address. Whoever follows it reads mail of that address.

    Following it writes nothing, since mail scanners follow links too: the browser gets a signed cookie that names
    this row, for a day. Signing out revokes the row, and with it every browser that used the link.
    The secret is made of the id (`portal.services.visits`), so that each try to send the mail writes the same link.
    """

    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="+")
    token_hash = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "portal_sign_in_links"
        indexes = [models.Index(fields=["expires_at"], name="portal_links_expired")]

    def __str__(self) -> str:
        return f"link of {self.contact_id}"
