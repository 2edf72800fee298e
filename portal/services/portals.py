"""A workspace's portal: how it looks, what it speaks, who may use it from where."""

from dataclasses import dataclass

from helpdesk.accounts.models import Workspace
from helpdesk.errors import NotFound
from portal.models import PortalSettings


@dataclass(frozen=True)
class Portal:
    """A workspace as its customers meet it."""

    workspace: Workspace
    settings: PortalSettings  # without a row in the database: the defaults


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
