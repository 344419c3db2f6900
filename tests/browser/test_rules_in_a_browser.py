"""A change of the rules, from the editor to the bank: real server, real controllers, simulated hardware."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from cubbyhole.simulator.house import House

pytestmark = pytest.mark.browser
WAIT_MS = 20_000
PHONE = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "locale": "de-DE"}


def tap(house: House, desk: Page, locker: str, worker: int) -> str:
    """Somebody taps at a locker; what its door is once something has happened."""
    bank, _, number = locker.rpartition("-")
    house.sim("tap", bank=bank, door=number, badge=house.staff[worker].badge)
    desk.wait_for_timeout(1_500)
    door = desk.request.get(f"/api/v1/lockers/{locker}").json()["door"]
    if door == "open":
        house.sim("door", bank=bank, door=number, act="close")
    return str(door)


def holder(desk: Page, locker: str) -> str:
    found = desk.request.get(f"/api/v1/lockers/{locker}").json()["holder"]["person"]
    return str(found)


def begin(desk: Page, title: str, where: str, setting: str) -> None:
    """A new rule with one setting."""
    desk.goto("/rules")
    desk.locator('a[href="/rules/edit"]').click()
    desk.locator("[name=title]").fill(title)
    desk.locator("select[name=where]").select_option(where)
    desk.locator("[name=setting]").select_option(setting)
    desk.locator('[name=do][value="add"]').click()
    expect(desk.locator(f"#set-{setting}")).to_be_visible()


def try_out(desk: Page) -> None:
    desk.locator('.btn[name=do][value="try"]').click()
    expect(desk.locator("#tried")).to_be_in_viewport()


def test_a_rule_is_tried_out_saved_and_holds_at_the_bank_until_it_is_removed(house: House, desk: Page) -> None:
    assert tap(house, desk, "A-02", 40) == "open"
    begin(desk, "Lobby is closed", "bank:A", "only_groups")
    desk.locator("[name=only_more]").fill("Nobody")
    try_out(desk)
    expect(desk.locator("#tried")).to_contain_text("could not get a locker any more")
    expect(desk.locator("#tried")).to_contain_text("Saving alone moves nobody out")
    desk.get_by_role("button", name="Save the rule").click()
    expect(desk.get_by_role("status").filter(has_text="Saved.")).to_be_visible()
    desk.wait_for_timeout(3_000)
    assert tap(house, desk, "A-03", 41) == "closed"
    assert tap(house, desk, "A-02", 40) == "open"  # what somebody has stays theirs
    desk.goto("/events")
    expect(desk.locator(".events").first).to_contain_text("Not for this person's groups", timeout=WAIT_MS)

    desk.goto("/rules")
    desk.get_by_role("link", name="Lobby is closed").click()
    desk.get_by_role("link", name="Remove this rule").click()
    desk.get_by_role("button", name="Remove the rule").click()
    expect(desk.get_by_role("status").filter(has_text="removed")).to_be_visible()
    desk.wait_for_timeout(3_000)
    assert tap(house, desk, "A-03", 41) == "open"


@pytest.mark.parametrize("desk", [PHONE], indirect=True)
def test_what_lasts_too_long_is_brought_into_line_on_a_phone_in_german(house: House, desk: Page) -> None:
    assert tap(house, desk, "A-10", 42) == "open"
    given = desk.request.post(
        "/api/v1/lockers/A-11/assign", headers={"origin": house.url},
        data={"reason": "other", "person": holder(desk, "A-10"), "mode": "permanent"},
    )  # fmt: skip
    assert given.json()["outcome"] == "done"
    desk.goto("/rules/edit/default")
    desk.locator("[name=setting]").select_option("longest")
    desk.locator('[name=do][value="add"]').click()
    desk.locator("[name=longest]").select_option("permanent")
    try_out(desk)
    desk.get_by_role("button", name="Regel speichern").click()
    expect(desk.get_by_role("status").filter(has_text="Gespeichert")).to_be_visible()

    begin(desk, "Lobby nur für den Tag", "bank:A", "longest")
    desk.locator("[name=longest]").select_option("day")
    try_out(desk)
    expect(desk.locator("#tried")).to_contain_text("A-11")
    desk.get_by_role("button", name="Regel speichern").click()
    desk.get_by_text("Angleichen…").click()
    desk.get_by_role("button", name="Ja, für 1 Person früher enden lassen").click()
    expect(desk.locator(".line-table")).to_contain_text("Endet Mitternacht", timeout=WAIT_MS)
    assert desk.request.get("/api/v1/lockers/A-11").json()["until"] is not None
