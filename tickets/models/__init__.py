"""The tables of the tickets app, from the ground up: setup, ticket, conversation, timeline."""

from tickets.models.chat import Chat, ChatSettings
from tickets.models.conversation import Attachment, Comment
from tickets.models.setup import CannedResponse, Category, Field, Sequence, Tag, View
from tickets.models.ticket import (
    CHANNELS,
    CustomerToken,
    Participant,
    SearchDocument,
    Ticket,
    TicketCount,
    TicketLink,
    TicketQuerySet,
    TicketTag,
    Watcher,
)
from tickets.models.timeline import Activity, Assignment, FeedEntry, Merge

__all__ = [
    "CHANNELS",
    "Activity",
    "Assignment",
    "Attachment",
    "CannedResponse",
    "Category",
    "Chat",
    "ChatSettings",
    "Comment",
    "CustomerToken",
    "FeedEntry",
    "Field",
    "Merge",
    "Participant",
    "SearchDocument",
    "Sequence",
    "Tag",
    "Ticket",
    "TicketCount",
    "TicketLink",
    "TicketQuerySet",
    "TicketTag",
    "View",
    "Watcher",
]
