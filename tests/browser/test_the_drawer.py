"""What the desk does with a locker, from the drawer to the door: real server, real controller, simulated hardware."""

from __future__ import annotations

import signal

import pytest
from playwright.sync_api import Locator, Page, expect

from cubbyhole.simulator.house import House

pytestmark = pytest.mark.browser
WAIT_MS = 20_000
STOP_S = 20


def door(page: Page, locker: str) -> Locator:
    return page.locator(f'cubby-bank:not([data-bench]) .door[data-locker="{locker}"]')


def visit(page: Page, locker: str) -> None:
    """The locker's drawer, once its bank is online."""
    bank, _, number = locker.rpartition("-")
    page.goto(f"/banks/{bank}?locker={number}")
    expect(page.locator(".presence")).to_have_attribute("data-state", "free", timeout=WAIT_MS)
    expect(page.get_by_role("dialog", name=locker)).to_be_visible()


def act(page: Page, name: str, reason: str, do: str, note: str = "") -> Locator:
    """Fill in one of the drawer's forms and send it; returns what was said about it."""
    page.locator("#drawer summary", has_text=name).click()
    form = page.locator("#drawer .ask[open]")
    form.locator("label", has_text=reason).click()
    if note:
        form.locator("[name=note]").fill(note)
    form.get_by_role("button", name=do).click()
    said = page.locator("#drawer .notice[role]")
    expect(said).to_be_visible(timeout=WAIT_MS)
    return said


def test_a_door_opens_with_a_reason_and_a_note_which_stay_in_its_history(house: House, desk: Page) -> None:
    visit(desk, "A-05")
    said = act(desk, "Open door", "Delivery", "Open A-05", "blue box for Mei")
    expect(said).to_contain_text("A-05 may open now")
    expect(said).to_be_focused()
    expect(door(desk, "A-05")).to_have_attribute("data-door", "open", timeout=WAIT_MS)
    history = desk.locator("#drawer .events")
    expect(history).to_contain_text("from the desk: Delivery: blue box for Mei", timeout=WAIT_MS)
    # What was said stays while the facts around it move.
    house.sim("door", bank="A", door="05", act="close")
    expect(door(desk, "A-05")).to_have_attribute("data-door", "closed", timeout=WAIT_MS)
    expect(desk.locator("#drawer dl")).to_contain_text("Door closed", timeout=WAIT_MS)
    expect(said).to_contain_text("A-05 may open now")


def test_a_use_is_ended_looked_into_and_the_locker_offered_again(house: House, desk: Page) -> None:
    worker = house.staff[30]
    visit(desk, "A-07")
    expect(door(desk, "A-07")).to_have_attribute("data-state", "free", timeout=WAIT_MS)
    house.sim("tap", bank="A", door="07", badge=worker.badge)
    expect(door(desk, "A-07")).to_have_attribute("data-door", "open", timeout=WAIT_MS)
    house.sim("door", bank="A", door="07", act="close")
    expect(door(desk, "A-07")).to_have_attribute("data-door", "closed", timeout=WAIT_MS)
    expect(desk.locator("#drawer dl")).to_contain_text(worker.name, timeout=WAIT_MS)
    expect(act(desk, "End use", "Left the company", "End the use of A-07")).to_contain_text("has ended")
    expect(desk.locator("#drawer dl")).to_contain_text("Nobody", timeout=WAIT_MS)
    look = desk.locator("#drawer summary", has_text="I have looked")
    if door(desk, "A-07").get_attribute("data-state") == "oos":
        expect(look).to_be_visible(timeout=WAIT_MS)
        act(desk, "I have looked", "It is empty", "Offer A-07 again")
    expect(door(desk, "A-07")).to_have_attribute("data-state", "free", timeout=WAIT_MS)
    expect(look).to_have_count(0, timeout=WAIT_MS)


def test_a_forced_door_is_an_alarm_until_somebody_says_what_it_was(house: House, desk: Page) -> None:
    visit(desk, "A-08")
    expect(door(desk, "A-08")).to_have_attribute("data-state", "free", timeout=WAIT_MS)
    house.sim("door", bank="A", door="08", act="force")
    expect(door(desk, "A-08")).to_have_attribute("data-state", "alarm", timeout=WAIT_MS)
    expect(desk.locator("[data-part=attention]")).to_contain_text("1", timeout=WAIT_MS)
    house.sim("door", bank="A", door="08", act="close")
    expect(door(desk, "A-08")).to_have_attribute("data-door", "closed", timeout=WAIT_MS)
    expect(desk.locator("#drawer summary", has_text="I have looked")).to_be_visible(timeout=WAIT_MS)
    act(desk, "I have looked", "Nothing wrong", "End the alarm at A-08")
    expect(door(desk, "A-08")).not_to_have_attribute("data-state", "alarm", timeout=WAIT_MS)
    expect(desk.locator("[data-part=attention]")).to_have_text("", timeout=WAIT_MS)


def test_a_locker_out_of_service_is_put_back_with_a_reason(house: House, desk: Page) -> None:
    visit(desk, "A-09")
    said = act(desk, "Take out of service", "Door damaged", "Take A-09 out of service")
    expect(said).to_contain_text("A-09 is out of service")
    expect(door(desk, "A-09")).to_have_attribute("data-state", "oos", timeout=WAIT_MS)
    expect(desk.locator("#drawer dl")).to_contain_text("Door damaged")
    said = act(desk, "Back in service", "Repaired", "Put A-09 back in service")
    expect(said).to_contain_text("in service again")
    expect(door(desk, "A-09")).to_have_attribute("data-state", "free", timeout=WAIT_MS)
    expect(desk.locator("#drawer .events")).to_contain_text("Repaired", timeout=WAIT_MS)


def test_the_page_says_that_the_server_is_away_and_goes_on_by_itself_when_it_is_back(house: House, desk: Page) -> None:
    desk.goto("/banks/A")
    expect(desk.locator(".presence")).to_have_attribute("data-state", "free", timeout=WAIT_MS)
    process = house.server
    assert process is not None
    process.send_signal(signal.SIGTERM)
    process.wait(STOP_S)
    try:
        expect(desk.locator(".stale")).to_be_visible(timeout=WAIT_MS)
    finally:
        if process.stdout is not None:
            process.stdout.close()
        house.start_server()
    expect(desk.locator(".stale")).to_be_hidden(timeout=60_000)
    expect(desk.locator(".presence")).to_have_attribute("data-state", "free", timeout=60_000)
    house.sim("tap", bank="A", door="10", badge="04DEADBEEF0001")
    expect(desk.locator("[data-events] li").first).to_contain_text("Unknown badge", timeout=60_000)
