"""What somebody does to people at a screen or by the API: checked, written down, and sent to the banks."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import RowMapping, select, update

from cubbyhole.domain.credential import BadgeError, parse_badge
from cubbyhole.server.directory.changes import DirectoryChanges
from cubbyhole.server.directory.rows import groups_of
from cubbyhole.server.keys import SealingKey
from cubbyhole.server.people import register
from cubbyhole.server.people.register import PersonDraft, add_badges, holders_of, new_person_id, put_people
from cubbyhole.server.people.table import EMAIL, GROUP_MOST, NAME_MOST, NUMBER_MOST
from cubbyhole.server.persistence.tables import credentials, people
from cubbyhole.server.persistence.unit import UnitOfWork


class PersonRefused(ValueError):
    """The change cannot be made; ``word`` is fixed, the message is for the person who asked."""

    def __init__(self, word: str, detail: str) -> None:
        super().__init__(detail)
        self.word = word


def add_person(
    work: UnitOfWork, actor: str, *, name: str, email: str | None = None, number: str | None = None,
    groups: Iterable[str] = (),
) -> str:  # fmt: skip
    """Make a person and return their pseudonym. Raises PersonRefused."""
    draft = _checked(new_person_id(), name, email, number, groups)
    register.hold_directory(work.connection)
    for column, value in ((people.c.email, draft.email), (people.c.number, draft.number)):
        if value is not None and work.connection.execute(select(people.c.name).where(column == value)).first():
            raise PersonRefused("taken", f"Somebody has the {column.name} {value} already.")
    put_people(work, DirectoryChanges(work), [draft])
    work.audit(actor, "person.added", draft.person)
    return draft.person


def set_groups(work: UnitOfWork, actor: str, person: str, groups: Iterable[str]) -> bool:
    """Put a person into exactly these groups; False where nothing changes. Raises PersonRefused."""
    row = work.connection.execute(select(people).where(people.c.person == person)).mappings().one_or_none()
    if row is None:
        raise _unknown_person(person)
    draft = PersonDraft(person, row["name"], row["email"], row["number"], _groups(groups), row["active"])
    before = groups_of(work.connection, [person]).get(person, [])
    changed = put_people(work, DirectoryChanges(work), [draft]) > 0
    if changed:
        work.audit(actor, "person.groups", person, before=sorted(before), after=list(draft.groups))
    return changed


def give_badge(work: UnitOfWork, sealing: SealingKey, actor: str, person: str, badge: str) -> bool:
    """Give a badge, in any spelling; False where they have it already. Raises PersonRefused."""
    try:
        canonical = parse_badge(badge)
    except BadgeError as error:
        raise PersonRefused("bad_badge", f"{error}.") from None
    if work.connection.execute(select(people.c.person).where(people.c.person == person)).first() is None:
        raise _unknown_person(person)
    register.hold_directory(work.connection)
    holder = holders_of(work.connection, [sealing.lookup(canonical)]).get(sealing.lookup(canonical))
    if holder is not None and holder["person"] != person:
        raise PersonRefused("taken", "The badge is somebody else's. Take it from them first.")
    if holder is not None:
        return False
    add_badges(work, DirectoryChanges(work), sealing, [(person, canonical)])
    work.audit(actor, "credential.given", person)
    return True


def take_badge(work: UnitOfWork, actor: str, credential: str) -> bool:
    """Take a credential away for good; False where it is gone already. Raises PersonRefused."""
    row = _credential(work, credential)
    if row["removed_ms"] is not None:
        return False
    changes = DirectoryChanges(work)
    changes.before_credentials([credential])
    work.connection.execute(
        update(credentials).where(credentials.c.credential == credential).values(removed_ms=work.now_ms)
    )
    changes.after_credentials()
    work.audit(actor, "credential.removed", credential, person=row["person"])
    return True


def set_blocked(work: UnitOfWork, actor: str, credential: str, blocked: bool) -> bool:
    """Block a credential everywhere, or let it open again; False where nothing changes. Raises PersonRefused."""
    if _credential(work, credential)["removed_ms"] is not None:
        raise PersonRefused("unknown_credential", f"Credential {credential[:40]} was removed.")
    return register.set_blocked(work, DirectoryChanges(work), credential, blocked, actor)


def set_active(work: UnitOfWork, actor: str, person: str, active: bool) -> bool:
    """Shut a person out of every bank, or let them in again; False where nothing changes. Raises PersonRefused.

    Their lockers stay theirs: what is inside still has to be given back.
    """
    if work.connection.execute(select(people.c.person).where(people.c.person == person)).first() is None:
        raise _unknown_person(person)
    return register.set_active(work, DirectoryChanges(work), person, active, actor)


def _checked(person: str, name: str, email: str | None, number: str | None, groups: Iterable[str]) -> PersonDraft:
    name, number = " ".join(name.split()), " ".join((number or "").split()) or None
    email = (email or "").strip().lower() or None
    if not 1 <= len(name) <= NAME_MOST:
        raise PersonRefused("bad_name", f"A name has 1 to {NAME_MOST} characters.")
    if email is not None and not EMAIL.fullmatch(email):
        raise PersonRefused("bad_email", f"{email[:60]} is no e-mail address.")
    if number is not None and len(number) > NUMBER_MOST:
        raise PersonRefused("bad_number", f"A number has at most {NUMBER_MOST} characters.")
    if email is None and number is None:
        raise PersonRefused("no_identity", "Give an e-mail address or a number: one of them must say who this is.")
    return PersonDraft(person, name, email, number, _groups(groups))


def _groups(names: Iterable[str]) -> tuple[str, ...]:
    found = tuple(sorted({" ".join(name.split()) for name in names} - {""}))
    for name in found:
        if len(name) > GROUP_MOST:
            raise PersonRefused("bad_group", f"A group's name has at most {GROUP_MOST} characters.")
    return found


def _credential(work: UnitOfWork, credential: str) -> RowMapping:
    query = select(credentials).where(credentials.c.credential == credential)
    row = work.connection.execute(query).mappings().one_or_none()
    if row is None:
        raise PersonRefused("unknown_credential", f"There is no credential {credential[:40]}.")
    return row


def _unknown_person(person: str) -> PersonRefused:
    return PersonRefused("unknown_person", f"There is no person {person[:40]}.")
