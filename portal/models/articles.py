"""Help articles: what customers can read before they ask."""

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Upper

from helpdesk.accounts.models import User, WorkspaceModel
from tickets.models import Ticket


class ArticleCategory(WorkspaceModel):
    """A shelf of articles."""

    name = models.CharField(max_length=80)
    slug = models.SlugField(max_length=80)
    description = models.CharField(max_length=200, blank=True, default="")
    position = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "article_categories"
        verbose_name_plural = "article categories"
        constraints = [
            models.UniqueConstraint(fields=["workspace", "slug"], name="one_article_category_per_slug"),
        ]

    def __str__(self) -> str:
        return self.name


class Article(WorkspaceModel):
    """An article: a draft that agents see, or published for everybody who visits the portal."""

    category = models.ForeignKey(
        ArticleCategory, null=True, blank=True, on_delete=models.SET_NULL, related_name="articles"
    )
    title = models.CharField(max_length=160)
    slug = models.SlugField(max_length=180, help_text="Its address; an address that was published stays with it.")
    body = models.TextField(help_text="Markdown.")
    body_html = models.TextField(editable=False, help_text="Made from the body, sanitised.")
    status = models.CharField(
        max_length=9, choices=[("draft", "Draft"), ("published", "Published")], default="draft", db_default="draft"
    )
    position = models.PositiveIntegerField(default=0)
    from_ticket = models.ForeignKey(
        Ticket, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", help_text="What it was made from."
    )
    version = models.PositiveIntegerField(default=1, help_text="Counts changes of the text.")
    view_count = models.PositiveIntegerField(default=0, editable=False)
    helpful_count = models.PositiveIntegerField(default=0, editable=False)
    unhelpful_count = models.PositiveIntegerField(default=0, editable=False)
    words = SearchVectorField(null=True, editable=False)
    created_by = models.ForeignKey(User, null=True, editable=False, on_delete=models.SET_NULL, related_name="+")
    updated_by = models.ForeignKey(User, null=True, editable=False, on_delete=models.SET_NULL, related_name="+")
    published_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "articles"
        constraints = [
            models.UniqueConstraint(fields=["workspace", "slug"], name="one_article_per_slug"),
            models.CheckConstraint(
                condition=Q(status="draft") | Q(published_at__isnull=False), name="article_published_at_some_time"
            ),
        ]
        indexes = [
            models.Index(fields=["workspace", "status", "category", "position"], name="articles_in_order"),
            GinIndex(fields=["words"], name="articles_words", fastupdate=False),
            GinIndex(OpClass(Upper("title"), name="gin_trgm_ops"), name="articles_title", fastupdate=False),
        ]

    def __str__(self) -> str:
        return self.title


class ArticleFeedback(WorkspaceModel):
    """Whether an article helped: one answer of each visitor, which they may change."""

    article = models.ForeignKey(Article, on_delete=models.CASCADE, related_name="feedback")
    visitor = models.CharField(max_length=64, help_text="A hash that names a browser and nobody.")
    is_helpful = models.BooleanField()
    comment = models.CharField(max_length=1000, blank=True, default="")
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "article_feedback"
        verbose_name_plural = "article feedback"
        constraints = [
            models.UniqueConstraint(fields=["article", "visitor"], name="one_feedback_per_article_and_visitor"),
        ]

    def __str__(self) -> str:
        return f"{'helpful' if self.is_helpful else 'not helpful'}: {self.article_id}"
