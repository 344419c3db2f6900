"""Schema changes: Alembic scripts inside the package, run at every start."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, insert, select, text

from cubbyhole.server.persistence.tables import counters
from cubbyhole.server.persistence.unit import COUNTERS

# Any fixed number: whoever holds this advisory lock migrates, the others wait and then find nothing to do.
_LOCK = 4_277_009_102


def migrate(engine: Engine) -> None:
    """Bring the database to this release's schema. Safe to call from several processes at once."""
    with engine.connect() as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        command.upgrade(config_for(connection), "head")
        _seed(connection)


def config_for(connection: Connection) -> Config:
    """Alembic's configuration on an open connection; its scripts run inside the caller's transaction."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def _seed(connection: Connection) -> None:
    there = set(connection.execute(select(counters.c.name)).scalars())
    for name in COUNTERS:
        if name not in there:
            connection.execute(insert(counters).values(name=name, value=0))
