"""Where somebody can be reached by mail, in which language, and whose business an alarm is."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from cubbyhole.server.notices.notice import To
from cubbyhole.server.persistence.tables import accounts, people
from cubbyhole.ui.words import LANGUAGES

OWNERS_MOST = 50
_OWNER = "owner"  # `auth.roles.Role.OWNER`; signing in sends notices, so notices do not import it


@dataclass(frozen=True, slots=True)
class Contact:
    """Somebody who can be written to."""

    address: str
    name: str
    language: str


def contact_of(connection: Connection, to: To, language: str) -> Contact | None:
    """Whom ``to`` means now; None where they have no address or have left. ``language`` is the installation's."""
    person, address, name, chosen = to.person, to.address, "", None
    if person is None and to.account is not None:
        query = select(accounts.c.name, accounts.c.person, accounts.c.language)
        row = connection.execute(query.where(accounts.c.account == to.account)).one_or_none()
        if row is None:
            return None
        person, name, chosen = row.person, row.name, row.language
        address = address or (_address_of(to.account) if person is None else None)
    if person is not None:
        columns = (people.c.email, people.c.name, people.c.language, people.c.active)
        who = connection.execute(select(*columns).where(people.c.person == person)).one_or_none()
        if who is None or not who.active:
            return None
        address, name, chosen = address or who.email, who.name, who.language or chosen
    if not address:
        return None
    return Contact(address, name, next((one for one in (chosen, to.language) if one in LANGUAGES), language))


def owners(connection: Connection) -> list[To]:
    """The owners who can be written to; people whose business the whole installation is."""
    query = select(accounts.c.account).where(accounts.c.role == _OWNER).order_by(accounts.c.made_ms)
    found = [To(account=account) for account in connection.execute(query.limit(OWNERS_MOST)).scalars()]
    return [to for to in found if contact_of(connection, to, LANGUAGES[0]) is not None]


def _address_of(account: str) -> str | None:
    """An account that is nobody's in the directory and is named by an address is reached at it."""
    return account if "@" in account else None
