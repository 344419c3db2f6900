"""Signing in in a real browser: a passkey of Chromium's own authenticator, a code, one's own account, by keyboard."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, CDPSession, Page, expect
from sqlalchemy import select

from cubbyhole.server.auth import accounts
from cubbyhole.server.auth.roles import Role
from cubbyhole.server.auth.sessions import Way, begin
from cubbyhole.server.persistence import tables as t
from tests.server.running import Running, running

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("home")
    with running(home, f"sqlite:///{home / 'cubbyhole.db'}", named="localhost") as made:
        yield made


@pytest.fixture
def page(server: Running, browser: Browser) -> Iterator[Page]:
    """A browser in which Olga is signed in; a script error fails the test."""
    context = browser.new_context(base_url=server.url, viewport={"width": 390, "height": 844})
    with server.services.store.write() as work:
        olga = accounts.find(work.connection, "olga") or accounts.make(work, "olga", "Olga", Role.OWNER, "op:test")
        token = begin(work, olga, Way.LINK)
    context.add_cookies([{"name": "cubbyhole_session", "value": token, "url": server.url}])
    wrong: list[str] = []
    made = context.new_page()
    made.on("pageerror", lambda error: wrong.append(str(error)))
    yield made
    context.close()
    assert wrong == []


def authenticator(page: Page, verifies: bool = True) -> tuple[CDPSession, str]:
    """A device that keeps passkeys; ``verifies``: it recognises its owner."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options: dict[str, Any] = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
        "isUserVerified": verifies, "automaticPresenceSimulation": True,
    }  # fmt: skip
    return session, session.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"]


def test_a_passkey_is_made_used_and_removed_by_keyboard_alone(server: Running, page: Page) -> None:
    authenticator(page)
    page.goto("/account")
    page.get_by_label("Name, to know it by").fill("Pocket phone")
    page.get_by_role("button", name="Add a passkey").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="The passkey is there")).to_be_visible()
    expect(page.get_by_text("Pocket phone").first).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.goto("/sign-in?next=/account")
    page.get_by_role("button", name="Sign in with a passkey").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("by passkey").first).to_be_visible()
    page.get_by_role("button", name=re.compile("Remove.*Pocket phone")).click()
    expect(page.get_by_role("status").filter(has_text="Delete it on its device")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("alert").filter(has_text="The passkey was not accepted")).to_be_visible()


def test_a_device_that_does_not_recognise_its_owner_signs_nobody_in(server: Running, page: Page) -> None:
    session, device = authenticator(page)
    page.goto("/account")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("status").filter(has_text="The passkey is there")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    session.send("WebAuthn.setUserVerified", {"authenticatorId": device, "isUserVerified": False})
    button = page.get_by_role("button", name="Sign in with a passkey")
    button.click()
    expect(button).to_be_enabled()
    assert page.url.endswith("/sign-in")
    with server.services.store.read() as connection:
        assert connection.execute(select(t.passkeys.c.used_ms)).scalars().all()[-1] is None


def test_the_counter_that_the_device_keeps_is_kept_here_as_well(server: Running, page: Page) -> None:
    session, device = authenticator(page)
    page.goto("/account")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("status").filter(has_text="The passkey is there")).to_be_visible()
    [credential] = session.send("WebAuthn.getCredentials", {"authenticatorId": device})["credentials"]
    page.goto("/sign-in?again&next=/account")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_text("by passkey").first).to_be_visible()
    with server.services.store.read() as connection:
        counts = connection.execute(select(t.passkeys.c.sign_count)).scalars().all()
    assert counts[-1] > 0
    # A copy of the device that was made before: its counter is behind.
    session.send("WebAuthn.removeCredential", {"authenticatorId": device, "credentialId": credential["credentialId"]})
    session.send("WebAuthn.addCredential", {"authenticatorId": device, "credential": {**credential, "signCount": 0}})
    page.goto("/sign-in?again&next=/account")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("alert").filter(has_text="The passkey was not accepted")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_account_speaks_the_chosen_language_and_roles_are_given_by_keyboard(
    server: Running, page: Page, scheme: Any, tmp_path: Path
) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto("/account")
    page.get_by_label("Language of pages and mails").select_option("de")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Ihr Konto")).to_be_visible()
    page.goto("/accounts")
    page.get_by_label("E-Mail-Adresse oder Name des Kontos").fill(f"ivo.{scheme}@firm.example")
    page.get_by_role("radio", name="Revision").focus()
    page.keyboard.press("Space")
    page.get_by_label("Warum, fürs Protokoll").last.fill("Prüfung im Herbst")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="Geändert")).to_be_visible()
    expect(page.get_by_text(f"ivo.{scheme}@firm.example").first).to_be_visible()
    page.goto("/account")
    page.get_by_label("Sprache der Seiten und Mails").select_option("")
    page.get_by_role("button", name="Speichern").click()
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()
