"""Which members hear by mail of what happens on tickets."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from helpdesk.accounts.models import Membership
from tickets.events import Event
from tickets.mail.models import NoticePreference
from tickets.mail.services.base import Member
from tickets.models import Activity, Comment, Watcher

# `@jane`, at the beginning of a word; an address like jane@example.com names nobody.
_MENTION = re.compile(r"(?<![\w@.+-])@(\w[\w.+-]{0,63})")
MOST_MENTIONS = 50


@dataclass(frozen=True)
class Notice:
    """A member who is to hear of an activity, and as what."""

    activity: Activity
    topic: str
    member: Member
    comment_id: UUID | None = None


def wanted(activities: Sequence[Activity]) -> list[Notice]:
    """The notices that these activities ask for: each member at most one per activity, never about what they did
    themselves, and only of what they want to hear.
    """
    return [notice for activity in activities for notice in _of(activity)]


def _of(activity: Activity) -> list[Notice]:
    topics = _topics(activity)
    if not topics:
        return []
    comment = activity.payload["data"].get("comment_id")
    comment_id = UUID(comment) if comment else None
    found = []
    for membership in _reachable(activity.workspace_id, list(topics)):
        topic = next((topic for topic in topics[membership.user_id] if _likes(membership, topic)), None)
        if topic and membership.user_id != activity.actor_user_id:
            member = Member(membership.user_id, membership.user.email, membership.user.name)
            found.append(Notice(activity, topic, member, comment_id))
    return found


def _topics(activity: Activity) -> dict[UUID, list[str]]:
    """Who might hear of it, and as what: the nearest to them first."""
    topics: dict[UUID, list[str]] = {}
    data, ticket = activity.payload["data"], activity.ticket
    if activity.event == Event.ASSIGNED and data.get("assignee_id"):
        topics[UUID(data["assignee_id"])] = ["assigned"]
    elif activity.event == Event.COMMENT_ADDED:
        if data["is_internal"]:
            if data["author_type"] == "agent":
                text = Comment.unscoped.filter(pk=data["comment_id"]).values_list("body", flat=True).get()
                for membership in mentioned(workspace_id=activity.workspace_id, text=text):
                    topics[membership.user_id] = ["mentioned"]
        elif data["author_type"] == "customer" and not data["is_automatic"] and ticket.assignee_id:
            topics[ticket.assignee_id] = ["replied"]
        watching = Watcher.objects.for_workspace(activity.workspace_id).filter(ticket_id=activity.ticket_id)
        for user_id in watching.values_list("user_id", flat=True):
            topics.setdefault(user_id, []).append("watched")
    return topics


def is_member(*, workspace_id: UUID, user_id: UUID) -> bool:
    """Whether the person works in the workspace now."""
    return bool(_reachable(workspace_id, [user_id]))


def _reachable(workspace_id: UUID, user_ids: Sequence[UUID]) -> list[Membership]:
    members = Membership.objects.for_workspace(workspace_id).filter(
        user_id__in=user_ids, is_active=True, user__is_active=True
    )
    return list(members.select_related("user", "notices").order_by("created_at", "pk"))


def _likes(membership: Membership, topic: str) -> bool:
    try:
        return bool(getattr(membership.notices, topic))
    except NoticePreference.DoesNotExist:
        return True


def mentioned(*, workspace_id: UUID, text: str) -> list[Membership]:
    """The active members that a text names with `@`: by what stands before the @ of their address, or by their
    first name where only one has it. Names of nobody, and of several, are passed over.
    """
    names = list(dict.fromkeys(found.lower().rstrip(".+-") for found in _MENTION.findall(text)))[:MOST_MENTIONS]
    if not names:
        return []
    members = Membership.objects.for_workspace(workspace_id).filter(is_active=True, user__is_active=True)
    by_name: dict[str, list[Membership]] = {}
    by_address: dict[str, list[Membership]] = {}
    for member in members.select_related("user").order_by("created_at", "pk"):
        by_address.setdefault(member.user.email.partition("@")[0], []).append(member)
        if first := member.user.name.lower().partition(" ")[0]:
            by_name.setdefault(first, []).append(member)
    found = {}
    for name in names:
        meant = by_address.get(name) or by_name.get(name) or []
        if len(meant) == 1:
            found[meant[0].pk] = meant[0]
    return list(found.values())
