"""``store``: a migrated database, once SQLite and once PostgreSQL, with a clock in the hand."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cubbyhole.server.keys import SealingKey
from cubbyhole.server.persistence.engine import make_engine
from cubbyhole.server.persistence.migrate import migrate
from cubbyhole.server.persistence.pool import WorkPool
from cubbyhole.server.persistence.unit import Store
from tests.server.hand import HandClock
from tests.support.postgres import PostgresServer


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of the test's own."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite database to copy."""
    path = tmp_path_factory.mktemp("migrated") / "cubbyhole.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A migrated PostgreSQL database to copy."""
    with postgres_server.database() as url:
        _migrate(url)
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A migrated database of the test's own: a copy, because migrating takes longer than most tests."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_file"), tmp_path / "cubbyhole.db")
        yield f"sqlite:///{tmp_path / 'cubbyhole.db'}"
        return
    like = request.getfixturevalue("migrated_url")
    with request.getfixturevalue("postgres_server").database(like) as url:
        yield url


@pytest.fixture
def store(database_url: str, clock: HandClock) -> Iterator[Store]:
    engine = make_engine(database_url)
    yield Store(engine, clock)
    engine.dispose()


def _migrate(url: str) -> None:
    engine = make_engine(url)
    migrate(engine)
    engine.dispose()


@pytest.fixture
def sealing() -> SealingKey:
    return SealingKey(b"s" * 32)


@pytest.fixture
def pool() -> Iterator[WorkPool]:
    made = WorkPool("test", 4, 64)
    yield made
    made.close()
