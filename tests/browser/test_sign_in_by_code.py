"""The whole way of a code: asked for in a browser, mailed over a real socket, typed, and signed in on a phone."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from cubbyhole.server.people.commands import add_person
from tests.mail.post_office import PostOffice
from tests.server.running import Running, running

pytestmark = pytest.mark.browser
ADA, BEN = "ada@kestrel.example", "ben@kestrel.example"


@pytest.fixture(scope="module")
def post() -> Iterator[PostOffice]:
    office = PostOffice()
    office.open()
    yield office
    office.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, post: PostOffice) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("home")
    smtp = f"smtp://127.0.0.1:{post.port}?starttls=off"
    with running(
        home, f"sqlite:///{home / 'cubbyhole.db'}", smtp=smtp, mail_from="Cubbyhole <lockers@kestrel.example>"
    ) as made:
        with made.services.store.write() as work:
            for name, email in (("Ada Okafor", ADA), ("Ben Adler", BEN)):
                add_person(work, "op:test", name=name, email=email)
        yield made


@pytest.fixture(params=["en-GB", "de-DE"])
def phone(server: Running, browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A phone in a language. A script error fails the test."""
    context = browser.new_context(
        base_url=server.url, locale=request.param, viewport={"width": 390, "height": 844},
        color_scheme="dark" if request.param == "de-DE" else "light",
    )  # fmt: skip
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    yield page
    context.close()
    assert wrong == []


def code_for(post: PostOffice, address: str, after: int) -> str:
    """The code in the first mail to ``address`` behind the first ``after`` mails."""
    end = time.monotonic() + 15
    while time.monotonic() < end:
        for mail in list(post.mails)[after:]:
            if address in mail.to:
                found = re.search(r"\b(\d{3}) ?(\d{3})\b", mail.part("plain"))
                assert found is not None, mail.part("plain")
                return found[1] + found[2]
        time.sleep(0.05)
    raise AssertionError(f"no mail came to {address}; there are {[mail.to for mail in post.mails]}")


def test_a_code_is_asked_for_mailed_typed_and_good_by_keyboard_alone(phone: Page, post: PostOffice) -> None:
    german = phone.evaluate("navigator.language").startswith("de")
    before = len(post.mails)
    phone.goto("/account")
    phone.locator("input[name=address]").focus()
    phone.keyboard.type(ADA)
    phone.keyboard.press("Enter")
    expect(phone.get_by_role("heading", name="Code eingeben" if german else "Type the code")).to_be_visible()
    expect(phone.locator("input[name=code]")).to_be_focused()
    phone.keyboard.type("000000" if (code := code_for(post, ADA, before)) != "000000" else "111111")
    phone.keyboard.press("Enter")
    expect(phone.get_by_role("alert")).to_contain_text("nicht der Code" if german else "not the code")
    phone.keyboard.type(code)
    phone.keyboard.press("Enter")
    expect(phone.get_by_role("heading", name="Ihr Konto" if german else "Your account")).to_be_visible()
    expect(phone.locator("#main")).to_contain_text("Ada Okafor")
    assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")
    phone.goto("/banks")
    expect(phone.get_by_role("heading", name="Nicht erlaubt" if german else "Not allowed")).to_be_visible()


def test_nobody_is_mailed_at_an_address_that_nobody_has(phone: Page, post: PostOffice) -> None:
    before = len(post.mails)
    phone.goto("/sign-in")
    phone.locator("input[name=address]").fill("nobody@kestrel.example")
    phone.keyboard.press("Enter")
    expect(phone.locator("input[name=code]")).to_be_visible()
    phone.goto("/sign-in")
    phone.locator("input[name=address]").fill(BEN)
    phone.keyboard.press("Enter")
    code_for(post, BEN, before)
    assert [mail.to for mail in list(post.mails)[before:]] == [(BEN,)]
