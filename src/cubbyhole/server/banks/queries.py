"""Reading banks, lockers, assignments and events. One statement each; presence comes from memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, RowMapping, and_, func, or_, select
from typing_extensions import TypedDict

from cubbyhole.domain.events import (
    ContactLost,
    DoorSeen,
    Event,
    OccupancyChanged,
    TapDenied,
    UnknownEvent,
    UnlockSettled,
)
from cubbyhole.domain.vocabulary import Door, Occupancy, Outcome
from cubbyhole.protocol.journal import Line, LineError, decode_line
from cubbyhole.server.banks.picture import REMOVED
from cubbyhole.server.banks.presence import Heartbeats, Standing
from cubbyhole.server.banks.views import (
    BankHeader,
    BankView,
    EventView,
    LockerView,
    bank_header,
    bank_view,
    locker_view,
)
from cubbyhole.server.banks.wording import Said, words
from cubbyhole.server.persistence.tables import alarms, assignments, banks, commands, events, lockers, people
from cubbyhole.server.persistence.unit import DIRECTORY, Store, counter_value
from cubbyhole.ui.words import ENGLISH, Words

EVENTS_PER_PAGE_MOST = 500
_CHUNK = 500

# What fills the journal but tells a person nothing: left out of the stream on the page, never out of the record.
QUIET = (
    "person.bound",
    "directory.applied",
    "command.done",
    "lock.changed",
    "boot.started",
    "bank.configured",
)

TYPES_BY_TONE = {
    "denied": ("tap.denied",),
    "alarm": (
        "door.forced",
        "door.held_open",
        "locker.check_needed",
        "link.lost",
        "contact.lost",
        "clock.doubted",
        "limit.exceeded",
        "journal.lost",
        "journal.gap",
    ),
}


class AssignmentView(TypedDict):
    id: str
    bank: str
    locker: str
    person: str
    name: str
    mode: str
    since: int
    until: int | None
    ended: int | None
    cause: str | None


class BankQueries:
    """Each call takes an open snapshot, so that a page made of several is of one moment."""

    def __init__(self, store: Store, heartbeats: Heartbeats) -> None:
        self._store, self._heartbeats = store, heartbeats

    def banks(
        self, connection: Connection, only: Sequence[str] | None = None, speak: Words = ENGLISH
    ) -> list[BankView]:
        """Banks with all their lockers, in order of id."""
        rows = self._bank_rows(connection, only)
        found = self.lockers(connection, [row["bank"] for row in rows], speak)
        removed = self._removed(connection)
        return [
            bank_view(
                row, self._heartbeats.seen(row["bank"]), found.get(row["bank"], []), removed.get(row["bank"], [])
            )
            for row in rows
        ]  # fmt: skip

    def bank(self, connection: Connection, bank: str, speak: Words = ENGLISH) -> BankView | None:
        found = self.banks(connection, [bank], speak)
        return found[0] if found else None

    def headers(self, connection: Connection, only: Sequence[str] | None = None) -> list[BankHeader]:
        rows = self._bank_rows(connection, only)
        found = self.lockers(connection, [row["bank"] for row in rows])
        return [bank_header(row, self._heartbeats.seen(row["bank"]), found.get(row["bank"], [])) for row in rows]

    def lockers(
        self, connection: Connection, only: Sequence[str] | None = None, speak: Words = ENGLISH
    ) -> dict[str, list[LockerView]]:
        """Lockers by bank, in order of number."""
        query = select(lockers).order_by(lockers.c.bank, lockers.c.number)
        if only is not None:
            query = query.where(lockers.c.bank.in_(only))
        return self._locker_views(connection, connection.execute(query).mappings().all(), speak)

    def locker(self, connection: Connection, bank: str, number: str) -> LockerView | None:
        query = select(lockers).where(lockers.c.bank == bank, lockers.c.number == number)
        found = self._locker_views(connection, connection.execute(query).mappings().all())
        return found[bank][0] if found else None

    def changed_lockers(self, connection: Connection, after: int, only: Sequence[str] | None) -> list[LockerView]:
        """Lockers that an event behind feed ordinal ``after`` has changed."""
        query = select(lockers).where(lockers.c.ordinal > after)
        if only is not None:
            query = query.where(lockers.c.bank.in_(only))
        found = self._locker_views(connection, connection.execute(query).mappings().all())
        return [view for views in found.values() for view in views]

    def events(
        self,
        connection: Connection,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int = 100,
        only: Sequence[str] | None = None,
        locker: str | None = None,
        quiet: bool = True,
        upto: int | None = None,
        types: Sequence[str] | None = None,
        speak: Words = ENGLISH,
    ) -> list[EventView]:
        """Events of the feed, oldest first: the first ones behind ``after``, or the last ones (before ``before``)."""
        query = select(events.c.ordinal, events.c.person, events.c.actor, events.c.line)
        if only is not None:
            query = query.where(events.c.bank.in_(only))
        if locker is not None:
            query = query.where(events.c.locker == locker)
        if not quiet:
            query = query.where(events.c.type.not_in(QUIET))
        if types is not None:
            query = query.where(events.c.type.in_(types))
        if upto is not None:
            query = query.where(events.c.ordinal <= upto)
        if after is not None:
            query = query.where(events.c.ordinal > after).order_by(events.c.ordinal)
        else:
            if before is not None:
                query = query.where(events.c.ordinal < before)
            query = query.order_by(events.c.ordinal.desc())
        limit = min(limit, EVENTS_PER_PAGE_MOST)
        # What goes without saying is left out below; enough is read that a page is full all the same.
        read_most = limit if quiet else min(4 * limit, EVENTS_PER_PAGE_MOST)
        rows = connection.execute(query.limit(read_most)).mappings().all()
        if after is None:
            rows = rows[::-1]
        names = names_of(connection, (person for row in rows for person in (row["person"], row["actor"])))
        read = [(row, _decoded(row["line"])) for row in rows]
        notes = _notes(connection, [line for _, line in read])
        if not quiet:
            read = [(row, line) for row, line in read if not _goes_without_saying(line)]
            read = read[-limit:] if after is None else read[:limit]
        return [_event_view(row, line, names, notes, speak) for row, line in read]

    def attention(self, connection: Connection, only: Sequence[str] | None = None) -> int:
        """How long the list of what needs somebody is (`needs.needs_of`), without making it."""
        lost = or_(lockers.c.check_why.is_not(None), lockers.c.unverified, lockers.c.occupancy == "occupied")
        unused = and_(lockers.c.out_of_service.is_(None), lockers.c.person.is_(None), lost)
        query = select(func.count()).select_from(lockers).where(or_(lockers.c.alarm.is_not(None), unused))
        if only is not None:
            query = query.where(lockers.c.bank.in_(only))
        found = connection.execute(query).scalar_one()
        removed = self._removed(connection)
        for row in self._bank_rows(connection, only):
            seen = self._heartbeats.seen(row["bank"])
            found += (row["quarantine"] is not None) + (not seen.online) + seen.lagging
            found += row["clock_doubt"] + row["stale"]
            found += len(removed.get(row["bank"], []))
        return found

    def denied_since(self, connection: Connection, since_ms: int, only: Sequence[str] | None = None) -> int:
        """How many taps were denied since then."""
        query = select(func.count()).where(events.c.type == "tap.denied", events.c.at_ms >= since_ms)
        if only is not None:
            query = query.where(events.c.bank.in_(only))
        return connection.execute(query).scalar_one()

    def assignments(
        self, connection: Connection, *, after: str = "", limit: int = 100, only: Sequence[str] | None = None,
        person: str | None = None, ended: bool = False,
    ) -> list[AssignmentView]:  # fmt: skip
        """Assignments by id; only those that go on, unless ``ended``."""
        query = select(assignments).where(assignments.c.assignment > after).order_by(assignments.c.assignment)
        if only is not None:
            query = query.where(assignments.c.bank.in_(only))
        if person is not None:
            query = query.where(assignments.c.person == person)
        if not ended:
            query = query.where(assignments.c.ended_ms.is_(None))
        rows = connection.execute(query.limit(min(limit, EVENTS_PER_PAGE_MOST))).mappings().all()
        names = names_of(connection, (row["person"] for row in rows))
        return [
            AssignmentView(
                id=row["assignment"], bank=row["bank"], locker=f"{row['bank']}-{row['locker']}", person=row["person"],
                name=names.get(row["person"], ENGLISH.t("who.unknown")), mode=row["mode"], since=row["since_ms"],
                until=row["ends_ms"], ended=row["ended_ms"], cause=row["cause"],
            )
            for row in rows
        ]  # fmt: skip

    def requested(self, connection: Connection, bank: str, number: str) -> list[RowMapping]:
        """Standing commands for a locker that its bank has not answered yet, oldest first."""
        query = (
            select(commands)
            .where(
                commands.c.bank == bank, commands.c.locker == number, commands.c.state == "waiting",
                commands.c.ordinal.is_not(None),
            )
            .order_by(commands.c.ordinal)
        )  # fmt: skip
        return list(connection.execute(query.limit(20)).mappings())

    def _removed(self, connection: Connection) -> dict[str, list[str]]:
        """Lockers that their banks were rebuilt without and that nobody has looked into since, by bank."""
        query = select(alarms.c.bank, alarms.c.locker).where(alarms.c.kind == REMOVED, alarms.c.cleared_ms.is_(None))
        found: dict[str, list[str]] = {}
        for bank, number in connection.execute(query.order_by(alarms.c.locker)):
            found.setdefault(bank, []).append(number)
        return found

    def _bank_rows(self, connection: Connection, only: Sequence[str] | None) -> Sequence[RowMapping]:
        query = select(banks).order_by(banks.c.bank)
        if only is not None:
            query = query.where(banks.c.bank.in_(only))
        return connection.execute(query).mappings().all()

    def _locker_views(
        self, connection: Connection, rows: Sequence[RowMapping], speak: Words = ENGLISH
    ) -> dict[str, list[LockerView]]:
        names = names_of(connection, (person for row in rows for person in (row["person"], row["former"])))
        now_ms = self._store.now_ms()
        found: dict[str, list[LockerView]] = {}
        for row in rows:
            view = locker_view(row, self._heartbeats.seen(row["bank"]), names, now_ms, speak)
            found.setdefault(row["bank"], []).append(view)
        return found


def names_of(connection: Connection, pseudonyms: Iterable[str | None]) -> dict[str, str]:
    """People's names by pseudonym; who was erased is not in it."""
    wanted = sorted({name for name in pseudonyms if name is not None and name.startswith("p_")})
    found: dict[str, str] = {}
    for at in range(0, len(wanted), _CHUNK):
        query = select(people.c.person, people.c.name).where(people.c.person.in_(wanted[at : at + _CHUNK]))
        found.update(connection.execute(query).all())
    return found


def held_by(connection: Connection, pseudonyms: Sequence[str]) -> dict[str, list[str]]:
    """The lockers that these people have now, by pseudonym."""
    found: dict[str, list[str]] = {}
    for at in range(0, len(pseudonyms), _CHUNK):
        query = select(lockers.c.person, lockers.c.bank, lockers.c.number).where(
            lockers.c.person.in_(pseudonyms[at : at + _CHUNK])
        )
        for person, bank, number in connection.execute(query.order_by(lockers.c.bank, lockers.c.number)):
            found.setdefault(person, []).append(f"{bank}-{number}")
    return found


def _decoded(raw: bytes) -> Line | None:
    # Committed lines were readable once; a damaged database must not take the whole page with it.
    try:
        return decode_line(raw)
    except LineError:
        return None


def _goes_without_saying(line: Line | None) -> bool:
    """A door that opened as it should says so itself, and an empty closed locker is what everybody expects."""
    match line.event if line is not None else None:
        case UnlockSettled(outcome=outcome):
            return outcome in (Outcome.OPENED, Outcome.ALREADY_OPEN)
        case DoorSeen(door=door):
            return door is Door.CLOSED
        case OccupancyChanged(occupancy=occupancy):
            return occupancy is Occupancy.EMPTY
        case _:
            return False


def _notes(connection: Connection, lines: Iterable[Line | None]) -> dict[str, str]:
    """Notes in people's words by the commitment that journals have of them; erased ones are not in it."""
    wanted = {note for line in lines if line is not None and (note := getattr(line.event, "note", None))}
    if not wanted:
        return {}
    query = select(commands.c.note_commitment, commands.c.note).where(commands.c.note_commitment.in_(wanted))
    return {commitment: note for commitment, note in connection.execute(query) if note is not None}


def _event_view(
    row: RowMapping, line: Line | None, names: dict[str, str], notes: dict[str, str], speak: Words
) -> EventView:
    if line is None:
        return EventView(
            id=row["ordinal"], bank="", seq=0, at=0, type="unreadable", locker=None, who=None,
            what=speak.t("event.unreadable"), how=speak.t("event.unreadable.how"), tone="alarm", why=None,
        )  # fmt: skip
    said = words(line.event, speak)
    if isinstance(line.event, ContactLost) and line.event.last_ms == line.moment.at_ms:
        said = Said(speak.t("event.contact_awaited"))  # a journal that has just begun has lost nobody
    locker = getattr(line.event, "locker", None)
    note = notes.get(getattr(line.event, "note", None) or "")
    how = said.how if note is None else speak.t("event.with_note", how=said.how, note=note) if said.how else note
    return EventView(
        id=row["ordinal"], bank=line.bank, seq=line.seq, at=line.moment.at_ms, type=line.type,
        locker=f"{line.bank}-{locker}" if locker else None, who=_who(row, names, speak), what=said.what, how=how,
        tone=said.tone, why=_why(line.event),
    )  # fmt: skip


def _why(event: Event | UnknownEvent) -> str | None:
    match event:
        case TapDenied(reason=reason):
            return reason.value
        case UnlockSettled(outcome=outcome) if outcome not in (Outcome.OPENED, Outcome.ALREADY_OPEN):
            return outcome.value
        case _:
            return None


def _who(row: RowMapping, names: dict[str, str], speak: Words) -> str | None:
    actor, person = row["actor"], row["person"]
    if actor is not None and actor.startswith("op:"):
        who = str(actor.removeprefix("op:"))
        program = who.startswith("token:")
        return speak.t("who.program", name=who.removeprefix("token:")) if program else who
    named = person or actor
    return names.get(named, speak.t("who.unknown")) if named is not None else None


def standings(connection: Connection) -> tuple[int, dict[str, Standing]]:
    """The look into the database that `Heartbeats.learn` takes."""
    columns = (
        banks.c.bank, banks.c.controller, banks.c.epoch, banks.c.last_seq, banks.c.quarantine, banks.c.standing_last,
        banks.c.last_seen_ms,
    )  # fmt: skip
    rows = connection.execute(select(*columns)).mappings()
    known = {
        row["bank"]: Standing(
            row["controller"] or "", row["epoch"], row["last_seq"], row["quarantine"] is not None, row["standing_last"],
            row["last_seen_ms"],
        )
        for row in rows
    }  # fmt: skip
    return counter_value(connection, DIRECTORY), known
