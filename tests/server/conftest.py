"""``store``: a migrated database, once SQLite and once PostgreSQL, with a clock in the hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cubbyhole.server.keys import SealingKey
from cubbyhole.server.persistence.engine import make_engine
from cubbyhole.server.persistence.migrate import migrate
from cubbyhole.server.persistence.pool import WorkPool
from cubbyhole.server.persistence.unit import Store
from tests.server.hand import HandClock


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of the test's own."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'cubbyhole.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def store(database_url: str, clock: HandClock) -> Iterator[Store]:
    engine = make_engine(database_url)
    migrate(engine)
    yield Store(engine, clock)
    engine.dispose()


@pytest.fixture
def sealing() -> SealingKey:
    return SealingKey(b"s" * 32)


@pytest.fixture
def pool() -> Iterator[WorkPool]:
    made = WorkPool("test", 4, 64)
    yield made
    made.close()
