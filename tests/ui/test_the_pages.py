"""Every page with believable contents: escaped, self-contained, without dead links, in every language."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from cubbyhole.domain.events import BootStarted
from cubbyhole.ui.render import Renderer, static_folder
from cubbyhole.ui.words import LANGUAGES, Words
from tests.ui import furnished
from tests.ui.showroom import Page, pages

pytestmark = pytest.mark.skipif(
    not (static_folder() / "manifest.json").exists(), reason="the pages are not built: run `make web`"
)
HOSTILE = "<img src=x onerror=alert(1)>\"'"
VOID = {"meta", "link", "input", "img", "br"}
SERVED = re.compile(
    r"/(banks|events|people|workbench|sign-in(/code(/check)?)?|sign-out|owner/t0ken|accounts?(/[a-z0-9/-]+)?|rules(/[a-z0-9/-]+)?)?"
    r"(/[A-D](/lockers/\d\d/[a-z-]+)?)?"
)


class Elements(HTMLParser):
    """All elements of a page with their attributes; unbalanced markup is an error."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def elements(html: str) -> list[tuple[str, dict[str, str]]]:
    reader = Elements()
    reader.feed(html)
    assert reader.open == []
    return reader.found


def values(html: str, attribute: str) -> list[str]:
    return [attributes[attribute] for _, attributes in elements(html) if attribute in attributes]


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer()


def drawn(renderer: Renderer, page: Page, language: str = "en") -> str:
    template, shown = page
    return renderer.page(template, Words(language, furnished.ZONE), **shown)


def in_language(path: str, language: str) -> Page:
    return pages(Words(language, furnished.ZONE))[path]()


EVERY = pytest.mark.parametrize(("path", "language"), [(path, language) for path in pages() for language in LANGUAGES])


@EVERY
def test_a_page_needs_nothing_that_its_security_policy_forbids(renderer: Renderer, path: str, language: str) -> None:
    found = elements(drawn(renderer, in_language(path, language), language))
    for tag, attributes in found:
        assert "style" not in attributes and tag != "style"
        assert not [name for name in attributes if name.startswith("on")]
        if tag == "script":
            assert attributes["src"].startswith("/static/")
        assert not attributes.get("src", "").startswith(("http", "//"))


@EVERY
def test_names_are_unique_headings_there_and_fields_labelled(renderer: Renderer, path: str, language: str) -> None:
    html = drawn(renderer, in_language(path, language), language)
    ids = values(html, "id")
    assert len(ids) == len(set(ids))
    # A drawer that is not open yet gets its title with its contents.
    known = {*ids, "drawer-title"} if path.startswith(("/banks/", "/wrong")) else set(ids)
    assert set(" ".join(values(html, "aria-labelledby")).split()) <= known
    assert html.count("<h1") == 1
    shown_fields = [tag for tag, a in elements(html) if tag in ("input", "select") and a.get("type") != "hidden"]
    assert html.count("<label") >= len(shown_fields)


@EVERY
def test_no_link_is_dead(renderer: Renderer, path: str, language: str) -> None:
    html = drawn(renderer, in_language(path, language), language)
    targets = [a["href"] for tag, a in elements(html) if tag == "a" and "href" in a] + values(html, "action")
    for target in targets:
        if not target.startswith("#"):
            assert SERVED.fullmatch(target.partition("?")[0]), target


def test_hostile_names_are_text_everywhere(renderer: Renderer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(furnished, "PEOPLE", (HOSTILE,))
    monkeypatch.setattr(furnished, "_HAPPENED", (("A", BootStarted(version=HOSTILE), HOSTILE),))
    monkeypatch.setitem(furnished.FURNITURE, "A", (HOSTILE, HOSTILE, furnished.FURNITURE["A"][2]))
    shown = 0
    for path, page in pages().items():
        html = drawn(renderer, page())
        found = elements(html)
        assert not [tag for tag, _ in found if tag == "img"], path
        assert not [a for _, a in found if "onerror" in a], path
        shown += html.count("&lt;img src=x")
    assert shown > 100


def test_an_offline_bank_never_says_how_much_is_free_and_shows_no_closed_door(renderer: Renderer) -> None:
    overview, bank = drawn(renderer, pages()["/"]()), drawn(renderer, pages()["/banks/D"]())
    card = overview[overview.index('figure class="bank-card" data-bank="D"') :]
    caption = card[card.index("data-caption") : card.index("</figure>")]
    assert "offline" in caption and "free" not in caption
    assert 'data-door="closed"' not in bank and "Offline since 10:30" in bank


def test_a_locker_to_look_into_is_marked_in_picture_list_and_needs(renderer: Renderer) -> None:
    bank, overview = drawn(renderer, pages()["/banks/A"]()), drawn(renderer, pages()["/"]())
    assert "A-16, large, Check first" in bank
    row = bank[bank.index('data-door-row="A-16"') :]
    assert "Check first" in row[: row.index("</a>")]
    assert "A-16: look inside" in overview


def test_every_act_asks_for_a_reason(renderer: Renderer) -> None:
    for path in ("/banks/A/09", "/banks/A/16", "/banks/B/02"):
        html = drawn(renderer, pages()[path]())
        forms = re.findall(r'<form method="post" action="/banks/.*?</form>', html, re.DOTALL)
        assert forms
        for form in forms:
            assert re.search(r'type="radio" name="reason" value="[a-z_]+" required', form) and 'name="note"' in form


@pytest.mark.parametrize(
    ("language", "day", "moment"),
    [
        ("en", "Wednesday 18 November, 10:42", "17 November, 23:15"),
        ("de", "Mittwoch, 18. November, 10:42", "17. November, 23:15"),
    ],
)
def test_times_are_the_sites_in_the_words_of_the_language(language: str, day: str, moment: str) -> None:
    words = Words(language, furnished.ZONE)
    assert words.day(furnished.NOW_MS) == day
    assert words.moment(_ms(2026, 11, 17, 22, 15), furnished.NOW_MS) == moment
    assert words.moment(furnished.NOW_MS - 60_000, furnished.NOW_MS) == "10:41"
    assert words.until(_ms(2026, 11, 18, 23, 0), furnished.NOW_MS) == words.t("date.midnight")
    assert words.iso(furnished.NOW_MS) == "2026-11-18T10:42:00+01:00"


def _ms(*moment: int) -> int:
    year, month, day, hour, minute = moment
    return round(datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp() * 1000)
