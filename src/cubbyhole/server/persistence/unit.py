"""The unit of work: rows, events and outbox in one transaction; services never commit.

with store.write() as work:
    ...                       # services take `work`
# committed; the after-commit calls have run

with store.read() as connection:
    ...                       # one snapshot, no changes
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, insert, select, update

from cubbyhole.server.persistence.tables import counters, outbox, server_audit

log = logging.getLogger(__name__)

FEED = "feed"  # ordinal of the last event in the feed of all banks
DIRECTORY = "directory"  # version of the directory
TOLD = "told"  # ordinal of the last event that people have been told of (`notices.following`)
COUNTERS = (FEED, DIRECTORY, TOLD)


class UnitOfWork:
    """One transaction that changes something. ``now_ms`` is the same for all of it."""

    def __init__(self, connection: Connection, now_ms: int, wake: Callable[[], None] | None = None) -> None:
        self.connection = connection
        self.now_ms = now_ms
        self._wake = wake
        self._after: list[Callable[[], None]] = []
        self._versions: dict[str, int] = {}

    @property
    def is_postgresql(self) -> bool:
        return self.connection.dialect.name == "postgresql"

    def take(self, counter: str, count: int = 1) -> int:
        """Raise ``counter`` by ``count`` and return its new value.

        The row stays locked until the commit, so values become visible in their order and nobody who reads up to N
        can miss one below N.
        """
        value = self.connection.execute(
            update(counters)
            .where(counters.c.name == counter)
            .values(value=counters.c.value + count)
            .returning(counters.c.value)
        ).scalar_one()
        return int(value)

    def take_once(self, counter: str) -> int:
        """The value that ``counter`` has for the whole of this transaction, raised by one at the first call."""
        if counter not in self._versions:
            self._versions[counter] = self.take(counter)
        return self._versions[counter]

    def enqueue(
        self, kind: str, payload: Mapping[str, Any], *, not_before_ms: int | None = None,
        not_after_ms: int | None = None,
    ) -> None:  # fmt: skip
        """Put a job into the outbox: it is done if, and only if, this transaction commits (`jobs.runner`).

        Not before ``not_before_ms``; after ``not_after_ms`` it is of no use any more and is dropped.
        """
        row = {
            "kind": kind, "payload": json.dumps(payload), "made_ms": self.now_ms, "tries": 0,
            "not_before_ms": self.now_ms if not_before_ms is None else not_before_ms, "not_after_ms": not_after_ms,
        }  # fmt: skip
        self.connection.execute(insert(outbox).values(**row))
        if self._wake is not None and self._wake not in self._after:
            self.after_commit(self._wake)

    def audit(self, actor: str, act: str, subject: str, **detail: Any) -> None:
        """Write down who did what on the server, in the transaction that does it."""
        row = {"at_ms": self.now_ms, "actor": actor, "act": act, "subject": subject, "detail": json.dumps(detail)}
        self.connection.execute(insert(server_audit).values(**row))

    def after_commit(self, call: Callable[[], None]) -> None:
        """Run ``call`` once the transaction is durable; it must not fail and must not wait."""
        self._after.append(call)

    def run_after_commit(self) -> None:
        for call in self._after:
            try:
                call()
            except Exception:
                log.exception("a call after a commit failed; the commit itself stands")


class Store:
    """Where units of work come from. ``now_ms`` is the clock of the installation.

    ``on_enqueued`` is called, in any thread, after each commit that put a job into the outbox.
    """

    def __init__(self, engine: Engine, now_ms: Callable[[], int]) -> None:
        self.engine = engine
        self.now_ms = now_ms
        self.on_enqueued: Callable[[], None] | None = None

    @contextmanager
    def write(self) -> Iterator[UnitOfWork]:
        """One transaction; rolled back where the block raises."""
        with self.engine.connect() as connection, connection.begin():
            work = UnitOfWork(connection, self.now_ms(), self.on_enqueued)
            yield work
        work.run_after_commit()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One snapshot: all statements in the block see the same state."""
        with self.engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            else:
                connection = connection.execution_options(reading=True)
            with connection.begin():
                yield connection


def counter_value(connection: Connection, counter: str) -> int:
    return int(connection.execute(select(counters.c.value).where(counters.c.name == counter)).scalar_one())
