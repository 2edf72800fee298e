"""Help articles as agents make them: drafts, publishing, shelves, and drafts made of tickets.

What visitors do with them (reading, searching, saying whether they helped) is in `reading`.
"""

import datetime as dt
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.postgres.search import SearchQuery, SearchVector
from django.db import OperationalError, transaction
from django.db.models import Count, Max, Q, QuerySet, Value
from django.db.models.functions import Left
from django.urls import reverse
from django.utils.text import slugify
from psycopg.errors import ProgramLimitExceeded

from helpdesk.accounts.models import Contact, Membership, Workspace
from helpdesk.errors import Conflict, InvalidInput, NotFound
from portal.models import Article, ArticleCategory, ArticleFeedback
from tickets import markup
from tickets.models import Comment, Participant, Ticket
from tickets.services import base

TITLE_LENGTH = 160
BODY_LENGTH = 50_000
NAME_LENGTH = 80
DESCRIPTION_LENGTH = 200
MAX_CATEGORIES = 100
COMMENTS_SHOWN = 50

DRAFT, PUBLISHED = "draft", "published"
CUSTOMER, ADDRESS = "[customer]", "[e-mail address]"  # stand in a draft where a ticket names somebody

_SLUG_LENGTH = 74  # a number fits behind it: the column of a category's takes 80
_SURELY_INDEXED = 20_000  # characters that fit into a tsvector whatever they are
# What looks like an address in running text; bounded (RFC 5321, 4.5.3.1), so that it is looked for in linear time.
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")


# --- Finding ----------------------------------------------------------------------------------


def find_article(workspace_id: UUID, article_id: UUID) -> Article:
    """An article of the workspace, a draft or not, with its category and its last editor. Raises NotFound."""
    rows = Article.objects.for_workspace(workspace_id).select_related("category", "updated_by", "from_ticket")
    found: Article | None = rows.filter(pk=article_id).defer("words").first()
    if found is None:
        raise NotFound("There is no such article.", errors={"id": ["There is no such article."]})
    return found


def find_category(workspace_id: UUID, category_id: UUID | None, field: str = "category_id") -> ArticleCategory | None:
    """A category of articles; None for None. Raises NotFound naming `field`, also for a foreign id."""
    if category_id is None:
        return None
    found: ArticleCategory | None = ArticleCategory.objects.for_workspace(workspace_id).filter(pk=category_id).first()
    if found is None:
        raise NotFound("There is no such category.", errors={field: ["There is no such category."]})
    return found


def categories(workspace_id: UUID) -> list[ArticleCategory]:
    """The categories in their order, each with `articles_count`, drafts included. One query."""
    rows = ArticleCategory.objects.for_workspace(workspace_id).annotate(articles_count=Count("articles"))
    return list(rows.order_by("position", "created_at", "pk"))


def listed(
    workspace_id: UUID,
    *,
    status: str = "",
    category: UUID | None = None,
    without_category: bool = False,
    title: str = "",
) -> "QuerySet[Article]":
    """Articles for the agents' list, the last changed first, without their texts.

    `title` is a fragment of the title, in any case.
    """
    rows: QuerySet[Article] = Article.objects.for_workspace(workspace_id).select_related("category")
    if status:
        rows = rows.filter(status=status)
    if without_category:
        rows = rows.filter(category=None)
    elif category:
        rows = rows.filter(category=category)
    if title:
        rows = rows.filter(title__icontains=title)
    return rows.defer("body", "body_html", "words").order_by("-updated_at", "-pk")


def drafts_about(*, workspace: Workspace, text: str, limit: int) -> list[Article]:
    """Drafts that `text` finds by a word or by a fragment of the title, the last changed first."""
    text = " ".join(text.split())[:200]
    if not text:
        return []
    query = SearchQuery(text, config="helpdesk", search_type="websearch")
    rows = Article.objects.for_workspace(workspace).filter(status=DRAFT)
    rows = rows.filter(Q(words=query) | Q(title__icontains=text)).select_related("category")
    return list(rows.defer("body", "body_html", "words").order_by("-updated_at", "-pk")[:limit])


def made_from(ticket: Ticket) -> list[Article]:
    """The articles that were made of a ticket, newest first."""
    rows = Article.objects.for_workspace(ticket.workspace_id).filter(from_ticket=ticket).select_related("category")
    return list(rows.defer("body", "body_html", "words").order_by("-created_at", "-pk")[:5])


def comments_of(article: Article) -> list[ArticleFeedback]:
    """What readers wrote beside their answer, newest first, the last fifty."""
    rows = ArticleFeedback.objects.for_workspace(article.workspace_id).filter(article=article).exclude(comment="")
    return list(rows.order_by("-updated_at", "-pk")[:COMMENTS_SHOWN])


def address_of(*, workspace: Workspace, slug: str) -> str:
    """The absolute address of an article in the workspace's portal."""
    return settings.SITE_URL + reverse("portal:article", args=[workspace.slug, slug])


def link_to(*, workspace: Workspace, slug: str, title: str) -> str:
    """A Markdown link to an article in the portal, as agents put it into a reply."""
    words = re.sub(r"([\\`*\[\]<>~])", r"\\\1", title)
    return f"[{words}]({address_of(workspace=workspace, slug=slug)})"


# --- Writing ----------------------------------------------------------------------------------


@transaction.atomic
def create(
    *,
    workspace: Workspace,
    title: str,
    body: str,
    by: Membership,
    now: dt.datetime,
    category_id: UUID | None = None,
    publish: bool = False,
    from_ticket: Ticket | None = None,
) -> Article:
    """Write an article: a draft, unless it is published at once.

    Raises InvalidInput naming the field, NotFound for a foreign category.
    """
    article = Article(workspace=workspace, from_ticket=from_ticket, created_by=by.user, created_at=now)
    _take(article, {"title": title, "body": body})
    _lock(workspace.pk)
    article.category = find_category(workspace.pk, category_id)
    article.slug = _free_slug(Article, workspace.pk, article.title, "article")
    article.position = _next_position(article)
    if publish:
        article.status, article.published_at = PUBLISHED, now
    article.updated_by, article.updated_at = by.user, now
    article.save(force_insert=True)
    index(article=article)
    return article


@transaction.atomic
def edit(
    *,
    article: Article,
    changes: Mapping[str, Any],
    version: int,
    by: Membership,
    now: dt.datetime,
    publish: bool = False,
) -> Article:
    """Change the given fields of an article: title, body, category_id; and publish it, where that is asked too.

    `version` is the one that the author read. The address follows the title until the article is published for the
    first time; from then on it stays, since customers have it. What changes nothing is no new version.

    Raises InvalidInput naming the field, NotFound for a foreign category or an article that is gone, Conflict with
    the code `changed` when somebody saved it meanwhile: nothing is written then.
    """
    if unknown := sorted(set(changes) - {"title", "body", "category_id"}):
        raise InvalidInput("There is no such field.", errors={name: ["There is no such field."] for name in unknown})
    _lock(article.workspace_id)
    fresh = _locked(article)
    if fresh.version != version:
        raise Conflict("Somebody else saved this article meanwhile.", code="changed")
    before = (fresh.title, fresh.body, fresh.category_id)
    _take(fresh, changes)
    if "category_id" in changes and changes["category_id"] != fresh.category_id:
        fresh.category = find_category(fresh.workspace_id, changes["category_id"])
        fresh.position = _next_position(fresh)
    if before != (fresh.title, fresh.body, fresh.category_id):
        if fresh.published_at is None and before[0] != fresh.title:
            fresh.slug = _free_slug(Article, fresh.workspace_id, fresh.title, "article", but=fresh.pk)
        fresh.version += 1
        fresh.updated_by, fresh.updated_at = by.user, now
        fresh.save(
            update_fields=[
                "title", "body", "body_html", "category", "position", "slug", "version", "updated_by", "updated_at",
            ]
        )  # fmt: skip
        index(article=fresh)
    if publish:
        _publish(fresh, by=by, now=now)
    return fresh


@transaction.atomic
def publish(*, article: Article, by: Membership, now: dt.datetime) -> Article:
    """Show an article to everybody who visits the portal; one that is shown already stays as it is. Raises NotFound."""
    fresh = _locked(article)
    _publish(fresh, by=by, now=now)
    return fresh


def _publish(fresh: Article, *, by: Membership, now: dt.datetime) -> None:
    if fresh.status != PUBLISHED:
        fresh.status = PUBLISHED
        fresh.published_at = fresh.published_at or now
        fresh.updated_by, fresh.updated_at = by.user, now
        fresh.save(update_fields=["status", "published_at", "updated_by", "updated_at"])


@transaction.atomic
def unpublish(*, article: Article, by: Membership, now: dt.datetime) -> Article:
    """Make an article a draft again: the portal shows it no more. Its address stays its own. Raises NotFound."""
    fresh = _locked(article)
    if fresh.status != DRAFT:
        fresh.status = DRAFT
        fresh.updated_by, fresh.updated_at = by.user, now
        fresh.save(update_fields=["status", "updated_by", "updated_at"])
    return fresh


def delete(*, article: Article) -> None:
    """Delete an article with what readers said about it, for good."""
    Article.objects.for_workspace(article.workspace_id).filter(pk=article.pk).delete()


def _lock(workspace_id: UUID) -> None:
    """One writer of articles and categories at a time in a workspace: addresses and places are given out in turn.

    The weaker lock lets others write rows that only name the workspace, tickets for example.
    """
    Workspace.objects.select_for_update(no_key=True).get(pk=workspace_id)


def _locked(article: Article) -> Article:
    rows = Article.objects.for_workspace(article.workspace_id).select_for_update()
    fresh: Article | None = rows.filter(pk=article.pk).defer("words").first()
    if fresh is None:
        raise NotFound("There is no such article any more.", errors={"id": ["There is no such article any more."]})
    return fresh


def _take(article: Article, changes: Mapping[str, Any]) -> None:
    """Put title and body into a row, all of what is wrong with them said at once."""
    errors: dict[str, list[str]] = {}
    try:
        if "title" in changes:
            article.title = base.text("title", changes["title"], longest=TITLE_LENGTH, one_line=True)
    except InvalidInput as error:
        errors |= error.errors
    try:
        if "body" in changes:
            article.body = base.text("body", changes["body"], longest=BODY_LENGTH)
            article.body_html = markup.render(article.body)
    except InvalidInput as error:
        errors |= error.errors
    if errors:
        raise InvalidInput.of_all(errors)


def _next_position(article: Article) -> int:
    """The place behind the others of its category."""
    rows = Article.objects.for_workspace(article.workspace_id).filter(category=article.category)
    last = rows.exclude(pk=article.pk).aggregate(last=Max("position"))["last"]
    return 1 if last is None else last + 1


def _free_slug(
    model: type[Article] | type[ArticleCategory],
    workspace_id: UUID,
    words: str,
    fallback: str,
    *,
    but: UUID | None = None,
) -> str:
    """An address made of `words` that nobody in the workspace has, with a number where it is taken.

    Words without Latin letters or digits give `fallback`. The workspace must be locked until the row is saved.
    """
    made = slugify(words)
    if len(made) > _SLUG_LENGTH:
        made = made[: _SLUG_LENGTH + 1].rpartition("-")[0] or made[:_SLUG_LENGTH]
    made = made.strip("-_") or fallback
    rows = model.objects.for_workspace(workspace_id).filter(slug__startswith=made).exclude(pk=but)
    taken = set(rows.values_list("slug", flat=True))
    slug, number = made, 1
    while slug in taken:
        number += 1
        slug = f"{made}-{number}"
    return slug


def index(*, article: Article) -> None:
    """Write the words by which an article is found: those of the title weigh more (A) than those of the text (B)."""
    rows = Article.objects.for_workspace(article.workspace_id).filter(pk=article.pk)
    title = SearchVector("title", weight="A", config="helpdesk")
    try:
        with transaction.atomic():
            rows.update(words=title + SearchVector("body", weight="B", config="helpdesk"))
    except OperationalError as error:
        if not isinstance(error.__cause__, ProgramLimitExceeded):
            raise
        # More words than a search document holds: it is found by those of its beginning.
        rows.update(words=title + SearchVector(Left("body", Value(_SURELY_INDEXED)), weight="B", config="helpdesk"))


# --- Categories -------------------------------------------------------------------------------


@transaction.atomic
def save_category(
    *, workspace: Workspace, changes: Mapping[str, Any], now: dt.datetime, category: ArticleCategory | None = None
) -> ArticleCategory:
    """Make a category of articles, at the end of the others, or change name and description of one.

    Its address is made of its first name and stays. Raises InvalidInput naming the field (also a name that is there
    already), NotFound for one that is gone, Conflict beyond a hundred.
    """
    if unknown := sorted(set(changes) - {"name", "description"}):
        raise InvalidInput("There is no such field.", errors={name: ["There is no such field."] for name in unknown})
    _lock(workspace.pk)
    rows = ArticleCategory.objects.for_workspace(workspace)
    if category is None:
        if rows.count() >= MAX_CATEGORIES:
            raise Conflict(f"A workspace can have up to {MAX_CATEGORIES} categories of articles.", code="too_many")
        category = ArticleCategory(workspace=workspace, created_at=now)
        category.position = (rows.aggregate(last=Max("position"))["last"] or 0) + 1
        changes = {"name": "", **changes}
    else:
        category = find_category(workspace.pk, category.pk, "id")
        assert category is not None  # noqa: S101  for the type checker: only None gives None
    if "name" in changes:
        category.name = base.text("name", changes["name"], longest=NAME_LENGTH, one_line=True)
        if rows.filter(name__iexact=category.name).exclude(pk=category.pk).exists():
            raise InvalidInput.of("name", "There is a category with this name already.")
        if not category.slug:
            category.slug = _free_slug(ArticleCategory, workspace.pk, category.name, "category")
    if "description" in changes:
        category.description = base.text(
            "description", changes["description"], longest=DESCRIPTION_LENGTH, required=False, one_line=True
        )
    category.updated_at = now
    category.save()
    return category


@transaction.atomic
def order_categories(*, workspace: Workspace, category_ids: Sequence[UUID], now: dt.datetime) -> None:
    """Put the categories into this order. Raises InvalidInput unless each is named once."""
    _lock(workspace.pk)
    known = {row.pk: row for row in ArticleCategory.objects.for_workspace(workspace)}
    if sorted(category_ids) != sorted(known):
        raise InvalidInput.of("category_ids", "Name every category once.")
    moved = []
    for place, pk in enumerate(category_ids, start=1):
        if known[pk].position != place:
            known[pk].position, known[pk].updated_at = place, now
            moved.append(known[pk])
    ArticleCategory.objects.for_workspace(workspace).bulk_update(moved, ["position", "updated_at"])


@transaction.atomic
def delete_category(*, category: ArticleCategory) -> None:
    """Delete a category; its articles stay, without one."""
    _lock(category.workspace_id)
    # The relation sets their category to nothing.
    ArticleCategory.objects.for_workspace(category.workspace_id).filter(pk=category.pk).delete()


# --- A ticket becomes an article --------------------------------------------------------------


def draft_from_ticket(*, ticket: Ticket, by: Membership, now: dt.datetime) -> Article:
    """A draft made of a ticket: its subject, what the customer asked, and what agents answered publicly.

    Notes, automatic messages and lines of chats are left out. The names and addresses of the ticket's customers, and
    every address that the customer wrote, are replaced by `[customer]` and `[e-mail address]`, which is no promise
    that nothing personal is left: it is a draft that an agent reads before others do.
    """
    rows = Comment.objects.for_workspace(ticket.workspace_id).filter(
        ticket=ticket, author_type="agent", is_internal=False, is_automatic=False, is_transcript=False, deleted_at=None
    )
    answers = list(rows.order_by("created_at", "pk").values_list("body", flat=True))
    people = Participant.objects.for_workspace(ticket.workspace_id).filter(ticket=ticket).values("contact")
    contacts = Contact.objects.for_workspace(ticket.workspace_id).filter(Q(pk=ticket.requester_id) | Q(pk__in=people))
    hide = _hiding(
        {ticket.requester_name, *(contact.display_name for contact in contacts)} - {""},
        {ticket.requester_email, *(contact.email for contact in contacts)},
        mentioned={found.lower() for found in _EMAIL.findall(ticket.description)},
    )
    text = "\n\n".join(["## Question", ticket.description.strip(), "## Answer", *(body.strip() for body in answers)])
    return create(
        workspace=ticket.workspace,
        # What stands for a name may be longer than the name.
        title=hide(ticket.subject)[:TITLE_LENGTH].strip(),
        body=hide(text[: 2 * BODY_LENGTH])[:BODY_LENGTH],
        by=by,
        now=now,
        from_ticket=ticket,
    )


def _hiding(names: Collection[str], addresses: Collection[str], *, mentioned: Collection[str]) -> Callable[[str], str]:
    """A function that replaces these people in a text; `mentioned` are further addresses, in lower case.

    Addresses and whole names are found in any case. Of a name also each part alone, as "Jane" in a greeting; these as
    they are written, so that "Will" or "Mark" does not take every will and mark of the text with it.
    """
    whole = _any_of(map(re.escape, addresses), r"(?<![\w.+-])", r"(?![\w-])(?!\.\w)", re.IGNORECASE)
    full = _any_of((r"\s+".join(map(re.escape, name.split())) for name in names), r"(?<!\w)", r"(?!\w)", re.IGNORECASE)
    # One letter is an initial; lower case are particles, as "van" and "de".
    parts = {part for name in names for part in re.findall(r"[^\W\d_]+(?:[-'’][^\W\d_]+)*", name)}
    parts = {part for part in parts if len(part) > 1 and not part[0].islower()}
    single = _any_of(map(re.escape, parts), r"(?<!\w)", r"(?!\w)", re.NOFLAG)

    def hide(text: str) -> str:
        text = _EMAIL.sub(lambda found: ADDRESS if found[0].lower() in mentioned else found[0], text)
        for pattern, instead in ((whole, ADDRESS), (full, CUSTOMER), (single, CUSTOMER)):
            if pattern is not None:
                text = pattern.sub(instead, text)
        return text.replace(f"{CUSTOMER} {CUSTOMER}", CUSTOMER)

    return hide


def _any_of(alternatives: Iterable[str], before: str, behind: str, flags: re.RegexFlag) -> re.Pattern[str] | None:
    ordered = sorted(set(alternatives), key=len, reverse=True)
    return re.compile(f"{before}(?:{'|'.join(ordered)}){behind}", flags) if ordered else None
