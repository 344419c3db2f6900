"""Somebody walks up to a locker and taps: what the boards, the bank and the server then say, with and without cable.

Each test has people and lockers of its own: the house is shared.
"""

from __future__ import annotations

import os
import signal
import urllib.error
from typing import Any

import pytest

from cubbyhole.simulator.house import House
from tests.support.house import (
    agree,
    at_the_bank,
    at_the_server,
    controller_pid,
    eventually,
    free,
    is_online,
    last_line,
    new_events,
    newest_event,
    of_type,
    open_by_shared_reader,
    open_by_tap,
    outcomes,
    pulses,
    replace_controller,
    rows_of_server,
    shut,
    tap,
)

pytestmark = pytest.mark.slow
AT_THE_SERVER_MS = 2_000
REASON = {"reason": "forgot_badge", "note": "showed an identity card"}


def pulses_at(house: House, bank: str, number: str) -> int:
    return sum(pulse["locker"] == number for pulse in pulses(house, bank))


def locker(house: House, name: str) -> dict[str, Any]:
    found: dict[str, Any] = house.get(f"/api/v1/lockers/{name}")
    return found


def test_a_tap_at_a_free_locker_opens_it_and_the_server_knows_within_two_seconds(house: House) -> None:
    ada, before = house.staff[0], newest_event(house)
    tap(house, "A", "01", ada)

    def all_there() -> bool:
        seen = {event["type"] for event in new_events(house, "A", before) if event["locker"] == "A-01"}
        return {"assignment.started", "access.granted", "door.opened", "unlock.settled"} <= seen

    eventually(all_there, "the events at the API")
    granted = [line for line in at_the_bank(house, "A") if line.type == "access.granted"][-1]
    # By the clock of the one machine that both run on, so that the time for asking is not counted.
    committed = f"SELECT min(received_ms) FROM heads WHERE bank = 'A' AND seq >= {granted.seq}"
    [(received_ms,)] = rows_of_server(house, committed)
    assert received_ms - granted.said["at"] < AT_THE_SERVER_MS
    assert pulses_at(house, "A", "01") == 1
    mine = [a for a in house.get("/api/v1/assignments?bank=A")["items"] if a["locker"] == "A-01"]
    assert [(a["name"], a["mode"]) for a in mine] == [(ada.name, "day")]
    view = locker(house, "A-01")
    assert (view["state"], view["holder"]["name"], view["door"]) == ("inuse", ada.name, "open")
    shut(house, "A", "01")


def test_a_tap_by_somebody_else_opens_nothing_and_is_listed_as_denied(house: House) -> None:
    holder, stranger = house.staff[1], house.staff[2]
    open_by_tap(house, "A", "02", holder)
    before, had = newest_event(house), pulses_at(house, "A", "02")
    tap(house, "A", "02", stranger)

    def denied() -> list[dict[str, Any]]:
        return [e for e in new_events(house, "A", before) if e["type"] == "tap.denied" and e["locker"] == "A-02"]

    found = eventually(denied, "the denial at the API")
    assert [(e["who"], e["tone"]) for e in found] == [(stranger.name, "denied")]
    assert of_type(at_the_bank(house, "A"), "tap.denied")[-1]["reason"] == "taken"
    assert pulses_at(house, "A", "02") == had


def test_a_shared_reader_gives_the_best_free_locker_and_then_opens_that_one(house: House) -> None:
    worker = house.staff[3]
    number = open_by_shared_reader(house, "B", worker)
    assert locker(house, f"B-{number}")["holder"]["name"] == worker.name
    assert open_by_shared_reader(house, "B", worker) == number


def test_with_the_cable_cut_taps_open_and_the_server_catches_up_event_for_event(house: House) -> None:
    holder, newcomer = house.staff[4], house.staff[5]
    open_by_tap(house, "A", "03", holder)
    line = last_line(house, "A")
    house.sim("cable", bank="A", act="cut")
    try:
        eventually(lambda: not is_online(house, "A"), "the server to notice")
        eventually(lambda: of_type(at_the_bank(house, "A", line), "contact.lost"), "the bank to notice")
        had = at_the_server(house, "A")
        open_by_tap(house, "A", "03", holder)
        open_by_tap(house, "A", "04", newcomer)
        assert at_the_server(house, "A") == had
        assert locker(house, "A-03")["state"] == "offline"
    finally:
        house.sim("cable", bank="A", act="mend")
    eventually(lambda: is_online(house, "A"), "the bank to come back")
    eventually(lambda: agree(house, "A"), "bank and server to hold the same lines")
    grants = of_type(at_the_server(house, "A"), "access.granted")
    assert [g["offline"] for g in grants if g["locker"] in ("03", "04")] == [False, True, True]
    names = {a["locker"]: a["name"] for a in house.get("/api/v1/assignments?bank=A")["items"]}
    assert (names["A-03"], names["A-04"]) == (holder.name, newcomer.name)


def test_the_desk_opens_a_door_with_a_reason_and_only_with_one(house: House) -> None:
    had = pulses_at(house, "A", "05")
    with pytest.raises(urllib.error.HTTPError) as refused:
        house.post("/api/v1/lockers/A-05/open", {})
    refused.value.close()
    assert 400 <= refused.value.code < 500 and pulses_at(house, "A", "05") == had
    line = last_line(house, "A")
    answer = house.post("/api/v1/lockers/A-05/open", REASON)
    assert answer["outcome"] == "done"
    assert eventually(lambda: outcomes(house, "A", "05", line), "the door to open") == ["opened"]
    assert pulses_at(house, "A", "05") == had + 1
    lines = at_the_bank(house, "A", line)
    granted = next(each for each in lines if each.type == "access.granted")
    assert (granted.facts["way"], granted.facts["reason"]) == ("command", "forgot_badge")
    assert granted.said["actor"].startswith("op:")
    assert REASON["note"].encode() not in b"".join(each.raw for each in lines), "free text is committed to, not written"
    shut(house, "A", "05")


def test_a_live_command_to_a_bank_without_cable_is_refused_at_once_and_never_done_later(house: House) -> None:
    had = pulses_at(house, "B", "08")
    house.sim("cable", bank="B", act="cut")
    try:
        eventually(lambda: not is_online(house, "B"), "the server to notice")
        with pytest.raises(urllib.error.HTTPError) as refused:
            house.post("/api/v1/lockers/B-08/open", REASON)
        refused.value.close()
        assert refused.value.code == 503
    finally:
        house.sim("cable", bank="B", act="mend")
    eventually(lambda: is_online(house, "B") and agree(house, "B"), "the bank to come back")
    assert pulses_at(house, "B", "08") == had


def test_a_locker_out_of_service_is_given_to_nobody_until_it_is_back(house: House) -> None:
    worker = house.staff[6]
    assert house.post("/api/v1/lockers/A-06/out-of-service", {"reason": "broken_hinge"})["outcome"] == "done"
    assert locker(house, "A-06")["state"] == "oos"
    had, line = pulses_at(house, "A", "06"), last_line(house, "A")
    tap(house, "A", "06", worker)
    denied = eventually(lambda: of_type(at_the_bank(house, "A", line), "tap.denied"), "the denial")
    assert (denied[0]["reason"], pulses_at(house, "A", "06")) == ("out_of_service", had)
    assert house.post("/api/v1/lockers/A-06/in-service", {"reason": "repaired"})["outcome"] == "done"
    open_by_tap(house, "A", "06", worker)


def test_a_killed_controller_comes_back_with_what_it_knew(house: House) -> None:
    worker = house.staff[7]
    open_by_tap(house, "A", "07", worker)
    eventually(lambda: agree(house, "A"), "the server to have it all")
    known = at_the_bank(house, "A")
    first = controller_pid(house, "A")
    house.sim("power", bank="A", act="off")
    house.sim("power", bank="A", act="on")
    eventually(lambda: is_online(house, "A") and agree(house, "A"), "the bank to come back")
    assert controller_pid(house, "A") != first
    assert at_the_bank(house, "A")[: len(known)] == known
    open_by_tap(house, "A", "07", worker)


def test_a_badge_held_against_a_dead_controller_opens_nothing_when_it_comes_back(house: House) -> None:
    worker = house.staff[10]
    free(house, "A-08")
    open_by_tap(house, "A", "08", worker)
    pid, line = controller_pid(house, "A"), last_line(house, "A")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: controller_pid(house, "A") is None, "the controller to be gone")
    had = len(pulses(house, "A"))
    tap(house, "A", "08", worker)
    house.sim("power", bank="A", act="on")
    eventually(lambda: of_type(at_the_bank(house, "A", line), "contact.restored"), "the controller to come back")
    open_by_tap(house, "A", "08", worker)
    assert len(pulses(house, "A")) == had + 1


def test_a_replaced_controller_goes_on_where_the_server_was(house: House) -> None:
    holder, newcomer = house.staff[8], house.staff[9]
    mine = open_by_shared_reader(house, "B", holder)
    eventually(lambda: agree(house, "B"), "the server to have it all")
    old = at_the_bank(house, "B")
    replace_controller(house, "B")
    eventually(lambda: is_online(house, "B") and agree(house, "B"), "the new controller to come online")
    began = at_the_bank(house, "B")[0]
    assert began.type == "epoch.started" and began.epoch != old[0].epoch
    assert (began.facts["previous_epoch"], began.facts["previous_seq"]) == (old[-1].epoch, old[-1].seq)
    assert mine in {a["locker"] for a in began.facts["assignments"]}
    assert open_by_shared_reader(house, "B", holder) == mine

    line = last_line(house, "B")
    tap(house, "B", "bank", newcomer)
    denied = eventually(lambda: of_type(at_the_bank(house, "B", line), "tap.denied"), "the denial")
    assert denied[0]["reason"] == "nothing_free", "nobody has looked into the others"
    others = [view for view in house.get("/api/v1/lockers?bank=B")["items"] if view["holder"] is None]
    assert others and {view["check"] for view in others} == {"unverified"}
    for view in others:
        house.post(f"/api/v1/lockers/{view['id']}/checked", {"reason": "looked_inside"})
    assert open_by_shared_reader(house, "B", newcomer) in {view["number"] for view in others}
