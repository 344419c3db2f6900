"""Alarms become notices to the owners: gathered for some seconds, then one mail, then silence for a while.

A storm of forced doors is one mail with all of them; what comes in the quiet time after it is the next one.
"""

from __future__ import annotations

import json
from typing import Any, Final

import structlog
from sqlalchemy import RowMapping, select, update

from cubbyhole.server.jobs.outbox import Job
from cubbyhole.server.jobs.runner import ALARM, Done, Later, Outcome
from cubbyhole.server.notices import told
from cubbyhole.server.notices.desk import Notices
from cubbyhole.server.notices.letters import ALARMS_SHOWN
from cubbyhole.server.notices.notice import AlarmLine, Alarms
from cubbyhole.server.notices.recipients import owners
from cubbyhole.server.persistence.tables import outbox
from cubbyhole.server.persistence.unit import Store, UnitOfWork

GATHER_MS: Final = 10_000
QUIET_MS: Final = 15 * 60_000
TOGETHER_MOST: Final = 2000
_WHAT = "alarms"

log = structlog.get_logger(__name__)


class AlarmDesk:
    """The handler for the outbox's alarms."""

    def __init__(
        self, store: Store, notices: Notices, *, gather_ms: int = GATHER_MS, quiet_ms: int = QUIET_MS
    ) -> None:  # fmt: skip
        self._store, self._notices = store, notices
        self._gather_ms, self._quiet_ms = gather_ms, quiet_ms

    def handle(self, job: Job) -> Outcome:
        """Tell of this alarm and of all others that wait, or put all of them off until it is time."""
        with self._store.write() as work:
            at_ms = max(job.made_ms + self._gather_ms, told.last_ms(work, _WHAT) + self._quiet_ms)
            waiting = (outbox.c.kind == ALARM, outbox.c.done_ms.is_(None), outbox.c.given_up_ms.is_(None))
            if work.now_ms < at_ms:
                early = (*waiting, outbox.c.claim.is_(None), outbox.c.not_before_ms < at_ms)
                work.connection.execute(update(outbox).where(*early).values(not_before_ms=at_ms))
                return Later(at_ms, "gathered with others")
            query = select(outbox).where(*waiting).order_by(outbox.c.id).limit(TOGETHER_MOST)
            rows = work.connection.execute(query).mappings().all()
            note = self._tell(work, [_line(row) for row in rows]) if rows else "told with others"
            ids = [row["id"] for row in rows]
            values = {"done_ms": work.now_ms, "claim": None, "payload": "{}", "note": note}
            work.connection.execute(update(outbox).where(outbox.c.id.in_(ids)).values(**values))
        return Done(note)

    def _tell(self, work: UnitOfWork, lines: list[AlarmLine]) -> str:
        receivers = owners(work.connection)
        if not receivers or not self._notices.mail_is_configured:
            why = "no owner has an address" if self._notices.mail_is_configured else "no mail server is set"
            first = lines[0]
            log.warning(
                "alarms that nobody is told of by mail", why=why, many=len(lines), first=first.kind, bank=first.bank,
                locker=first.locker,
            )  # fmt: skip
            return f"in the log only: {why}"
        told.tell_now(work, _WHAT)
        for to in receivers:
            self._notices.tell(work, to, Alarms(lines=lines[:ALARMS_SHOWN], many=len(lines)))
        return f"told to {len(receivers)}"


def _line(row: RowMapping) -> AlarmLine:
    """Of an alarm's row, as `banks` and `jobs.runner` write it."""
    given: dict[str, Any] = json.loads(row["payload"])
    return AlarmLine(
        kind=str(given.get("kind", "")), at_ms=row["made_ms"], bank=given.get("bank"), locker=given.get("locker"),
        detail=str(given.get("detail") or ""),
    )  # fmt: skip
