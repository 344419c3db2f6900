"""Journals come in: none lost, none doubled, none believed that is not the bank's own."""

from __future__ import annotations

import threading

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import RowMapping, func, select

from cubbyhole.domain import events as ev
from cubbyhole.domain.chain import link, receipt_text
from cubbyhole.domain.vocabulary import Cause, Door, Mode, Outcome, Reason, Way
from cubbyhole.protocol import messages as m
from cubbyhole.protocol.journal import decode_state
from cubbyhole.protocol.signing import is_signed, parse_public, public_text
from cubbyhole.server.banks.ingest import Ingest
from cubbyhole.server.banks.messages import Unacceptable
from cubbyhole.server.banks.picture import locker_row
from cubbyhole.server.keys import SealingKey
from cubbyhole.server.persistence import tables as t
from cubbyhole.server.persistence.unit import Store
from tests.server.hand import HandBank

ADA = "p_00000000000000aa"
SEEN = ev.DoorSeen(locker="01", door=Door.CLOSED)


@pytest.fixture
def receipt_key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@pytest.fixture
def bank(store: Store, sealing: SealingKey, receipt_key: Ed25519PrivateKey) -> HandBank:
    return HandBank(store, receipt_key).begin(sealing)


def row_of(store: Store, bank: str = "A") -> RowMapping:
    with store.read() as connection:
        return connection.execute(select(t.banks).where(t.banks.c.bank == bank)).mappings().one()


def locker(store: Store, number: str) -> RowMapping:
    with store.read() as connection:
        return connection.execute(select(t.lockers).where(t.lockers.c.number == number)).mappings().one()


def lines(store: Store) -> list[int]:
    with store.read() as connection:
        return list(connection.execute(select(t.events.c.seq).order_by(t.events.c.ordinal)).scalars())


def got_it(number: str = "01", assignment: str = "a_1") -> list[ev.Event]:
    return [
        ev.PersonBound(person=ADA, commitment="c" * 64),
        ev.AssignmentStarted(
            assignment=assignment, locker=number, person=ADA, mode=Mode.DAY, ends_ms=2_000_000_000_000, rule="default"
        ),
        ev.AccessGranted(grant="g_1", locker=number, way=Way.TAP, person=ADA, assignment=assignment),
        ev.DoorOpened(locker=number, grant="g_1"),
        ev.UnlockSettled(grant="g_1", locker=number, outcome=Outcome.OPENED, tap_to_open_ms=80),
    ]


def test_what_a_bank_says_is_what_the_tables_show(bank: HandBank, store: Store) -> None:
    bank.write(SEEN, *got_it())
    row = locker(store, "01")
    assert (row["door"], row["person"], row["assignment"], row["offered"]) == ("open", ADA, "a_1", False)
    bank.write(ev.DoorClosed(locker="01"), ev.AssignmentEnded(
        assignment="a_1", locker="01", person=ADA, cause=Cause.RELEASED, ended_ms=bank.store.now_ms(),
        former_may_open=True, check=None,
    ))  # fmt: skip
    row = locker(store, "01")
    assert (row["door"], row["person"], row["former"], row["offered"]) == ("closed", None, ADA, True)
    with store.read() as connection:
        kept = connection.execute(select(t.assignments)).mappings().one()
    assert (kept["assignment"], kept["cause"]) == ("a_1", "released")


def test_the_locker_rows_are_the_fold_after_every_batch(bank: HandBank, store: Store) -> None:
    """Snapshot + following events = fresh snapshot."""
    story: list[list[ev.Event]] = [
        [ev.BootStarted(version="1"), *[ev.DoorSeen(locker=f"{n:02d}", door=Door.CLOSED) for n in range(1, 9)]],
        got_it("02"),
        [ev.LinkLost(link="locks", lockers=("01", "02", "03"))],
        [ev.LinkRestored(link="locks", lockers=("01", "02", "03")), SEEN],
        [ev.DoorForced(locker="04"), ev.CheckNeeded(locker="04", why="forced")],
        [ev.OutOfService(locker="05", reason="cleaning")],
        [ev.Checked(locker="04"), ev.InService(locker="05", reason="repaired")],
        [ev.BootStarted(version="2")],
    ]
    for events in story:
        bank.write(*events)
        state = decode_state(row_of(store)["state"])
        with store.read() as connection:
            rows = connection.execute(select(t.lockers).order_by(t.lockers.c.number)).mappings().all()
        have = [{key: value for key, value in row.items() if key != "ordinal"} for row in rows]
        assert have == [locker_row("A", s) for _, s in sorted(state.lockers.items())]


def test_a_batch_that_comes_twice_is_taken_once_and_acknowledged_twice(bank: HandBank, store: Store) -> None:
    batch = bank.batch(SEEN)
    first, again = bank.send(batch), bank.send(batch)
    assert (first.ack, again.ack) == (3, 3)
    assert again.receipt == first.receipt
    assert lines(store) == [1, 2, 3]


def test_of_a_batch_that_overlaps_only_the_new_lines_are_taken(bank: HandBank, store: Store) -> None:
    one, two = bank.batch(SEEN), bank.batch(*got_it())
    bank.send(one)
    both = m.Events(bank="A", epoch=one.epoch, first=one.first, lines=[*one.lines, *two.lines], heads=two.heads)
    assert bank.send(both).ack == 8
    assert lines(store) == list(range(1, 9))


def test_a_gap_is_answered_with_what_is_needed(bank: HandBank, store: Store) -> None:
    bank.batch(SEEN)
    later = bank.batch(SEEN)
    reply = bank.send(later)
    assert (reply.ack, reply.need, reply.quarantined) == (2, 3, False)
    assert lines(store) == [1, 2]


def test_an_unknown_journal_is_asked_for_its_beginning(bank: HandBank, store: Store) -> None:
    bank.epoch = "f" * 32
    reply = bank.send(bank.batch(SEEN))
    assert (reply.need, reply.quarantined) == (1, False)
    assert row_of(store)["quarantine"] is None


def alter(batch: m.Events) -> m.Events:
    raw = bytes(batch.lines[0]).replace(b'"closed"', b'"opened"')
    return m.Events(bank="A", epoch=batch.epoch, first=batch.first, lines=[msgspec.Raw(raw)], heads=batch.heads)


def rehash(bank: HandBank, batch: m.Events, raw: bytes) -> m.Events:
    hashed = link(bytes.fromhex(row_of(bank.store)["last_hash"]), raw)
    head = m.Head(seq=batch.heads[0].seq, hash=hashed.hex(), signature=batch.heads[0].signature)
    return m.Events(bank="A", epoch=batch.epoch, first=batch.first, lines=[msgspec.Raw(raw)], heads=[head])


def test_an_altered_line_is_kept_as_evidence_and_freezes_the_view(bank: HandBank, store: Store) -> None:
    good = bank.batch(SEEN)
    reply = bank.send(alter(good))
    assert (reply.ack, reply.quarantined) == (3, True)
    assert lines(store) == [1, 2]
    with store.read() as connection:
        kept = connection.execute(select(t.quarantined)).mappings().one()
        raised = connection.execute(select(t.alarms)).mappings().one()
    assert m.decode(m.Events, kept["payload"]).lines[0] == alter(good).lines[0]
    assert raised["kind"] == "quarantine"
    # Frozen: even the right lines are evidence from here on.
    assert bank.send(good).quarantined
    assert row_of(store)["last_seq"] == 2


def test_a_head_that_fits_the_altered_line_but_is_not_signed_is_no_better(bank: HandBank, store: Store) -> None:
    batch = bank.batch(SEEN)
    raw = bytes(batch.lines[0]).replace(b'"closed"', b'"open"')
    assert bank.send(rehash(bank, batch, raw)).quarantined
    assert "not signed" in row_of(store)["quarantine"]


def test_lines_signed_with_another_key_are_not_believed(bank: HandBank, store: Store) -> None:
    bank.key = Ed25519PrivateKey.generate()
    assert bank.send(bank.batch(SEEN)).quarantined
    assert row_of(store)["last_seq"] == 2


def test_another_line_under_an_acknowledged_number_is_noticed(bank: HandBank, store: Store) -> None:
    before = bank.seq, bank.hash
    bank.write(SEEN)
    bank.seq, bank.hash = before
    fork = bank.batch(ev.DoorSeen(locker="01", door=Door.OPEN), ev.DoorClosed(locker="01"))
    assert bank.send(fork).quarantined
    assert "not the one that was acknowledged" in row_of(store)["quarantine"]


def test_an_intermediate_head_must_fit_too(bank: HandBank, store: Store) -> None:
    batch = bank.batch(SEEN, SEEN)
    batch.heads.insert(0, m.Head(seq=3, hash="0" * 64, signature=batch.heads[0].signature))
    assert bank.send(batch).quarantined


def test_a_batch_without_a_head_behind_its_last_line_is_not_believed(bank: HandBank, store: Store) -> None:
    batch = bank.batch(SEEN, SEEN)
    short = m.Events(bank="A", epoch=batch.epoch, first=3, lines=batch.lines, heads=[])
    assert bank.send(short).quarantined


def test_a_signed_line_that_cannot_be_folded_stops_there(bank: HandBank, store: Store) -> None:
    assert bank.send(bank.batch(ev.DoorOpened(locker="99"))).quarantined
    assert "cannot be folded" in row_of(store)["quarantine"]
    assert lines(store) == [1, 2]


def test_a_bank_cannot_speak_for_another(bank: HandBank, store: Store, receipt_key: Ed25519PrivateKey) -> None:
    batch = bank.batch(SEEN)
    ingest = Ingest(store, receipt_key, lambda change: None)
    with pytest.raises(Unacceptable) as refused:
        ingest.take("B", m.encode(batch))
    assert refused.value.word == "wrong_bank"
    with pytest.raises(Unacceptable) as refused:
        ingest.take("A", b'{"v":1,"bank":"A"}')
    assert refused.value.word == "malformed"
    with pytest.raises(Unacceptable) as refused:
        ingest.take("A", m.encode(msgspec.structs.replace(batch, v=7)))
    assert refused.value.word == "unknown_version"
    assert bank.send(batch).ack == 3


def test_an_event_of_a_newer_release_is_kept_and_the_view_says_so(bank: HandBank, store: Store) -> None:
    batch = bank.batch(SEEN)
    raw = bytes(batch.lines[0]).replace(b'"door.seen"', b'"door.sang"')
    bank.seq, bank.hash = 2, bytes.fromhex(row_of(store)["last_hash"])
    reply = bank.send(resigned(bank, raw))
    assert (reply.ack, reply.quarantined) == (3, False)
    assert row_of(store)["stale"]
    assert lines(store) == [1, 2, 3]


def resigned(bank: HandBank, raw: bytes) -> m.Events:
    from cubbyhole.domain.chain import head_text
    from cubbyhole.protocol.signing import sign

    bank.seq, bank.hash = bank.seq + 1, link(bank.hash, raw)
    signature = sign(bank.key, head_text("A", bank.epoch, bank.seq, bank.hash))
    head = m.Head(seq=bank.seq, hash=bank.hash.hex(), signature=signature)
    return m.Events(bank="A", epoch=bank.epoch, first=bank.seq, lines=[msgspec.Raw(raw)], heads=[head])


def test_a_replaced_controller_continues_where_the_server_stands(
    bank: HandBank, store: Store, sealing: SealingKey
) -> None:
    bank.write(SEEN, *got_it())
    old = bank.batch(SEEN)
    bank.seq, bank.hash = 8, bytes.fromhex(row_of(store)["last_hash"])
    bank.begin(sealing)
    row = row_of(store)
    assert (row["epoch"], row["last_seq"], row["quarantine"]) == (bank.epoch, 2, None)
    # What the dead controller still had is evidence without effect.
    old.epoch = f"{1:032x}"
    assert bank.send(old).quarantined


def test_a_journal_that_does_not_continue_what_was_committed_is_not_believed(
    bank: HandBank, store: Store, sealing: SealingKey
) -> None:
    bank.write(SEEN)
    bank.seq, bank.hash = 2, b"\1" * 32
    with pytest.raises(AssertionError, match="quarantined=True"):
        bank.begin(sealing)
    assert row_of(store)["last_seq"] == 3


def test_a_new_controller_with_the_owners_code_lifts_the_quarantine(
    bank: HandBank, store: Store, sealing: SealingKey
) -> None:
    bank.send(alter(bank.batch(SEEN)))
    row = row_of(store)
    bank.seq, bank.hash = row["last_seq"], bytes.fromhex(row["last_hash"])
    bank.begin(sealing)
    assert row_of(store)["quarantine"] is None
    with store.read() as connection:
        assert connection.execute(select(t.alarms.c.cleared_ms)).scalar_one() is not None


def test_every_commit_is_countersigned(bank: HandBank, receipt_key: Ed25519PrivateKey, store: Store) -> None:
    reply = bank.send(bank.batch(SEEN))
    assert reply.receipt is not None and reply.receipt_ms is not None
    text = receipt_text("A", bank.epoch, 3, bank.hash, reply.receipt_ms)
    assert is_signed(parse_public(public_text(receipt_key)), text, reply.receipt)
    with store.read() as connection:
        heads = connection.execute(select(t.heads.c.seq).order_by(t.heads.c.seq)).scalars().all()
    assert heads == [2, 3]


def test_the_same_batch_from_several_workers_at_once_is_committed_once(bank: HandBank, store: Store) -> None:
    batches = [bank.batch(SEEN), bank.batch(*got_it()), bank.batch(SEEN)]
    failures: list[Exception] = []

    def work() -> None:
        for _ in range(20):
            try:
                if [bank.send(batch).ack for batch in batches] == [9, 9, 9]:
                    return
            except Exception as error:
                failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert lines(store) == list(range(1, 10))
    with store.read() as connection:
        ordinals = connection.execute(select(t.events.c.ordinal).order_by(t.events.c.ordinal)).scalars().all()
    assert ordinals == list(range(1, 10))


def test_two_banks_share_one_feed_without_a_hole(bank: HandBank, store: Store, sealing: SealingKey) -> None:
    other = HandBank(bank.store, bank.receipt_key, bank="B").begin(sealing)

    def work(mine: HandBank) -> None:
        for _ in range(10):
            mine.write(SEEN)

    threads = [threading.Thread(target=work, args=(one,)) for one in (bank, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.read() as connection:
        found = connection.execute(select(t.events.c.ordinal).order_by(t.events.c.ordinal)).scalars().all()
    assert found == list(range(1, 25))


def test_commands_are_settled_by_the_journal(bank: HandBank, store: Store) -> None:
    from cubbyhole.server.commands.standing import Order, issue

    with store.write() as work:
        name = issue(work, Order(bank="A", locker="01", kind="checked", actor="op:test", reason="checked"))
    done = ev.CommandDone(command=name, kind="checked", outcome="refused", reason=Reason.LATE, ordinal=1)
    bank.write(done)
    with store.read() as connection:
        row = connection.execute(select(t.commands)).mappings().one()
    assert (row["state"], row["why"]) == ("refused", "late")
    assert [s.command for change in bank.announced for s in change.settled] == [name]


def test_an_alarm_is_raised_and_cleared_with_its_door(bank: HandBank, store: Store) -> None:
    bank.write(SEEN, ev.DoorForced(locker="01"))
    bank.write(ev.DoorClosed(locker="01"), ev.Checked(locker="01"))
    with store.read() as connection:
        row = connection.execute(select(t.alarms)).mappings().one()
        jobs = connection.execute(select(func.count()).select_from(t.outbox)).scalar_one()
    assert (row["kind"], row["locker"]) == ("forced", "01")
    assert row["cleared_ms"] is not None
    assert jobs == 1
