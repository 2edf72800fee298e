"""What a member wants to hear by mail."""

import datetime as dt
from collections.abc import Mapping

from helpdesk.accounts.models import Membership
from helpdesk.errors import InvalidInput
from tickets.mail.models import NoticePreference

TOPICS = ("assigned", "mentioned", "replied", "watched")


def preferences_of(membership: Membership) -> NoticePreference:
    """The member's preferences; where nothing was chosen, the defaults (everything), not saved."""
    rows = NoticePreference.objects.for_workspace(membership.workspace_id)
    found: NoticePreference | None = rows.filter(membership=membership).first()
    return found or NoticePreference(workspace_id=membership.workspace_id, membership=membership)


def save_preferences(*, membership: Membership, wanted: Mapping[str, bool], now: dt.datetime) -> NoticePreference:
    """Keep which notices the member wants; topics that are not given stay. Raises InvalidInput for an unknown one,
    and for what is not yes or no.
    """
    if unknown := sorted(set(wanted) - set(TOPICS)):
        raise InvalidInput.of(unknown[0], "There is no such notice.")
    if wrong := [topic for topic, value in wanted.items() if not isinstance(value, bool)]:
        raise InvalidInput.of(wrong[0], "This must be true or false.")
    kept, _ = NoticePreference.unscoped.update_or_create(
        membership=membership,
        defaults=dict(wanted) | {"updated_at": now},
        create_defaults=dict(wanted) | {"updated_at": now, "workspace_id": membership.workspace_id},
    )
    return kept
