"""Nonsense, lies and broken things against the running processes. After each of them a valid tap still opens."""

from __future__ import annotations

import json

import msgspec
import pytest

from cubbyhole.protocol import messages as m
from cubbyhole.protocol.subjects import UP_VERBS
from cubbyhole.simulator.house import House
from cubbyhole.simulator.office import Worker
from tests.support.house import (
    agree,
    at_the_bank,
    at_the_server,
    eventually,
    free,
    is_online,
    last_line,
    look_inside,
    of_type,
    open_by_shared_reader,
    open_by_tap,
    pulses,
    replace_controller,
    rows_of_server,
    tap,
)
from tests.whole.hostile import Said, batch, say_as_controller, say_as_server

pytestmark = pytest.mark.slow

NONSENSE = {
    "nothing": b"",
    "no text": b"\xff\xfe\x00\x01" * 8,
    "half a message": b'{"v":1,"bank":"A","epo',
    "an empty object": b"{}",
    "a list": b"[]",
    "a number": b"1e400",
    "only a version": b'{"v":1}',
    "wrong kinds": b'{"v":1,"bank":["A"],"epoch":{},"seq":"x","first":-1,"lines":0,"heads":0,"command":7}',
    "very deep": b"[" * 100_000,
    "very large": b'{"v":1,"bank":"' + b"A" * 900_000 + b'"}',
    "a trouble": b'{"v":1,"error":"pulse","detail":"the lock"}',
}


def holder(house: House) -> Worker:
    """Who opens door 08 of bank A after everything."""
    return house.staff[20]


def still_opens(house: House) -> None:
    """A valid tap opens a door of bank A, and the server hears of it."""
    open_by_tap(house, "A", "08", holder(house))
    eventually(lambda: agree(house, "A"), "the server to hear of it")


@pytest.fixture(scope="module", autouse=True)
def _door_is_free(house: House) -> None:
    free(house, "A-08")


@pytest.mark.parametrize("what", NONSENSE)
def test_nonsense_from_a_controller_is_answered_and_harms_nobody(house: House, what: str) -> None:
    said = [(f"cb.A.up.{verb}", NONSENSE[what]) for verb in sorted(UP_VERBS)]
    heard = say_as_controller(house, "A", said)
    assert {each.word for each in heard} <= {"malformed", "trouble", "unknown_version", "wrong_bank"}, heard
    if what == "very large":
        still_opens(house)


def test_a_message_of_a_newer_version_is_answered_as_such(house: House) -> None:
    newer = json.dumps({"v": 99, "bank": "A", "anything": {"else": True}}).encode()
    heard = say_as_controller(house, "A", [(f"cb.A.up.{verb}", newer) for verb in sorted(UP_VERBS)])
    assert heard == [Said(None, "unknown_version")] * len(UP_VERBS)
    answers = say_as_server(house, "A", [("cb.A.cmd.live", newer)])
    assert answers[0].answer is not None and m.decode(m.Trouble, answers[0].answer).error == "unknown_version"
    still_opens(house)


def test_nonsense_from_the_server_opens_nothing(house: House) -> None:
    had = len(pulses(house, "A"))
    heard = say_as_server(house, "A", [("cb.A.cmd.live", nonsense) for nonsense in NONSENSE.values()])
    for each in heard:
        assert each.answer is not None and m.decode(m.Trouble, each.answer).error
    say_as_server(house, "A", [("cb.A.cmd.nudge", nonsense) for nonsense in list(NONSENSE.values())[:1]])
    unclaimed = m.LiveCommand(command="c_0123456789abcdef", kind="open", locker="08", actor="op:nobody", reason="drill")
    answer = say_as_server(house, "A", [("cb.A.cmd.live", m.encode(unclaimed))])[0].answer
    assert answer is not None and m.decode(m.CommandAnswer, answer).outcome == "refused", "the server never let it go"
    assert len(pulses(house, "A")) == had
    still_opens(house)


def test_a_bank_that_claims_to_be_another_is_refused(house: House) -> None:
    had = len(at_the_server(house, "B"))
    theirs = batch(house, "B")
    beat = m.Beat(bank="B", epoch="", seq=0, directory=0, standing=0, at=0, mono=0, boot="", sync=True)
    said = [("cb.B.up.events", theirs), ("cb.A.up.events", theirs), ("cb.A.up.beat", m.encode(beat))]
    heard = say_as_controller(house, "A", said)
    assert [each.word for each in heard] == ["NotPermitted", "wrong_bank", "wrong_bank"]
    assert len(at_the_server(house, "B")) == had
    still_opens(house)


def test_a_batch_with_a_gap_is_answered_with_what_is_needed(house: House) -> None:
    eventually(lambda: agree(house, "A"), "the server to have it all")
    had = last_line(house, "A")
    answer = say_as_controller(house, "A", [("cb.A.up.events", batch(house, "A", skip=5))])[0].answer
    assert answer is not None
    reply = m.decode(m.EventsReply, answer)
    assert (reply.need, reply.ack, reply.quarantined) == (had + 1, had, False)
    still_opens(house)


NO_BADGES = {
    "zeros": b"\x00" * 1_000,
    "huge": b"\xff" * 2_000,
    "a huge line": b"A" * 2_000 + b"\r\n",
    "line ends": b"\r\n" * 300,
    "binary": b"\xff\x00\xfe" * 20 + b"\r\n",
    "too short": b"123\r\n",
    "negative": b"-1\r\n",
}


@pytest.mark.parametrize("what", NO_BADGES)
def test_what_is_no_badge_opens_nothing(house: House, what: str) -> None:
    had, line = len(pulses(house, "A")), last_line(house, "A")
    house.command("sim", "tap", "A", "08", "--raw", NO_BADGES[what].hex())
    house.sim("tap", bank="A", door="08", raw="0d0a")  # whatever stood in the line is over
    still_opens(house)
    assert len(pulses(house, "A")) == had + 1
    assert len(of_type(at_the_bank(house, "A", line), "access.granted")) == 1


def test_frames_that_arrive_bent_open_nothing_and_are_an_alarm(house: House) -> None:
    line, had = last_line(house, "A"), len(pulses(house, "A"))
    house.sim("fault", bank="A", bus="locks", corrupt=1.0, noise=0.5, seed=11)
    try:
        eventually(lambda: of_type(at_the_bank(house, "A", line), "link.lost"), "the alarm")
        tap(house, "A", "08", holder(house))
        denied = eventually(lambda: of_type(at_the_bank(house, "A", line), "tap.denied"), "the denial")
        assert denied[0]["reason"] == "door_unknown"
        assert len(pulses(house, "A")) == had
    finally:
        house.sim("fault", bank="A", bus="locks")
    eventually(lambda: of_type(at_the_bank(house, "A", line), "link.restored"), "the boards to answer again")
    eventually(lambda: house.get("/api/v1/lockers/A-08")["door"] == "closed", "the door to be known again")
    still_opens(house)


@pytest.mark.parametrize("lie", ["wrong_hash", "other_key"])
def test_a_journal_that_contradicts_itself_is_kept_as_evidence_and_not_believed(house: House, lie: str) -> None:
    worker = house.staff[11]
    mine = open_by_shared_reader(house, "B", worker)
    eventually(lambda: agree(house, "B"), "the server to have it all")
    forged = batch(house, "B", wrong_hash=lie == "wrong_hash", other_key=lie == "other_key")
    evidence = len(rows_of_server(house, "SELECT 1 FROM quarantined WHERE bank = 'B'"))
    answer = say_as_controller(house, "B", [("cb.B.up.events", forged)])[0].answer
    assert answer is not None and m.decode(m.EventsReply, answer).quarantined
    kept = rows_of_server(house, "SELECT payload FROM quarantined WHERE bank = 'B' ORDER BY received_ms")
    assert [bytes(payload) for (payload,) in kept[evidence:]] == [forged]
    assert house.get("/api/v1/banks/B")["quarantine"]
    alarm = "SELECT detail FROM alarms WHERE bank = 'B' AND kind = 'quarantine' AND cleared_ms IS NULL"
    assert len(rows_of_server(house, alarm)) == 1

    had = at_the_server(house, "B")
    assert open_by_shared_reader(house, "B", worker) == mine, "the bank goes on"
    still_opens(house)
    assert at_the_server(house, "B") == had, "its view is frozen"

    replace_controller(house, "B")
    eventually(lambda: is_online(house, "B") and agree(house, "B"), "a new controller to be believed")
    assert house.get("/api/v1/banks/B")["quarantine"] is None
    assert rows_of_server(house, alarm) == []
    assert open_by_shared_reader(house, "B", worker) == mine
    look_inside(house, "B")


def test_a_forged_batch_is_a_message_that_a_sound_one_would_be(house: House) -> None:
    """Else the tests above would prove nothing: what is refused there is refused for its one lie."""
    sound = m.decode(m.Events, batch(house, "A"))
    assert [msgspec.json.decode(line)["type"] for line in sound.lines] == ["door.forced"]
