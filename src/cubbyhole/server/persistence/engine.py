"""Engines for the two databases, set up so that a commit that returned is on the disk."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, make_url

BUSY_TIMEOUT_S = 10


class DatabaseAddressError(ValueError):
    """The database address cannot be used; the message says what would be."""


def make_engine(address: str, *, pool_size: int = 32) -> Engine:
    """An engine for ``sqlite:///file`` or ``postgresql://...``. Raises DatabaseAddressError."""
    try:
        url = make_url(address)
    except Exception as error:
        raise DatabaseAddressError(f"not a database address: {error}") from None
    if url.get_backend_name() == "sqlite":
        return _sqlite(url, pool_size)
    if url.get_backend_name() == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
        return create_engine(
            url,
            pool_size=pool_size,
            max_overflow=8,
            pool_timeout=15,
            pool_pre_ping=True,
            isolation_level="READ COMMITTED",
        )
    raise DatabaseAddressError(
        f"{url.get_backend_name()} is not supported: use sqlite:///path/to/file.db or postgresql://user@host/database"
    )


def _sqlite(url: URL, pool_size: int) -> Engine:
    pooled = {} if url.database in (None, "", ":memory:") else {"pool_size": pool_size, "max_overflow": 8}
    connect_args = {"timeout": BUSY_TIMEOUT_S, "check_same_thread": False}
    engine = create_engine(url, connect_args=connect_args, **pooled)

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: Any) -> None:
        # The driver would begin transactions late, at the first change; `begin` below does it right away.
        connection.isolation_level = None
        cursor = connection.cursor()
        _use_wal(cursor)
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_S * 1000}")
        cursor.execute("PRAGMA cache_size=-32000")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Any) -> None:
        # Two writers that both began reading would deadlock into "database is locked" at once; queue them instead.
        reading = connection.get_execution_options().get("reading", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


def _use_wal(cursor: Any) -> None:
    """Switch the file to WAL. Two processes that open a new file at once are not queued by SQLite here."""
    give_up_s = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > give_up_s:
                raise
            time.sleep(0.02)
