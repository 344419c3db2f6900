"""No page says anything that is not in the locale files, and each language has a word for everything there is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from cubbyhole.domain.vocabulary import Alarm, Cause, Door, Lock, Mode, Occupancy, Outcome, Reason, Way
from cubbyhole.server.banks.wording import hint_for_reason, words_for_reason
from cubbyhole.server.commands.standing import KINDS
from cubbyhole.ui import render
from cubbyhole.ui.render import Renderer, static_folder
from cubbyhole.ui.words import ENGLISH, LANGUAGES, Words, catalogue, language_for
from tests.support.pseudo import a_language_that_nobody_speaks, words_outside
from tests.ui import furnished, furnished_rules
from tests.ui.showroom import pages

ROOT = Path(__file__).parents[2]
SHOWN_ATTRIBUTES = ("aria-label", "title", "placeholder", "alt")
EVERY_LANGUAGE = pytest.mark.parametrize("language", LANGUAGES)


class Shown(HTMLParser):
    """Everything that a page says to people: texts and the attributes that are read out. Code is the machine's."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self._code = 0
        self._goes_on = False  # a value that is marked within a sentence

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._code += tag == "code"
        self._goes_on = tag == "var"
        self.said += [value for name, value in attrs if value and name in SHOWN_ATTRIBUTES]

    def handle_endtag(self, tag: str) -> None:
        self._code -= tag == "code"
        self._goes_on = tag == "var"

    def handle_data(self, data: str) -> None:
        if self._goes_on and self.said:
            self.said[-1] += data
        elif not self._code and data.strip():
            self.said.append(data.strip())


def names() -> set[str]:
    """What belongs to the place and its people, and is the same in every language."""
    found = ["Cubbyhole", "Kestrel House", "Lena Fischer", "LF", *furnished.PEOPLE, "Design", "Floor", "Workshop"]
    found += [part for furniture in furnished.FURNITURE.values() for part in furniture[:2]]
    found += [person["email"] for person in furnished.people()] + [person["initials"] for person in furnished.people()]
    # What people call their own things, and what browsers call themselves.
    found += ["Office laptop", "Phone", "Firefox, Linux", "Safari, iPhone", "IPv4", "English", "Deutsch"]
    found += ["Tom Achebe", "Ruth Sand", "Ivo Brandt", "Barn / Loft", "tom, ruth, ivo, lena@kestrel.example"]
    found += furnished_rules.GROUPS + [rule.title for rule in furnished_rules.RULES]
    return {word for name in found for word in re.findall(r"[^\W\d_]{2,}", name)} | {"bus"}


@pytest.fixture(scope="module")
def nobody_speaks() -> Iterator[str]:
    with a_language_that_nobody_speaks() as language:
        yield language


@pytest.mark.skipif(not (static_folder() / "manifest.json").exists(), reason="not built: run `make web`")
@pytest.mark.parametrize("path", pages())
def test_a_page_says_nothing_that_is_not_in_the_locale_files(nobody_speaks: str, path: str) -> None:
    speak = Words(nobody_speaks, furnished.ZONE)
    template, shown = pages(speak)[path]()
    reader = Shown()
    reader.feed(Renderer().page(template, speak, **shown))
    assert sum(said.count("⟦") for said in reader.said) > 1
    hard_coded = {said: left for said in reader.said if (left := words_outside(said) - names())}
    assert hard_coded == {}


def test_the_check_for_hard_coded_text_finds_some() -> None:
    assert words_outside("⟦Dénîéd: ⟦nöthîng fréé⟧⟧ Ada without the server") == {"Ada", "without", "the", "server"}


@EVERY_LANGUAGE
def test_every_reason_of_a_denial_says_what_it_is_and_what_to_do(language: str) -> None:
    speak = Words(language)
    for reason in Reason:
        assert f"denied.{reason.value}" in catalogue(language), reason
        assert words_for_reason(reason.value, speak) == catalogue(language)[f"denied.{reason.value}"]
        assert hint_for_reason(reason.value, speak) == catalogue(language)[f"denied.{reason.value}.hint"]


@EVERY_LANGUAGE
def test_a_reason_of_a_newer_release_is_named_and_has_a_hint(language: str) -> None:
    speak = Words(language)
    assert "something newer" in words_for_reason("something_newer", speak)
    assert words_for_reason(None, speak) == speak.t("denied.none")
    assert hint_for_reason("something_newer", speak) == speak.t("denied.other.hint")


@EVERY_LANGUAGE
def test_every_closed_list_of_the_domain_has_its_words(language: str) -> None:
    wanted = [f"event.ended.{cause.value}" for cause in Cause]
    wanted += [f"event.granted.{way.value}" for way in Way]
    wanted += [f"mode.{mode.value}" for mode in Mode]
    wanted += [f"alarm.{alarm.value}" for alarm in Alarm] + [f"needs.{alarm.value}.detail" for alarm in Alarm]
    wanted += [f"event.door_seen.{door.value}" for door in Door] + [f"event.lock.{lock.value}" for lock in Lock]
    wanted += [f"event.inside.{occupancy.value}" for occupancy in Occupancy]
    wanted += [f"command.{kind}" for kind in (*KINDS, "open", "flash")]
    lists = [getattr(render, name) for name in dir(render) if name.startswith("REASONS_")]
    wanted += [f"reason.{reason}" for reasons in lists for reason in reasons]
    assert [key for key in wanted if key not in catalogue(language)] == []
    assert len(Outcome) == 7  # each has a branch of its own in `wording`


@EVERY_LANGUAGE
def test_every_refusal_of_the_server_has_words_for_the_drawer(language: str) -> None:
    said = "\n".join(path.read_text() for path in (ROOT / "src/cubbyhole/server/commands").glob("*.py"))
    words = set(re.findall(r'NotPossible\(\s*"([a-z_]+)"', said))
    assert {"reason_missing", "not_assigned", "unknown_locker"} <= words
    assert {f"refused.{word}" for word in words} <= catalogue(language).keys()


def test_every_key_that_the_server_names_is_there() -> None:
    said = "\n".join(path.read_text() for path in (ROOT / "src/cubbyhole/server").rglob("*.py"))
    asked = set(re.findall(r'(?:\bt|\bknown|Text|need)\((?:"\w+", )*"([a-z_]+(?:\.[a-z0-9_-]+)+)"', said))
    assert len(asked) > 60
    assert asked - catalogue("en").keys() == set()


@pytest.mark.parametrize(
    ("accepted", "language"),
    [("de-CH,de;q=0.9,en;q=0.8", "de"), ("fr,de;q=0.5", "de"), ("fr", "en"), ("", "en"), ("x" * 9999, "en")],
)
def test_the_first_language_of_the_browser_that_there_is_is_spoken(accepted: str, language: str) -> None:
    assert language_for(accepted) == language


def test_programs_are_told_in_english() -> None:
    assert ENGLISH.language == "en"
