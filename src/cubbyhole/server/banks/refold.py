"""Folding a bank's journal again: after an upgrade that knows what was only stored before."""

from __future__ import annotations

import structlog
from sqlalchemy import Connection, RowMapping, select, update

from cubbyhole.domain.bank import BankState
from cubbyhole.domain.events import UnknownEvent, locker_of, person_of
from cubbyhole.protocol.journal import Line, decode_line, decode_state
from cubbyhole.server.banks.picture import agree_assignments, changed_lockers, write_alarms, write_bank, write_lockers
from cubbyhole.server.banks.receive import fold_signed
from cubbyhole.server.persistence import tables as t
from cubbyhole.server.persistence.unit import FEED, Store, UnitOfWork, counter_value

LINES_AT_ONCE = 2000

log = structlog.get_logger(__name__)


class BrokenJournal(Exception):
    """The database lacks lines that it had; restore it from a backup."""


def refold_stale(store: Store) -> list[str]:
    """Fold the journals of all banks whose view is marked stale; returns those whose view is complete now.

    Call it at the start, before ingest. A view that still meets unknown types stays marked.
    """
    with store.read() as connection:
        stale = list(connection.execute(select(t.banks.c.bank).where(t.banks.c.stale)).scalars())
    mended = []
    for bank in stale:
        try:
            with store.write() as work:
                state = refold(work, bank)
                if state.unknown_types == 0 and state.blind_until == 0:
                    mended.append(bank)
        except Exception:
            # The view stays as it was and stays marked; the journal itself is whole.
            log.exception("a journal could not be folded again", bank=bank)
    return mended


def refold(work: UnitOfWork, bank: str) -> BankState:
    """Fold the current journal of ``bank`` from its first line and write the picture anew."""
    connection = work.connection
    query = select(t.banks).where(t.banks.c.bank == bank)
    row = connection.execute(query.with_for_update() if work.is_postgresql else query).mappings().one()
    state = _folded(connection, row)
    before = decode_state(row["state"])
    changed, ordinal = changed_lockers(before, state), counter_value(connection, FEED)
    write_lockers(work, bank, before, state, changed, ordinal)
    write_alarms(work, bank, before, state, work.now_ms)
    agree_assignments(work, bank, state, "unknown")
    write_bank(work, bank, state, row["last_hash"], ordinal)
    return state


def _folded(connection: Connection, row: RowMapping) -> BankState:
    """The state behind every line that is there. Raises BrokenJournal where one is missing that no gap accounts for."""
    bank, epoch = row["bank"], row["epoch"]
    query = select(t.gaps.c.first, t.gaps.c.last, t.gaps.c.seq).where(t.gaps.c.bank == bank, t.gaps.c.epoch == epoch)
    gaps = {first: (last, until) for first, last, until in connection.execute(query)}
    state = BankState(bank=bank)
    while state.seq < row["last_seq"]:
        rows = connection.execute(
            select(t.events.c.line, t.events.c.locker, t.events.c.person)
            .where(t.events.c.bank == bank, t.events.c.epoch == epoch, t.events.c.seq > state.seq)
            .order_by(t.events.c.seq)
            .limit(LINES_AT_ONCE)
        ).all()
        if not rows:
            raise BrokenJournal(f"bank {bank}: the journal ends at line {state.seq} instead of {row['last_seq']}")
        for raw, locker, person in rows:
            line = decode_line(bytes(raw))
            if line.seq != state.seq + 1:
                if state.seq + 1 not in gaps:
                    raise BrokenJournal(f"bank {bank}: line {state.seq + 1} is missing from the database")
                state.lose(*gaps[state.seq + 1])
            fold_signed(state, line)
            _name(connection, line, locker, person)
    state.epoch = epoch
    return state


def _name(connection: Connection, line: Line, locker: str | None, person: str | None) -> None:
    """An event that was only stored was found under no locker and no person; now it is."""
    event = line.event
    if isinstance(event, UnknownEvent) or (locker_of(event), person_of(event)) == (locker, person):
        return
    connection.execute(
        update(t.events)
        .where(t.events.c.bank == line.bank, t.events.c.epoch == line.epoch, t.events.c.seq == line.seq)
        .values(locker=locker_of(event), person=person_of(event))
    )
