"""What agents type into the pages of help articles; shapes are checked here, rules in the services."""

from django import forms

from portal.services import articles
from tickets.forms import DomainForm, IdField


class ArticleForm(DomainForm):
    """An article's text. `version` is the one that its author read, None for a new article."""

    title = forms.CharField(
        max_length=articles.TITLE_LENGTH, help_text="What customers would search for: “How do I change my invoice?”"
    )
    category_id = IdField(label="Category")
    body = forms.CharField(
        label="Text", max_length=articles.BODY_LENGTH, widget=forms.Textarea(attrs={"rows": 18}), help_text="Markdown."
    )
    version = forms.IntegerField(required=False, min_value=1, widget=forms.HiddenInput)


class ArticleCategoryForm(DomainForm):
    """A category of articles."""

    name = forms.CharField(max_length=articles.NAME_LENGTH)
    description = forms.CharField(
        max_length=articles.DESCRIPTION_LENGTH, required=False, help_text="One line below the name in the portal."
    )
