"""A workspace's portal: how it looks, what it speaks, who may use it from where."""

from dataclasses import dataclass

from django.conf import settings as configured
from django.utils.translation import get_language_info

from helpdesk.accounts.models import Workspace
from helpdesk.errors import NotFound
from portal import branding
from portal.models import PortalSettings

WIDE_LOGO = 2.5  # times as wide as high: such a logo has the name in it


@dataclass(frozen=True)
class Language:
    """A language that pages can be read in."""

    code: str
    name: str  # as those call it who speak it


@dataclass(frozen=True)
class Portal:
    """A workspace as its customers meet it."""

    workspace: Workspace
    settings: PortalSettings  # without a row in the database: the defaults

    @property
    def brand_version(self) -> str:
        """What changes with the workspace's style sheet; empty where it has none."""
        return branding.version(self.settings.accent) if self.settings.accent else ""

    @property
    def logo_version(self) -> str:
        """What changes with the logo; empty where there is none."""
        name: str = self.settings.logo.name or ""
        return name.rpartition("/")[2][:16]

    @property
    def has_wide_logo(self) -> bool:
        """Whether the logo is as wide as a name, so that the name is not written beside it."""
        return self.settings.logo_width > WIDE_LOGO * self.settings.logo_height

    @property
    def languages(self) -> list[Language]:
        """The languages to choose from."""
        return [
            Language(code, str(get_language_info(code)["name_local"]).capitalize()) for code, _ in configured.LANGUAGES
        ]


def find(*, slug: str) -> Portal:
    """The portal of the workspace with this slug, in one query. Raises NotFound."""
    workspace = Workspace.objects.filter(slug=slug).select_related("portal_settings").first()
    if workspace is None:
        raise NotFound("There is no such portal.")
    return of(workspace)


def of(workspace: Workspace) -> Portal:
    """The portal of a workspace; no query where its settings were read with it."""
    try:
        return Portal(workspace, workspace.portal_settings)
    except PortalSettings.DoesNotExist:
        return Portal(workspace, PortalSettings(workspace=workspace))
