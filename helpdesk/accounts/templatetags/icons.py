"""The icons of the package `lucide`, each made once.

The package's own tag copies and writes an XML tree for every icon of every page; a page has
twenty and more, so that was a tenth of its time.
"""

from functools import lru_cache

import lucide as package
from django import template
from django.utils.safestring import SafeString, mark_safe

register = template.Library()


@lru_cache(maxsize=1024)
def markup(name: str, size: int | None, attributes: tuple[tuple[str, str], ...]) -> SafeString:
    """The SVG of an icon; the same for the same arguments, so it is kept."""
    return mark_safe(package._render_icon(name, size, **dict(attributes)))  # noqa: S308  the package's own SVG


@register.simple_tag
def lucide(name: str, *, size: int | None = 24, **attributes: object) -> SafeString:
    """An icon by name, `size` pixels wide and high, with these attributes (`_` stands for `-`)."""
    # Strings from a template are SafeStrings; the XML writer wants plain ones.
    plain = tuple((key, str(value) + "") for key, value in attributes.items())
    return markup(str(name) + "", size, plain)
