"""Languages are complete, and every pair of colours that stands on another can be read."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

from cubbyhole.ui.words import LANGUAGES, MissingWords, Words, catalogue

ROOT = Path(__file__).parents[2]
STATES = ("free", "yours", "inuse", "waiting", "expiring", "open", "oos", "alarm", "offline")
PAIRS = [
    *((ink, ground, 4.5) for ink in ("ink", "ink-2", "ink-3") for ground in ("paper", "surface", "sunken")),
    ("on-ink", "ink", 4.5), ("line-strong", "surface", 3.0), ("line-strong", "paper", 3.0), ("focus", "paper", 3.0),
    *((f"{s}-solid", ground, 4.5) for s in STATES for ground in ("surface", "paper", f"{s}-tint")),
    *((f"{s}-on", f"{s}-solid", 4.5) for s in STATES), *(("ink", f"{s}-tint", 4.5) for s in STATES),
]  # fmt: skip


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_all_languages_have_the_same_keys_with_the_same_fields() -> None:
    english = catalogue("en")
    for language in LANGUAGES:
        other = catalogue(language)
        assert other.keys() == english.keys()
        assert {key: fields(text) for key, text in other.items()} == {
            key: fields(text) for key, text in english.items()
        }


def test_every_key_that_a_template_asks_for_is_there() -> None:
    asked = set()
    for template in (ROOT / "src/cubbyhole/ui/templates").glob("*.html"):
        asked |= set(re.findall(r"\bt\('([a-z_.]+)'(?:\)|,)", template.read_text()))
    assert asked and asked <= catalogue("en").keys()


def test_missing_words_are_an_error_and_not_an_english_word() -> None:
    with pytest.raises(MissingWords):
        Words("de").t("no.such.key")


def test_one_is_said_as_one() -> None:
    assert Words("de").t("banks.count", n=1) == "1 Schrank"
    assert Words("de").t("banks.count", n=2) == "2 Schränke"


def colours() -> dict[str, tuple[str, str]]:
    css = (ROOT / "frontend/css/tokens.css").read_text()
    found = re.findall(r"--([\w-]+):\s*light-dark\((#\w{3,6}),\s*(#\w{3,6})\)", css)
    return {name: (light, dark) for name, light, dark in found}


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    digits = colour.lstrip("#")
    digits = "".join(c * 2 for c in digits) if len(digits) == 3 else digits
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


@pytest.mark.parametrize(("front", "ground", "least"), PAIRS)
def test_the_contrast_holds_in_light_and_dark(front: str, ground: str, least: float) -> None:
    for finish in (0, 1):
        one, two = luminance(colours()[front][finish]), luminance(colours()[ground][finish])
        assert (max(one, two) + 0.05) / (min(one, two) + 0.05) >= least
