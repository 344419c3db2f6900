"""Who has which role: given by an owner with a reason, at places where the role is bound to some, and written down."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from cubbyhole.server.auth import accounts, sessions
from cubbyhole.server.auth.accounts import Account, AccountError
from cubbyhole.server.auth.places import known_places, places_of
from cubbyhole.server.auth.roles import PLACED, Place, Role
from cubbyhole.server.persistence.tables import account_places, passkeys, people
from cubbyhole.server.persistence.tables import accounts as table
from cubbyhole.server.persistence.unit import UnitOfWork

REASON_LEAST, REASON_MOST = 3, 300
LISTED_MOST = 500


class RoleRefused(AccountError):
    """The role cannot be given so. ``word`` is fixed, the message is for whoever asked."""

    def __init__(self, word: str, detail: str) -> None:
        super().__init__(detail)
        self.word = word


@dataclass(frozen=True, slots=True)
class Appointment:
    """An account as owners see it. ``address`` is where a code reaches it; ``rests``: the directory has another address
    than when the role was given, and no code leads to the role until it is given again."""

    account: str
    name: str
    role: Role
    places: tuple[Place, ...]
    address: str | None
    rests: bool
    has_left: bool
    made_ms: int


def parse_place(text: str) -> Place:
    """``Kestrel House`` or ``Kestrel House / Ground floor``."""
    site, _, area = text.partition("/")
    return Place(site.strip(), area.strip())


def place_text(place: Place) -> str:
    return f"{place.site} / {place.area}" if place.area else place.site


def appoint(
    work: UnitOfWork, who: str, role: Role, places: Collection[Place], reason: str, actor: str
) -> Account:
    """Give ``who`` (an account's name, or an e-mail address) a role in place of the one they have. Raises RoleRefused.

    Their sessions end, so that none goes on with the rights of before.
    """
    reason, connection = _reason(reason), work.connection
    wanted = _places(connection, role, places)
    _hold_owners(work)
    found = find(connection, who) or _make(work, who, actor)
    before = (found.role, places_of(connection, found.account))
    if found.role is Role.OWNER and role is not Role.OWNER:
        _not_the_last(connection)
    email = None
    if found.person is not None and role is not Role.PERSON:
        email = connection.execute(select(people.c.email).where(people.c.person == found.person)).scalar()
    connection.execute(
        update(table).where(table.c.account == found.account).values(role=role.value, role_address=email)
    )
    connection.execute(delete(account_places).where(account_places.c.account == found.account))
    if wanted:
        rows = [{"account": found.account, "site": place.site, "area": place.area} for place in sorted(wanted)]
        connection.execute(insert(account_places), rows)
    work.audit(
        actor, "account.role", found.account, before=before[0].value, after=role.value,
        places=[place_text(place) for place in sorted(wanted)], reason=reason,
    )  # fmt: skip
    if (role, wanted) != before:
        sessions.revoke_all(work, found.account, actor)
    return Account(found.account, found.name, role, found.person)


def remove(work: UnitOfWork, who: str, reason: str, actor: str) -> str:
    """Remove an account with its sessions, passkeys and password. Raises RoleRefused. A person of the directory may
    come again, without the role."""
    reason, connection = _reason(reason), work.connection
    _hold_owners(work)
    found = find(connection, who)
    if found is None:
        raise RoleRefused("unknown_account", f"There is no account {who[:80]}.")
    if found.role is Role.OWNER:
        _not_the_last(connection)
    sessions.revoke_all(work, found.account, actor)
    for belonging in (account_places, passkeys):
        connection.execute(delete(belonging).where(belonging.c.account == found.account))
    connection.execute(delete(table).where(table.c.account == found.account))
    work.audit(actor, "account.removed", found.account, role=found.role.value, reason=reason)
    return found.account


def find(connection: Connection, who: str) -> Account | None:
    """An account by its name, or by the e-mail address of its person."""
    who = who.strip().lower()
    found = accounts.find(connection, who)
    if found is not None:
        return found
    person = connection.execute(select(people.c.person).where(people.c.email == who)).scalar()
    return accounts.of_person(connection, person) if person is not None else None


def appointments(connection: Connection, *, staff_only: bool = False) -> list[Appointment]:
    """Accounts, those with more rights first, by name; at most `LISTED_MOST`."""
    query = select(table, people.c.name.label("known_as"), people.c.email, people.c.active)
    query = query.outerjoin(people, people.c.person == table.c.person)
    if staff_only:
        query = query.where(table.c.role != Role.PERSON.value)
    held: dict[str, list[Place]] = {}
    for account, site, area in connection.execute(select(account_places)):
        held.setdefault(account, []).append(Place(site, area))
    order = list(Role)
    found = [
        Appointment(
            account=row["account"], name=row["known_as"] or row["name"], role=Role(row["role"]),
            places=tuple(sorted(held.get(row["account"], ()))),
            address=row["email"] if row["person"] else row["account"] if "@" in row["account"] else None,
            rests=bool(row["person"]) and row["role"] != Role.PERSON and row["role_address"] != row["email"],
            has_left=bool(row["person"]) and not row["active"], made_ms=row["made_ms"],
        )
        for row in connection.execute(query.order_by(table.c.made_ms)).mappings()
    ]  # fmt: skip
    found.sort(key=lambda one: (-order.index(one.role), one.name.casefold(), one.account))
    return found[:LISTED_MOST]


def _make(work: UnitOfWork, who: str, actor: str) -> Account:
    who = who.strip().lower()
    row = work.connection.execute(select(people).where(people.c.email == who)).mappings().one_or_none()
    if row is not None:
        return accounts.make(work, row["person"], row["name"], Role.PERSON, actor, person=row["person"])
    if "@" not in who:
        raise RoleRefused("unknown_account", f"There is no account {who[:80]}. Name somebody new by e-mail address.")
    try:
        return accounts.make(work, who, who, Role.PERSON, actor)
    except AccountError as error:
        raise RoleRefused("bad_account", str(error)) from None


def _places(connection: Connection, role: Role, places: Collection[Place]) -> frozenset[Place]:
    if role not in PLACED:
        if places:
            raise RoleRefused("no_places", f"The role {role.value} holds everywhere: name no places.")
        return frozenset()
    if not places:
        raise RoleRefused("places_needed", f"The role {role.value} holds at named places: name at least one.")
    known = known_places(connection)
    for place in places:
        if place not in known:
            there = ", ".join(place_text(one) for one in known) or "no bank has told of its place yet"
            raise RoleRefused("unknown_place", f"There is no place {place_text(place)[:200]}. Known: {there}.")
    return frozenset(places)


def _reason(text: str) -> str:
    text = " ".join(text.split())
    if not REASON_LEAST <= len(text) <= REASON_MOST:
        raise RoleRefused("reason_needed", f"Say why, in {REASON_LEAST} to {REASON_MOST} characters.")
    return text


def _hold_owners(work: UnitOfWork) -> None:
    """From here to the end of the transaction nobody else makes an owner into something else."""
    if work.is_postgresql:  # SQLite has one writer at a time anyway
        query = select(table.c.account).where(table.c.role == Role.OWNER.value).order_by(table.c.account)
        work.connection.execute(query.with_for_update())


def _not_the_last(connection: Connection) -> None:
    """Whoever has left the directory could not come any more, and does not count."""
    query = select(table.c.account).outerjoin(people, people.c.person == table.c.person)
    query = query.where(table.c.role == Role.OWNER.value, (table.c.person.is_(None)) | people.c.active)
    if len(connection.execute(query.limit(2)).all()) < 2:
        raise RoleRefused("last_owner", "This is the last owner. Make somebody else an owner first.")
