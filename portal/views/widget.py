"""The script that puts a form of the portal onto another site.

It is the same for every visitor: no cookie, no session, and the texts of all languages, so that browsers and what
stands between may keep it for some minutes.
"""

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.http import conditional_page, require_safe

from portal import branding
from portal.services import portals, requests
from portal.views.base import of_portal

KEPT_SECONDS = 300
# What could end a script or a string where the answer is put into a page, as django.utils.html.json_script has it.
ESCAPES = {ord(">"): "\\u003E", ord("<"): "\\u003C", ord("&"): "\\u0026"}


@conditional_page
@require_safe
@of_portal
def script(request: HttpRequest, portal: portals.Portal) -> HttpResponse:
    """`widget.js` of a portal: puzzle.js, static/js/widget.js, and what this portal says of itself."""
    config = json.dumps(_config(portal), ensure_ascii=True).translate(ESCAPES)
    text = f"(() => {{\n{_source('js/puzzle.js')}\n{_source('js/widget.js')}\nstartWidget({config});\n}})();\n"
    response = HttpResponse(text, content_type="text/javascript; charset=utf-8")
    response["Cache-Control"] = f"public, max-age={KEPT_SECONDS}"
    # Other sites load it, under Cross-Origin-Embedder-Policy, too (Fetch standard, "Cross-Origin-Resource-Policy").
    response["Cross-Origin-Resource-Policy"] = "cross-origin"
    response["X-Content-Type-Options"] = "nosniff"
    return response


@lru_cache
def _source(name: str) -> str:
    """A static file without the lines and the white space that only its readers need."""
    text = Path(str(finders.find(name))).read_text(encoding="utf-8")
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))


def _config(portal: portals.Portal) -> dict[str, Any]:
    accent = portal.settings.accent.lower()
    if not branding.is_colour(accent):
        accent = ""
    return {
        "workspace_id": str(portal.workspace.pk),
        "name": portal.workspace.name,
        "site": settings.SITE_URL,  # for a browser that does not tell where the script came from
        "portal": reverse("portal:submit", args=[portal.workspace.slug]),
        "asks_proof": portal.settings.asks_proof,
        "files": requests.MAX_FILES,
        "file_bytes": settings.ATTACHMENT_MAX_BYTES,
        "accent": accent,
        "accent_text": branding.text_on(accent) if accent else "",
        "language": portal.settings.language,
        "styles": _source("css/widget.css"),
        "texts": {code: _texts(code) for code, _name in settings.LANGUAGES},
    }


def _texts(language: str) -> dict[str, str]:
    """What the widget says. `{number}`, `{minutes}` and `{file}` are filled in by the script."""
    files = {"most": requests.MAX_FILES, "limit": settings.ATTACHMENT_MAX_BYTES // (1024 * 1024)}
    with translation.override(language):
        return {
            "lang": language,
            "dir": "rtl" if translation.get_language_bidi() else "ltr",
            "label": _("Help"),
            "region": _("Help"),
            "title": _("How can we help?"),
            "intro": _("Tell us what happened. You get a page of your own where you read our answer and write back."),
            "subject": _("What is it about?"),
            "description": _("What happened?"),
            "hint": _("What you did, what you expected, what you saw"),
            "name": _("Your name"),
            "email": _("Your e-mail"),
            "files": _("Add files"),
            "chosen": _("Files"),
            "most_files": _("Up to %(most)s files, %(limit)s MB each") % files,
            "remove": _("Remove {file}"),
            "optional": _("(optional)"),
            "trap": _("Leave this empty"),
            "send": _("Send request"),
            "sending": _("Sending…"),
            "close": _("Close"),
            "check": _("Nothing was sent yet. Please check the marked fields."),
            "no_subject": _("Please say in a few words what it is about."),
            "no_description": _("Please tell us what happened."),
            "no_email": _("Please give the address that we can answer to."),
            "bad_email": _("This address is not complete, for example jane@example.com."),
            "many_files": _("These are too many files: up to %(most)s are possible at once.") % files,
            "too_large": _("The file is too large: up to %(limit)s MB are possible.") % files,
            "empty": _("The file is empty."),
            "machine": _("This looked as if a machine had sent it. If you are not one, just send it again."),
            "too_many": _("Too much was sent to us. What you typed is kept: please try again in {minutes} min."),
            "offline": _("You are offline. What you typed is kept: send it when you are back."),
            "failed": _("That did not work. What you typed is kept: please try again."),
            "elsewhere": _("Or write to us on our own page"),
            "thanks": _("We have your request"),
            "number": _("Its number is {number}."),
            "read": _("Open your request"),
            "again": _("Send another request"),
        }
