"""A workspace's portal: how it looks, what it speaks, who may use it from where."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import puremagic
from django.conf import settings as configured
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.utils.translation import get_language_info

from helpdesk.accounts.models import Membership, Workspace
from helpdesk.accounts.roles import Permission
from helpdesk.errors import DomainError, InvalidInput, NotAllowed, NotFound
from portal import branding
from portal.models import PortalSettings
from tickets.services import base

TITLE_LENGTH, WELCOME_LENGTH = 120, 500
MOST_ORIGINS = 20
MOST_PER_HOUR = 100_000
LOGO_BYTES = 512 * 1024
LOGO_TYPES = ("image/png", "image/jpeg", "image/webp", "image/gif")  # no SVG: it can hold scripts
LOGO_SIDE = (16, 4096)  # pixels
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


# --- Changing ---------------------------------------------------------------------------------


@transaction.atomic
def change_settings(
    *, workspace: Workspace, by: Membership, changes: Mapping[str, Any], now: dt.datetime
) -> PortalSettings:
    """Change the given settings of the workspace's portal.

    `welcome_title`, `welcome_text`, `accent` (#rgb or #rrggbb; empty: ours), `language` (a code; empty: each
    visitor's), `allowed_origins` (a list), `asks_proof`, `requests_per_hour`, and `logo`: an upload, or None to take
    the logo away. Raises InvalidInput naming every field at fault, NotAllowed for anyone but admins and owners.
    """
    if by.workspace_id != workspace.pk or not by.may(Permission.MANAGE):
        raise NotAllowed("Only admins and owners of the workspace may do this.")
    clean: dict[str, Any] = {}
    errors: dict[str, Sequence[str]] = {}
    for name, value in changes.items():
        try:
            if name not in _CLEAN:
                raise InvalidInput.of(name, "There is no such field.")
            clean[name] = _CLEAN[name](value)
        except DomainError as error:
            errors |= error.errors
    if errors:
        raise InvalidInput.of_all(errors)
    PortalSettings.unscoped.get_or_create(workspace=workspace, defaults={"updated_at": now})
    own: PortalSettings = PortalSettings.objects.for_workspace(workspace).select_for_update().get()
    logo = clean.pop("logo", _KEPT)
    for name, value in clean.items():
        setattr(own, name, value)
    if logo is not _KEPT:
        _put_logo(own, logo)
    own.updated_at = now
    own.save()
    return own


@dataclass(frozen=True)
class _Logo:
    """A picture that can be a logo."""

    content: bytes
    content_type: str
    width: int
    height: int


_KEPT = object()


def _put_logo(own: PortalSettings, logo: _Logo | None) -> None:
    """Put another logo in the place of the present one, whose file goes when that is committed."""
    if before := own.logo.name:
        storage = own.logo.storage
        transaction.on_commit(lambda: storage.delete(before))
    if logo is None:
        own.logo, own.logo_type, own.logo_width, own.logo_height = "", "", 0, 0
        return
    own.logo_type, own.logo_width, own.logo_height = logo.content_type, logo.width, logo.height
    own.logo.save("logo", ContentFile(logo.content), save=False)


def _welcome_title(value: Any) -> str:
    return base.text("welcome_title", value, longest=TITLE_LENGTH, required=False, one_line=True)


def _welcome_text(value: Any) -> str:
    return base.text("welcome_text", value, longest=WELCOME_LENGTH, required=False)


def colour(value: Any) -> str:
    """A colour as it is kept, from #rgb or #rrggbb with or without the sign; empty stays empty.

    Raises InvalidInput naming `accent`.
    """
    accent = base.text("accent", value, longest=20, required=False).lower()
    if not accent:
        return ""
    digits = accent.removeprefix("#")
    accent = "#" + ("".join(2 * digit for digit in digits) if len(digits) == 3 else digits)
    if not branding.is_colour(accent):
        raise InvalidInput.of("accent", "This is not a colour like #3b5bdb.")
    return accent


def _language(value: Any) -> str:
    return base.choice("language", value, ["", *dict(configured.LANGUAGES)])


def _allowed_origins(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidInput.of("allowed_origins", "This must be a list of addresses.")
    origins = list(dict.fromkeys(_origin(item) for item in value))
    if len(origins) > MOST_ORIGINS:
        raise InvalidInput.of("allowed_origins", f"Up to {MOST_ORIGINS} sites are possible.")
    return origins


def _origin(value: str) -> str:
    """A site as browsers write it into the header Origin (RFC 6454, 6.2): scheme, host, and the port if unusual."""
    given = base.text("allowed_origins", value, longest=200)
    wrong = InvalidInput.of(
        "allowed_origins", f"{given} is not the address of a site, like https://www.example.com without anything after."
    )
    try:
        parts = urlsplit(given)
        host, port = (parts.hostname or "").encode("idna").decode(), parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme not in ("http", "https") or "@" in parts.netloc or any(char in given for char in "?#*\\ "):
        raise wrong
    if not host or parts.path not in ("", "/"):
        raise wrong
    shown = f"[{host}]" if ":" in host else host
    usual = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{shown}" + (f":{port}" if port not in (None, usual) else "")


def _asks_proof(value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidInput.of("asks_proof", "This must be true or false.")
    return value


def _requests_per_hour(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_PER_HOUR:
        raise InvalidInput.of("requests_per_hour", f"This must be a whole number from 1 to {MOST_PER_HOUR}.")
    return value


def _logo(value: Any) -> _Logo | None:
    if value is None:
        return None
    upload: UploadedFile = value
    if (upload.size or 0) > LOGO_BYTES:
        raise InvalidInput.of("logo", f"The logo is too large: up to {LOGO_BYTES // 1024} KB are possible.")
    content = upload.read()
    try:
        kind = str(puremagic.from_string(content[:4096], mime=True))
    except (puremagic.PureError, ValueError):
        kind = ""
    size = branding.picture_size(content)
    if kind not in LOGO_TYPES or size is None:
        raise InvalidInput.of("logo", "The logo must be a picture: PNG, JPEG, WebP or GIF.")
    smallest, largest = LOGO_SIDE
    if not all(smallest <= side <= largest for side in size):
        raise InvalidInput.of(
            "logo", f"The logo is {size[0]} × {size[1]} pixels; from {smallest} to {largest} each way are possible."
        )
    return _Logo(content, kind, *size)


_CLEAN: Mapping[str, Any] = {
    "welcome_title": _welcome_title,
    "welcome_text": _welcome_text,
    "accent": colour,
    "language": _language,
    "allowed_origins": _allowed_origins,
    "asks_proof": _asks_proof,
    "requests_per_hour": _requests_per_hour,
    "logo": _logo,
}
