"""The words of help articles: what a misspelt word may have meant."""

from typing import Any, ClassVar

from django.db import models
from django.db.models import F
from django.db.models.functions import Left

from helpdesk.accounts.models import WorkspaceManager


class ArticleWord(models.Model):
    """A word (cut to its stem, without accents) that some article of the workspace has or had.

    A trigger adds them whenever the words of an article are written, however that is. Nothing takes them away: a
    search asks the published articles about each word before it uses it.
    """

    id = models.BigAutoField(primary_key=True)
    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.CASCADE, related_name="+")
    word = models.CharField(max_length=40)

    unscoped = models.Manager()
    objects: ClassVar[WorkspaceManager[Any]] = WorkspaceManager()

    class Meta:
        db_table = "article_words"
        constraints = [
            models.UniqueConstraint(fields=["workspace", "word"], name="one_article_word"),
        ]
        indexes = [models.Index(F("workspace"), Left("word", 1), name="article_words_by_letter")]

    def __str__(self) -> str:
        return self.word
