"""One transaction for a change and all that belongs to it; the same on both databases."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import func, insert, select, text

from cubbyhole.server.persistence.engine import DatabaseAddressError, make_engine
from cubbyhole.server.persistence.migrate import migrate
from cubbyhole.server.persistence.pool import Overloaded, WorkPool
from cubbyhole.server.persistence.tables import groups, metadata, outbox, server_audit
from cubbyhole.server.persistence.unit import DIRECTORY, FEED, Store, counter_value


def count(store: Store, table: str) -> int:
    with store.read() as connection:
        return int(connection.execute(select(func.count()).select_from(metadata.tables[table])).scalar_one())


def test_rows_jobs_and_records_share_one_transaction(store: Store) -> None:
    called: list[str] = []
    with store.write() as work:
        work.connection.execute(insert(groups).values(name="Design"))
        work.enqueue("mail", {"to": "somebody"})
        work.audit("op:test", "group.made", "Design")
        work.after_commit(lambda: called.append("after"))
        assert called == []
    assert called == ["after"]
    assert [count(store, table.name) for table in (groups, outbox, server_audit)] == [1, 1, 1]


def test_a_failing_block_leaves_nothing_behind(store: Store) -> None:
    called: list[str] = []

    def change_and_fail() -> None:
        with store.write() as work:
            work.connection.execute(insert(groups).values(name="Design"))
            work.enqueue("mail", {})
            work.audit("op:test", "group.made", "Design")
            work.take(FEED, 5)
            work.after_commit(lambda: called.append("after"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change_and_fail()
    assert called == []
    assert [count(store, table.name) for table in (groups, outbox, server_audit)] == [0, 0, 0]
    with store.read() as connection:
        assert counter_value(connection, FEED) == 0


def fail() -> None:
    raise ZeroDivisionError


def test_a_failing_call_after_the_commit_does_not_undo_it(store: Store) -> None:
    with store.write() as work:
        work.connection.execute(insert(groups).values(name="Design"))
        work.after_commit(fail)
    assert count(store, "groups") == 1


def test_counters_rise_in_commit_order_over_threads(store: Store) -> None:
    """Whoever sees N sees everything below N: no version is ever visible before a smaller one."""
    seen: list[int] = []
    holes: list[str] = []

    def write() -> None:
        for _ in range(8):
            with store.write() as work:
                number = work.take(DIRECTORY)
                work.connection.execute(insert(groups).values(name=f"{number:04d}"))

    def read() -> None:
        for _ in range(40):
            with store.read() as connection:
                now = counter_value(connection, DIRECTORY)
                there = connection.execute(select(func.count()).select_from(groups)).scalar_one()
            seen.append(now)
            if there != now:
                holes.append(f"{there} rows at {now}")

    threads = [threading.Thread(target=write) for _ in range(4)] + [threading.Thread(target=read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not holes
    assert count(store, "groups") == 32
    assert seen == sorted(seen)


def test_a_reader_sees_one_moment_while_others_write(store: Store) -> None:
    with store.read() as connection:
        before = connection.execute(select(func.count()).select_from(groups)).scalar_one()
        with store.write() as work:
            work.connection.execute(insert(groups).values(name="Design"))
        after = connection.execute(select(func.count()).select_from(groups)).scalar_one()
    assert before == after == 0


def test_the_migrations_make_exactly_the_tables(store: Store) -> None:
    with store.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_migrating_again_changes_nothing(store: Store) -> None:
    with store.write() as work:
        work.take(FEED, 7)
    migrate(store.engine)
    with store.read() as connection:
        assert counter_value(connection, FEED) == 7


def test_two_processes_may_migrate_at_once(empty_url: str) -> None:
    failures: list[Exception] = []

    def run() -> None:
        engine = make_engine(empty_url)
        try:
            migrate(engine)
        except Exception as error:
            failures.append(error)
        finally:
            engine.dispose()

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_sqlite_is_set_up_so_that_a_commit_is_on_the_disk(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path / 'x.db'}")
    with engine.connect() as connection:
        found = {name: connection.execute(text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "synchronous")}
        assert found == {"journal_mode": "wal", "synchronous": 2}
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
    engine.dispose()


@pytest.mark.parametrize("address", ["mysql://host/name", "no address at all", "oracle://x"])
def test_another_database_is_refused_with_what_would_do(address: str) -> None:
    with pytest.raises(DatabaseAddressError, match=r"database address|sqlite:///"):
        make_engine(address)


def test_the_pool_refuses_what_does_not_fit_and_goes_on() -> None:
    async def run() -> None:
        pool, gate = WorkPool("test", threads=1, waiting=1), threading.Event()
        first = asyncio.create_task(pool.run(gate.wait, 5))
        second = asyncio.create_task(pool.run(gate.wait, 5))
        await asyncio.sleep(0.05)
        with pytest.raises(Overloaded):
            await pool.run(gate.wait, 5)
        # A caller who gives up does not free the thread that still works for it.
        second.cancel()
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await pool.run(gate.wait, 5)
        gate.set()
        assert await first
        await asyncio.sleep(0.05)
        assert await pool.run(lambda: 7) == 7
        pool.close()

    asyncio.run(run())
