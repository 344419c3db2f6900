"""The bank picture as the server draws it."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from cubbyhole.domain.layout import parse_columns
from cubbyhole.ui import icons
from cubbyhole.ui.bank_svg import draw, locker_label, look_of
from cubbyhole.ui.shapes import BankShape, LockerShape
from cubbyhole.ui.words import LANGUAGES, Words

COLUMNS = ["M M M+", "S S L_ M", "TL M"]
STATES = ("free", "yours", "inuse", "waiting", "expiring", "open", "oos", "alarm", "offline")


def lockers(states: tuple[str, ...] = STATES) -> list[LockerShape]:
    return [
        LockerShape(
            id=f"A-{spec.number}", number=spec.number, size=spec.size, features=spec.features,
            state=states[index % len(states)], door="closed", lock="secured", check=None, out_of_service=None,
        )
        for index, spec in enumerate(parse_columns(tuple(COLUMNS)))
    ]  # fmt: skip


def bank(label: str = "Lobby") -> BankShape:
    return BankShape(id="A", label=label, columns=COLUMNS, lockers=lockers())


def parsed(picture: str) -> ET.Element:
    return ET.fromstring(picture)


def doors(picture: str) -> list[ET.Element]:
    return [g for g in parsed(picture).iter("g") if g.get("class") == "door"]


def test_every_locker_has_one_door_and_one_leaf_to_swing() -> None:
    picture = draw(bank(), Words())
    assert [d.get("data-number") for d in doors(picture)] == [f"{n:02}" for n in range(1, 9)]
    assert picture.count('class="swing"') == 8 and picture.count('class="terminal"') == 1


def test_doors_stand_where_the_furniture_has_them_and_never_overlap() -> None:
    boxes = []
    for door in doors(draw(bank(), Words())):
        front = next(r for r in door.iter("rect") if r.get("class") == "front")
        x, y, w, h = (float(front.get(name, "0")) for name in ("x", "y", "width", "height"))
        boxes.append((x, y, x + w, y + h))
    for index, a in enumerate(boxes):
        for b in boxes[index + 1 :]:
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def test_a_picture_has_one_tab_stop_and_a_quiet_one_has_none() -> None:
    stops = [d.get("tabindex") for d in doors(draw(bank(), Words()))]
    assert stops.count("0") == 1 and stops.count("-1") == 7
    assert all(d.get("tabindex") is None for d in doors(draw(bank(), Words(), quiet=True)))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_label_says_number_size_state_and_what_is_unusual(language: str) -> None:
    locker = LockerShape(
        id="A-03",
        number="03",
        size="M",
        features=("charging",),
        state="inuse",
        door="open",
        lock="jammed",
        check=None,
        out_of_service=None,
    )
    label = locker_label(locker, Words(language))
    words = Words(language)
    for key in ("size.M", "state.inuse", "door.open", "lock.jammed", "feature.charging"):
        assert words.t(key) in label
    assert label.startswith("A-03")


def test_every_state_has_a_word_in_each_language_and_an_icon() -> None:
    for state in STATES:
        assert state in icons.OUTLINES
        assert all(Words(language).t(f"state.{state}") for language in LANGUAGES)


def test_a_locker_that_somebody_must_look_into_has_a_word_and_icon_of_its_own() -> None:
    locker: LockerShape = {**lockers(("oos",))[0], "check": "not_empty"}
    assert look_of(locker) == "check"
    assert look_of({**locker, "out_of_service": "Cleaning"}) == "oos"
    assert "Check first" in locker_label(locker, Words())


def test_the_bench_shows_the_furniture_and_nothing_that_the_system_knows() -> None:
    picture = draw(bank(), Words(), bench=True)
    assert {d.get("data-state") for d in doors(picture)} == {"bench"}
    assert {d.get("data-door") for d in doors(picture)} == {"unknown"}
    assert doors(picture)[0].get("aria-label") == "A-01, medium, door unknown"


def test_a_quiet_picture_is_one_image() -> None:
    picture = parsed(draw(bank(), Words(), quiet=True))
    assert picture.get("role") == "img" and picture.get("aria-label") == "Bank A, Lobby"
    assert not [g for g in picture.iter("g") if g.get("role")]


def test_a_hostile_name_is_text_and_nothing_else() -> None:
    picture = draw(bank('"><script>alert(1)</script>'), Words())
    assert "<script" not in picture
    assert "<script>alert(1)</script>" in (parsed(picture).get("aria-label") or "")


def test_an_unknown_door_is_never_drawn_as_closed() -> None:
    shape = bank()
    unknown = [LockerShape(**{**locker, "door": "unknown"}) for locker in shape["lockers"]]
    picture = draw(BankShape(id="A", label="", columns=COLUMNS, lockers=unknown), Words())
    assert 'data-door="closed"' not in picture
    assert len(re.findall(r'class="door"[^>]*data-door="unknown"', picture)) == 8
