"""What the services of mail share: who a mail goes to."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True)
class Person:
    """A customer that mail goes to."""

    id: UUID  # of the contact
    email: str
    name: str


@dataclass(frozen=True)
class Member:
    """A member of the workspace that mail goes to."""

    id: UUID  # of the user
    email: str
    name: str
