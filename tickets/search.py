"""Finding tickets: words by full text, fragments of subjects by trigram, numbers, likely duplicates.

One document of words per ticket covers subject, description and comments. A search first asks
for a bounded number of matches. When there are fewer, they are all known, and the page sorts a
handful of rows; when there are more, the word is common, and walking the newest tickets while
checking each one is quick. Leaving that choice to the planner took 39 seconds for a rare word.
"""

import datetime as dt
import logging
import re
from typing import Any
from uuid import UUID

from django.contrib.postgres.search import SearchQuery, TrigramSimilarity
from django.db import OperationalError, connection, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from psycopg.errors import ProgramLimitExceeded

from helpdesk.accounts.models import Contact
from tickets.models import SearchDocument, Ticket

logger = logging.getLogger(__name__)

COMMON = 2000  # matches from which on a word counts as common
_LONGEST = 200_000  # characters of a conversation that are searched; a tsvector holds 1 MB
_SIMPLE_WORDS = re.compile(r"[\w@.\s'-]*\w")
_NUMBER = re.compile(r"#?(\d{1,15})")

_INDEX = """
INSERT INTO ticket_search (ticket_id, workspace_id, words)
SELECT t.id, t.workspace_id,
       setweight(to_tsvector('helpdesk', t.subject), 'A')
       || setweight(to_tsvector('helpdesk', left(t.description, 100000)), 'B')
       || setweight(to_tsvector('helpdesk', left(coalesce(c.bodies, ''), %s)), 'C')
FROM tickets t LEFT JOIN LATERAL (
    SELECT string_agg(body, E'\n' ORDER BY created_at) AS bodies
    FROM ticket_comments WHERE ticket_id = t.id AND deleted_at IS NULL
) c ON true
WHERE t.id = %s
ON CONFLICT (ticket_id) DO UPDATE SET words = EXCLUDED.words
"""
_ADD = """
UPDATE ticket_search SET words = words || setweight(to_tsvector('helpdesk', left(%s, 100000)), 'C')
WHERE ticket_id = %s
"""


def index(ticket_id: UUID) -> None:
    """Write the words of a ticket anew, from its subject, description and comments."""
    _write(_INDEX, [_LONGEST, ticket_id])


def add_words(ticket_id: UUID, text: str) -> None:
    """Add the words of one more comment."""
    _write(_ADD, [text, ticket_id])


def _write(statement: str, parameters: list[Any]) -> None:
    """Run the statement; a ticket with more words than a document holds keeps those it has."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement, parameters)
    except OperationalError as error:
        if not isinstance(error.__cause__, ProgramLimitExceeded):
            raise
        logger.warning("The words of ticket %s are more than a search document holds.", parameters[-1])


class WordsQuery(SearchQuery):
    """What a person typed as a full-text query; the last of plain words also matches as a beginning."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(text, config="helpdesk", search_type="websearch")

    def as_sql(self, compiler: Any, connection: Any, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        if not _SIMPLE_WORDS.fullmatch(self.text):
            return "websearch_to_tsquery('helpdesk', %s)", [self.text]
        return (
            "(CASE WHEN numnode(websearch_to_tsquery('helpdesk', %s)) > 0 "
            "THEN (websearch_to_tsquery('helpdesk', %s)::text || ':*')::tsquery ELSE ''::tsquery END)",
            [self.text, self.text],
        )


def _numbers_beginning_with(digits: str) -> Q:
    """Ticket numbers that begin with these digits, as ranges the number index can serve."""
    start = int(digits)
    ranges = Q(number=start)
    for zeros in range(1, 7):
        ranges |= Q(number__gte=start * 10**zeros, number__lt=(start + 1) * 10**zeros)
    return ranges


def search(tickets: "QuerySet[Ticket]", *, workspace_id: UUID, text: str) -> "QuerySet[Ticket]":
    """Those of `tickets` that match what a person typed; all of them for an empty text."""
    text = " ".join(text.split())[:200]
    if not text:
        return tickets
    words = SearchDocument.objects.for_workspace(workspace_id).filter(words=WordsQuery(text))
    matches: set[UUID] = set(words.values_list("pk", flat=True)[:COMMON])
    if len(matches) >= COMMON:
        return tickets.filter(Exists(words.filter(pk=OuterRef("pk"))))
    rows = Ticket.objects.for_workspace(workspace_id)
    if number := _NUMBER.fullmatch(text):
        matches |= set(rows.filter(_numbers_beginning_with(number[1])).values_list("pk", flat=True)[:COMMON])
    if len(text) >= 3:
        matches |= set(rows.filter(subject__icontains=text).values_list("pk", flat=True)[:COMMON])
        people = Contact.objects.for_workspace(workspace_id).filter(Q(name__icontains=text) | Q(email__icontains=text))
        theirs = rows.filter(requester__in=list(people.values_list("pk", flat=True)[:200]))
        matches |= set(theirs.values_list("pk", flat=True)[:COMMON])
    return tickets.filter(pk__in=matches)


def similar(
    *, workspace_id: UUID, subject: str, requester_email: str, now: dt.datetime, exclude: UUID | None = None
) -> list[Ticket]:
    """Likely duplicates, likest first: recent active tickets of the same requester or organisation
    whose subject resembles `subject` (trigram similarity of 0.3 and more, in 30 days)."""
    contact = (
        Contact.objects.for_workspace(workspace_id)
        .filter(email=requester_email.strip().lower())
        .values("pk", "organization_id")
        .first()
    )
    if contact is None or not subject.strip():
        return []
    same = Q(requester=contact["pk"])
    if contact["organization_id"]:
        same |= Q(requester__organization=contact["organization_id"])
    rows = (
        Ticket.objects.for_workspace(workspace_id)
        .active()
        .filter(same, merged_into=None, created_at__gte=now - dt.timedelta(days=30))
        .annotate(likeness=TrigramSimilarity("subject", subject[:255]))
        .filter(likeness__gte=0.3)
        .order_by(F("likeness").desc(), F("created_at").desc())
    )
    return list((rows.exclude(pk=exclude) if exclude else rows)[:5])
