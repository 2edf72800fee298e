"""What the usual filters wrote into the header: whether one of them calls the message spam."""

import re
from collections.abc import Callable
from typing import Final

from tickets.mail.parsing.headers import Fields

_YES: Final = re.compile(r"\s*(?:yes|true|spam|1)\b", re.IGNORECASE)
_REJECTING: Final = re.compile(r"\s*(?:reject|add[ _-]header|rewrite[ _-]subject|quarantine|discard)\b", re.IGNORECASE)
_RSPAMD: Final = re.compile(r"\s*\w*\s*:\s*True\b", re.IGNORECASE)
_FOREFRONT: Final = re.compile(
    r"(?:^|;)\s*(?:SFV:(?:SPM|SKB|SKS)|CAT:(?:SPM|HSPM|PHSH|HPHSH|MALW|SPOOF|BULK))\b", re.IGNORECASE
)
_FAILED: Final = re.compile(r"\s*fail\b", re.IGNORECASE)
_LEVEL: Final = re.compile(r"\s*([5-9])\b")


def _matches(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda value: bool(pattern.match(value))


# Lower-case name of the field, and when its value says spam.
_FILTERS: Final[dict[str, Callable[[str], bool]]] = {
    "x-spam-flag": _matches(_YES),  # SpamAssassin, amavis and many that copy them
    "x-spam-status": _matches(_YES),
    "x-spam": _matches(_YES),  # rspamd
    "x-spamd-result": _matches(_RSPAMD),
    "x-rspamd-action": _matches(_REJECTING),
    "x-spam-action": _matches(_REJECTING),
    "x-ms-exchange-organization-scl": _matches(_LEVEL),  # Exchange: 5 and more is spam
    "x-forefront-antispam-report": lambda value: bool(_FOREFRONT.search(value)),  # Microsoft 365
    "x-barracuda-spam-flag": _matches(_YES),
    "x-barracuda-spam-status": _matches(_YES),
    "x-dspam-result": _matches(_YES),
    "x-bogosity": _matches(_YES),  # bogofilter
    "x-crm114-status": _matches(_YES),
    "x-mailgun-sflag": _matches(_YES),
    "x-ses-spam-verdict": _matches(_FAILED),  # Amazon SES
    "x-ses-virus-verdict": _matches(_FAILED),
    "x-spamexperts-class": _matches(_YES),
    "x-suspected-spam": _matches(_YES),
    "x-gm-spam": _matches(_YES),
    "x-spam-verdict": _matches(_YES),
}
_NAMES: Final = {
    "x-ms-exchange-organization-scl": "X-MS-Exchange-Organization-SCL",
    "x-dspam-result": "X-DSPAM-Result",
    "x-crm114-status": "X-CRM114-Status",
    "x-ses-spam-verdict": "X-SES-Spam-Verdict",
    "x-ses-virus-verdict": "X-SES-Virus-Verdict",
}


def named_by(fields: Fields) -> str:
    """The name of the field in which a filter calls the message spam; "" when none does.

    Of fields with one name the topmost counts: it was written last, by the server nearest to us. A sender who writes
    such a field calls only the own message spam.
    """
    seen: set[str] = set()
    for name, value in fields:
        key = name.lower()
        says_spam = _FILTERS.get(key)
        if says_spam is None or key in seen:
            continue
        seen.add(key)
        if says_spam(value):
            return _NAMES.get(key, "-".join(word.capitalize() for word in key.split("-")))
    return ""
