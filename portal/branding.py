"""The looks of a portal, pure: from the one accent that a workspace chooses to the colours its pages need.

Contrast is reckoned by WCAG 2.2 ("relative luminance", "contrast ratio"). Text needs 4.5:1 against what is behind
it (1.4.3, AA); borders and marks need 3:1 (1.4.11) and get what text gets. An accent that does not reach that is
mixed with black or with white until it does, as little as possible.
"""

import hashlib
import io
import re
import struct
from dataclasses import dataclass

import imagesize

TEXT_CONTRAST = 4.5
BLACK, WHITE = "#000000", "#ffffff"
# The grounds that text in the accent can stand on, at their least favourable (static/css/tokens.css: --sunken).
LIGHT_GROUND, DARK_GROUND = "#eceff3", "#23262d"
_HEX = re.compile(r"#[0-9a-f]{6}")
_STEPS = 100
_FORM = 1  # of the style sheet; a change of it must change the version, which browsers keep for ever


@dataclass(frozen=True)
class Shades:
    """An accent in one theme, each as #rrggbb."""

    accent: str  # text, icons, links; the ground of the main button
    hover: str  # the main button under the pointer
    text: str  # on `accent` and on `hover`
    soft: str  # a quiet ground, on which `accent` can be read
    line: str  # a quiet border


def is_colour(value: str) -> bool:
    """Whether this is a colour as we keep them: #rrggbb in lower case."""
    return _HEX.fullmatch(value) is not None


def luminance(colour: str) -> float:
    """The relative luminance of #rrggbb, from 0 (black) to 1 (white); WCAG 2.2, "relative luminance"."""
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (channel / 255 for channel in _channels(colour))
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, from 1 to 21; WCAG 2.2, "contrast ratio"."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def mix(colour: str, other: str, share: float) -> str:
    """`colour` with this share (0 to 1) of `other`, channel by channel."""
    pairs = zip(_channels(colour), _channels(other), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def readable(colour: str, ground: str, *, towards: str) -> str:
    """The colour nearest to `colour`, on the way `towards` black or white, that can be read as text on `ground`."""
    for step in range(_STEPS + 1):
        candidate = mix(colour, towards, step / _STEPS)
        if contrast(candidate, ground) >= TEXT_CONTRAST:
            return candidate
    return towards


def text_on(colour: str) -> str:
    """Black or white, whichever is read better on `colour`; one of them always reaches 4.5:1."""
    return WHITE if contrast(WHITE, colour) >= contrast(BLACK, colour) else BLACK


def light_shades(accent: str) -> Shades:
    """The accent on light pages."""
    soft = mix(accent, WHITE, 0.92)
    shown = readable(accent, min(soft, LIGHT_GROUND, key=luminance), towards=BLACK)
    return Shades(shown, mix(shown, BLACK, 0.12), text_on(shown), soft, mix(accent, WHITE, 0.66))


def dark_shades(accent: str) -> Shades:
    """The accent on dark pages."""
    soft = mix(accent, DARK_GROUND, 0.82)
    shown = readable(accent, max(soft, DARK_GROUND, key=luminance), towards=WHITE)
    return Shades(shown, mix(shown, WHITE, 0.15), text_on(shown), soft, mix(accent, DARK_GROUND, 0.6))


def is_changed(accent: str) -> bool:
    """Whether the accent cannot be used on light pages just as it is."""
    return light_shades(accent).accent != accent


def style_sheet(accent: str) -> str:
    """A style sheet that sets the custom properties of static/css/tokens.css, in both themes."""
    light, dark = light_shades(accent), dark_shades(accent)
    pairs = {
        "accent": (light.accent, dark.accent),
        "accent-hover": (light.hover, dark.hover),
        "accent-text": (light.text, dark.text),
        "accent-soft": (light.soft, dark.soft),
        "accent-line": (light.line, dark.line),
    }
    lines = "".join(f"    --{name}: light-dark({day}, {night});\n" for name, (day, night) in pairs.items())
    return f"@layer tokens {{\n  :root {{\n{lines}  }}\n}}\n"


def version(accent: str) -> str:
    """What the address of the style sheet carries, so that a browser may keep the sheet for ever."""
    return hashlib.sha256(f"{_FORM} {accent}".encode()).hexdigest()[:12]


def picture_size(content: bytes) -> tuple[int, int] | None:
    """Width and height in pixels of a picture, as its header says; None where it says nothing."""
    try:
        width, height = imagesize.get(io.BytesIO(content))
    except (ValueError, struct.error, IndexError):
        return None
    return (width, height) if min(width, height) > 0 else None


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
