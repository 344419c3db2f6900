"""Before a locker ends its holder is reminded: once for each end, so again where it was renewed."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from sqlalchemy import RowMapping, select

from cubbyhole.domain.vocabulary import Mode
from cubbyhole.server.notices import notice as n
from cubbyhole.server.notices import told
from cubbyhole.server.notices.desk import Notices
from cubbyhole.server.persistence.tables import assignments
from cubbyhole.server.persistence.tables import told as told_rows
from cubbyhole.server.persistence.unit import Store

HOUR_MS: Final = 3_600_000
# How long before the end; never before half of the time is over. A day's is at 17:00, while people are still there.
LEADS: Final[Mapping[str, int]] = MappingProxyType(
    {Mode.HOURS.value: HOUR_MS // 2, Mode.DAY.value: 7 * HOUR_MS, Mode.TERM.value: 72 * HOUR_MS}
)
TOO_LATE_MS: Final = 5 * 60_000  # before its end: nobody reads it in time
AT_ONCE: Final = 500
_WHAT = "ends_soon"


class Reminders:
    """Looks for lockers that end soon. Calls in threads; several servers may look at once."""

    def __init__(self, store: Store, notices: Notices) -> None:
        self._store, self._notices = store, notices

    def look(self) -> bool:
        """Remind up to `AT_ONCE` holders; whether there may be more."""
        due = self._due()
        if not due:
            return False
        with self._store.write() as work:
            for row in due[:AT_ONCE]:
                if told.first_time(work, _WHAT, _about(row)):
                    soon = n.EndsSoon(
                        bank=row["bank"], locker=row["locker"], assignment=row["assignment"], ends_ms=row["ends_ms"]
                    )
                    self._notices.tell(work, n.To(person=row["person"]), soon)
        return len(due) > AT_ONCE

    def forget_old(self) -> None:
        with self._store.write() as work:
            told.forget_old(work)

    def _due(self) -> list[RowMapping]:
        """Ends whose moment has come and of which nobody was told."""
        now_ms, a = self._store.now_ms(), assignments.c
        query = select(a.assignment, a.bank, a.locker, a.person, a.mode, a.since_ms, a.ends_ms).where(
            a.ended_ms.is_(None), a.mode.in_(LEADS), a.ends_ms > now_ms + TOO_LATE_MS,
            a.ends_ms <= now_ms + max(LEADS.values()),
        )  # fmt: skip
        with self._store.read() as connection:
            found = [row for row in connection.execute(query.order_by(a.ends_ms)).mappings() if now_ms >= _moment(row)]
            known: set[str] = set()
            for at in range(0, len(found), AT_ONCE):
                keys = [_about(row) for row in found[at : at + AT_ONCE]]
                which = (told_rows.c.what == _WHAT, told_rows.c.about.in_(keys))
                known |= set(connection.execute(select(told_rows.c.about).where(*which)).scalars())
        return [row for row in found if _about(row) not in known]


def _moment(row: RowMapping) -> int:
    lead_ms = min(LEADS[row["mode"]], (row["ends_ms"] - row["since_ms"]) // 2)
    return int(row["ends_ms"] - lead_ms)


def _about(row: RowMapping) -> str:
    return f"{row['assignment']}@{row['ends_ms']}"
