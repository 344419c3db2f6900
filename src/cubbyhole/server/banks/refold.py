"""Folding a bank's journal again: after an upgrade that knows event types which were only stored before."""

from __future__ import annotations

import structlog
from sqlalchemy import insert, select, update

from cubbyhole.domain.bank import BankState
from cubbyhole.protocol.journal import decode_line, decode_state
from cubbyhole.server.banks.picture import changed_lockers, write_alarms, write_bank, write_lockers
from cubbyhole.server.persistence import tables as t
from cubbyhole.server.persistence.unit import FEED, Store, UnitOfWork, counter_value

LINES_AT_ONCE = 2000

log = structlog.get_logger(__name__)


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
                if refold(work, bank).unknown_types == 0:
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
    state, seq = BankState(bank=bank), 0
    while seq < row["last_seq"]:
        raws = connection.execute(
            select(t.events.c.line)
            .where(t.events.c.bank == bank, t.events.c.epoch == row["epoch"], t.events.c.seq > seq)
            .order_by(t.events.c.seq)
            .limit(LINES_AT_ONCE)
        ).scalars()
        for raw in raws.all():
            line = decode_line(bytes(raw))
            state.apply(line.event, line.seq, line.moment)
            seq = line.seq
    state.epoch = row["epoch"]
    before = decode_state(row["state"])
    changed, ordinal = changed_lockers(before, state), counter_value(connection, FEED)
    write_lockers(work, bank, before, state, changed, ordinal)
    write_alarms(work, bank, before, state, work.now_ms)
    _agree(work, bank, state)
    write_bank(work, bank, state, row["last_hash"], ordinal)
    return state


def _agree(work: UnitOfWork, bank: str, state: BankState) -> None:
    """Assignments as the state has them: events of a newer release may have begun or ended some."""
    table = t.assignments
    query = select(table.c.assignment).where(table.c.bank == bank, table.c.ended_ms.is_(None))
    open_here = set(work.connection.execute(query).scalars())
    held = {s.assignment.assignment: s for s in state.lockers.values() if s.assignment is not None}
    for name in open_here - held.keys():
        work.connection.execute(
            update(table).where(table.c.assignment == name).values(ended_ms=state.highest_ms, cause="unknown")
        )
    for name in held.keys() - open_here:
        s, a = held[name], held[name].assignment
        assert a is not None
        work.connection.execute(
            insert(table).values(
                assignment=name, bank=bank, locker=s.number, person=a.person, mode=a.mode.value, rule=a.rule,
                since_ms=a.since_ms, ends_ms=a.ends_ms, ended_ms=None, cause=None,
            )
        )  # fmt: skip
