"""Finding tickets: words by full text, fragments of subjects by trigram, numbers, likely duplicates.

One document per ticket holds the words of subject, description and comments, and the subject
once more, where its trigrams are not written anew by every change of the ticket. A search first asks
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
_SHORT = 20_000  # characters that fit into a tsvector whatever they are
_SIMPLE_WORDS = re.compile(r"[\w@.\s'-]*\w")
_NUMBER = re.compile(r"#?(\d{1,15})")
LARGEST_NUMBER = 2**63 - 1  # that the database's column holds

_INDEX = """
INSERT INTO ticket_search (ticket_id, workspace_id, subject, words)
SELECT t.id, t.workspace_id, t.subject,
       setweight(to_tsvector('helpdesk', t.subject), 'A')
       || setweight(to_tsvector('helpdesk', left(t.description, 100000)), 'B')
       || setweight(to_tsvector('helpdesk', left(coalesce(c.bodies, ''), %s)), 'C')
FROM tickets t LEFT JOIN LATERAL (
    SELECT string_agg(body, E'\n' ORDER BY created_at) AS bodies
    FROM ticket_comments WHERE ticket_id = t.id AND deleted_at IS NULL
) c ON true
WHERE t.id = %s
ON CONFLICT (ticket_id) DO UPDATE SET subject = EXCLUDED.subject, words = EXCLUDED.words
"""
_INDEX_SUBJECT = """
INSERT INTO ticket_search (ticket_id, workspace_id, subject, words)
SELECT id, workspace_id, subject, setweight(to_tsvector('helpdesk', subject), 'A') FROM tickets WHERE id = %s
ON CONFLICT (ticket_id) DO UPDATE SET subject = EXCLUDED.subject
"""
_ADD = """
UPDATE ticket_search SET words = words || setweight(to_tsvector('helpdesk', left(%s, 100000)), 'C')
WHERE ticket_id = %s
"""


def index(ticket_id: UUID, *, characters: int | None = None) -> None:
    """Write the subject and the words of a ticket anew, the words from subject, description and comments.

    A caller who knows how many characters these have saves the guard against too many.
    """
    if characters is not None and characters < _SHORT:
        with connection.cursor() as cursor:
            cursor.execute(_INDEX, [_LONGEST, ticket_id])
    elif not _written(_INDEX, [_LONGEST, ticket_id]):
        with connection.cursor() as cursor:
            cursor.execute(_INDEX_SUBJECT, [ticket_id])


def add_words(ticket_id: UUID, text: str) -> None:
    """Add the words of one more comment."""
    _written(_ADD, [text, ticket_id])


def _written(statement: str, parameters: list[Any]) -> bool:
    """Whether the statement ran; a ticket with more words than a document holds keeps those it has."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement, parameters)
    except OperationalError as error:
        if not isinstance(error.__cause__, ProgramLimitExceeded):
            raise
        logger.warning("The words of ticket %s are more than a search document holds.", parameters[-1])
        return False
    return True


_WORDS = "websearch_to_tsquery('helpdesk', %(text)s)"
# The last of plain words also matches as a beginning. A query that does not end with a word takes no `:*`: that of
# stop words alone is empty, and that of a refused compound (-foo-bar) ends with a bracket.
_WORDS_AND_BEGINNING = (
    f"(CASE WHEN right({_WORDS}::text, 1) = '''' THEN ({_WORDS}::text || ':*')::tsquery ELSE {_WORDS} END)"
)

# Each further arm begins with a condition on `few`, which PostgreSQL decides once: for a common word
# none of them is run. The arms are bounded, because a fragment may be common, too.
_PROBE = """
WITH words AS MATERIALIZED (
    SELECT ticket_id FROM ticket_search WHERE workspace_id = %(workspace)s AND words @@ {query}
), found AS MATERIALIZED (
    SELECT ticket_id FROM words LIMIT %(common)s
), few AS MATERIALIZED (
    SELECT count(*) < %(common)s AS yes FROM found
), people AS MATERIALIZED (
    SELECT id FROM accounts_contact
    WHERE (SELECT yes FROM few) AND %(fragment)s <> '' AND workspace_id = %(workspace)s
      AND (upper(name) LIKE upper(%(fragment)s) OR upper(email) LIKE upper(%(fragment)s))
    LIMIT 200
)
SELECT ticket_id, (SELECT yes FROM few) FROM found
UNION
(SELECT ticket_id, true FROM ticket_search
 WHERE (SELECT yes FROM few) AND %(fragment)s <> '' AND workspace_id = %(workspace)s
   AND upper(subject) LIKE upper(%(fragment)s)
 LIMIT %(common)s)
UNION
(SELECT tickets.id, true FROM people JOIN tickets ON tickets.requester_id = people.id LIMIT %(common)s)
UNION
(SELECT tickets.id, true
 FROM unnest(%(from_numbers)s::bigint[], %(to_numbers)s::bigint[]) AS range (first, beyond)
 JOIN tickets ON workspace_id = %(workspace)s AND number >= first AND number < beyond
 WHERE (SELECT yes FROM few)
 LIMIT %(common)s)
"""


class WordsQuery(SearchQuery):
    """What a person typed, as the full-text query that the probe uses."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(text, config="helpdesk", search_type="websearch")

    def as_sql(self, *args: Any, **kwargs: Any) -> Any:
        query = _full_text(self.text)
        return query.replace("%(text)s", "%s"), [self.text] * query.count("%(text)s")


def _full_text(text: str) -> str:
    return _WORDS_AND_BEGINNING if _SIMPLE_WORDS.fullmatch(text) else _WORDS


def _numbers_beginning_with(text: str) -> tuple[list[int], list[int]]:
    """The ranges of ticket numbers that begin with these digits: 10 is 10, 100-109, 1000-1099, …"""
    number = _NUMBER.fullmatch(text)
    if number is None:
        return [], []
    start = int(number[1])
    scales = [10**zeros for zeros in range(1 if start == 0 else 7)]
    scales = [scale for scale in scales if (start + 1) * scale <= LARGEST_NUMBER]
    return [start * scale for scale in scales], [(start + 1) * scale for scale in scales]


def search(tickets: "QuerySet[Ticket]", *, workspace_id: UUID, text: str) -> "QuerySet[Ticket]":
    """Those of `tickets` that match what a person typed; all of them for an empty text. One query.

    Words match by full text in subject, description and comments. Where these are fewer than 2,000,
    so do fragments of subjects, of requesters' names and addresses (three characters and more), and
    the beginnings of ticket numbers.
    """
    text = " ".join(text.split())[:200]
    if not text:
        return tickets
    first, beyond = _numbers_beginning_with(text)
    fragment = re.sub(r"([\\%_])", r"\\\1", text)
    parameters: dict[str, Any] = {
        "workspace": workspace_id,
        "text": text,
        "common": COMMON,
        "fragment": f"%{fragment}%" if len(text) >= 3 else "",
        "from_numbers": first,
        "to_numbers": beyond,
    }
    with connection.cursor() as cursor:
        cursor.execute(_PROBE.format(query=_full_text(text)), parameters)
        rows = cursor.fetchall()
    if rows and not rows[0][1]:
        words = SearchDocument.objects.for_workspace(workspace_id).filter(words=WordsQuery(text))
        return tickets.filter(Exists(words.filter(pk=OuterRef("pk"))))
    return tickets.filter(pk__in=[pk for pk, _ in rows])


def having_subject(text: str) -> "QuerySet[Any]":
    """The ids of tickets of any workspace whose subject has every word of `text` in it, found by trigram."""
    rows = SearchDocument.unscoped.all()
    for word in text.split():
        rows = rows.filter(subject__icontains=word)
    return rows.values("pk")


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
