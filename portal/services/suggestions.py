"""What may answer somebody before they send a request: help articles, and requests of their own that are alike."""

from collections.abc import Sequence
from dataclasses import dataclass

from helpdesk.accounts.models import Contact
from portal.services import reading, visits
from portal.services.portals import Portal
from portal.services.reading import Found
from tickets.models import Ticket

FEWEST_LETTERS = 3
MOST_LETTERS = 200  # of what is typed; the rest says nothing new
ARTICLES = 3
REQUESTS = 2


@dataclass(frozen=True)
class Suggestions:
    """What is offered while somebody types."""

    articles: Sequence[Found] = ()
    requests: Sequence[Ticket] = ()  # the visitor's own

    def __len__(self) -> int:
        """How many there are; none is false."""
        return len(self.articles) + len(self.requests)

    @property
    def more(self) -> int:
        """How many there are besides the first."""
        return max(len(self) - 1, 0)


def for_words(*, portal: Portal, words: str, visitor: Contact | None) -> Suggestions:
    """What may answer a request with this subject; nothing for a word or two letters.

    `visitor` is the contact whose requests this browser may read, None for a stranger: nobody is told of requests
    that are not their own.
    """
    words = words.strip()[:MOST_LETTERS]
    if len(words) < FEWEST_LETTERS:
        return Suggestions()
    return Suggestions(
        articles=reading.search(workspace=portal.workspace, words=words, limit=ARTICLES),
        requests=visits.similar_to(contact=visitor, words=words, limit=REQUESTS) if visitor else (),
    )
