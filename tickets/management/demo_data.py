"""The demo workspace: people, settings, and conversations that the domain services really had.

Every story of `demo_texts` is played as a small generator that says when it goes on; the stage
lets them go on in the order of time. So numbers rise with the clock, histories, assignments and
activities are real, and nothing happens after `now`. The same seed gives the same demo, relative
to `now`. All actors are marked as replay: nothing is mailed or sent to anyone.
"""

import datetime as dt
import heapq
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from django.db import transaction

from helpdesk.accounts import services as accounts
from helpdesk.accounts.models import Contact, Membership, Organization, Team, User, Workspace
from helpdesk.accounts.roles import Role
from tickets.events import SYSTEM, Actor
from tickets.lifecycle import Status
from tickets.management import demo_texts
from tickets.management.demo_texts import STORIES, Story
from tickets.models import CannedResponse, Category, Ticket
from tickets.models.counting import fold
from tickets.services import assignment, base, chats, conversation, editing, merging, opening, setup, status

PASSWORD = "demo-helpdesk"  # noqa: S105  known to everybody, which is why the command refuses to run in the open
DOMAIN = "demo.example"
DAYS = 90
FIRST_LINE, BILLING, TECHNICAL = "First line", "Billing", "Technical"

# Address before the @, name, role, teams, how much of the work they take.
AGENTS: tuple[tuple[str, str, Role, tuple[str, ...], int], ...] = (
    ("owner", "Olivia Brandt", Role.OWNER, (), 0),
    ("admin", "Adam Kowalczyk", Role.ADMIN, (FIRST_LINE,), 1),
    ("maria", "Maria Rossi", Role.AGENT, (FIRST_LINE, BILLING), 6),
    ("sam", "Sam Okafor", Role.AGENT, (FIRST_LINE, TECHNICAL), 6),
    ("yuki", "Yuki Tanaka", Role.AGENT, (TECHNICAL,), 3),
    ("lena", "Lena Novak", Role.AGENT, (TECHNICAL,), 3),
    ("diego", "Diego Alvarez", Role.AGENT, (FIRST_LINE, BILLING), 3),
    ("aisha", "Aisha Rahman", Role.AGENT, (FIRST_LINE,), 3),
    ("peter", "Peter Lindqvist", Role.LIGHT, (), 0),
)
TEAM_OF_TOPIC = {"Billing": BILLING, "Integrations": TECHNICAL, "Data": TECHNICAL, "Mobile app": TECHNICAL}

# Name, filter of the queue, whose it is (None: everybody's).
VIEWS: tuple[tuple[str, str, str | None], ...] = (
    ("Urgent and high, open", "status=open&priority=urgent,high", None),
    ("Waiting for the customer", "status=pending&sort=updated_at", None),
    ("VIP customers", "status=open,pending&tag=vip", None),
    ("Feature requests", "tag=feature-request", None),
    ("New today", "status=new&sort=created_at", None),
    ("My urgent ones", "assignee=me&priority=urgent,high&status=open,pending", "maria"),
)


@dataclass
class Plan:
    """One ticket to be: its story, when it begins, and how far it goes."""

    story: Story
    created_at: dt.datetime
    fate: str  # "new", "active" (stops half-way), "done", "spam" or "duplicate"
    customer: Contact
    slots: dict[str, str] = field(default_factory=dict)
    duplicate_of: "Plan | None" = None
    played: Ticket | None = None

    @property
    def ticket(self) -> Ticket:
        """The ticket, once the story has begun."""
        if self.played is None:
            raise RuntimeError("The story has not begun.")
        return self.played


Progress = Callable[[int], object]


@transaction.atomic
def make_demo(
    *, slug: str, tickets: int, seed: int, now: dt.datetime, progress: Progress = lambda _done: None
) -> Workspace:
    """Make the demo workspace `slug` with this many conversations over the 90 days before `now`.

    All or nothing, in one transaction. `progress` is called with the number of tickets that began
    since it was called last.
    """
    stage = Stage(slug=slug, seed=seed, now=now, progress=progress)
    stage.furnish()
    stage.play(tickets)
    hand_over(stage.workspace)
    fold()
    return stage.workspace


def hand_over(workspace: Workspace) -> None:
    """Give the tickets that came in a chat what was said in it."""
    rows = Ticket.objects.for_workspace(workspace).filter(channel="chat").select_related("category", "requester")
    for ticket in rows.order_by("number"):
        began = ticket.created_at - dt.timedelta(minutes=4)
        said = [
            ("user", ticket.subject),
            ("bot", "I am sorry to hear that. Have you looked into our help pages?"),
            ("user", "Yes, they did not help."),
            ("bot", "Then I will hand you over to my colleagues. Please tell them what happened."),
        ]
        request = chats.Request(
            conversation_id=str(ticket.pk),
            bot_name="Tide",
            bot_id="website",
            reason="asked_for_a_person",
            context={
                "topic": str(ticket.category or "unknown"),
                "page": "/help",
                "visitor": {"returning": True, "language": "en"},
            },
            chat_history=[
                {"role": role, "content": text, "timestamp": began + dt.timedelta(seconds=50 * place)}
                for place, (role, text) in enumerate(said)
            ],
        )
        sender = chats.Sender(has_key=True, network="")
        chats.keep_chat(ticket=ticket, sender=sender, request=request, now=ticket.created_at)


@transaction.atomic
def make_other(*, now: dt.datetime) -> Workspace:
    """Make the workspace *Other*, which shows that workspaces do not see each other."""
    workspace, created = Workspace.objects.get_or_create(slug="other", defaults={"name": "Other"})
    admin = member(workspace, "admin@other.example", "Oscar Lind", Role.ADMIN)
    if created:
        accounts.furnish_workspace(workspace=workspace, now=now)
        for subject, words in (
            ("Welcome to your own workspace", "Nobody of the workspace Demo can see this ticket."),
            ("Where is our delivery?", "We ordered two weeks ago and have not heard anything since."),
        ):
            opening.open_ticket(
                workspace=workspace,
                subject=subject,
                description=words,
                requester_email="erik@other-customer.example",
                requester_name="Erik Holm",
                channel="portal",
                actor=replace(base.agent(admin), is_replay=True),
                now=now - dt.timedelta(hours=3),
            )
    return workspace


def member(workspace: Workspace, email: str, name: str, role: Role) -> Membership:
    """A member of the workspace; a person who exists already keeps their password."""
    user = User.objects.filter(email=email).first() or User.objects.create_user(email, PASSWORD, name=name)
    made, _ = Membership.unscoped.get_or_create(workspace=workspace, user=user, defaults={"role": role.value})
    return made


class Stage:
    """Where the stories are played."""

    def __init__(self, *, slug: str, seed: int, now: dt.datetime, progress: Progress) -> None:
        self.random = random.Random(seed)
        self.answering = random.Random(f"answers {seed}")  # of its own: the stories stay as they are
        self.now = now
        self.slug = slug
        self.progress = progress
        self.categories: dict[str, Category] = {}
        self.topics: dict[str, str] = {}
        self.teams: dict[str, Team] = {}
        self.agents: dict[str, Membership] = {}
        self.customers: list[Contact] = []
        self.workspace = Workspace()
        self.pile: list[Story] = []

    # --- Before the first ticket --------------------------------------------------------------

    def furnish(self) -> None:
        """Make the workspace, its people, customers and settings."""
        began = self.now - dt.timedelta(days=DAYS + 30)
        name = "Demo" if self.slug == "demo" else self.slug.replace("-", " ").title()
        self.workspace = Workspace.objects.create(
            name=name, slug=self.slug, timezone="Europe/Berlin", created_at=began, signature="Tidemark Support"
        )
        accounts.furnish_workspace(workspace=self.workspace, now=began)
        self._employ()
        self._categorise()
        for key, label, kind, options in demo_texts.FIELDS:
            asked = {"key": key, "label": label, "kind": kind, "options": list(options)}
            setup.save_field(workspace=self.workspace, changes=asked, now=began)
        self._meet_customers()
        admin = self.agents["admin"].user
        for title, shortcut, category, content, uses in demo_texts.CANNED:
            changes = {
                "title": title,
                "shortcut": shortcut,
                "content": content,
                "category_id": self.categories[category].pk if category else None,
            }
            made = setup.save_canned_response(workspace=self.workspace, changes=changes, author=admin, now=began)
            CannedResponse.objects.for_workspace(self.workspace).filter(pk=made.pk).update(usage_count=uses)
        for title, query, whose in VIEWS:
            owner = self.agents[whose].user if whose else None
            setup.save_view(workspace=self.workspace, owner=owner, name=title, query=query, now=began)

    def _employ(self) -> None:
        for name in (FIRST_LINE, BILLING, TECHNICAL):
            self.teams[name] = Team.unscoped.create(workspace=self.workspace, name=name)
        for key, name, role, teams, _share in AGENTS:
            self.agents[key] = member(self.workspace, f"{key}@{DOMAIN}", name, role)
            for team in teams:
                self.teams[team].members.add(self.agents[key])

    def _categorise(self) -> None:
        for topic, color, description, below in demo_texts.CATEGORIES:
            changes = {"name": topic, "color": color, "description": description}
            parent = setup.save_category(workspace=self.workspace, changes=changes, now=self.now)
            self.categories[topic], self.topics[topic] = parent, topic
            for name, shade in below:
                child = {"name": name, "color": shade, "parent_id": parent.pk}
                self.categories[name] = setup.save_category(workspace=self.workspace, changes=child, now=self.now)
                self.topics[name] = topic

    def _meet_customers(self) -> None:
        companies = []
        for name, _domain, plan, since, seats, country in demo_texts.ORGANIZATIONS:
            attributes = {"plan": plan, "vip": plan == "enterprise", "since": since, "seats": seats, "country": country}
            companies.append(
                Organization.unscoped.create(
                    workspace=self.workspace,
                    name=name,
                    attributes=attributes,
                    created_at=dt.datetime(since, self.random.randint(1, 12), 3, 9, tzinfo=dt.UTC),
                )
            )
        for name, number in demo_texts.PEOPLE:
            domain = "mail.example" if number is None else demo_texts.ORGANIZATIONS[number][1]
            attributes = {"newsletter": self.random.random() < 0.6}
            if number is not None:
                attributes["role"] = self.random.choice(["owner", "warehouse", "accounting", "shop", "IT"])
            self.customers.append(
                Contact.unscoped.create(
                    workspace=self.workspace,
                    email=f"{_plain(name)}@{domain}",
                    name=name,
                    organization=companies[number] if number is not None else None,
                    attributes=attributes,
                    created_at=self.now - dt.timedelta(days=DAYS + self.random.randint(1, 600)),
                )
            )

    # --- The plans ----------------------------------------------------------------------------

    def plans(self, count: int) -> list[Plan]:
        """`count` tickets to be: about 3 % new, 27 % in work, the rest finished; a few are special."""
        new = max(1, round(count * 0.033))
        active = round(count * 0.27)
        special = count // 60
        made: list[Plan] = []
        for i in range(new):
            age = dt.timedelta(minutes=4 + i * self.random.uniform(28, 62) * 10 / new)
            made.append(self._plan(self._story(), self.now - age, "new"))
        for _ in range(active):
            days = min(9.0, 0.05 + self.random.expovariate(1 / 1.1))  # most keep their promises
            made.append(self._plan(self._story(), self._daytime(self.now - dt.timedelta(days=days)), "active"))
        while len(made) < count - 2 * special:
            days = 2 + (DAYS - 2) * self.random.random() ** 1.25
            made.append(self._plan(self._story(), self._daytime(self.now - dt.timedelta(days=days)), "done"))
        for original in self.random.sample(made[new:], min(special, len(made) - new)):
            later = original.created_at + dt.timedelta(hours=self.random.uniform(0.7, 3))
            made.append(Plan(original.story, later, "duplicate", original.customer, original.slots, original))
        while len(made) < count:
            spam = Story("", "low", (), ("Boost your ranking TODAY", "Partnership offer", "Re: your unclaimed parcel"),
                         "we have a special offer that you cannot miss. Click here to claim it.", ())  # fmt: skip
            came = self._daytime(self.now - dt.timedelta(days=self.random.uniform(1, 25)))
            made.append(self._plan(spam, came, "spam"))
        return sorted(made, key=lambda plan: plan.created_at)

    def _story(self) -> Story:
        """The next story from a shuffled pile, so that the same one seldom comes twice in a row."""
        if not self.pile:
            self.pile = [story for story in STORIES for _ in range(story.weight)]
            self.random.shuffle(self.pile)
        return self.pile.pop()

    def _plan(self, story: Story, created_at: dt.datetime, fate: str) -> Plan:
        customer = self.random.choice(self.customers)
        slots = {name: self.random.choice(values) for name, values in demo_texts.SLOTS.items()}
        slots |= {
            "invoice": f"TM-{created_at.year}-{self.random.randint(10200, 48900)}",
            "order": f"SO-{self.random.randint(100400, 998900)}",
            "amount": f"€{self.random.choice([29, 49, 79, 149, 290, 490, 1290])}.{self.random.choice([0, 50, 90]):02}",
            "n": str(self.random.randint(6, 48)),
            "request": f"req_{self.random.getrandbits(40):010x}",
            "customer": customer.name,
            "first": customer.name.split(" ")[0],
        }
        return Plan(story, created_at, fate, customer, slots)

    # --- Time ---------------------------------------------------------------------------------

    def _daytime(self, moment: dt.datetime) -> dt.datetime:
        """A likely moment for a customer to write on that day: mostly in working hours, seldom at weekends."""
        if moment.weekday() >= 5 and self.random.random() < 0.75:
            moment -= dt.timedelta(days=moment.weekday() - 4)
        hour = min(21.5, max(5.5, self.random.gauss(11.5, 3.2)))
        begin = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        chosen = begin + dt.timedelta(hours=hour, seconds=self.random.randint(0, 59))
        return min(chosen, self.now - dt.timedelta(minutes=self.random.randint(15, 90)))

    def _at_work(self, moment: dt.datetime) -> dt.datetime:
        """`moment`, or when the agents are next at work: Monday to Friday, 7:00 to 17:00 UTC.

        Where that is still to come, somebody had the late shift: the demo looks alike at any hour.
        """
        asked = moment
        if moment.hour >= 17:
            moment = (moment + dt.timedelta(days=1)).replace(hour=7, minute=self.random.randint(1, 55))
        elif moment.hour < 7:
            moment = moment.replace(hour=7, minute=self.random.randint(1, 55))
        while moment.weekday() >= 5:
            moment = (moment + dt.timedelta(days=1)).replace(hour=7, minute=self.random.randint(1, 55))
        return moment if moment < self.now else asked

    def _agents_pause(self, moment: dt.datetime, priority: str) -> dt.datetime:
        median = {"urgent": 14, "high": 38, "medium": 110, "low": 260}[priority]
        minutes = min(2400.0, median * self.random.lognormvariate(0, 0.75))
        return self._at_work(moment + dt.timedelta(minutes=minutes, seconds=self.random.randint(0, 59)))

    def _customers_pause(self, moment: dt.datetime) -> dt.datetime:
        moment += dt.timedelta(minutes=min(4000.0, 140 * self.random.lognormvariate(0, 1.1)))
        if moment.hour >= 21 or moment.hour < 5:
            moment = (moment + dt.timedelta(hours=9)).replace(minute=self.random.randint(0, 59))
        return moment

    # --- The play -----------------------------------------------------------------------------

    def play(self, count: int) -> None:
        """Play `count` tickets; nothing happens after `now`."""
        waiting: list[tuple[dt.datetime, int, Iterator[dt.datetime]]] = []
        for number, plan in enumerate(self.plans(count)):
            acts = self._acts(plan)
            heapq.heappush(waiting, (next(acts), number, acts))
        while waiting:
            moment, number, acts = heapq.heappop(waiting)
            if moment >= self.now:
                continue
            later = next(acts, None)
            if later is not None:
                heapq.heappush(waiting, (later, number, acts))

    def _acts(self, plan: Plan) -> Iterator[dt.datetime]:
        """The life of one ticket: yields when it goes on, and goes on when it is asked to."""
        t = plan.created_at
        yield t
        ticket = plan.played = self._open(plan, t)
        self.progress(1)
        if plan.fate == "new":
            return
        if plan.fate == "spam":
            yield (t := self._agents_pause(t, "medium"))
            editing.trash(ticket=ticket, actor=self._actor(self.agents["maria"]), now=t)
            return
        if plan.fate == "duplicate":
            yield (t := self._agents_pause(t, "high"))
            self._merge(plan, t)
            return
        turns = plan.story.turns
        if plan.fate == "active":
            turns = self._beginning(turns)
        if plan.fate == "done" or turns or self.random.random() < 0.7:
            agent = self._choose_agent(plan)
            yield (t := self._agents_pause(t, ticket.priority))
            self._take(plan, agent, t)
            for number, (kind, words) in enumerate(turns):
                # Whoever takes a ticket soon answers it.
                soon = number == 0
                t = (
                    self._customers_pause(t)
                    if kind == "answer"
                    else self._next_step(t, kind, ticket.priority, soon=soon)
                )
                yield t
                agent = self._turn(plan, agent, kind, words, t)
        if plan.fate == "done":
            yield from self._ending(plan, agent, t)

    def _beginning(self, turns: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        """The turns of a ticket that is still in work: up to a question, or anywhere before the solution."""
        asks = [number for number, (kind, _) in enumerate(turns) if kind == "ask"]
        if asks and self.random.random() < 0.5:
            return turns[: self.random.choice(asks) + 1]
        turns = turns[: self.random.choice([0, *range(1, len(turns) + 1)])]
        while turns and turns[-1][0] == "solve":
            turns = turns[:-1]
        return turns

    def _next_step(self, t: dt.datetime, kind: str, priority: str, *, soon: bool) -> dt.datetime:
        if soon or kind in ("note", "raise", "team"):
            return self._at_work(t + dt.timedelta(minutes=self.random.uniform(1, 25)))
        return self._agents_pause(t, priority)

    def _open(self, plan: Plan, t: dt.datetime) -> Ticket:
        customer, story = plan.customer, plan.story
        organization = customer.organization
        tags = [*story.tags, *(["vip"] if organization and organization.attributes.get("vip") else [])]
        colleagues = [c for c in self.customers if organization and c.organization == organization and c != customer]
        channel = self.random.choices(["portal", "email", "api", "chat", "web"], [42, 38, 6, 8, 6])[0]
        by_phone = channel == "web"
        words = story.description
        if plan.fate == "duplicate":
            words = self.random.choice(demo_texts.DUPLICATES).replace("{description}", words[0].upper() + words[1:])
        return opening.open_ticket(
            workspace=self.workspace,
            subject=self._fill(self.random.choice(story.subjects), plan),
            description=self._letter(words, plan, first=True),
            requester_email=customer.email,
            requester_name=customer.name,
            priority=story.priority if self.random.random() < 0.8 else self.random.choice(["low", "medium", "high"]),
            category_id=self.categories[story.category].pk if story.category else None,
            team_id=self._team(story).pk if self.random.random() < 0.5 else None,
            tags=tags,
            cc=[self.random.choice(colleagues).email] if colleagues and self.random.random() < 0.08 else [],
            channel=channel,
            custom_fields=self._answers(t),
            actor=self._actor(self.agents["aisha"]) if by_phone else replace(base.customer(customer), is_replay=True),
            now=t,
        )

    def _answers(self, t: dt.datetime) -> dict[str, str]:
        """What is known of a ticket in the custom fields: of one in three, some."""
        if self.answering.random() > 0.35:
            return {}
        given = {
            "shop_system": self.answering.choice(demo_texts.FIELDS[0][3]),
            "order_number": f"TM-{self.answering.randint(10_000, 99_999)}",
            "needed_by": (t + dt.timedelta(days=self.answering.randint(2, 30))).date().isoformat(),
        }
        return {key: value for key, value in given.items() if self.answering.random() < 0.6}

    def _take(self, plan: Plan, agent: Membership, t: dt.datetime) -> None:
        by = self.agents["admin"] if self.random.random() < 0.25 else agent
        assignment.assign(ticket=plan.ticket, assignee_id=agent.user_id, actor=self._actor(by), now=t)
        if self.random.random() < 0.06:
            watcher = self.agents[self.random.choice(["admin", "owner", "peter"])]
            editing.watch(ticket=plan.ticket, member=watcher, watching=True, now=t)

    def _turn(self, plan: Plan, agent: Membership, kind: str, words: str, t: dt.datetime) -> Membership:
        """One turn of the story; gives who has the ticket afterwards."""
        ticket = plan.ticket
        if kind == "answer":
            conversation.customer_reply(
                ticket=ticket,
                contact=plan.customer,
                body=self._letter(words, plan),
                channel=self.random.choice(["portal", "email", "email"]),
                actor=replace(base.customer(plan.customer), is_replay=True),
                now=t,
            )
        elif kind == "raise":
            editing.update_ticket(ticket=ticket, changes={"priority": words}, actor=self._actor(agent), now=t)
        elif kind == "team":
            changes = {"team_id": self.teams[words].pk}
            editing.update_ticket(ticket=ticket, changes=changes, actor=self._actor(agent), now=t)
        elif kind == "note":
            writer = self.agents["peter"] if self.random.random() < 0.12 else agent
            self._say(plan, writer, self._fill(words, plan), t, internal=True)
            if self.random.random() < 0.15:
                return self._hand_over(plan, agent, t)
        else:
            then = {"ask": Status.PENDING.value, "solve": Status.RESOLVED.value}.get(kind)
            self._say(plan, agent, self._letter(words, plan, agent=agent), t, then=then)
        return agent

    def _say(
        self,
        plan: Plan,
        author: Membership,
        words: str,
        t: dt.datetime,
        *,
        internal: bool = False,
        then: str | None = None,
    ) -> None:
        conversation.agent_reply(
            ticket=plan.ticket,
            author=author,
            body=words,
            internal=internal,
            then=then,
            actor=self._actor(author),
            now=t,
        )

    def _hand_over(self, plan: Plan, agent: Membership, t: dt.datetime) -> Membership:
        to = self._choose_agent(plan)
        if to.pk != agent.pk:
            assignment.assign(ticket=plan.ticket, assignee_id=to.user_id, actor=self._actor(agent), now=t)
        return to

    def _ending(self, plan: Plan, agent: Membership, t: dt.datetime) -> Iterator[dt.datetime]:
        """What follows the solution: perhaps a reopening, then the closing, seldom a later question."""
        ticket = plan.ticket
        if self.random.random() < 0.1:
            again, answer = self.random.choice(demo_texts.REOPENINGS)
            yield (t := self._customers_pause(t))
            self._turn(plan, agent, "answer", again, t)
            yield (t := self._agents_pause(t, ticket.priority))
            self._turn(plan, agent, "solve", answer, t)
        by_hand = self.random.random() < 0.2
        t = self._at_work(t + dt.timedelta(hours=self.random.uniform(1, 30))) if by_hand else t + dt.timedelta(
            days=self.workspace.auto_close_days, minutes=self.random.randint(1, 5)
        )  # fmt: skip
        yield t
        closer = self._actor(agent) if by_hand else replace(SYSTEM, is_replay=True)
        status.change_status(ticket=ticket, to=Status.CLOSED.value, actor=closer, now=t)
        if self.random.random() < 0.03:
            yield (t := self._customers_pause(t + dt.timedelta(days=self.random.uniform(15, 25))))
            delivered = conversation.customer_reply(
                ticket=ticket,
                contact=plan.customer,
                body=self._letter("some weeks ago you helped me with this. Is there news on the permanent fix?", plan),
                channel="email",
                actor=replace(base.customer(plan.customer), is_replay=True),
                now=t,
            )
            plan.played = delivered.ticket
            yield (t := self._agents_pause(t, "medium"))
            self._take(plan, agent, t)
            self._turn(plan, agent, "solve", "good that you ask: the fix came with the last release.", t)

    def _merge(self, plan: Plan, t: dt.datetime) -> None:
        if plan.duplicate_of and plan.duplicate_of.played:
            target = plan.duplicate_of.ticket
            merging.merge(source=plan.ticket, target_id=target.pk, actor=self._actor(self.agents["sam"]), now=t)

    # --- Words and people ---------------------------------------------------------------------

    def _actor(self, who: Membership) -> Actor:
        return replace(base.agent(who), is_replay=True)

    def _team(self, story: Story) -> Team:
        return self.teams[TEAM_OF_TOPIC.get(self.topics.get(story.category, ""), FIRST_LINE)]

    def _choose_agent(self, plan: Plan) -> Membership:
        team = self._team(plan.story).name
        crew = [(key, share) for key, _, _, teams, share in AGENTS if team in teams]
        return self.agents[self.random.choices([key for key, _ in crew], [share for _, share in crew])[0]]

    def _fill(self, words: str, plan: Plan) -> str:
        return words.format(**plan.slots)

    def _letter(self, words: str, plan: Plan, *, first: bool = False, agent: Membership | None = None) -> str:
        """Words with a greeting before and a name below, as people write them."""
        words = self._fill(words, plan)
        if agent:
            opening_line = self.random.choice(demo_texts.GREETINGS).format(**plan.slots)
            ending = self.random.choice(demo_texts.SIGN_OFFS).format(agent=agent.user.get_short_name())
        else:
            opening_line = self.random.choice(demo_texts.CUSTOMER_OPENINGS) if first else ""
            ending = self.random.choice(demo_texts.CUSTOMER_SIGN_OFFS).format(**plan.slots) if first else ""
        if not opening_line or opening_line.endswith("."):
            words = words[0].upper() + words[1:]
        return "\n\n".join(part for part in (opening_line, words, ending) if part)


_LETTERS = str.maketrans("áàâãäåéèêëíìîïóòôõöøúùûüýçñščřžďťňłśźżćęąűőğışžđðþæœßấầẩậễệềếịỉọộổớờợụủứừựỳđ",
                         "aaaaaaeeeeiiiioooooouuuuycnscrzdtnlszzceauogiszddtaosaaaaeeeeiioooooouuuuuyd")  # fmt: skip


def _plain(name: str) -> str:
    """A name as it stands in an address: lower case, no accents, a dot between the parts."""
    lower = name.lower().replace("i̇", "i").translate(_LETTERS)
    return ".".join("".join(c for c in part if c.isascii() and c.isalpha()) for part in lower.split(" "))
