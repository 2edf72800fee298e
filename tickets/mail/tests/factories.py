"""Test data of mail."""

import factory

from helpdesk.accounts.tests.factories import WorkspaceFactory
from tickets.mail.models import Mailbox


class MailboxFactory(factory.django.DjangoModelFactory):
    """A mailbox of a workspace, its default one."""

    class Meta:
        model = Mailbox

    workspace = factory.SubFactory(WorkspaceFactory)
    address = factory.Sequence(lambda n: f"support{n}@acme.example")
    name = "Acme Support"
    is_default = True

    @classmethod
    def _get_manager(cls, model_class):
        return model_class.unscoped
