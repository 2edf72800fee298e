"""Help articles in the console: the list, the editor, categories, and what the ticket's page offers of them.

Who may do what: every member reads, who works on tickets writes and publishes, who manages the workspace keeps the
categories and deletes. A draft that never was published can also be deleted by who began it.
"""

from typing import Any, cast
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import trigger_client_event

from helpdesk.accounts.roles import Permission
from helpdesk.accounts.scoping import WorkspaceRequest, member_required
from helpdesk.errors import Conflict, DomainError
from portal.forms.articles import ArticleCategoryForm, ArticleForm
from portal.models import Article, ArticleCategory
from portal.services import articles, reading
from tickets.models import Ticket
from tickets.services import base
from tickets.views.ordering import moved
from tickets.views.queue import console

PAGE_SIZE = 50
SUGGESTED = 3  # articles that a ticket's page offers by itself
FOUND = 8  # that the composer's menu offers, and a search gives at most
NO_CATEGORY = "none"  # the list's word for articles that stand in none
STATUSES = [(articles.DRAFT, "Drafts"), (articles.PUBLISHED, "Published")]
CHANGED_MEANWHILE = "Somebody else has just added or deleted a category. These are the categories as they are now."


# --- The list ---------------------------------------------------------------------------------


@require_safe
@member_required(Permission.READ)
def article_list(request: WorkspaceRequest) -> HttpResponse:
    """All articles, the last changed first, by status, category and words of the title. Five queries."""
    shelves = articles.categories(request.workspace.pk)
    asked = {name: request.GET.get(name, "").strip() for name in ("status", "category", "q")}
    asked["q"] = asked["q"][: articles.TITLE_LENGTH]
    if asked["status"] not in dict(STATUSES):
        asked["status"] = ""
    if asked["category"] not in {NO_CATEGORY, *(str(shelf.pk) for shelf in shelves)}:
        asked["category"] = ""
    is_loose = asked["category"] == NO_CATEGORY
    rows = articles.listed(
        request.workspace.pk,
        status=asked["status"],
        category=UUID(asked["category"]) if asked["category"] and not is_loose else None,
        without_category=is_loose,
        title=asked["q"],
    )
    context = {
        **console(request, "articles"),
        "page": Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page")),
        "asked": asked,
        "is_filtered": any(asked.values()),
        "statuses": STATUSES,
        "category_choices": [(str(shelf.pk), shelf.name) for shelf in shelves] + [(NO_CATEGORY, "Without a category")],
    }
    for row in context["page"].object_list:
        row.helpful_share = _share(row)
    return render(request, "portal/articles/list.html", context)


def _share(article: Article) -> int | None:
    """How many of those who answered found it helpful, in percent; None where nobody answered."""
    answered = article.helpful_count + article.unhelpful_count
    return round(100 * article.helpful_count / answered) if answered else None


# --- The editor -------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@member_required(Permission.WORK)
def article_new(request: WorkspaceRequest) -> HttpResponse:
    """Write an article: a draft, or published at once."""
    form = _form(request, initial={"category_id": request.GET.get("category", "")})
    if request.method == "POST" and form.is_valid():
        data, is_published = form.cleaned_data, _publishes(request)
        try:
            made = articles.create(
                workspace=request.workspace,
                title=data["title"],
                body=data["body"],
                category_id=data["category_id"],
                by=request.membership,
                publish=is_published,
                now=timezone.now(),
            )
        except DomainError as error:
            form.refuse(error)
        else:
            _say_saved(request, made)
            return redirect("portal:article-edit", pk=made.pk)
    return _editor(request, form, None)


@require_http_methods(["GET", "POST"])
@member_required(Permission.READ)
def article_edit(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """An article as agents see it: its text to change (to read, for light agents), and what readers say about it."""
    chosen = _article(request, pk)
    if request.method != "POST":
        return _editor(request, _form(request, initial=_as_it_is(chosen)), chosen)
    if not request.membership.may(Permission.WORK):
        raise PermissionDenied("Your role does not allow this.")
    form = _form(request)
    theirs = None
    if form.is_valid():
        data = form.cleaned_data
        try:
            saved = articles.edit(
                article=chosen,
                changes={name: data[name] for name in ("title", "body", "category_id")},
                version=data["version"] or 0,
                by=request.membership,
                publish=_publishes(request),
                now=timezone.now(),
            )
        except Conflict:
            # What was typed stays in the form, which now stands on the other version: saving it again is a choice.
            theirs = chosen = _article(request, pk)
            form = _form(request, version=chosen.version)
        except DomainError as error:
            form.refuse(error)
        else:
            _say_saved(request, saved)
            return redirect("portal:article-edit", pk=saved.pk)
    return _editor(request, form, chosen, theirs=theirs)


def _form(
    request: WorkspaceRequest, *, initial: dict[str, Any] | None = None, version: int | None = None
) -> ArticleForm:
    data: QueryDict | None = request.POST if request.method == "POST" else None
    if data is not None and version is not None:
        data = QueryDict(mutable=True)
        data.update(request.POST)
        data["version"] = str(version)
    shelves = articles.categories(request.workspace.pk)
    choices = [("", "None"), *((str(shelf.pk), shelf.name) for shelf in shelves)]
    return ArticleForm(data, initial=initial, choices={"category_id": choices})


def _as_it_is(article: Article) -> dict[str, Any]:
    return {
        "title": article.title,
        "category_id": str(article.category_id or ""),
        "body": article.body,
        "version": article.version,
    }


def _publishes(request: WorkspaceRequest) -> bool:
    """Whether the button "Save and publish" was pressed."""
    return request.POST.get("then") == "publish"


def _say_saved(request: WorkspaceRequest, article: Article) -> None:
    if article.status == articles.PUBLISHED:
        address = reverse("portal:article", args=[request.workspace.slug, article.slug])
        messages.success(request, format_html('Saved. <a href="{}">It is in the portal.</a>', address))
    else:
        messages.success(request, "Saved the draft. Only agents see it.")


def _editor(
    request: WorkspaceRequest, form: ArticleForm, chosen: Article | None, *, theirs: Article | None = None
) -> HttpResponse:
    """The editor's page. `theirs` is what somebody else saved, where the text in the form was refused for it."""
    context = {**console(request, "articles"), "form": form, "article": chosen, "theirs": theirs}
    if chosen is not None:
        context |= {
            "address": articles.address_of(workspace=request.workspace, slug=chosen.slug),
            "helpful_share": _share(chosen),
            "answered": chosen.helpful_count + chosen.unhelpful_count,
            "comments": articles.comments_of(chosen),
            "may_delete": _may_delete(request, chosen),
        }
    status = 409 if theirs else 400 if form.errors else 200
    return render(request, "portal/articles/article.html", context, status=status)


@require_POST
@member_required(Permission.WORK)
def article_unpublish(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Take an article out of the portal; it is a draft again."""
    articles.unpublish(article=_article(request, pk), by=request.membership, now=timezone.now())
    messages.success(request, "It is a draft again: customers no longer see it.")
    return redirect("portal:article-edit", pk=pk)


@require_POST
@member_required(Permission.WORK)
def article_delete(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Delete an article: managers any, others a draft that they began and that never was published."""
    chosen = _article(request, pk)
    if not _may_delete(request, chosen):
        raise PermissionDenied("Only an admin may delete an article that is or was published, or somebody else’s.")
    articles.delete(article=chosen)
    messages.success(request, f"Deleted “{chosen.title}”.")
    return redirect("portal:articles")


def _may_delete(request: WorkspaceRequest, article: Article) -> bool:
    if request.membership.may(Permission.MANAGE):
        return True
    is_own = article.created_by_id == request.user.pk and article.published_at is None
    return is_own and request.membership.may(Permission.WORK)


@require_safe
@member_required(Permission.READ)
def article_text(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """The Markdown of a published article, as a reply takes it. 404 for a draft, which is not for customers."""
    chosen = _article(request, pk)
    if chosen.status != articles.PUBLISHED:
        raise Http404("It is a draft.")
    return HttpResponse(chosen.body, content_type="text/plain; charset=utf-8")


def _article(request: WorkspaceRequest, pk: UUID) -> Article:
    try:
        return articles.find_article(request.workspace.pk, pk)
    except DomainError as error:
        raise Http404(error.detail) from error


# --- On a ticket's page -----------------------------------------------------------------------


@require_safe
@member_required(Permission.READ)
def for_ticket(request: WorkspaceRequest, ticket_id: UUID) -> HttpResponse:
    """Articles for a ticket: those that its words suggest, or those that `q` finds, and drafts.

    For htmx the panel on the ticket's page, with `part=found` what it lists, with `part=menu` what the composer's
    menu lists. Without it, a page.
    """
    ticket = _ticket(request, ticket_id)
    part = request.GET.get("part", "") if getattr(request, "htmx", False) else "page"
    words = " ".join(request.GET.get("q", "").split())[:200]
    workspace = request.workspace
    if words:
        found = reading.search(workspace=workspace, words=words, limit=FOUND)
        drafts = articles.drafts_about(workspace=workspace, text=words, limit=FOUND)
    else:
        text = f"{ticket.subject}\n{ticket.description}"
        found = reading.suggest(workspace=workspace, text=text, limit=FOUND if part == "menu" else SUGGESTED)
        drafts = []
    context = {
        "ticket": ticket,
        "q": words,
        "found": [_offered(request, one) for one in found],
        "drafts": drafts,
        "may_work": request.membership.may(Permission.WORK),
    }
    # There is a composer beside it: not where the ticket was merged away.
    context["may_insert"] = part != "page" and ticket.merged_into_id is None and request.membership.may(Permission.NOTE)
    if part in ("found", "menu"):
        return render(request, f"portal/articles/_{part}.html", context)
    context["made"] = articles.made_from(ticket)
    if part != "page":
        return render(request, "portal/articles/_panel.html", context)
    return render(request, "portal/articles/for_ticket.html", console(request, "all") | context)


def _offered(request: WorkspaceRequest, found: reading.Found) -> dict[str, Any]:
    """An article as the ticket's page offers it, with the link that goes into a reply."""
    workspace = request.workspace
    return {
        "article": found,
        "address": articles.address_of(workspace=workspace, slug=found.slug),
        "link": articles.link_to(workspace=workspace, slug=found.slug, title=found.title),
    }


@require_POST
@member_required(Permission.WORK)
def from_ticket(request: WorkspaceRequest, ticket_id: UUID) -> HttpResponse:
    """Make a draft of a ticket, and open it."""
    made = articles.draft_from_ticket(ticket=_ticket(request, ticket_id), by=request.membership, now=timezone.now())
    messages.success(
        request,
        "Made a draft of the ticket. Names and addresses of the customer were taken out; please read it through.",
    )
    return redirect("portal:article-edit", pk=made.pk)


def _ticket(request: WorkspaceRequest, ticket_id: UUID) -> Ticket:
    try:
        return base.find_ticket(request.workspace.pk, ticket_id)
    except DomainError as error:
        raise Http404(error.detail) from error


# --- Categories -------------------------------------------------------------------------------


@require_safe
@member_required(Permission.MANAGE)
def category_list(request: WorkspaceRequest) -> HttpResponse:
    """The shelves of the portal, in their order."""
    return render(request, "portal/articles/categories.html", console(request, "articles") | _shelves(request))


def _shelves(request: WorkspaceRequest, focus: str = "") -> dict[str, Any]:
    """What the list of categories shows; `focus` is the id of the button that was pressed."""
    return {"shelves": articles.categories(request.workspace.pk), "focus": focus}


def _changed_list(request: WorkspaceRequest, focus: str, refused: str = "") -> HttpResponse:
    """The list after a change: for htmx the list alone."""
    if getattr(request, "htmx", False):
        answer = render(request, "portal/articles/_categories.html", _shelves(request, focus))
        return trigger_client_event(answer, "toast", {"message": refused, "tone": "bad"}) if refused else answer
    if refused:
        messages.error(request, refused)
    return redirect(reverse("portal:article-categories") + (f"#{focus}" if focus else ""))


@require_POST
@member_required(Permission.MANAGE)
def category_move(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Show a category one place earlier or later."""
    chosen = _category(request, pk)
    rows = [shelf.pk for shelf in articles.categories(request.workspace.pk)]
    order, direction = moved(rows, chosen.pk, request.POST.get("direction", ""))
    refused = ""
    if order is not None:
        try:
            articles.order_categories(workspace=request.workspace, category_ids=order, now=timezone.now())
        except DomainError:
            refused = CHANGED_MEANWHILE
    return _changed_list(request, f"{direction}-{chosen.pk.hex}", refused)


@require_POST
@member_required(Permission.MANAGE)
def category_order(request: WorkspaceRequest) -> HttpResponse:
    """Put the categories into the order in which somebody has dragged them."""
    try:
        wanted = [UUID(one) for one in request.POST.getlist("category_ids")]
        articles.order_categories(workspace=request.workspace, category_ids=wanted, now=timezone.now())
    except (DomainError, ValueError):
        return _changed_list(request, "", CHANGED_MEANWHILE)
    return _changed_list(request, "")


@require_http_methods(["GET", "POST"])
@member_required(Permission.MANAGE)
def category(request: WorkspaceRequest, pk: UUID | None = None) -> HttpResponse:
    """Make a category, or change one."""
    chosen = _category(request, pk) if pk else None
    initial = {"name": chosen.name, "description": chosen.description} if chosen else None
    form = ArticleCategoryForm(request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            saved = articles.save_category(
                workspace=request.workspace, changes=form.cleaned_data, category=chosen, now=timezone.now()
            )
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, f"Saved the category “{saved.name}”.")
            return redirect("portal:article-categories")
    context = {**console(request, "articles"), "form": form, "category": chosen}
    return render(request, "portal/articles/category.html", context, status=400 if form.errors else 200)


@require_POST
@member_required(Permission.MANAGE)
def category_delete(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Delete a category; its articles stay, without one."""
    chosen = _category(request, pk)
    articles.delete_category(category=chosen)
    messages.success(request, f"Deleted the category “{chosen.name}”. Its articles are still there.")
    return redirect("portal:article-categories")


def _category(request: WorkspaceRequest, pk: UUID) -> ArticleCategory:
    try:
        return cast(ArticleCategory, articles.find_category(request.workspace.pk, pk, "id"))
    except DomainError as error:
        raise Http404(error.detail) from error
