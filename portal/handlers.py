"""What the portal answers to others who ask: may a page of this site call us?"""

from typing import Any

from django.db import DatabaseError
from django.http import HttpRequest

from portal.services import origins


def allow_listed_site(sender: Any, request: HttpRequest, **more: Any) -> bool:
    """Whether a browser may call the public API for a page of the site that asks (CORS).

    A preflight does not name the workspace, so a site that any workspace lists may ask; the endpoints then refuse
    what is not of its own workspace.
    """
    if not request.path_info.startswith("/api/public/"):
        return False
    try:
        return origins.is_listed(origin=request.headers.get("Origin", ""))
    except DatabaseError:
        return False  # the endpoint itself says that the database is away
