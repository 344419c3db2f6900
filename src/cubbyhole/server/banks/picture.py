"""The read model of a bank: rows of lockers, assignments and alarms, kept equal to the fold of its journal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, insert, select, update

from cubbyhole.domain import events as ev
from cubbyhole.domain.bank import BankState, LockerState
from cubbyhole.protocol.journal import Line, encode_state
from cubbyhole.server.persistence import tables as t
from cubbyhole.server.persistence.unit import UnitOfWork

REMOVED = "removed"  # kind of alarm


def locker_row(bank: str, s: LockerState) -> dict[str, Any]:
    """A locker's row in the read model, but for its ordinal."""
    a = s.assignment
    return {
        "bank": bank, "number": s.number, "size": s.size, "features": " ".join(s.features), "door": s.door.value,
        "lock": s.lock.value, "occupancy": s.occupancy.value, "alarm": s.alarm.value if s.alarm else None,
        "check_why": s.check, "out_of_service": s.out_of_service, "unverified": s.unverified, "link_lost": s.link_lost,
        "armed": s.armed, "assignment": a.assignment if a else None, "person": a.person if a else None,
        "mode": a.mode.value if a else None, "since_ms": a.since_ms if a else None, "ends_ms": a.ends_ms if a else None,
        "hold_until_ms": a.hold_until_ms if a else None, "renewed": a.renewed if a else None,
        "former": s.former.person if s.former else None, "offered": s.not_offered() is None,
    }  # fmt: skip


def share_rows(bank: str, s: LockerState) -> list[dict[str, Any]]:
    """Who may open the locker besides its holder, as rows of the read model."""
    a = s.assignment
    return [
        {
            "share": x.share, "bank": bank, "number": s.number, "assignment": a.assignment, "person": x.person,
            "group": x.group, "until_ms": x.until_ms, "once": x.once,
        }
        for x in (a.shares if a else ())
        if a is not None
    ]  # fmt: skip


def changed_lockers(before: BankState, after: BankState) -> list[str]:
    return [number for number, s in after.lockers.items() if before.lockers.get(number) != s]


def write_lockers(
    work: UnitOfWork, bank: str, before: BankState, after: BankState, changed: Sequence[str], ordinal: int
) -> None:
    gone = before.lockers.keys() - after.lockers.keys()
    numbers = [*changed, *gone]
    if not numbers:
        return
    connection = work.connection
    connection.execute(delete(t.lockers).where(t.lockers.c.bank == bank, t.lockers.c.number.in_(numbers)))
    # A locker whose bank has not said yet how it is built has no size and cannot be drawn.
    rows = [
        locker_row(bank, after.lockers[number]) | {"ordinal": ordinal}
        for number in changed
        if after.lockers[number].size
    ]
    if rows:
        connection.execute(insert(t.lockers), rows)
    connection.execute(delete(t.shares).where(t.shares.c.bank == bank, t.shares.c.number.in_(numbers)))
    shared = [row for number in changed for row in share_rows(bank, after.lockers[number])]
    if shared:
        connection.execute(insert(t.shares), shared)


def write_bank(work: UnitOfWork, bank: str, state: BankState, line_hash: str, ordinal: int) -> None:
    """The bank's own row: its state behind line ``state.seq`` with that line's hash."""
    values: dict[str, Any] = {
        "epoch": state.epoch, "last_seq": state.seq, "last_hash": line_hash, "state": encode_state(state),
        "clock_doubt": state.clock_in_doubt, "changed_ordinal": ordinal,
        "stale": state.unknown_types > 0 or state.blind_until > 0,
    }  # fmt: skip
    if state.columns:
        values |= {"label": state.label[:120], "area": state.area[:120], "site": state.site[:80]}
        values |= {"columns": "\n".join(state.columns), "reader": state.reader[:8]}
        _know_site(work, state.site[:80])
    work.connection.execute(update(t.banks).where(t.banks.c.bank == bank).values(**values))


def _know_site(work: UnitOfWork, site: str) -> None:
    """A site that nobody has set up yet gets the installation's time zone (the row of the site without a name)."""
    zones = dict(work.connection.execute(select(t.sites.c.site, t.sites.c.timezone)).all())
    if site not in zones:
        work.connection.execute(insert(t.sites).values(site=site, timezone=zones.get("", "UTC")))


def write_assignments(work: UnitOfWork, bank: str, lines: Sequence[Line], replaced: bool) -> None:
    """What these lines did to assignments; ``replaced``: they begin a journal that another one precedes."""
    connection, table = work.connection, t.assignments
    started: dict[str, dict[str, Any]] = {}
    if replaced:
        _carry_over(work, bank, lines[0])
    for line in lines:
        event, at_ms = line.event, line.moment.at_ms
        match event:
            case ev.AssignmentStarted():
                started[event.assignment] = {
                    "assignment": event.assignment, "bank": bank, "locker": event.locker, "person": event.person,
                    "mode": event.mode.value, "rule": event.rule, "since_ms": at_ms, "ends_ms": event.ends_ms,
                    "ended_ms": None, "cause": None,
                }  # fmt: skip
            case ev.AssignmentTimed() | ev.AssignmentRenewed():
                values: dict[str, Any] = {"ends_ms": event.ends_ms}
                _amend(work, started, event.assignment, values)
            case ev.AssignmentEnded():
                _amend(work, started, event.assignment, {"ended_ms": event.ended_ms, "cause": event.cause.value})
            case _:
                pass
    if started:
        connection.execute(insert(table), list(started.values()))


def _amend(work: UnitOfWork, started: dict[str, dict[str, Any]], assignment: str, values: dict[str, Any]) -> None:
    if assignment in started:
        started[assignment].update(values)
    else:
        table = t.assignments
        work.connection.execute(update(table).where(table.c.assignment == assignment).values(**values))


def _carry_over(work: UnitOfWork, bank: str, first: Line) -> None:
    """A new journal names the assignments that go on; others that were open here are over, nobody knows how."""
    event = first.event
    assert isinstance(event, ev.EpochStarted)
    table, names = t.assignments, [a.assignment for a in event.assignments]
    open_here = table.c.bank == bank, table.c.ended_ms.is_(None)
    known = set(work.connection.execute(select(table.c.assignment).where(*open_here)).scalars())
    lost = known - set(names)
    if lost:
        work.connection.execute(
            update(table).where(table.c.assignment.in_(lost)).values(ended_ms=first.moment.at_ms, cause="lost")
        )
    for a in event.assignments:
        if a.assignment not in known:
            row = {"locker": a.locker, "person": a.person, "mode": a.mode.value, "rule": a.rule}
            work.connection.execute(
                insert(table).values(assignment=a.assignment, bank=bank, since_ms=a.since_ms, ends_ms=a.ends_ms, **row)
            )


def agree_assignments(work: UnitOfWork, bank: str, state: BankState, cause: str) -> None:
    """Make the rows of assignments what the state has: the lines that began or ended some cannot tell. What is not
    held any more has ended by ``cause``, at the latest by the state's time."""
    table = t.assignments
    query = select(table.c.assignment).where(table.c.bank == bank, table.c.ended_ms.is_(None))
    open_here = set(work.connection.execute(query).scalars())
    held = {s.assignment.assignment: s for s in state.lockers.values() if s.assignment is not None}
    over = open_here - held.keys()
    if over:
        ended = update(table).where(table.c.assignment.in_(over)).values(ended_ms=state.highest_ms, cause=cause)
        work.connection.execute(ended)
    for name in held.keys() - open_here:
        s, a = held[name], held[name].assignment
        assert a is not None
        row = {
            "bank": bank, "locker": s.number, "person": a.person, "mode": a.mode.value, "rule": a.rule,
            "since_ms": a.since_ms, "ends_ms": a.ends_ms, "ended_ms": None, "cause": None,
        }  # fmt: skip
        again = work.connection.execute(update(table).where(table.c.assignment == name).values(**row))
        if again.rowcount == 0:
            work.connection.execute(insert(table).values(assignment=name, **row))


def write_alarms(work: UnitOfWork, bank: str, before: BankState, after: BankState, now_ms: int) -> None:
    table = t.alarms
    gone = before.lockers.keys() - after.lockers.keys()
    if gone:  # a door that the bank does not have any more has no alarm
        work.connection.execute(
            update(table)
            .where(table.c.bank == bank, table.c.locker.in_(gone), table.c.cleared_ms.is_(None))
            .values(cleared_ms=now_ms)
        )
    _write_removed(work, bank, before, after, now_ms)
    for number, s in after.lockers.items():
        was = before.lockers[number].alarm if number in before.lockers else None
        if s.alarm is was:
            continue
        if was is not None:
            work.connection.execute(
                update(table)
                .where(table.c.bank == bank, table.c.locker == number, table.c.cleared_ms.is_(None))
                .values(cleared_ms=now_ms)
            )
        if s.alarm is not None:
            kind = s.alarm.value
            work.connection.execute(
                insert(table).values(bank=bank, locker=number, kind=kind, detail="", raised_ms=now_ms)
            )
            work.enqueue("alarm", {"bank": bank, "locker": number, "kind": kind})


def _write_removed(work: UnitOfWork, bank: str, before: BankState, after: BankState, now_ms: int) -> None:
    """A locker that the bank is not built with any more needs somebody as long as its things may be in it."""
    table = t.alarms
    settled = before.removed.keys() - after.removed.keys()
    if settled:
        work.connection.execute(
            update(table)
            .where(
                table.c.bank == bank, table.c.kind == REMOVED, table.c.locker.in_(settled), table.c.cleared_ms.is_(None)
            )
            .values(cleared_ms=now_ms)
        )  # fmt: skip
    for number in after.removed.keys() - before.removed.keys():
        detail = "the bank was rebuilt without this locker, and somebody's things may be inside"
        row = {"bank": bank, "locker": number, "kind": REMOVED, "detail": detail}
        work.connection.execute(insert(table).values(**row, raised_ms=now_ms))
        work.enqueue("alarm", row)
