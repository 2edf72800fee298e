"""Very many tickets in little time: the demo's stories by COPY, for trying out and for measuring.

What the services would have written is written here directly: tickets, comments, the words to
search, activities, assignments, tags, contacts. Nothing is dropped or switched off for others;
the database keeps its totals as always. One word stands in every fifth ticket (`COMMON_WORD`) and
one in five tickets of all (`RARE_WORD`).
"""

import contextlib
import datetime as dt
import json
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db import connection, models, transaction
from django.db.models import F

from helpdesk.accounts.models import Contact, Membership, Organization, Workspace
from helpdesk.accounts.roles import Role
from tickets import markup
from tickets.events import ActorKind, Event, subscriptions
from tickets.management.demo_texts import CUSTOMER_OPENINGS, GREETINGS, PEOPLE, SIGN_OFFS, SLOTS, STORIES
from tickets.models import Activity, Assignment, Category, Comment, Sequence, Tag, Ticket, TicketTag
from tickets.models.counting import fold

COMMON_WORD = "warranty"  # in 20 % of the tickets
RARE_WORD = "quokka"  # in five tickets, however many there are
SPAN = dt.timedelta(days=730)
CHUNK = 10_000
CONNECTIONS = 2  # as many as small servers have cores
_TABLES = ("tickets", "ticket_comments", "ticket_search", "ticket_activities", "ticket_assignments", "ticket_tags")
_SEARCH_INDEXES = ("ticket_search_subject", "ticket_search_words")

_SEARCH = """
INSERT INTO ticket_search (ticket_id, workspace_id, subject, words)
SELECT t.id, t.workspace_id, t.subject,
       setweight(to_tsvector('helpdesk', t.subject), 'A')
       || setweight(to_tsvector('helpdesk', t.description), 'B')
       || setweight(to_tsvector('helpdesk', coalesce(c.words, '')), 'C')
FROM tickets t
LEFT JOIN LATERAL (
    SELECT string_agg(body, E'\\n' ORDER BY created_at) AS words FROM ticket_comments WHERE ticket_id = t.id
) c ON true
WHERE t.workspace_id = %s AND t.number >= %s AND t.number < %s
"""


def copy_tickets(
    *,
    workspace: Workspace,
    count: int,
    seed: int,
    now: dt.datetime,
    progress: Callable[[int], object] = lambda _n: None,
) -> None:
    """Add `count` tickets of the two years before `now` to a demo workspace, then gather statistics.

    Inside a transaction everything happens in it; otherwise each 10,000 tickets are committed, by
    two connections at a time. `progress` is called with the number of tickets just written.
    """
    world = World(workspace, count=count, seed=seed, now=now)
    world.meet_contacts()
    chunks = list(world.chunks())
    if connection.in_atomic_block or len(chunks) == 1:
        for chunk in chunks:
            _write(connection, world, chunk)
            progress(chunk.size)
    else:
        with _gathering_index_entries():
            _write_side_by_side(world, chunks, progress)
    fold()
    subscriptions.loaded(workspace_id=workspace.pk, ticket_ids=None, now=now)
    if not connection.in_atomic_block:
        with connection.cursor() as cursor:
            # VACUUM marks the pages all-visible, without which no index-only scan is one.
            cursor.execute(f"VACUUM (ANALYZE) {', '.join(_TABLES)}, accounts_contact, ticket_counts")


@contextlib.contextmanager
def _gathering_index_entries() -> Iterator[None]:
    """The search indexes take entries by the hundred thousand instead of one by one, which takes half the time.

    Searches stay right meanwhile, though slower. Afterwards the indexes are as the migrations made them.
    """
    with connection.cursor() as cursor:
        try:
            for index in _SEARCH_INDEXES:
                cursor.execute(f"ALTER INDEX {index} SET (fastupdate = on)")
            yield
        finally:
            for index in _SEARCH_INDEXES:
                cursor.execute(f"ALTER INDEX {index} SET (fastupdate = off)")
                cursor.execute("SELECT gin_clean_pending_list(%s)", [index])


def _write_side_by_side(world: "World", chunks: "list[Chunk]", progress: Callable[[int], object]) -> None:
    waiting, lock, problems = iter(chunks), threading.Lock(), list[Exception]()

    def work() -> None:
        mine = connection.copy()
        try:
            while not problems:
                with lock:
                    chunk = next(waiting, None)
                if chunk is None:
                    return
                _write(mine, world, chunk)
                with lock:
                    progress(chunk.size)
        except Exception as problem:
            problems.append(problem)
        finally:
            mine.close()

    crew = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
    for one in crew:
        one.start()
    for one in crew:
        one.join()
    if problems:
        raise problems[0]


def _write(on: Any, world: "World", chunk: "Chunk") -> None:
    """One chunk, in one transaction of the connection `on`."""
    lines = world.lines(chunk)
    with on.cursor() as cursor:
        outside = not on.in_atomic_block
        if outside:
            cursor.execute("BEGIN")
            cursor.execute("SET LOCAL synchronous_commit = off")
            cursor.execute("SET LOCAL gin_pending_list_limit = '64MB'")
            cursor.execute("SET LOCAL work_mem = '256MB'")
        try:
            _copy(cursor, world.tickets, lines)
            with _trusting_ourselves(cursor):
                for table in (world.comments, world.activities, world.assignments, world.labels):
                    _copy(cursor, table, lines)
                cursor.execute(_SEARCH, [world.workspace.pk, chunk.first_number, chunk.first_number + chunk.size])
        except BaseException:
            if outside:
                cursor.execute("ROLLBACK")
            raise
        if outside:
            cursor.execute("COMMIT")


@contextlib.contextmanager
def _trusting_ourselves(cursor: Any) -> Iterator[None]:
    """No foreign key is looked up for the rows below tickets that this very transaction made.

    That is a third of the time. Only a superuser of the database may ask for it (the embedded one
    is); for others every key is looked up.
    """
    cursor.execute("SELECT usesuper FROM pg_user WHERE usename = current_user")
    allowed = bool(cursor.fetchone()[0])
    if allowed:
        cursor.execute("SET LOCAL session_replication_role = replica")
    yield
    if allowed:
        cursor.execute("SET LOCAL session_replication_role = origin")


def _copy(cursor: Any, table: "Table", lines: "dict[str, list[str]]") -> None:
    with cursor.copy(table.statement) as copying:
        copying.write("".join(lines[table.name]))


@dataclass(frozen=True)
class Chunk:
    """A run of tickets that are written together."""

    index: int
    first: int
    size: int
    first_number: int


class Table:
    """What COPY needs to know of a table: the columns that vary come first, the others have their defaults."""

    def __init__(self, model: type[models.Model], *varying: str) -> None:
        fields = {field.attname: field for field in model._meta.concrete_fields if not field.generated}
        constant = [
            field for name, field in fields.items() if name not in varying and not isinstance(field, models.AutoField)
        ]
        columns = [str(field.column) for field in (*(fields[name] for name in varying), *constant)]
        self.name = model._meta.db_table
        self.statement = f"COPY {self.name} ({', '.join(columns)}) FROM STDIN"
        tail = [_cell(field.get_prep_value(field.get_default())) for field in constant]
        self.tail = "".join(f"\t{cell}" for cell in tail) + "\n"


def _cell(value: Any) -> str:
    if value is None:
        return "\\N"
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, list | dict):
        value = json.dumps(value)
    return str(value).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


@dataclass(frozen=True)
class Words:
    """A text as the cells that COPY reads: the text, its HTML, and as it stands inside a JSON string."""

    text: str
    html: str
    quoted: str

    @classmethod
    def of(cls, text: str) -> "Words":
        return cls(_cell(text), _cell(markup.render(text)), _cell(json.dumps(text)[1:-1]))


class World:
    """Everything that tickets are made from, looked up once."""

    def __init__(self, workspace: Workspace, *, count: int, seed: int, now: dt.datetime) -> None:
        self.workspace, self.count, self.seed, self.now = workspace, count, seed, now
        self.random = random.Random(f"bulk {seed}")
        self.categories = {c.name: str(c.pk) for c in Category.objects.for_workspace(workspace)}
        agents = Membership.objects.for_workspace(workspace).exclude(role=Role.LIGHT.value).select_related("user")
        self.agents = [(str(m.user_id), _cell(m.user.name)) for m in agents.order_by("user__email")]
        self.tags = [
            str(pk) for pk in Tag.objects.for_workspace(workspace).order_by("name").values_list("pk", flat=True)
        ]
        self.people: list[tuple[str, str, str]] = []
        self.stories = self._write_stories()
        self.openings = [Words.of(f"{w}") for w in self._sentences(GREETINGS, SIGN_OFFS, agent=True)]
        self.answers = [
            Words.of(f"{w}") for w in self._sentences(CUSTOMER_OPENINGS, ("Thanks", "Best wishes", ""), agent=False)
        ]
        self.start = now - SPAN
        self.tickets = Table(
            Ticket, "id", "workspace_id", "number", "subject", "description", "description_html", "status", "priority",
            "channel", "requester_id", "requester_email", "requester_name", "assignee_id", "category_id", "created_at",
            "updated_at", "first_assigned_at", "first_response_at", "resolved_at", "closed_at", "last_message_at",
        )  # fmt: skip
        self.comments = Table(
            Comment, "id", "workspace_id", "ticket_id", "author_type", "author_user_id", "author_contact_id",
            "author_name", "body", "body_html", "is_internal", "channel", "created_at",
        )  # fmt: skip
        self.activities = Table(
            Activity, "id", "workspace_id", "ticket_id", "event", "occurred_at", "recorded_at", "actor_kind",
            "actor_user_id", "actor_contact_id", "actor_name", "changes", "payload", "dispatched_at",
        )  # fmt: skip
        self.assignments = Table(
            Assignment, "id", "workspace_id", "ticket_id", "assignee_id", "assigned_by_id", "assigned_at"
        )
        self.labels = Table(TicketTag, "ticket_id", "tag_id")

    def _write_stories(self) -> list[tuple[Words, Words, Words, str, str]]:
        """A few thousand requests: subject, words, the words with the common one, priority, category id."""
        written = []
        for story in [each for each in STORIES for _ in range(20 * each.weight)]:
            slots = {name: self.random.choice(values) for name, values in SLOTS.items()}
            slots |= {
                "invoice": f"TM-{self.random.randint(10200, 48900)}",
                "order": f"SO-{self.random.randint(100400, 998900)}",
                "amount": f"€{self.random.randint(20, 1990)}.00",
                "n": str(self.random.randint(6, 48)),
                "request": f"req_{self.random.getrandbits(40):010x}",
            }
            text = story.description.format(**slots)
            text = text[0].upper() + text[1:]
            subject = self.random.choice(story.subjects).format(**slots)
            written.append(
                (
                    Words.of(subject),
                    Words.of(text),
                    Words.of(f"{text}\n\nIs this covered by the {COMMON_WORD}?"),
                    story.priority,
                    self.categories.get(story.category, "\\N"),
                )
            )
        return written

    def _sentences(self, greetings: tuple[str, ...], endings: tuple[str, ...], *, agent: bool) -> list[str]:
        kinds = ("say", "ask", "solve") if agent else ("answer",)
        made = []
        for story in STORIES:
            for kind, words in story.turns:
                if kind in kinds:
                    slots = {name: self.random.choice(values) for name, values in SLOTS.items()}
                    slots |= {
                        "invoice": "TM-20415",
                        "order": "SO-481223",
                        "amount": "€79.00",
                        "n": "12",
                        "request": "req_7f",
                    }
                    parts = (self.random.choice(greetings), words.format(**slots), self.random.choice(endings))
                    made.append("\n\n".join(parts).replace("{first}", "there").replace("{agent}", "Tidemark").strip())
        return made

    def meet_contacts(self) -> None:
        """Write the customers: one for twenty tickets, fifty thousand at most."""
        wanted = max(50, min(50_000, self.count // 20))
        companies = [str(pk) for pk in Organization.objects.for_workspace(self.workspace).values_list("pk", flat=True)]
        first = [name.split(" ")[0] for name, _ in PEOPLE]
        last = [name.split(" ")[-1] for name, _ in PEOPLE]
        table = Table(Contact, "id", "workspace_id", "email", "name", "organization_id")
        run = f"{self.random.getrandbits(32) ^ int(self.now.timestamp()):x}"
        lines = []
        for number in range(wanted):
            pk = self._id(self.random, self.start.timestamp() - 86400 + number)
            email, name = (
                f"customer{number}.{run}@mail.example",
                f"{self.random.choice(first)} {self.random.choice(last)}",
            )
            company = self.random.choice(companies) if companies and self.random.random() < 0.5 else "\\N"
            self.people.append((pk, email, name))
            lines.append(f"{pk}\t{self.workspace.pk}\t{email}\t{name}\t{company}{table.tail}")
        with connection.cursor() as cursor:
            _copy(cursor, table, {table.name: lines})

    def chunks(self) -> Iterator[Chunk]:
        """The runs of tickets to write, with their numbers taken from the workspace's sequence."""
        with transaction.atomic():
            Sequence.unscoped.get_or_create(pk=self.workspace.pk)
            Sequence.unscoped.filter(pk=self.workspace.pk).update(last_number=F("last_number") + self.count)
            last = Sequence.unscoped.values_list("last_number", flat=True).get(pk=self.workspace.pk)
        for index, first in enumerate(range(0, self.count, CHUNK)):
            yield Chunk(index, first, min(CHUNK, self.count - first), last - self.count + 1 + first)

    @staticmethod
    def _id(source: random.Random, seconds: float) -> str:
        """A UUIDv7 of this moment (seconds since 1970)."""
        stamp, noise = f"{int(seconds * 1000):012x}", f"{source.getrandbits(76):019x}"
        return f"{stamp[:8]}-{stamp[8:]}-7{noise[:3]}-{'89ab'[int(noise[3], 16) & 3]}{noise[4:7]}-{noise[7:]}"

    def lines(self, chunk: Chunk) -> dict[str, list[str]]:
        """The rows of a chunk, by table, as COPY reads them. The same for the same seed, but for the moment."""
        source = random.Random(f"bulk {self.seed} {chunk.index}")
        out: dict[str, list[str]] = {
            table.name: [] for table in (self.tickets, self.comments, self.activities, self.assignments, self.labels)
        }
        step = SPAN.total_seconds() / self.count
        start = self.start.timestamp()
        rare = max(1, self.count // 5)
        for place in range(chunk.size):
            position = chunk.first + place
            begun = start + position * step + source.random() * step
            self._ticket(source, out, chunk.first_number + place, begun, position % rare == rare // 2)
        return out

    def _ticket(
        self, source: random.Random, out: dict[str, list[str]], number: int, begun: float, is_rare: bool
    ) -> None:
        chance = source.random
        workspace, latest = str(self.workspace.pk), self.now.timestamp() - 1
        ticket = self._id(source, begun)
        subject, plain, common, priority, category = source.choice(self.stories)
        words = common if chance() < 0.2 else plain
        contact, email, name = source.choice(self.people)
        if chance() < 0.25:
            priority = source.choice(("urgent", "high", "medium", "low"))
        state = chance()
        status = "closed" if state < 0.88 else "resolved" if state < 0.92 else "open" if state < 0.97 else "pending"
        is_new = status == "open" and chance() < 0.25
        agent, agent_name = source.choice(self.agents)
        assignee = "\\N" if is_new else agent
        at = [
            _stamp(min(latest, begun + hours * 3600))
            for hours in (0, 0.3, 1 + 3 * chance(), 6 + 20 * chance(), 30, 130)
        ]
        finished = status in ("resolved", "closed")
        updated = at[5] if status == "closed" else at[4] if finished else at[0] if is_new else at[3]
        text, html = words.text, words.html
        if is_rare:
            text, html = f"{text} {RARE_WORD}", f"{html}<p>{RARE_WORD}</p>"
        out[self.tickets.name].append(
            f"{ticket}\t{workspace}\t{number}\t{subject.text}\t{text}\t{html}\t{status}\t{priority}"
            f"\t{'email' if state < 0.5 else 'portal'}\t{contact}\t{email}\t{name}"
            f"\t{assignee}\t{category}\t{at[0]}\t{updated}"
            f"\t{_N if is_new else at[1]}\t{_N if is_new else at[2]}\t{at[4] if finished else _N}"
            f"\t{at[5] if status == 'closed' else _N}\t{at[0] if is_new else at[3]}{self.tickets.tail}"
        )

        def activity(event: Event, moment: int, customer: bool = False, changes: str = "[]") -> None:
            who = (
                f"{ActorKind.CUSTOMER.value}\t{_N}\t{contact}\t{name}"
                if customer
                else f"{ActorKind.AGENT.value}\t{agent}\t{_N}\t{agent_name}"
            )
            out[self.activities.name].append(
                f"{self._id(source, begun + moment)}\t{workspace}\t{ticket}\t{event.value}"
                f"\t{at[moment]}\t{at[moment]}\t{who}\t{changes}"
                f'\t{{"event": "{event.value}", "data": {{"ticket_id": "{ticket}", "ticket_number": "#{number}", '
                f'"subject": "{subject.quoted}", "priority": "{priority}"}}}}\t{at[moment]}{self.activities.tail}'
            )

        def comment(said: Words, moment: int, kind: str) -> None:
            who = f"customer\t{_N}\t{contact}\t{name}" if kind == "customer" else f"agent\t{agent}\t{_N}\t{agent_name}"
            out[self.comments.name].append(
                f"{self._id(source, begun + moment * 60)}\t{workspace}\t{ticket}\t{who}\t{said.text}\t{said.html}"
                f"\t{'t' if kind == 'note' else 'f'}\tweb\t{at[moment]}{self.comments.tail}"
            )

        activity(Event.CREATED, 0, customer=True)
        if not is_new:
            activity(Event.ASSIGNED, 1, changes=f'[{{"field": "assignee", "from": null, "to": "{agent_name}"}}]')
            out[self.assignments.name].append(
                f"{self._id(source, begun + 1)}\t{workspace}\t{ticket}\t{agent}\t{agent}\t{at[1]}"
                f"{self.assignments.tail}"
            )
            comment(source.choice(self.openings), 2, "agent")
            if chance() < 0.65:
                comment(source.choice(self.answers), 3, "customer")
            if chance() < 0.35:
                comment(source.choice(self.openings), 3, "note" if chance() < 0.5 else "agent")
        if finished:
            activity(Event.RESOLVED, 4, changes='[{"field": "status", "from": "open", "to": "resolved"}]')
        if status == "closed":
            activity(Event.CLOSED, 5, changes='[{"field": "status", "from": "resolved", "to": "closed"}]')
        if self.tags and chance() < 0.6:
            out[self.labels.name] += [
                f"{ticket}\t{tag}{self.labels.tail}" for tag in source.sample(self.tags, 1 if chance() < 0.7 else 2)
            ]


_N = "\\N"


def _stamp(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat()
