"""Where a locker is, as a notice says it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from cubbyhole.server.persistence.tables import banks, sites


@dataclass(frozen=True, slots=True)
class Place:
    """``where`` for people who look for it; ``site`` is its name, and ``timezone`` its time."""

    where: str
    site: str
    timezone: str


def place_of(connection: Connection, bank: str | None) -> Place:
    """Of a bank; of the whole installation where it is none, or one that is gone."""
    rows = connection.execute(select(sites.c.site, sites.c.timezone))
    zones = {row.site: row.timezone for row in rows}
    of_all = zones.get("", "UTC")
    if bank is not None:
        query = select(banks.c.label, banks.c.area, banks.c.site).where(banks.c.bank == bank)
        row = connection.execute(query).one_or_none()
        if row is not None:
            where = ", ".join(part for part in (row.area, row.label) if part)
            return Place(where or bank, row.site or "Cubbyhole", zones.get(row.site, of_all))
    named = sorted(site for site in zones if site)
    return Place(bank or "", named[0] if len(named) == 1 else "Cubbyhole", of_all)
