"""Colours that can be read whatever accent is chosen, and the sizes of pictures."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal import branding
from portal.tests import pictures

colours = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")
sides = st.integers(1, 16383)


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ("#000000", "#ffffff", 21.0),
        ("#ffffff", "#ffffff", 1.0),
        ("#777777", "#ffffff", 4.48),  # known to miss AA by a little
        ("#767676", "#ffffff", 4.54),  # and this grey to reach it
        ("#ff0000", "#ffffff", 4.00),
        ("#0000ff", "#ffffff", 8.59),
    ],
)
def test_contrast_is_that_of_wcag(one: str, other: str, ratio: float) -> None:
    assert branding.contrast(one, other) == pytest.approx(ratio, abs=0.005)
    assert branding.contrast(other, one) == branding.contrast(one, other)


@given(colours)
def test_whatever_the_accent_it_is_read_on_every_ground_of_its_theme(accent: str) -> None:
    light, dark = branding.light_shades(accent), branding.dark_shades(accent)
    for shades, grounds in (
        (light, ["#ffffff", branding.LIGHT_GROUND, light.soft]),
        (dark, ["#17191f", branding.DARK_GROUND, dark.soft]),
    ):
        assert all(branding.is_colour(value) for value in vars(shades).values())
        for ground in grounds:
            assert branding.contrast(shades.accent, ground) >= 4.5
        assert branding.contrast(shades.text, shades.accent) >= 4.5
        assert branding.contrast(shades.text, shades.hover) >= 4.5


@given(colours)
def test_text_on_any_colour_can_be_read(colour: str) -> None:
    assert branding.contrast(branding.text_on(colour), colour) >= 4.5


@given(colours)
def test_what_can_be_read_already_stays_as_it_is(colour: str) -> None:
    if branding.contrast(colour, "#ffffff") >= 4.5:
        assert branding.readable(colour, "#ffffff", towards=branding.BLACK) == colour


def test_a_dark_accent_is_used_as_it_is_and_a_pale_one_is_not() -> None:
    assert branding.light_shades("#3b5bdb").accent == "#3b5bdb" and not branding.is_changed("#3b5bdb")
    assert branding.light_shades("#ffd43b").accent != "#ffd43b" and branding.is_changed("#ffd43b")


@given(colours)
def test_the_style_sheet_sets_properties_and_holds_nothing_else(accent: str) -> None:
    sheet = branding.style_sheet(accent)
    line = r"    --accent(-hover|-text|-soft|-line)?: light-dark\(#[0-9a-f]{6}, #[0-9a-f]{6}\);\n"
    assert re.fullmatch(rf"@layer tokens \{{\n  :root \{{\n(?:{line}){{5}}  \}}\n\}}\n", sheet)


def test_another_accent_has_another_version() -> None:
    assert branding.version("#3b5bdb") == branding.version("#3b5bdb") != branding.version("#3b5bdc")


@given(sides, sides)
def test_the_size_of_a_picture_is_read_from_its_header(width: int, height: int) -> None:
    for content in (
        pictures.gif(width, height),
        pictures.jpeg(width, height),
        *(pictures.webp(width, height, kind) for kind in ("VP8X", "VP8L", "VP8")),
        pictures.png(1, 1)[:16] + width.to_bytes(4, "big") + height.to_bytes(4, "big") + pictures.png(1, 1)[24:],
    ):
        assert branding.picture_size(content) == (width, height)


@given(
    st.binary(max_size=64), st.sampled_from([b"", b"GIF89a", b"\xff\xd8", b"RIFF\0\0\0\0WEBP", b"\x89PNG\r\n\x1a\n"])
)
def test_whatever_the_bytes_there_is_a_size_or_none(rest: bytes, start: bytes) -> None:
    size = branding.picture_size(start + rest)
    assert size is None or min(size) > 0


@given(
    st.sampled_from([pictures.jpeg(9, 9), pictures.webp(9, 9), pictures.gif(9, 9), pictures.png(9, 9)]),
    st.integers(0, 24),
)
def test_a_picture_that_was_cut_off_has_no_size_or_its_own(content: bytes, length: int) -> None:
    assert branding.picture_size(content[:length]) in (None, (9, 9))
