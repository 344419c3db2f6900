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


# A drawn door: what stands on what, as in bank.css. A pair "light/dark" is the style sheet's own.
DRAWN = [
    ("free number", "#1D1B17/#FFFFFF", "free-front", 4.5), ("free ring", "free-solid", "free-front", 3.0),
    ("yours number", "#1F44D6/#1F3FC4", "#FFFFFF", 4.5), ("yours ring", "#FFFFFF", "yours-front", 3.0),
    ("in use number", "#4A4438/#CFC8BA", "inuse-front", 4.5),
    ("waiting number", "#3B1250/#F6E8FC", "waiting-front", 4.5),
    ("waiting ring", "#752A99/#E3BDF5", "waiting-front", 3.0),
    ("ends soon number", "#3A2600/#1F1500", "#EFBD45/#D9A53F", 4.5),
    ("ends soon ring", "#5E3C00/#241800", "expiring-front", 3.0),
    ("open number", "#1D1B17/#FFFFFF", "open-front", 4.5),
    ("out of service number", "#3A362D/#E6E1D6", "oos-front", 4.5),
    ("alarm number", "#A81A12", "#FFFFFF", 4.5), ("alarm ring", "#FFFFFF", "alarm-front", 3.0),
    ("offline number", "offline-solid", "offline-front", 4.5), ("offline ring", "offline-solid", "offline-front", 3.0),
    ("bench number", "#3A362D/#FFFFFF", "#EFEADF/#6A655B", 4.5),
    ("bench light", "#0C9A5C/#6FF0B0", "#EFEADF/#6A655B", 3.0), ("number inside", "#D8CFBC", "cavity-back", 4.5),
]  # fmt: skip


@pytest.mark.parametrize(("name", "front", "ground", "least"), DRAWN, ids=[pair[0] for pair in DRAWN])
def test_a_drawn_door_can_be_read_in_light_and_dark(name: str, front: str, ground: str, least: float) -> None:
    bank_css = (ROOT / "frontend/css/bank.css").read_text()
    for finish in (0, 1):
        pair = []
        for colour in (front, ground):
            if colour.startswith("#"):
                assert all(part in bank_css for part in colour.replace("#FFFFFF", "#fff").split("/") if part != "#fff")
            pair.append(colour.split("/")[-1 if finish else 0] if colour.startswith("#") else colours()[colour][finish])
        one, two = sorted(map(luminance, pair))
        assert (two + 0.05) / (one + 0.05) >= least, name


def test_every_state_has_a_pattern_of_its_own_in_the_picture_and_the_legend() -> None:
    bank_css, ui_css = ((ROOT / "frontend/css" / name).read_text() for name in ("bank.css", "ui.css"))
    drawn = {}
    for state in STATES:
        rule = next(line for line in bank_css.splitlines() if line.strip().startswith(f"&[data-state={state}] {{"))
        inks = re.findall(r"url\(#cb-\w+\)|\.inset \{ stroke[^}]*|\.plate \{ fill: #fff", rule)
        drawn[state] = tuple(inks)
        assert f"[data-state={state}]" in ui_css or state == "yours"
    # Open is drawn open, which no other state is.
    told_apart = [inks for state, inks in drawn.items() if state != "open"]
    assert all(told_apart) and len(set(told_apart)) == len(told_apart)


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
