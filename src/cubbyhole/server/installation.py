"""The database of an installation, opened: what the server does at its start, and every command at a shell before it.

Apart from `main`, so that a command does not load the web framework that it never uses.
"""

from __future__ import annotations

import time

from sqlalchemy import func, insert, select, update

from cubbyhole.domain.rules import DEFAULT
from cubbyhole.server.directory.calendar import check_timezone
from cubbyhole.server.directory.changes import DirectoryChanges
from cubbyhole.server.persistence.engine import make_engine
from cubbyhole.server.persistence.migrate import migrate
from cubbyhole.server.persistence.tables import rules, sites
from cubbyhole.server.persistence.unit import Store, UnitOfWork
from cubbyhole.server.settings import ServerSettings, local_timezone


def now_ms() -> int:
    """The installation's clock."""
    return time.time_ns() // 1_000_000


def open_store(settings: ServerSettings) -> Store:
    """The database at this release's schema, with what every installation has from the start."""
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = make_engine(settings.database_url)
    migrate(engine)
    store = Store(engine, now_ms)
    with store.read() as connection:
        zone = connection.execute(select(sites.c.timezone).where(sites.c.site == "")).scalar()
        has_rules = connection.execute(select(func.count()).select_from(rules)).scalar_one() > 0
    wanted = check_timezone(settings.timezone or zone or local_timezone())
    if zone != wanted or not has_rules:
        with store.write() as work:
            _set_timezone(work, zone, wanted)
            if not has_rules:
                DirectoryChanges(work).put_rule(DEFAULT)
    return store


def _set_timezone(work: UnitOfWork, old: str | None, new: str) -> None:
    """The zone of the installation (the site without a name) and of the sites that have had no other."""
    if old is None:
        work.connection.execute(insert(sites).values(site="", timezone=new))
    elif old != new:
        work.connection.execute(update(sites).where(sites.c.timezone == old).values(timezone=new))
        work.audit("server", "timezone.changed", new, before=old)
