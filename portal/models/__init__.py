"""Rows of the portal: what customers tell us, help articles, how a portal looks, and who may sign in."""

from portal.models.articles import Article, ArticleCategory, ArticleFeedback
from portal.models.privacy import PrivacyRequest
from portal.models.satisfaction import Satisfaction
from portal.models.settings import PortalSettings
from portal.models.sign_in import SignInLink
from portal.models.words import ArticleWord

__all__ = [
    "Article",
    "ArticleCategory",
    "ArticleFeedback",
    "ArticleWord",
    "PortalSettings",
    "PrivacyRequest",
    "Satisfaction",
    "SignInLink",
]
