"""Small rules for every request."""

from collections.abc import Callable
from urllib.parse import unquote_to_bytes

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, JsonResponse

Handler = Callable[[HttpRequest], HttpResponse]


class TolerateTrailingSlash:
    """Addresses have no trailing slash; one is tolerated. The admin keeps Django's own habit."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        path = request.path_info
        if len(path) > 1 and path.endswith("/") and not path.startswith("/admin/"):
            request.path_info = path[:-1]
        return self.get_response(request)


class RefuseUnreadableInput:
    """A NUL byte or a lone surrogate in the address can be stored nowhere: 400, before any view.

    Bodies are checked where they are parsed: forms by Django's fields, JSON by our parser.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        raw = unquote_to_bytes(request.META.get("QUERY_STRING", "") + request.META.get("PATH_INFO", ""))
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            text = "\0"
        if "\0" not in text:
            return self.get_response(request)
        if request.path.startswith("/api/"):
            return JsonResponse(
                {
                    "type": "about:blank",
                    "title": "Bad Request",
                    "status": 400,
                    "detail": "The address has characters that are not text.",
                    "code": "unreadable",
                    "errors": {"query": ["The address has characters that are not text."]},
                },
                status=400,
                content_type="application/problem+json",
            )
        raise BadRequest  # Django asks for the page of the urls' handler400
