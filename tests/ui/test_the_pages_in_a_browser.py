"""The pages' script in a real browser, against the showroom: what moves, what is said, where the focus goes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from cubbyhole.server.banks.views import BankView, LockerView
from cubbyhole.ui.bank_svg import locker_label
from cubbyhole.ui.render import static_folder
from cubbyhole.ui.words import Words
from tests.ui import furnished
from tests.ui.showroom import Showroom, pages

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not (static_folder() / "manifest.json").exists(), reason="not built: run `make web`"),
]


@pytest.fixture(scope="module")
def room() -> Iterator[Showroom]:
    with Showroom() as opened:
        yield opened


@pytest.fixture
def desk(browser: Browser, room: Showroom, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page in the showroom. A script error, or something that the security policy forbids, fails the test."""
    options: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}, **getattr(request, "param", {})}
    context = browser.new_context(base_url=room.url, timezone_id="Asia/Tokyo", **options)
    page = context.new_page()
    page.clock.install(time=furnished.NOW_MS / 1000)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if is_wrong(said) else None)
    yield page
    context.close()
    assert wrong == []


def is_wrong(said: ConsoleMessage) -> bool:
    return said.type == "error" and "ERR_FAILED" not in said.text  # that one is a request which a test broke off


def visit(desk: Page, room: Showroom, path: str) -> None:
    """Open a page and wait until its live feed is open."""
    before = len(room.asked_after)
    desk.goto(path)
    desk.wait_for_function("() => customElements.get('cubby-live')")
    for _ in range(100):
        if len(room.asked_after) > before and room.listening:
            return
        desk.wait_for_timeout(30)
    raise AssertionError("the page opened no live feed")


def changed(name: str, number: str, **said: Any) -> LockerView:
    view = next(view for view in furnished.bank(name)["lockers"] if view["number"] == number)
    return {**view, **said}  # type: ignore[typeddict-item]


def header(bank: BankView, **said: Any) -> dict[str, Any]:
    wrong = ("online", "offline_since", "lagging", "clock_doubt", "stale", "quarantine")
    keys = ("id", *wrong, "free", "in_use", "total", "seq")
    return {**{key: bank[key] for key in keys}, **said}  # type: ignore[literal-required]


def door(desk: Page, locker: str) -> Any:
    return desk.locator(f'cubby-bank:not([data-bench]) .door[data-locker="{locker}"]')


SAID: list[dict[str, Any]] = [
    {"state": "inuse", "door": "open", "lock": "released"},
    {"state": "oos", "check": "not_empty"},
    {"state": "oos", "check": "not_empty", "out_of_service": "cleaning"},
    {"state": "alarm", "alarm": "jammed", "lock": "jammed"},
    {"state": "offline", "door": "unknown", "lock": "unknown"},
    {"state": "free", "features": ["charging", "low"]},
]


@pytest.mark.parametrize("language", ["en", "de"])
def test_a_door_that_moved_is_labelled_as_the_server_would(room: Showroom, desk: Page, language: str) -> None:
    visit(desk, room, f"/banks/A?language={language}")
    for number, said in enumerate(SAID, 9_100):
        view = changed("A", "05", **said)
        room.say("change", number, banks=[], lockers=[view], events=[])
        expect(door(desk, "A-05")).to_have_attribute("aria-label", locker_label(view, Words(language)))
        expect(door(desk, "A-05")).to_have_attribute("data-state", view["state"])
        expect(door(desk, "A-05")).to_have_attribute("data-door", view["door"])
        expect(desk.locator('.swing[data-for="A-05"]')).to_have_attribute("data-door", view["door"])


def test_the_list_beside_the_picture_moves_with_it(room: Showroom, desk: Page) -> None:
    visit(desk, room, "/banks/A")
    row = desk.locator('[data-door-row="A-01"]')
    expect(row).to_contain_text("Free")
    held = changed("A", "01", state="inuse", holder={"person": "p_1", "name": "Elif Yıldız", "initials": "EY"})
    room.say("change", 9_101, banks=[], lockers=[held], events=[])
    expect(row).to_contain_text("In use")
    expect(row).to_contain_text("Elif Yıldız")


def test_an_event_is_listed_once_in_the_sites_time_and_a_denial_is_counted_once(room: Showroom, desk: Page) -> None:
    visit(desk, room, "/")
    assert room.asked_after[-1] == "9000"
    row = {**furnished.events(3)[2], "id": 9_050, "at": furnished.NOW_MS, "who": "<b>Eve</b>", "tone": "denied"}
    for _ in range(2):
        room.say("change", 9_050, banks=[], lockers=[], events=[row])
    first = desk.locator("[data-events] li").first
    expect(first).to_have_attribute("data-id", "9050")
    expect(first.locator("time")).to_have_text("10:42")
    expect(first.locator(".who")).to_have_text("<b>Eve</b>")
    expect(desk.locator('[data-id="9050"]')).to_have_count(1)
    expect(desk.locator("[data-figure=denied]")).to_have_text("3")
    expect(desk.locator("#said")).to_contain_text("Denied")


def test_figures_captions_and_presence_follow_the_banks(room: Showroom, desk: Page) -> None:
    visit(desk, room, "/")
    a, b, c, d = furnished.banks()
    headers = [header(a, free=5, in_use=19), header(b), header(c), header(d, online=True, free=9, in_use=10)]
    room.say("change", 9_101, banks=headers, lockers=[], events=[])
    used, free = 19 + b["in_use"] + c["in_use"] + 10, 5 + b["free"] + c["free"] + 9
    expect(desk.locator("[data-figure=of]")).to_have_text(f"{used} of 89 lockers")
    expect(desk.locator("[data-figure=free]")).to_have_text(str(free))
    expect(desk.locator('.bank-card[data-bank="D"] [data-caption]')).to_have_text("9 free")
    gone = header(a, online=False, offline_since=furnished.NOW_MS)
    room.say("change", 9_102, banks=[gone], lockers=[], events=[])
    expect(desk.locator('.bank-card[data-bank="A"] [data-caption]')).to_have_text("offline")


def test_what_needs_somebody_is_listed_as_soon_as_it_does(room: Showroom, desk: Page) -> None:
    visit(desk, room, "/")
    room.say("change", 9_101, banks=[], lockers=[changed("A", "05")], events=[])
    try:
        room.moved["/"] = "/empty"
        wrong = changed("A", "05", state="alarm", alarm="forced", door="open")
        room.say("change", 9_102, banks=[], lockers=[wrong], events=[])
        desk.clock.run_for(5_000)
        expect(desk.locator("[data-part=needs]")).to_contain_text("Everything is in order")
        expect(desk.locator("[data-part=attention]")).to_be_empty()
    finally:
        room.moved.clear()


def test_the_drawer_is_a_dialog_that_gives_the_focus_back(room: Showroom, desk: Page) -> None:
    visit(desk, room, "/banks/A")
    desk.locator('.door[tabindex="0"]').focus()
    desk.keyboard.press("ArrowRight")
    expect(door(desk, "A-07")).to_be_focused()
    desk.keyboard.press("Enter")
    expect(desk.get_by_role("dialog", name="A-07")).to_be_visible()
    expect(desk.locator("#drawer-title")).to_be_focused()
    assert desk.url.endswith("/banks/A?locker=07")
    desk.keyboard.press("Escape")
    expect(desk.locator("#drawer")).to_be_hidden()
    expect(door(desk, "A-07")).to_be_focused()
    assert desk.locator('.door[tabindex="0"]').count() == 1
    desk.locator('[data-door-row="A-10"]').click()
    expect(desk.get_by_role("dialog", name="A-10")).to_be_visible()
    desk.get_by_role("link", name="Close").click()
    expect(desk.locator('[data-door-row="A-10"]')).to_be_focused()


def test_an_act_is_sent_with_its_reason_and_note_and_its_outcome_has_the_focus(room: Showroom, desk: Page) -> None:
    visit(desk, room, "/banks/A?locker=09")
    desk.locator("#drawer summary", has_text="End use").click()
    desk.locator(".ask[open] label", has_text="Abandoned").click()
    desk.locator(".ask[open] [name=note]").fill("since Monday")
    desk.get_by_role("button", name="End the use of A-09").click()
    expect(desk.locator("#drawer .notice[role=status]")).to_be_focused()
    assert room.heard[-1] == ("/banks/A/lockers/09/end", "reason=abandoned&note=since+Monday")


def test_a_lost_server_is_said_and_nobody_is_told_that_an_act_failed(room: Showroom, desk: Page) -> None:
    visit(desk, room, "/banks/A?locker=09")
    desk.route("**/lockers/09/open", lambda route: route.abort())
    desk.locator("#drawer summary", has_text="Open door").click()
    desk.locator(".ask[open] label", has_text="Delivery").click()
    with desk.expect_event("console"):
        desk.get_by_role("button", name="Open A-09").click()
    expect(desk.locator("#drawer [role=alert]")).to_contain_text("Look at the door before you try again")
    expect(desk.locator(".ask[open] [value=delivery]")).to_be_checked()


def test_a_feed_that_broke_off_is_taken_up_again(room: Showroom, desk: Page) -> None:
    visit(desk, room, "/banks/A")
    room.say("change", 9_200, banks=[], lockers=[], events=[])
    desk.wait_for_timeout(100)
    before = len(room.asked_after)
    room.drop()
    for _ in range(100):
        if len(room.asked_after) > before:
            break
        desk.wait_for_timeout(50)
    assert room.asked_after[-1] == "9200"
    expect(desk.locator(".stale")).to_be_hidden()


def test_the_workbench_does_with_the_badge_in_the_hand_what_the_tool_says(room: Showroom, desk: Page) -> None:
    visit(desk, room, "/workbench")
    standing = desk.locator('cubby-bank[data-bench][data-bank="A"] .door[data-number="09"]')
    expect(standing).to_have_attribute("data-door", "open")
    desk.get_by_label("or type a badge number").fill("0A0B0C0D")
    expect(desk.locator(".badge-card code")).to_have_text("0A0B0C0D")
    standing.click()
    expect(desk.locator("[data-answer]")).to_contain_text("A-09")
    desk.locator(".tools label", has_text="Push shut").click()
    standing.click()
    desk.locator('[data-rig="A"] .switch label', has_text="Cut").click()
    expect(desk.locator("[data-answer]")).to_contain_text("Network cable Cut")
    acts = [heard for heard in room.heard if heard[0].startswith("/workbench/") and heard[0] != "/workbench/state"]
    assert acts[-3:] == [
        ("/workbench/tap", '{"bank":"A","door":"09","badge":"0A0B0C0D"}'),
        ("/workbench/door", '{"bank":"A","door":"09","act":"close"}'),
        ("/workbench/cable", '{"bank":"A","act":"cut"}'),
    ]


SIZES = [
    {"viewport": {"width": 320, "height": 640}},
    {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"},
    {"viewport": {"width": 820, "height": 1180}},
    {"viewport": {"width": 1440, "height": 900}, "forced_colors": "active"},
]


@pytest.mark.parametrize("desk", SIZES, indirect=True, ids=["320", "390", "820", "1440"])
def test_no_page_is_wider_than_its_screen(room: Showroom, desk: Page) -> None:
    too_wide = []
    for path in pages():
        desk.goto(path)
        over = desk.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if over > 0:
            too_wide.append((path, over))
    assert too_wide == []


@pytest.mark.parametrize("desk", [{"viewport": {"width": 390, "height": 844}}], indirect=True)
def test_on_a_phone_every_control_is_large_enough_for_a_thumb(room: Showroom, desk: Page) -> None:
    small = []
    for path in ("/", "/banks/A?locker=09", "/events", "/people", "/workbench"):
        visit(desk, room, path) if path != "/people" else desk.goto(path)
        small += desk.evaluate(
            """() => [...document.querySelectorAll('button, .nav a, summary.btn, select, .door-list a, .seg label')]
                .filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 44)
                .map((one) => one.outerHTML.slice(0, 80))"""
        )
    assert small == []


@pytest.mark.parametrize("desk", [{"reduced_motion": "reduce"}], indirect=True)
def test_nothing_moves_for_who_asked_for_stillness(room: Showroom, desk: Page) -> None:
    visit(desk, room, "/banks/C")
    room.say("change", 9_101, banks=[], lockers=[changed("C", "02", state="inuse", door="open")], events=[])
    expect(door(desk, "C-02")).to_have_attribute("data-door", "open")
    assert (
        desk.evaluate("document.getAnimations().filter((a) => a.effect.getComputedTiming().duration > 0).length") == 0
    )
