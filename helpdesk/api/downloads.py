"""Files that people sent, on their way out: always a download, never anything that a browser runs on our address."""

import re
from typing import IO

from django.http import FileResponse

# What a browser could run, should anybody ever show it: sent as plain bytes.
_ACTIVE_CONTENT = re.compile(r"html|svg|xml|script|pdf|flash", re.IGNORECASE)


def download(content: IO[bytes], *, name: str, content_type: str) -> FileResponse:
    """The file under its name, to be saved (RFC 6266), not shown; kept by no cache.

    Three locks, for browsers that differ: the disposition, a type that is not guessed (Fetch standard, "nosniff"), and
    a sandbox without any rights (CSP level 3) should it be shown all the same.
    """
    answer = FileResponse(
        content,
        as_attachment=True,
        filename=name,
        content_type="application/octet-stream" if _ACTIVE_CONTENT.search(content_type) else content_type,
    )
    answer["X-Content-Type-Options"] = "nosniff"
    answer["Content-Security-Policy"] = "sandbox; default-src 'none'"
    answer["Cache-Control"] = "private, no-store"
    return answer
