"""Where banks are, for callers whose rights end at the border of a place."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, select

from cubbyhole.server.auth.roles import Caller, Place
from cubbyhole.server.persistence.tables import account_places, banks


def places_of(connection: Connection, account: str) -> frozenset[Place]:
    """The places that an owner named for the account."""
    query = select(account_places.c.site, account_places.c.area).where(account_places.c.account == account)
    return frozenset(Place(site, area) for site, area in connection.execute(query))


def known_places(connection: Connection) -> list[Place]:
    """Every site that has a bank, and every area in it."""
    found = {Place(site, area) for site, area in connection.execute(select(banks.c.site, banks.c.area).distinct())}
    return sorted(found | {Place(place.site) for place in found})


def banks_within(connection: Connection, caller: Caller) -> list[str] | None:
    """The banks at the caller's places; None where they have them all."""
    if caller.places is None:
        return None
    rows = connection.execute(select(banks.c.bank, banks.c.site, banks.c.area).order_by(banks.c.bank))
    return [bank for bank, site, area in rows if any(place.contains(Place(site, area)) for place in caller.places)]


def all_within(connection: Connection, caller: Caller, asked: Iterable[str]) -> bool:
    """Whether all these banks are at the caller's places. A bank that does not exist is at nobody's."""
    within = banks_within(connection, caller)
    return within is None or set(asked) <= set(within)
