"""What happens to people: invitations, roles, leaving, keys. One transaction each."""

import datetime as dt
from collections.abc import Callable

from helpdesk.accounts.models import Membership, User

MemberLeft = Callable[[Membership, User | None, dt.datetime], None]
_member_left: list[MemberLeft] = []


def listen_member_left(handler: MemberLeft) -> None:
    """Call `handler(membership, by, now)` in the transaction in which a member is deactivated.

    Accounts know no other app; those that care register in their `AppConfig.ready`.
    """
    if handler not in _member_left:
        _member_left.append(handler)
