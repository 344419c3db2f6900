"""What mails say: complete in every language, nothing secret where others see it, nothing that a mail program drops."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from cubbyhole.server.keys import SealingKey
from cubbyhole.server.notices import notice as n
from cubbyhole.server.notices.letters import Desk, compose, letter_of_test
from cubbyhole.server.notices.links import Links, Purpose
from cubbyhole.server.notices.place import Place
from cubbyhole.ui.mail import COLOURS, Drawn, MailRenderer
from cubbyhole.ui.words import LANGUAGES, Words
from tests.ui.test_words_and_colours import luminance

NOW = 1_763_812_800_000  # Saturday 22 November 2025, 13:00 in Berlin
MIDNIGHT = 1_763_852_400_000
LINE = n.AlarmLine(kind="forced", at_ms=NOW, bank="A", locker="07")
NOTICES: list[n.Notice] = [
    n.SignInCode(code="715204", expires_ms=NOW),
    n.EndsSoon(bank="A", locker="07", assignment="as_1", ends_ms=MIDNIGHT),
    *(
        n.Ended(bank="A", locker="07", ended_ms=NOW, cause=cause, may_open=cause == "expired")
        for cause in ("expired", "operator", "moved", "lapsed", "removed", "of_a_newer_release")
    ),
    n.Assigned(bank="A", locker="07", ends_ms=None),
    n.Assigned(bank="A", locker="07", ends_ms=NOW),
    n.WaitListOffer(bank="A", locker="07", offer="of_1", lapses_ms=NOW),
    n.LockerShared(bank="A", locker="07", by="Grace <b>Hopper</b>", until_ms=NOW),
    n.LockerShared(bank="A", locker="07", by="Grace", until_ms=None),
    n.Alarms(lines=[LINE], many=1),
    n.Alarms(lines=[LINE, n.AlarmLine(kind="quarantine", at_ms=NOW, bank="B", detail="a bad hash")] * 5, many=44),
    n.Alarms(lines=[n.AlarmLine(kind="given_up", at_ms=NOW, detail="x"), n.AlarmLine(kind="new", at_ms=NOW)], many=2),
]


def desk(language: str = "en", *acts: Purpose) -> Desk:
    place = Place("Ground floor, Lobby", "Kestrel House", "Europe/Berlin")
    links = Links(SealingKey(b"k" * 32), "https://cubby.example")
    return Desk(Words(language, place.timezone), place, links, acts or tuple(Purpose), "https://cubby.example")


def draw(notice: n.Notice, language: str = "en", *acts: Purpose) -> Drawn:
    at = desk(language, *acts)
    return MailRenderer().draw(compose(at, notice), at.words)


class Looker(HTMLParser):
    """Finds what is open, and which addresses are in it."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src", "background", "action")]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("notice", NOTICES, ids=lambda one: type(one).__name__)
def test_every_notice_is_a_whole_mail_in_every_language(notice: n.Notice, language: str) -> None:
    drawn = draw(notice, language)
    look = Looker()
    look.feed(drawn.html)
    assert look.open == [], "every element is closed"
    assert f'lang="{language}"' in drawn.html
    assert not {"script", "link", "img", "form", "svg", "iframe"} & set(look.tags)
    assert all(address.startswith("https://cubby.example/") for address in look.addresses)
    assert drawn.subject and "\n" not in drawn.subject and len(drawn.subject) < 80
    assert len(drawn.html) < 14_000, "mail programs cut long mails"
    for text in (drawn.subject, drawn.text, drawn.html):
        assert "\x02" not in text and "{" not in re.sub(r"<style>.*</style>", "", text, flags=re.S)
    assert all(address in drawn.text for address in look.addresses), "the plain text has every link too"


def test_the_languages_differ() -> None:
    for notice in NOTICES:
        assert draw(notice, "en").subject != draw(notice, "de").subject


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_code_is_only_inside_the_mail(language: str) -> None:
    at = desk(language)
    letter = compose(at, n.SignInCode(code="715204", expires_ms=NOW))
    drawn = MailRenderer().draw(letter, at.words)
    shown_outside = (letter.subject, letter.preview, drawn.subject, drawn.html.partition("<h1")[0])
    assert not any(re.search(r"7\s*1\s*5\s*2\s*0\s*4", text) for text in shown_outside)
    assert "715 204" in drawn.text and "715 204" in drawn.html


def test_what_others_wrote_is_text_and_not_html() -> None:
    drawn = draw(n.LockerShared(bank="A", locker="07", by="<b>Eve</b>\r\nBcc: all", until_ms=None))
    assert "<b>Eve" not in drawn.html and "&lt;b&gt;Eve" in drawn.html
    assert "\n" not in drawn.subject and "<b>Eve</b> Bcc: all" in drawn.subject


def test_there_is_a_button_only_where_somebody_acts_on_it() -> None:
    soon = n.EndsSoon(bank="A", locker="07", assignment="as_1", ends_ms=MIDNIGHT)
    assert "https://cubby.example/l/" in draw(soon, "en", Purpose.RENEW).text
    without = draw(soon, "en", Purpose.TAKE_OFFER)
    assert "/l/" not in without.text + without.html and "Renew" not in without.text


def test_the_button_of_a_reminder_is_good_for_this_end_of_this_assignment_only() -> None:
    soon = n.EndsSoon(bank="A", locker="07", assignment="as_1", ends_ms=MIDNIGHT)
    token = re.findall(r"/l/([\w-]+)", draw(soon).text)[0]
    assert desk().links.verify(token, Purpose.RENEW, NOW) == f"as_1@{MIDNIGHT}"


def test_midnight_belongs_to_the_day_that_it_ends() -> None:
    soon = n.EndsSoon(bank="A", locker="07", assignment="as_1", ends_ms=MIDNIGHT)
    assert "Saturday 22 November, midnight" in draw(soon, "en").text
    assert "Samstag, 22. November, 24 Uhr" in draw(soon, "de").text


def test_many_alarms_are_the_first_ones_and_a_number() -> None:
    drawn = draw(n.Alarms(lines=[LINE] * 30, many=44))
    assert drawn.text.count("Forced open") == 10 and "and 34 more" in drawn.text and "44" in drawn.subject


def test_the_test_mail_is_there_in_every_language() -> None:
    for language in LANGUAGES:
        words = Words(language)
        assert "cubbyhole mail test" in MailRenderer().draw(letter_of_test(words), words).text


def test_large_numbers_can_be_read_on_their_colour() -> None:
    for colours in COLOURS.values():
        for pair in ((colours.ink, colours.front), (colours.ink_dark, colours.front_dark)):
            dark, light = sorted(map(luminance, pair))
            assert (light + 0.05) / (dark + 0.05) >= 4.5
