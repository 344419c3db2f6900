"""What goes wrong with a bank is on the open page at once, in the language of whoever looks at it."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from playwright.sync_api import Browser, Page, expect

from cubbyhole.domain import events as ev
from cubbyhole.domain.vocabulary import Reason
from cubbyhole.ui.words import Words
from tests.browser.hand_bank import WatchedBank, owner_at
from tests.server.running import Running, running

pytestmark = pytest.mark.browser
WAIT_MS = 20_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("home")
    with running(home, f"sqlite:///{home / 'cubbyhole.db'}") as found:
        yield found


@pytest.fixture(scope="module")
def bank(server: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedBank]:
    made = WatchedBank.of(server, tmp_path_factory.mktemp("edge"))
    yield made
    made.close()


@pytest.fixture(params=["en-GB", "de-DE"])
def window(request: pytest.FixtureRequest, server: Running, browser: Browser) -> Iterator[tuple[Page, Words]]:
    """A page of the owner's in a language, and that language. A script error fails the test."""
    context = owner_at(browser, server, request.param)
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    yield page, Words(request.param[:2], "Europe/Berlin")
    context.close()
    assert wrong == []


def look(page: Page, path: str) -> None:
    """Open a page; from here on it must follow by itself: loading it again would fail the test."""
    page.goto(path)
    page.evaluate("window.loadedOnce = true")


def test_a_doubted_clock_is_said_and_taken_back(bank: WatchedBank, window: tuple[Page, Words]) -> None:
    page, speak = window
    look(page, "/")
    needs, mark = page.locator("[data-part=needs]"), page.locator("[data-part=attention]")
    expect(needs).to_contain_text(speak.t("needs.none"), timeout=WAIT_MS)
    bank.write(ev.ClockDoubted(why="jumped", offset_ms=90_000))
    expect(needs).to_contain_text(speak.t("needs.clock"), timeout=WAIT_MS)
    expect(mark).to_contain_text("1")
    expect(page.locator("[data-part=troubles-A]")).to_have_text(speak.t("trouble.clock"))
    newest = page.locator("[data-events] li").first
    expect(newest.locator(".what")).to_have_text(speak.t("event.clock_doubted"))
    expect(newest.locator(".how")).to_have_text(speak.t("event.clock_doubted.jumped"))
    bank.write(ev.ClockTrusted(source="server"))
    expect(needs).to_contain_text(speak.t("needs.none"), timeout=WAIT_MS)
    expect(mark).to_have_text("")
    assert page.evaluate("window.loadedOnce")


def test_a_bank_that_does_not_take_over_its_directory_is_said(bank: WatchedBank, window: tuple[Page, Words]) -> None:
    page, speak = window
    look(page, "/banks/A")
    marks = page.locator("[data-part=troubles-A]")
    expect(page.locator(".presence")).to_have_attribute("data-state", "free", timeout=WAIT_MS)
    expect(marks).to_have_text("")
    bank.behind = True
    try:
        expect(marks).to_have_text(speak.t("trouble.lagging"), timeout=WAIT_MS)
        expect(page.locator("[data-part=attention]")).to_contain_text("1")
    finally:
        bank.behind = False
    expect(marks).to_have_text("", timeout=WAIT_MS)
    assert page.evaluate("window.loadedOnce")


@pytest.mark.parametrize("reason", [Reason.NOT_ALLOWED_REMOTELY, Reason.DOOR_UNKNOWN])
def test_a_refusal_says_why_and_what_to_do(bank: WatchedBank, window: tuple[Page, Words], reason: Reason) -> None:
    page, speak = window
    page.goto("/banks/A?locker=02")
    bank.refuses = reason.value
    try:
        page.locator("#drawer summary", has_text=speak.t("act.open")).click()
        page.locator("#drawer .ask[open] label", has_text=speak.t("reason.maintenance")).click()
        page.get_by_role("button", name=speak.t("act.open.do", locker="A-02")).click()
        said = page.locator("#drawer .notice[role=alert]")
        expect(said).to_contain_text(speak.t(f"denied.{reason.value}"), timeout=WAIT_MS)
        expect(said).to_contain_text(speak.t(f"denied.{reason.value}.hint"))
        expect(said).to_be_focused()
    finally:
        bank.refuses = None


def test_an_error_page_speaks_the_language_too(bank: WatchedBank, window: tuple[Page, Words]) -> None:
    page, speak = window
    for path, said in (
        ("/banks/Z", speak.t("error.no_bank", bank="Z")),
        ("/nowhere", speak.t("error.404.detail")),
        ("/events?before=soon", speak.t("error.422.detail")),
    ):
        page.goto(path)
        expect(page.locator("html")).to_have_attribute("lang", speak.language)
        expect(page.locator(".card")).to_contain_text(said)


def test_a_journal_that_is_not_believed_freezes_the_picture_and_says_so(
    bank: WatchedBank, server: Running, browser: Browser
) -> None:
    # Last: this bank is not believed any more.
    context = owner_at(browser, server, "de-DE")
    speak = Words("de")
    overview, one = context.new_page(), context.new_page()
    look(overview, "/")
    look(one, "/banks/A")
    expect(one.locator("[data-part=bank-notice]")).to_be_hidden()
    batch = bank.batch(ev.DoorOpened(locker="01"))
    forged = msgspec.structs.replace(batch.heads[0], signature="00" * 64)
    assert bank.send(msgspec.structs.replace(batch, heads=[forged])).quarantined
    expect(overview.locator("[data-part=needs]")).to_contain_text(speak.t("needs.quarantine"), timeout=WAIT_MS)
    expect(overview.locator("[data-part=attention]")).to_contain_text("1")
    expect(one.locator("[data-part=bank-notice]")).to_contain_text(speak.t("bank.quarantine"), timeout=WAIT_MS)
    expect(one.locator("[data-part=troubles-A]")).to_have_text(speak.t("trouble.quarantine"))
    assert overview.evaluate("window.loadedOnce")
    assert one.evaluate("window.loadedOnce")
    context.close()
