"""Journals come in: one transaction per batch, acknowledged after its commit.

The bank's row is locked first, which puts the batches of one bank in order over any number of workers. Live command
answers bring their lines by the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import RowMapping, delete, func, insert, select, update

from cubbyhole.domain import events as ev
from cubbyhole.domain.bank import BankState
from cubbyhole.domain.chain import receipt_text
from cubbyhole.protocol import messages as m
from cubbyhole.protocol.journal import decode_state
from cubbyhole.protocol.signing import sign
from cubbyhole.server.banks.messages import Unacceptable
from cubbyhole.server.banks.picture import (
    agree_assignments,
    changed_lockers,
    write_alarms,
    write_assignments,
    write_bank,
    write_lockers,
)
from cubbyhole.server.banks.receive import Accepted, Gap, Hole, Known, NewLine, Nothing, Suspect, judge
from cubbyhole.server.persistence import tables as t
from cubbyhole.server.persistence.unit import FEED, Store, UnitOfWork

QUARANTINED_MOST = 5000


@dataclass(frozen=True, slots=True)
class Settled:
    """A command whose outcome a journal has told."""

    command: str
    outcome: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """What a committed batch changed, for everybody who watches. ``ordinals`` are the new events' (first, last)."""

    bank: str
    epoch: str
    seq: int
    ordinals: tuple[int, int]
    lockers: frozenset[str]
    settled: tuple[Settled, ...] = field(default=())
    quarantined: bool = False  # nothing was committed: from here on the journal is not believed


class Ingest:
    """Takes batches. ``announce`` is called after each commit, in the thread that made it."""

    def __init__(self, store: Store, receipt_key: Ed25519PrivateKey, announce: Callable[[Change], None]) -> None:
        self._store, self._receipt_key, self._announce = store, receipt_key, announce

    def take(self, bank: str, payload: bytes) -> bytes:
        """Answer one `Events` message from ``bank``'s subject. Raises Unacceptable."""
        try:
            batch = m.decode(m.Events, payload)
        except m.MessageError as error:
            raise Unacceptable(error.word, str(error)) from None
        return m.encode(self.receive(bank, batch, payload))

    def receive(self, bank: str, batch: m.Events, payload: bytes | None = None) -> m.EventsReply:
        """Commit what is new in ``batch``. Raises Unacceptable where it is not even a batch of this bank."""
        if batch.bank != bank:
            raise Unacceptable("wrong_bank", f"a batch of bank {batch.bank[:24]!r} came over bank {bank}'s subject")
        if len(batch.lines) > m.MAX_BATCH_LINES or len(batch.heads) > m.MAX_BATCH_LINES:
            raise Unacceptable("too_large", f"a batch has at most {m.MAX_BATCH_LINES} lines and heads")
        with self._store.write() as work:
            row = _lock_bank(work, bank)
            verdict = judge(_known(work, row, batch), batch)
            match verdict:
                case Gap(need):
                    return m.EventsReply(epoch=batch.epoch, ack=need - 1, need=need)
                case Nothing():
                    return self._again(work, row)
                case Suspect(why):
                    told = Change(bank, row["epoch"], row["last_seq"], (0, -1), frozenset(), quarantined=True)
                    work.after_commit(lambda: self._announce(told))
                    return _quarantine(work, row, batch, payload, why)
                case Accepted():
                    if verdict.hole is not None and batch.gap is not None:
                        _record_hole(work, row, verdict.hole, batch.gap)
                    return self._accept(work, row, verdict)

    def _again(self, work: UnitOfWork, row: RowMapping) -> m.EventsReply:
        query = select(t.heads).where(
            t.heads.c.bank == row["bank"], t.heads.c.epoch == row["epoch"], t.heads.c.seq == row["last_seq"]
        )
        head = work.connection.execute(query).mappings().one_or_none()
        reply = m.EventsReply(epoch=row["epoch"], ack=row["last_seq"])
        if head is not None:
            reply.receipt_ms, reply.receipt = head["received_ms"], head["receipt"]
        return reply

    def _accept(self, work: UnitOfWork, row: RowMapping, verdict: Accepted) -> m.EventsReply:
        bank, lines, state = row["bank"], verdict.lines, verdict.state
        epoch, last = lines[-1].line.epoch, lines[-1]
        before = decode_state(row["state"])
        if verdict.new_epoch is not None:
            _begin_epoch(work, row, verdict.new_epoch, epoch, lines[0].line.moment.at_ms)
        # A new journal begins with an empty picture: every locker that it has is drawn anew.
        drawn = before if verdict.new_epoch is None else BankState(bank=bank)
        changed = changed_lockers(drawn, state)
        write_assignments(work, bank, [new.line for new in lines], verdict.new_epoch is not None)
        settled = _settle_commands(work, row, lines)
        if state.blind_until == 0 and (verdict.hole is not None or before.blind_until > 0):
            # The journal.gap is here: the bank has said how it stands, whatever was in the lines that are gone.
            agree_assignments(work, bank, state, "lost")
            settled += _settle_told(work, bank, state)
        write_alarms(work, bank, before, state, work.now_ms)
        # The feed's counter is taken last: from here to the commit no other bank's events can get an ordinal.
        newest = work.take(FEED, len(lines))
        first = newest - len(lines) + 1
        work.connection.execute(insert(t.events), [_event_row(new, first + at) for at, new in enumerate(lines)])
        write_lockers(work, bank, drawn, state, changed, newest)
        write_bank(work, bank, state, last.hash.hex(), newest)
        received_ms = work.now_ms
        receipt = sign(self._receipt_key, receipt_text(bank, epoch, last.line.seq, last.hash, received_ms))
        work.connection.execute(
            insert(t.heads).values(
                bank=bank, epoch=epoch, seq=last.line.seq, hash=last.hash.hex(), signature=verdict.head.signature,
                received_ms=received_ms, receipt=receipt,
            )
        )  # fmt: skip
        change = Change(bank, epoch, last.line.seq, (first, newest), frozenset(changed), settled)
        work.after_commit(lambda: self._announce(change))
        return m.EventsReply(epoch=epoch, ack=last.line.seq, receipt_ms=received_ms, receipt=receipt)


def _lock_bank(work: UnitOfWork, bank: str) -> RowMapping:
    query = select(t.banks).where(t.banks.c.bank == bank)
    if work.is_postgresql:
        query = query.with_for_update()
    row = work.connection.execute(query).mappings().one_or_none()
    if row is None:
        raise Unacceptable("unknown_bank", f"bank {bank} is not enrolled here")
    return row


def _known(work: UnitOfWork, row: RowMapping, batch: m.Events) -> Known:
    bank, connection = row["bank"], work.connection
    key = connection.execute(
        select(t.controllers.c.journal_key).where(t.controllers.c.controller == row["controller"])
    ).scalar()
    past: frozenset[str] = frozenset()
    hashes: dict[int, bytes] = {}
    if batch.epoch != row["epoch"]:
        past = frozenset(connection.execute(select(t.epochs.c.epoch).where(t.epochs.c.bank == bank)).scalars())
    elif 1 < batch.first <= row["last_seq"]:
        query = select(t.events.c.hash).where(
            t.events.c.bank == bank, t.events.c.epoch == batch.epoch, t.events.c.seq == batch.first - 1
        )
        found = connection.execute(query).scalar()
        if found is not None:
            hashes[batch.first - 1] = bytes(found)
    under = None
    if row["quarantine"] is not None:
        under = row["quarantine"].partition(" ")[0]
    promised: dict[int, bytes] = {}
    if row["stale"]:
        told = select(t.gaps.c.seq, t.gaps.c.line_hash).where(
            t.gaps.c.bank == bank, t.gaps.c.epoch == batch.epoch, t.gaps.c.seq > row["last_seq"]
        )
        promised = {seq: bytes(line_hash) for seq, line_hash in connection.execute(told)}
    return Known(
        bank=bank, controller=row["controller"] or "", journal_key=key or "", epoch=row["epoch"],
        last_seq=row["last_seq"], last_hash=bytes.fromhex(row["last_hash"]), state=row["state"],
        past_epochs=past - {row["epoch"]},
        quarantined_under=under, hashes=hashes, promised=promised,
    )  # fmt: skip


def _record_hole(work: UnitOfWork, row: RowMapping, hole: Hole, proof: m.GapProof) -> None:
    """Keep the controller's signed word for it, and say it to people: a gap is never passed over in silence."""
    bank, connection = row["bank"], work.connection
    connection.execute(
        insert(t.gaps).values(
            bank=bank, epoch=row["epoch"], first=hole.first, last=hole.last, seq=hole.gap.seq,
            line_hash=hole.gap.line_hash, proof=msgspec.json.encode(proof), received_ms=work.now_ms,
        )
    )  # fmt: skip
    detail = f"lines {hole.first} to {hole.last} of the journal are gone; the controller has signed that it lost them"
    connection.execute(insert(t.alarms).values(bank=bank, kind="journal_gap", detail=detail, raised_ms=work.now_ms))
    work.enqueue("alarm", {"bank": bank, "kind": "journal_gap", "detail": detail})


def _quarantine(work: UnitOfWork, row: RowMapping, batch: m.Events, payload: bytes | None, why: str) -> m.EventsReply:
    bank, why = row["bank"], why[:150]
    count = work.connection.execute(select(func.count()).where(t.quarantined.c.bank == bank)).scalar_one()
    if count >= QUARANTINED_MOST:
        raise Unacceptable(
            "quarantine_full", f"{count} batches of bank {bank} are in quarantine already; look at them first"
        )
    raw = payload if payload is not None else m.encode(batch)
    work.connection.execute(insert(t.quarantined).values(bank=bank, received_ms=work.now_ms, why=why, payload=raw))
    if row["quarantine"] is None:
        work.connection.execute(
            update(t.banks)
            .where(t.banks.c.bank == bank)
            .values(quarantine=f"{row['controller']} {why}", quarantined_ms=work.now_ms)
        )
        work.connection.execute(
            insert(t.alarms).values(bank=bank, kind="quarantine", detail=why, raised_ms=work.now_ms)
        )
        work.enqueue("alarm", {"bank": bank, "kind": "quarantine", "detail": why})
    last = batch.first + len(batch.lines) - 1
    return m.EventsReply(epoch=batch.epoch, ack=max(last, 0), quarantined=True)


def _begin_epoch(work: UnitOfWork, row: RowMapping, event: ev.EpochStarted, epoch: str, at_ms: int) -> None:
    bank, connection = row["bank"], work.connection
    connection.execute(
        insert(t.epochs).values(
            bank=bank, epoch=epoch, controller=row["controller"], journal_key=event.journal_key,
            previous_epoch=event.previous_epoch, previous_seq=event.previous_seq, previous_hash=event.previous_hash,
            started_ms=at_ms,
        )
    )  # fmt: skip
    connection.execute(delete(t.lockers).where(t.lockers.c.bank == bank))
    connection.execute(delete(t.shares).where(t.shares.c.bank == bank))
    if row["quarantine"] is not None:
        # Only a controller that an owner's code enrolled since then gets here.
        connection.execute(update(t.banks).where(t.banks.c.bank == bank).values(quarantine=None, quarantined_ms=None))
        connection.execute(
            update(t.alarms)
            .where(t.alarms.c.bank == bank, t.alarms.c.kind == "quarantine", t.alarms.c.cleared_ms.is_(None))
            .values(cleared_ms=work.now_ms)
        )


def _event_row(new: NewLine, ordinal: int) -> dict[str, Any]:
    line, event = new.line, new.line.event
    locker = person = None
    if not isinstance(event, ev.UnknownEvent):
        locker, person = ev.locker_of(event), ev.person_of(event)
    return {
        "bank": line.bank, "epoch": line.epoch, "seq": line.seq, "ordinal": ordinal, "at_ms": line.moment.at_ms,
        "type": line.type[:40], "locker": locker, "person": person, "actor": line.actor,
        "line": new.raw, "hash": new.hash,
    }  # fmt: skip


def _settle_commands(work: UnitOfWork, row: RowMapping, lines: Iterable[NewLine]) -> tuple[Settled, ...]:
    settled, table, bank, done = [], t.commands, row["bank"], 0
    for new in lines:
        event = new.line.event
        if isinstance(event, ev.CommandDone):
            why = event.reason.value if event.reason is not None else None
            work.connection.execute(
                update(table)
                .where(table.c.command == event.command, table.c.bank == bank)
                .values(state=event.outcome[:12], why=why, settled_ms=work.now_ms)
            )
            settled.append(Settled(event.command, event.outcome, why))
            done = max(done, event.ordinal or 0)
    if done:
        _number_again(work, row, done)
    return tuple(settled)


def _number_again(work: UnitOfWork, row: RowMapping, done: int) -> None:
    """A bank works its standing commands off in order: one that still waits behind ``done`` got its number after this
    database was restored, and the bank had another under that number before. It goes to the end of the queue."""
    table, bank, connection = t.commands, row["bank"], work.connection
    query = select(table.c.command, table.c.payload).where(
        table.c.bank == bank, table.c.ordinal <= done, table.c.state == "waiting"
    )
    last = max(row["standing_last"], done)
    for command, payload in connection.execute(query.order_by(table.c.ordinal)).all():
        last += 1
        message = msgspec.json.decode(payload, type=m.StandingCommand)
        message.ordinal = last
        values = {"ordinal": last, "payload": msgspec.json.encode(message)}
        connection.execute(update(table).where(table.c.command == command).values(**values))
    if last > row["standing_last"]:
        connection.execute(update(t.banks).where(t.banks.c.bank == bank).values(standing_last=last))


def _settle_told(work: UnitOfWork, bank: str, state: BankState) -> tuple[Settled, ...]:
    """Commands whose outcome was in lines that are gone: the bank tells the newest ones, of others nobody knows."""
    table, settled = t.commands, []
    query = select(table.c.command, table.c.ordinal).where(
        table.c.bank == bank, table.c.state.in_(("waiting", "claimed"))
    )
    for command, ordinal in work.connection.execute(query).all():
        known = state.answered.get(command)
        if known is None and (ordinal is None or ordinal > state.standing):
            continue
        outcome = known.outcome if known is not None else "unknown"
        why = known.reason if known is not None else "journal_gap"
        work.connection.execute(
            update(table).where(table.c.command == command).values(state=outcome[:12], why=why, settled_ms=work.now_ms)
        )
        settled.append(Settled(command, outcome, why))
    return tuple(settled)
