"""What happened at the banks becomes notices: whoever did not do it themselves is told.

It follows the feed of all banks by its ordinals, which become visible in their order, so nothing is passed over; how
far it has come is a row that is moved in the transaction that tells. Several servers take turns.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, RowMapping, select

from cubbyhole.domain import events as ev
from cubbyhole.domain.vocabulary import Cause
from cubbyhole.protocol.journal import Line, LineError, decode_line
from cubbyhole.server.notices import notice as n
from cubbyhole.server.notices.desk import Notices
from cubbyhole.server.persistence.tables import assignments, events, people
from cubbyhole.server.persistence.unit import FEED, TOLD, Store, counter_value

EVENTS_AT_ONCE: Final = 500
# Of a bank that was without contact for longer nobody wants to hear what was over then.
OLDEST_MS: Final = 12 * 3_600_000
_TYPES = (ev.AssignmentStarted.TYPE, ev.AssignmentEnded.TYPE, ev.AssignmentShared.TYPE)
_BY_THE_HOLDER = (Cause.RELEASED, Cause.HANDED_OVER)


class Following:
    """Follows the feed. Calls in threads."""

    def __init__(self, store: Store, notices: Notices) -> None:
        self._store, self._notices = store, notices

    def look(self) -> bool:
        """Tell of what is new, up to `EVENTS_AT_ONCE` events; whether there may be more."""
        with self._store.read() as connection:  # most looks find nothing, and should lock nothing
            if counter_value(connection, TOLD) >= counter_value(connection, FEED):
                return False
        with self._store.write() as work:
            begin, newest = work.take(TOLD, 0), counter_value(work.connection, FEED)
            end = min(newest, begin + EVENTS_AT_ONCE)
            columns = (events.c.at_ms, events.c.actor, events.c.line)
            query = select(*columns).where(events.c.ordinal > begin, events.c.ordinal <= end, events.c.type.in_(_TYPES))
            oldest_ms = work.now_ms - OLDEST_MS
            rows = work.connection.execute(query.order_by(events.c.ordinal)).mappings().all()
            for row in rows:
                found = self._notice(work.connection, row) if row["at_ms"] >= oldest_ms else None
                if found is not None:
                    self._notices.tell(work, *found)
            if end > begin:
                work.take(TOLD, end - begin)
        return end < newest

    def _notice(self, connection: Connection, row: RowMapping) -> tuple[n.To, n.Notice] | None:
        try:
            line = decode_line(row["line"])
        except LineError:  # a damaged row; the pages say so
            return None
        match line.event:
            case ev.AssignmentStarted() as started if row["actor"] not in (None, started.person):
                assigned = n.Assigned(bank=line.bank, locker=started.locker, ends_ms=started.ends_ms)
                return n.To(person=started.person), assigned
            case ev.AssignmentEnded() as ended if ended.cause not in _BY_THE_HOLDER and row["actor"] != ended.person:
                over = n.Ended(
                    bank=line.bank, locker=ended.locker, ended_ms=ended.ended_ms, cause=ended.cause.value,
                    may_open=ended.former_may_open,
                )  # fmt: skip
                return n.To(person=ended.person), over
            case ev.AssignmentShared(person=str(person)) as shared if person != row["actor"]:
                return self._shared(connection, line, shared, person)
        return None

    def _shared(
        self, connection: Connection, line: Line, shared: ev.AssignmentShared, person: str
    ) -> tuple[n.To, n.Notice] | None:
        query = (
            select(people.c.name)
            .join(assignments, assignments.c.person == people.c.person)
            .where(assignments.c.assignment == shared.assignment)
        )
        by = connection.execute(query).scalar()
        if by is None:
            return None
        return n.To(person=person), n.LockerShared(
            bank=line.bank, locker=shared.locker, by=by, until_ms=shared.until_ms
        )
