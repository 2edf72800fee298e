"""Files that come with messages: checked, named and kept."""

import datetime as dt
import hashlib
import re
import unicodedata
from pathlib import PurePosixPath, PureWindowsPath
from uuid import UUID

import puremagic
from django.conf import settings
from django.core import signing
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.utils.translation import gettext as _

from helpdesk.accounts.models import User
from helpdesk.errors import InvalidInput
from tickets import timeline
from tickets.events import Actor, Event
from tickets.models import Attachment, Ticket
from tickets.services import base

LINK_SECONDS = 15 * 60
_SALT = "tickets.attachment"


def clean_name(name: str) -> str:
    """A file name that is safe to write into a header and to save: no path, no control or
    direction-changing characters, at most 120 characters, the ending kept. Normalised first (NFKC),
    so that look-alike slashes and dots are judged as what they look like."""
    name = unicodedata.normalize("NFKC", name.encode("utf-8", "replace").decode())
    name = PurePosixPath(PureWindowsPath(name).name).name
    name = "".join(char for char in name if unicodedata.category(char)[0] != "C")
    name = re.sub(r'[<>:"/\\|?*;]+', "_", name).strip(". ") or "file"
    stem, dot, ending = name.rpartition(".")
    if not stem:
        return name[:120]
    ending = ending[:12]
    return f"{stem[: 119 - len(ending)]}{dot}{ending}"


def content_type(head: bytes, name: str) -> str:
    """What a file is, recognised from its first bytes; plain text and unknown ones are said so."""
    try:
        found = puremagic.from_string(head, mime=True, filename=name)
    except (puremagic.PureError, ValueError):
        found = ""
    if found:
        return str(found)[:100]
    try:
        head.decode()
        return "text/plain"
    except UnicodeDecodeError:
        return "application/octet-stream"


def prepare(
    *, workspace_id: UUID, upload: UploadedFile, now: dt.datetime, uploaded_by: User | None = None, field: str = "file"
) -> Attachment:
    """An unsaved attachment for an uploaded file; saving it keeps the file under a name made here.

    Raises InvalidInput naming `field` for an empty file or one over ATTACHMENT_MAX_BYTES.
    """
    size = upload.size or 0
    if size == 0:
        raise InvalidInput.of(field, _("The file is empty."))
    if size > settings.ATTACHMENT_MAX_BYTES:
        limit = settings.ATTACHMENT_MAX_BYTES // (1024 * 1024)
        raise InvalidInput.of(field, _("The file is too large: up to %(limit)s MB are possible.") % {"limit": limit})
    name = clean_name(upload.name or "file")
    digest = hashlib.sha256()
    for chunk in upload.chunks():
        digest.update(chunk)
    upload.seek(0)
    head = upload.read(4096)
    upload.seek(0)
    return Attachment(
        workspace_id=workspace_id,
        file=upload,
        name=name,
        size=size,
        content_type=content_type(head, name),
        sha256=digest.hexdigest(),
        uploaded_by=uploaded_by,
        created_at=now,
    )


@transaction.atomic
def attach(*, ticket: Ticket, upload: UploadedFile, uploaded_by: User, actor: Actor, now: dt.datetime) -> Attachment:
    """Keep a file that an agent uploads; it waits for the comment that will name it. Raises InvalidInput."""
    fresh = base.lock(ticket)
    attachment = prepare(workspace_id=fresh.workspace_id, upload=upload, uploaded_by=uploaded_by, now=now)
    attachment.ticket = fresh
    # Until it is sent with a public comment, only agents see it.
    attachment.is_internal = True
    attachment.save()
    timeline.record(
        ticket=fresh,
        event=Event.ATTACHMENT_ADDED,
        actor=actor,
        now=now,
        data={"attachment_id": str(attachment.pk), "name": attachment.name, "size": attachment.size},
    )
    return attachment


def sign(attachment: Attachment) -> str:
    """A signature that lets its bearer download this one file for 15 minutes."""
    return signing.TimestampSigner(salt=_SALT).sign(attachment.pk.hex).split(":", 1)[1]


def is_signed(attachment_id: UUID, signature: str) -> bool:
    """Whether `signature` opens the file now."""
    try:
        signing.TimestampSigner(salt=_SALT).unsign(f"{attachment_id.hex}:{signature}", max_age=LINK_SECONDS)
    except signing.BadSignature:
        return False
    return True
