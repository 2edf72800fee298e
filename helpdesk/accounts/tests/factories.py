"""Test data of the accounts."""

from typing import Any

import factory

from helpdesk.accounts.models import Contact, Membership, Organization, Team, User, Workspace
from helpdesk.accounts.roles import Role

PASSWORD = "correct horse battery"


class _Unscoped(factory.django.DjangoModelFactory):
    """Workspace rows are made through the manager that needs no workspace: the factory gives one."""

    class Meta:
        abstract = True

    @classmethod
    def _get_manager(cls, model_class: Any) -> Any:
        return getattr(model_class, "unscoped", model_class._default_manager)


class WorkspaceFactory(_Unscoped):
    class Meta:
        model = Workspace

    name = factory.Sequence(lambda n: f"Workspace {n}")
    slug = factory.Sequence(lambda n: f"workspace-{n}")


class UserFactory(_Unscoped):
    class Meta:
        model = User
        skip_postgeneration_save = True

    name = factory.Sequence(lambda n: f"Person {n}")
    email = factory.Sequence(lambda n: f"person{n}@example.com")
    password = factory.django.Password(PASSWORD)


class MembershipFactory(_Unscoped):
    class Meta:
        model = Membership

    workspace = factory.SubFactory(WorkspaceFactory)
    user = factory.SubFactory(UserFactory)
    role = Role.AGENT.value


class TeamFactory(_Unscoped):
    class Meta:
        model = Team

    workspace = factory.SubFactory(WorkspaceFactory)
    name = factory.Sequence(lambda n: f"Team {n}")


class OrganizationFactory(_Unscoped):
    class Meta:
        model = Organization

    workspace = factory.SubFactory(WorkspaceFactory)
    name = factory.Sequence(lambda n: f"Company {n}")


class ContactFactory(_Unscoped):
    class Meta:
        model = Contact

    workspace = factory.SubFactory(WorkspaceFactory)
    name = factory.Sequence(lambda n: f"Customer {n}")
    email = factory.Sequence(lambda n: f"customer{n}@customers.example")
