"""A range of a journal that is gone: taken only on the controller's signature, recorded, said, and mended."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import RowMapping, Table, select, update

from cubbyhole.domain import events as ev
from cubbyhole.domain.vocabulary import Cause, Door, Mode, Outcome, Way
from cubbyhole.protocol import messages as m
from cubbyhole.protocol.export import (
    GapRecord,
    HeadRecord,
    LineRecord,
    Record,
)
from cubbyhole.protocol.journal import decode_line, decode_state, encode_state
from cubbyhole.server.audit.export import receipts
from cubbyhole.server.banks.picture import locker_row
from cubbyhole.server.banks.receive import Accepted, Gap, Suspect, judge
from cubbyhole.server.banks.refold import refold_stale
from cubbyhole.server.commands.standing import Order, issue
from cubbyhole.server.keys import SealingKey
from cubbyhole.server.persistence import tables as t
from cubbyhole.server.persistence.unit import Store
from tests.server.losing import Desk, LosingJournal, seqs

ADA, BEN = "p_00000000000000aa", "p_00000000000000bb"
SEEN = ev.DoorSeen(locker="01", door=Door.CLOSED)


def given_to(person: str, locker: str, name: str) -> list[ev.Event]:
    return [
        ev.PersonBound(person=person, commitment="c" * 64),
        ev.AssignmentStarted(
            assignment=name, locker=locker, person=person, mode=Mode.PERMANENT, ends_ms=None, rule="default"
        ),
        ev.AccessGranted(grant=f"g_{name}", locker=locker, way=Way.TAP, person=person, assignment=name),
        ev.UnlockSettled(grant=f"g_{name}", locker=locker, outcome=Outcome.OPENED, tap_to_open_ms=80),
    ]


def taken_from(person: str, locker: str, name: str) -> ev.Event:
    return ev.AssignmentEnded(
        assignment=name, locker=locker, person=person, cause=Cause.RELEASED, ended_ms=1, former_may_open=False,
        check=None,
    )  # fmt: skip


@pytest.fixture
def desk(store: Store, sealing: SealingKey) -> Desk:
    """The server has lines 1 to 2; the bank has 1 to 16, of which 3 to 12 are gone, as line 17 says."""
    desk = Desk(store, sealing)
    j = desk.journal
    assert desk.take(j.batch(1, 2)).ack == 2
    j.commit(*given_to(ADA, "02", "a_ada"))  # 3 to 6
    j.commit(*given_to(BEN, "03", "a_ben"))  # 7 to 10
    j.commit(taken_from(ADA, "02", "a_ada"))  # 11
    j.commit(ev.DoorForced(locker="05"))  # 12
    j.commit(SEEN)
    j.commit(ev.DoorSeen(locker="02", door=Door.CLOSED), ev.DoorOpened(locker="03"))
    j.commit(ev.DoorClosed(locker="03"))
    assert j.lose(3, 12) == 17
    return desk


def test_what_follows_a_gap_is_taken_with_the_controllers_signature_and_said_aloud(desk: Desk) -> None:
    j = desk.journal
    assert desk.take(j.batch(13, 16)).need == 3, "without it nothing is passed over"
    assert (desk.gaps(), desk.alarms()) == ([], [])
    reply = desk.take(j.batch(13, 15, j.proof(17)))
    assert (reply.ack, reply.need, reply.quarantined) == (15, None, False)
    assert desk.lines() == [1, 2, 13, 14, 15]
    assert (desk.gaps(), desk.alarms(), desk.row()["stale"]) == ([(3, 12)], ["journal_gap"], True)
    with desk.store.read() as connection:
        assert connection.execute(select(t.outbox.c.kind)).scalars().all() == ["alarm"]


def test_the_view_is_the_banks_own_again_once_the_line_that_says_so_has_come(desk: Desk) -> None:
    j = desk.journal
    desk.take(j.batch(13, 15, j.proof(17)))
    assert not desk.open_assignments(), "nobody can know yet who has what"
    assert desk.take(j.batch(16, 17)).ack == 17
    row = desk.row()
    assert (row["stale"], bytes(row["state"])) == (False, encode_state(j.state))
    assert desk.open_assignments() == [("a_ben", "03")]
    assert desk.alarms() == ["journal_gap", "forced"]
    with desk.store.read() as connection:
        rows = connection.execute(select(t.lockers).order_by(t.lockers.c.number)).mappings().all()
    have = [{key: value for key, value in row.items() if key != "ordinal"} for row in rows]
    assert have == [locker_row("A", s) for _, s in sorted(j.state.lockers.items())]
    j.commit(*given_to(ADA, "04", "a_new"))
    desk.take(j.batch(18, 21))
    assert bytes(desk.row()["state"]) == encode_state(j.state)


def test_all_of_it_may_come_in_one_batch(desk: Desk) -> None:
    j = desk.journal
    assert desk.take(j.batch(13, 17, j.proof(17))).ack == 17
    assert (desk.row()["stale"], bytes(desk.row()["state"])) == (False, encode_state(j.state))
    assert desk.take(j.batch(13, 17, j.proof(17))).ack == 17, "a batch may be repeated at any time"
    assert (desk.gaps(), desk.alarms().count("journal_gap")) == ([(3, 12)], 1)


def test_commands_whose_outcome_is_gone_are_settled_by_what_the_bank_tells(store: Store, sealing: SealingKey) -> None:
    desk = Desk(store, sealing)
    j = desk.journal
    desk.take(j.batch(1, 2))
    with store.write() as work:
        names = [
            issue(work, Order(bank="A", locker="01", kind="checked", actor="op:test", reason="checked"))
            for _ in range(3)
        ]
    j.commit(ev.CommandDone(command=names[0], kind="checked", outcome="done", ordinal=1))
    j.commit(SEEN)
    j.lose(3, 3)
    desk.take(j.batch(4, 5, j.proof(5)))
    with store.read() as connection:
        states = dict(connection.execute(select(t.commands.c.command, t.commands.c.state)).all())
    assert [states[name] for name in names] == ["done", "waiting", "waiting"]
    assert [s.command for change in desk.changes for s in change.settled] == [names[0]]


def replaced(proof: m.GapProof, **changes: object) -> m.GapProof:
    return msgspec.structs.replace(proof, **changes)


def other_range(proof: m.GapProof) -> m.GapProof:
    return replaced(proof, lines=[msgspec.Raw(bytes(proof.lines[0]).replace(b'"first":3', b'"first":2'))])


def other_signature(proof: m.GapProof) -> m.GapProof:
    forged = LosingJournal(key=Ed25519PrivateKey.generate()).begin()
    return replaced(proof, head=m.Head(proof.head.seq, proof.head.hash, forged.heads[2].signature))


def other_line(proof: m.GapProof) -> m.GapProof:
    return replaced(proof, lines=[msgspec.Raw(b'{"v":1}')])


def other_before(proof: m.GapProof) -> m.GapProof:
    return replaced(proof, before="00" * 32)


@pytest.mark.parametrize("forge", [other_range, other_signature, other_line, other_before])
def test_a_gap_that_the_controller_did_not_sign_is_no_gap(
    desk: Desk, forge: Callable[[m.GapProof], m.GapProof]
) -> None:
    reply = desk.take(desk.journal.batch(13, 17, forge(desk.journal.proof(17))))
    assert reply.quarantined and desk.row()["last_seq"] == 2
    assert (desk.gaps(), desk.alarms()) == ([], ["quarantine"])


def test_a_gap_made_with_another_key_is_no_gap(desk: Desk) -> None:
    thief = LosingJournal(controller=desk.journal.controller).begin()
    thief.commit(SEEN, SEEN)
    thief.lose(3, 3)
    thief.hashes[2] = desk.journal.hashes[2]
    assert desk.take(thief.batch(4, 5, thief.proof(5))).quarantined
    assert desk.gaps() == []


def test_the_signed_gap_of_another_journal_or_line_is_no_gap(desk: Desk) -> None:
    j = desk.journal
    other = LosingJournal(key=j.key, epoch="f" * 32, controller=j.controller).begin()
    other.commit(*[SEEN] * 14)
    other.lose(3, 12)
    assert desk.take(j.batch(13, 17, other.proof(17))).quarantined, "signed, but of another epoch"
    seen = m.GapProof(before=j.hashes[12].hex(), lines=[msgspec.Raw(j.lines[12])], head=j.heads[13])
    verdict = judge(j.known(2, j.folded(2)), j.batch(13, 17, seen))
    assert isinstance(verdict, Suspect) and "is a line 'door.seen'" in verdict.why


def test_a_gap_that_is_not_the_one_that_is_missing_passes_over_nothing(desk: Desk) -> None:
    j = desk.journal
    j.commit(SEEN)
    j.lose(5, 12)
    assert isinstance(judge(j.known(2, j.folded(2)), j.batch(13, 19, j.proof(19))), Gap), "lines 3 and 4 are not gone"
    assert isinstance(judge(j.known(2, j.folded(2)), j.batch(14, 19, j.proof(17))), Gap), "nor is line 13"
    assert isinstance(judge(j.known(4, j.folded(4)), j.batch(13, 19, j.proof(17))), Accepted), "gone from 5 on: enough"


def test_a_gap_behind_another_line_than_the_acknowledged_one_is_evidence(store: Store, sealing: SealingKey) -> None:
    desk = Desk(store, sealing)
    j = desk.journal
    j.commit(SEEN)
    desk.take(j.batch(1, 3))
    j.commit(SEEN, SEEN)
    j.lose(4, 4, before="ab" * 32)
    assert desk.take(j.batch(5, 6, j.proof(6))).quarantined
    assert "another line 3 than the one that was acknowledged" in desk.row()["quarantine"]


def test_a_controller_cannot_show_one_gap_and_then_write_another(desk: Desk) -> None:
    j = desk.journal
    desk.take(j.batch(13, 15, j.proof(17)))
    del j.lines[16:], j.hashes[17:], j.heads[17]
    j.commit(SEEN)
    assert desk.take(j.batch(16, 17)).quarantined
    assert "not the journal.gap that was shown" in desk.row()["quarantine"]


def test_a_journal_without_its_first_line_is_not_gone_on_with(store: Store, sealing: SealingKey) -> None:
    desk = Desk(store, sealing)
    j = desk.journal
    j.commit(SEEN)
    j.lose(1, 2)
    assert desk.take(j.batch(3, 4)).need == 1
    assert desk.take(j.batch(3, 4, j.proof(4))).quarantined
    assert (desk.row()["last_seq"], desk.alarms()) == (0, ["quarantine"])
    assert "enrol its controller again" in desk.row()["quarantine"]


def test_two_gaps_and_a_gap_whose_own_line_is_gone(desk: Desk) -> None:
    j = desk.journal
    j.commit(SEEN)  # 18
    j.commit(*given_to(ADA, "06", "a_6"))  # 19 to 22
    j.lose(16, 19)  # 23: with the line 17 that says that 3 to 12 are gone
    j.lose(3, 12)  # 24: so that has to be said again
    assert desk.take(j.batch(13, 15, j.proof(24))).ack == 15
    assert desk.take(j.batch(20, 22)).need == 16
    assert desk.take(j.batch(20, 23, j.proof(23))).ack == 23
    assert desk.gaps() == [(3, 12), (16, 19)]
    assert bytes(desk.row()["state"]) == encode_state(j.folded(23)), "line 23 stands behind both"
    desk.take(j.batch(24, 24))
    assert bytes(desk.row()["state"]) == encode_state(j.state)
    assert desk.verdict(desk.export()).ok


def test_a_journal_with_a_gap_folds_again_to_the_same_view(desk: Desk) -> None:
    j = desk.journal
    desk.take(j.batch(13, 16, j.proof(17)))
    blind = bytes(desk.row()["state"])
    assert refold_stale(desk.store) == [], "the line that says how the bank stands is not here yet"
    assert bytes(desk.row()["state"]) == blind and desk.row()["stale"]
    desk.take(j.batch(17, 17))
    with desk.store.write() as work:
        work.connection.execute(update(t.banks).values(stale=True))
    assert refold_stale(desk.store) == ["A"]
    assert (desk.row()["stale"], bytes(desk.row()["state"])) == (False, encode_state(j.state))
    with desk.store.write() as work:  # a line that no gap accounts for is another matter
        work.connection.execute(t.events.delete().where(t.events.c.seq == 14))
        work.connection.execute(update(t.banks).values(stale=True))
    assert refold_stale(desk.store) == []


# -- for auditors -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("upto", [15, 17])
def test_the_export_names_the_gap_and_verifies_before_and_after_its_line_has_come(desk: Desk, upto: int) -> None:
    j = desk.journal
    desk.take(j.batch(13, 15, j.proof(17)))
    if upto == 17:
        desk.take(j.batch(16, 17))
    verdict = desk.verdict(desk.export())
    assert (verdict.ok, verdict.lines, verdict.epochs[0].gone) == (True, upto - 10, [(3, 12, 17)])
    assert any(
        "lines 3 to 12 are gone; the controller says so itself, signed in line 17" in x for x in verdict.not_proved
    )
    assert any(f"lines 1 to 2 and 13 to {upto} were signed" in text for text in verdict.proved)
    assert not any("complete between themselves" in text for text in verdict.proved)


def test_a_receipt_for_a_line_that_is_gone_shows_that_the_server_once_had_it(store: Store, sealing: SealingKey) -> None:
    desk = Desk(store, sealing)
    j = desk.journal
    for _ in range(4):
        j.commit(SEEN)
    desk.take(j.batch(1, 2))
    backup = {table: [dict(row) for row in rows(store, table)] for table in (t.events, t.heads, t.banks)}
    desk.take(j.batch(3, 5))
    with store.read() as connection:
        kept = list(receipts(connection, "A", every=True))
    with store.write() as work:  # the database is restored to the day before
        for table, was in backup.items():
            work.connection.execute(table.delete())
            work.connection.execute(table.insert(), was)
    j.lose(3, 6)
    assert desk.take(j.batch(7, 7, j.proof(7))).ack == 7
    verdict = desk.verdict(desk.export(), kept)
    assert verdict.ok
    assert any("a kept receipt shows that the server once had them to line 5" in text for text in verdict.not_proved)


def rows(store: Store, table: Table) -> list[RowMapping]:
    with store.read() as connection:
        return list(connection.execute(select(table)).mappings())


def exported(desk: Desk) -> list[Record]:
    j = desk.journal
    desk.take(j.batch(13, 15, j.proof(17)))
    desk.take(j.batch(16, 17))
    return desk.export()


def test_an_export_without_the_signed_gap_is_wrong(desk: Desk) -> None:
    records = [record for record in exported(desk) if not isinstance(record, GapRecord)]
    verdict = desk.verdict(records)
    assert not verdict.ok and "lines are missing" in verdict.why


def test_no_more_lines_may_be_missing_than_the_controller_signed(desk: Desk) -> None:
    records = exported(desk)
    for seq in (2, 13, 14, 16):
        cut = [r for r in records if not (isinstance(r, LineRecord) and decode_line(r.text.encode()).seq == seq)]
        assert not desk.verdict(cut).ok, f"line {seq}"
        for record in cut:
            if isinstance(record, GapRecord):
                record.first, record.last = min(3, seq), max(12, seq)
        assert not desk.verdict(cut).ok, f"line {seq}, with a record that says so"
        for record in cut:
            if isinstance(record, GapRecord):
                record.first, record.last = 3, 12
    assert desk.verdict(records).ok


@pytest.mark.parametrize("field", ["before", "hash", "signature", "lines", "seq", "epoch"])
def test_nothing_of_a_gap_record_can_be_changed(desk: Desk, field: str) -> None:
    records = exported(desk)
    record = next(r for r in records if isinstance(r, GapRecord))
    other = {"before": "00" * 32, "hash": "00" * 32, "signature": "AAAA", "lines": ["{}"], "seq": 16, "epoch": "f" * 32}
    setattr(record, field, other[field])
    assert not desk.verdict(records).ok


def test_the_gap_line_in_the_file_must_be_the_one_that_was_shown(desk: Desk) -> None:
    j = desk.journal
    desk.take(j.batch(13, 16, j.proof(17)))
    records = desk.export()
    other = LosingJournal(key=j.key, controller=j.controller)
    other.lines, other.hashes = j.lines[:16], j.hashes[:17]
    other.state = j.folded(16)
    other.commit(SEEN)
    head = other.heads[17]
    records += [
        LineRecord(text=other.lines[16].decode()),
        HeadRecord(epoch=j.epoch, seq=17, hash=head.hash, signature=head.signature),
    ]
    verdict = desk.verdict(records)
    assert not verdict.ok and "not the one in which the controller says" in verdict.why


# -- any journal, any loss ---------------------------------------------------------------------------------------


STEPS: list[list[ev.Event]] = [
    [SEEN], [ev.DoorForced(locker="02")], given_to(ADA, "04", "a_4"), [taken_from(ADA, "04", "a_4")],
    [ev.OutOfService(locker="05", reason="cleaning")], [ev.BootStarted(version="1")],
    [ev.CommandDone(command="c_1", kind="checked", outcome="done", ordinal=4)], given_to(BEN, "06", "a_6"),
]  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_whatever_is_lost_the_server_ends_where_the_bank_is_or_asks(data: st.DataObject) -> None:
    """No line is passed over without a signed gap; with them the view is the bank's own in the end."""
    j = LosingJournal().begin()
    for at in data.draw(st.lists(st.integers(0, len(STEPS) - 1), min_size=2, max_size=12), label="steps"):
        j.commit(*STEPS[at])
    have = data.draw(st.sampled_from(sorted(j.heads)), label="server has")
    state, seq = j.folded(have), have
    promised: dict[int, bytes] = {}
    gone: set[int] = set()
    for _ in range(data.draw(st.integers(0, 3), label="losses")):
        first = data.draw(st.integers(2, len(j.lines)))
        last = data.draw(st.integers(first, len(j.lines)))
        gone |= set(range(first, last + 1))
        j.lose(first, last)
    for _ in range(200):
        if seq == len(j.lines):
            break
        need, proof = seq + 1, None
        mark = next((g for g in reversed(j.state.gaps) if g.first <= need <= g.last), None)
        first = need
        if mark is not None:
            first, proof = mark.last + 1, j.proof(mark.seq)
        behind = sorted(at for at in j.heads if at >= first)
        last = data.draw(st.sampled_from(behind[: 1 + len(behind) // 2]), label="batch ends")
        verdict = judge(j.known(seq, state, promised), j.batch(first, last, proof))
        assert isinstance(verdict, Accepted), verdict
        assert seqs([new.raw for new in verdict.lines]) == list(range(first, last + 1))
        if verdict.hole is not None:
            assert set(range(verdict.hole.first, verdict.hole.last + 1)) <= gone
            promised[verdict.hole.gap.seq] = verdict.hole.gap.line_hash
        else:
            assert first == need
        state, seq = decode_state(encode_state(verdict.state)), verdict.lines[-1].line.seq
    assert (state.seq, state.blind_until) == (j.state.seq, 0)
    assert encode_state(state) == encode_state(j.state)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_nobody_without_the_key_can_make_a_server_pass_over_a_line(data: st.DataObject) -> None:
    j = LosingJournal().begin()
    for _ in range(6):
        j.commit(SEEN)
    at = j.lose(4, 5)
    raw = bytearray(m.encode(j.batch(6, at, j.proof(at))))
    spot = data.draw(st.integers(0, len(raw) - 1))
    raw[spot] = data.draw(st.integers(0, 255).filter(lambda b: b != raw[spot]))
    try:
        batch = m.decode(m.Events, bytes(raw))
    except m.MessageError:
        return
    verdict = judge(j.known(2, j.folded(2)), batch)  # line 3 is not gone, so nothing may be taken whatever was changed
    assert not isinstance(verdict, Accepted)
