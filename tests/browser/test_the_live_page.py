"""What the desk sees while people stand at the lockers: the running system in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from cubbyhole.simulator.house import House

pytestmark = pytest.mark.browser
WAIT_MS = 10_000
SIZES = [
    {"viewport": {"width": 390, "height": 844}},
    {"viewport": {"width": 1440, "height": 900}, "color_scheme": "dark"},
]


def door(page: Page, locker: str) -> str:
    return f'.door[data-locker="{locker}"]'


def test_without_a_session_every_page_leads_to_the_sign_in(house: House, page: Page) -> None:
    for path in ("/", "/banks/A", "/events", "/people", "/workbench"):
        page.goto(house.url + path)
        expect(page).to_have_url(re.compile(re.escape(house.url) + r"/sign-in(\?next=.*)?$"))


def test_the_one_time_link_works_once(house: House, signed_in: object, page: Page) -> None:
    assert house.owner_link is not None
    page.goto(house.owner_link)
    button = page.get_by_role("button", name="Sign in as owner")
    if button.count():
        button.click()
    expect(page.locator(".kpis")).to_have_count(0)


def test_a_tap_moves_the_picture_and_names_who_has_the_locker(house: House, desk: Page) -> None:
    worker = house.staff[10]
    desk.goto("/banks/A")
    expect(desk.locator(door(desk, "A-03"))).to_have_attribute("data-state", "free", timeout=WAIT_MS)
    house.sim("tap", bank="A", door="03", badge=worker.badge)
    expect(desk.locator(door(desk, "A-03"))).to_have_attribute("data-door", "open", timeout=WAIT_MS)
    expect(desk.locator(door(desk, "A-03"))).to_have_attribute("data-state", "inuse")
    expect(desk.locator("[data-events]")).to_contain_text(worker.name)
    house.sim("door", bank="A", door="03", act="close")
    expect(desk.locator(door(desk, "A-03"))).to_have_attribute("data-door", "closed", timeout=WAIT_MS)
    desk.locator(door(desk, "A-03")).click()
    expect(desk.locator("#drawer")).to_contain_text(worker.name)


def test_a_denial_is_in_the_stream(house: House, desk: Page) -> None:
    desk.goto("/events?tone=denied")
    house.sim("tap", bank="A", door="04", badge="04DEADBEEF0001")
    expect(desk.locator("[data-events] li").first).to_contain_text("Unknown badge", timeout=WAIT_MS)


def test_the_desk_opens_a_door_with_a_reason_by_keyboard_alone(house: House, desk: Page) -> None:
    desk.goto("/banks/A")
    expect(desk.locator(door(desk, "A-01"))).to_have_attribute("data-door", "closed", timeout=WAIT_MS)
    desk.locator(door(desk, "A-01")).focus()
    desk.keyboard.press("ArrowDown")
    expect(desk.locator(door(desk, "A-02"))).to_be_focused()
    desk.keyboard.press("Enter")
    summary = desk.locator("#drawer summary", has_text="Open door")
    expect(summary).to_be_visible()
    summary.focus()
    desk.keyboard.press("Enter")
    desk.locator("#drawer input[value=maintenance]").first.focus()
    desk.keyboard.press("Space")
    desk.get_by_role("button", name="Open A-02").focus()
    desk.keyboard.press("Enter")
    expect(desk.locator(door(desk, "A-02"))).to_have_attribute("data-door", "open", timeout=WAIT_MS)
    house.sim("door", bank="A", door="02", act="close")
    expect(desk.locator("#drawer")).to_contain_text("Maintenance", timeout=WAIT_MS)
    desk.keyboard.press("Escape")
    expect(desk.locator("#drawer")).to_be_hidden()


def test_a_locker_is_taken_out_of_service_and_put_back(house: House, desk: Page) -> None:
    desk.goto("/banks/A?locker=06")
    desk.locator("#drawer summary", has_text="Take out of service").click()
    desk.locator("#drawer .ask[open] label", has_text="Cleaning").click()
    desk.get_by_role("button", name="Take A-06 out of service").click()
    expect(desk.locator(door(desk, "A-06"))).to_have_attribute("data-state", "oos", timeout=WAIT_MS)
    house.sim("tap", bank="A", door="06", badge=house.staff[11].badge)
    expect(desk.locator("[data-events] li").first).to_contain_text("out of service", timeout=WAIT_MS)
    desk.goto("/banks/A?locker=06")
    desk.locator("#drawer summary", has_text="Back in service").click()
    desk.locator("#drawer .ask[open] label", has_text="Repaired").click()
    desk.get_by_role("button", name="Put A-06 back in service").click()
    expect(desk.locator(door(desk, "A-06"))).to_have_attribute("data-state", "free", timeout=WAIT_MS)


def test_a_cut_cable_shows_the_bank_as_offline_and_mending_it_brings_the_events(house: House, desk: Page) -> None:
    desk.goto("/banks/B")
    presence = desk.locator(".presence")
    expect(presence).to_have_attribute("data-state", "free", timeout=WAIT_MS)
    house.sim("cable", bank="B", act="cut")
    try:
        expect(presence).to_have_attribute("data-state", "offline", timeout=WAIT_MS)
        expect(desk.locator('.door[data-door="closed"]')).to_have_count(0, timeout=WAIT_MS)
        house.sim("tap", bank="B", door="bank", badge=house.staff[12].badge)
        house.wait(lambda: bool(house.sim("truth", bank="B")["pulses"]), "the bank to open offline")
    finally:
        house.sim("cable", bank="B", act="mend")
    expect(desk.locator("[data-events]")).to_contain_text(house.staff[12].name, timeout=30_000)
    expect(presence).to_have_attribute("data-state", "free")


@pytest.mark.parametrize("desk", SIZES, indirect=True)
@pytest.mark.parametrize("path", ["/", "/banks", "/banks/A?locker=01", "/events", "/people", "/workbench"])
def test_no_page_is_wider_than_its_screen(desk: Page, path: str) -> None:
    desk.goto(path)
    assert desk.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


def test_the_workbench_holds_a_badge_against_a_door(house: House, desk: Page) -> None:
    desk.goto("/workbench")
    standing = desk.locator("cubby-bank[data-bench] " + door(desk, "A-22"))
    shown = desk.locator("cubby-bank:not([data-bench]) " + door(desk, "A-22"))
    expect(shown).to_have_attribute("data-state", "free", timeout=WAIT_MS)
    expect(standing).to_have_attribute("data-door", "closed", timeout=WAIT_MS)
    desk.select_option("select[name=badge]", house.staff[20].badge.upper())
    standing.click()
    expect(standing).to_have_attribute("data-door", "open", timeout=WAIT_MS)
    expect(shown).to_have_attribute("data-door", "open", timeout=WAIT_MS)
    expect(shown).to_have_attribute("data-state", "inuse")


def test_a_door_opens_at_the_bench_while_the_live_page_has_lost_its_bank(house: House, desk: Page) -> None:
    desk.goto("/workbench")
    standing = desk.locator("cubby-bank[data-bench] " + door(desk, "A-23"))
    shown = desk.locator("cubby-bank:not([data-bench]) " + door(desk, "A-23"))
    expect(shown).to_have_attribute("data-state", "free", timeout=WAIT_MS)
    desk.locator('[data-rig="A"] .switch label', has_text="Cut").click()
    try:
        expect(shown).to_have_attribute("data-door", "unknown", timeout=WAIT_MS)
        desk.select_option("select[name=badge]", house.staff[21].badge.upper())
        standing.click()
        expect(standing).to_have_attribute("data-door", "open", timeout=WAIT_MS)
        expect(shown).to_have_attribute("data-door", "unknown")
    finally:
        house.sim("cable", bank="A", act="mend")
    expect(shown).to_have_attribute("data-door", "open", timeout=30_000)


@pytest.mark.parametrize("path", ["/", "/banks/A?locker=01", "/events", "/people", "/workbench"])
def test_the_first_load_takes_at_most_100_kb_on_the_wire(house: House, desk: Page, path: str) -> None:
    # What the browser has received, headers and all, compressed as it came; each test has an empty cache.
    wire = desk.context.new_cdp_session(desk)
    wire.send("Network.enable")
    asked: dict[str, str] = {}
    took: dict[str, float] = {}
    wire.on("Network.requestWillBeSent", lambda e: asked.update({e["requestId"]: e["request"]["url"]}))
    wire.on("Network.loadingFinished", lambda e: took.update({asked[e["requestId"]]: e["encodedDataLength"]}))
    with desk.expect_response(lambda answer: "/live" in answer.url or path == "/people"):
        desk.goto(path)
    desk.wait_for_function("() => document.readyState === 'complete'")
    desk.wait_for_timeout(300)
    assert {url.rpartition(".")[2] for url in took if "/static/" in url} >= {"js", "css"}
    assert 5_000 < sum(took.values()) <= 100_000, took
