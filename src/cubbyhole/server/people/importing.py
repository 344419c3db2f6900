"""`cubbyhole import people.csv`: all of it or nothing.

People are matched by e-mail, else by number. Who is not in the file stays as they are. Badges are added, never taken
away. A locker held today becomes a standing assign command for its bank.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec
from sqlalchemy import Connection, select

from cubbyhole.domain.layout import LayoutError, parse_columns
from cubbyhole.protocol.messages import StandingCommand
from cubbyhole.server.commands.standing import Order, issue
from cubbyhole.server.directory.changes import DirectoryChanges
from cubbyhole.server.directory.rows import groups_of
from cubbyhole.server.keys import SealingKey
from cubbyhole.server.people.register import (
    PersonDraft,
    add_badges,
    hold_directory,
    holders_of,
    new_person_id,
    put_people,
)
from cubbyhole.server.people.table import Complaint, Entry, Table
from cubbyhole.server.persistence.tables import banks, commands, lockers, people
from cubbyhole.server.persistence.unit import UnitOfWork

ASSIGN_VALID_MS = 30 * 24 * 3_600_000


@dataclass(slots=True)
class Plan:
    """What an import would do. With complaints it does nothing."""

    complaints: list[Complaint] = field(default_factory=list)
    drafts: list[PersonDraft] = field(default_factory=list)
    badges: list[tuple[str, str]] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    added: int = 0
    changed: int = 0
    unchanged: int = 0

    def summary(self) -> dict[str, int]:
        return {
            "added": self.added,
            "changed": self.changed,
            "unchanged": self.unchanged,
            "badges": len(self.badges),
            "lockers": len(self.orders),
        }


def plan_import(connection: Connection, sealing: SealingKey, table: Table, actor: str) -> Plan:
    """Compare the file with what is there. Until the caller's transaction ends nobody else changes people."""
    hold_directory(connection)
    plan = Plan(complaints=list(table.complaints))
    known = _Known(connection)
    named = _Lockers(connection)
    badges = {badge: sealing.lookup(badge) for entry in table.entries for badge in entry.badges}
    holders = holders_of(connection, list(badges.values()))
    lines: dict[str, int] = {}
    for entry in table.entries:
        try:
            draft, old = known.match(entry, table.columns)
            before = lines.setdefault(draft.person, entry.line)
            if before != entry.line:
                raise _Wrong(f"this is {draft.name}, whom line {before} has already")
            new_badges = []
            for badge in entry.badges:
                holder = holders.get(badges[badge])
                if holder is None:
                    new_badges.append((draft.person, badge))
                elif holder["person"] != draft.person:
                    raise _Wrong(
                        f"the badge belongs to {known.name_of(holder['person'])} already; take it from them first",
                        "badges",
                    )
            order = named.order(entry, draft, actor)
        except _Wrong as wrong:
            plan.complaints.append(Complaint(entry.line, str(wrong), wrong.column))
            continue
        if old is None:
            plan.added += 1
        elif old == draft and not new_badges:
            plan.unchanged += 1
        else:
            plan.changed += 1
        plan.badges += new_badges
        if old != draft:
            plan.drafts.append(draft)
        if order is not None:
            plan.orders.append(order)
    plan.complaints.sort(key=lambda complaint: complaint.line)
    return plan


def carry_out(work: UnitOfWork, sealing: SealingKey, plan: Plan, actor: str) -> None:
    """Do what the plan says, in the caller's transaction. Only for a plan without complaints, made in it."""
    assert not plan.complaints, "an import with wrong lines is never carried out"
    changes = DirectoryChanges(work)
    put_people(work, changes, plan.drafts)
    add_badges(work, changes, sealing, plan.badges)
    for order in plan.orders:
        issue(work, order)
    work.audit(actor, "people.imported", "people", **plan.summary())


class _Wrong(ValueError):
    """Why a line cannot be imported."""

    def __init__(self, why: str, column: str | None = None) -> None:
        super().__init__(why)
        self.column = column


class _Known:
    """The people who are there, by e-mail and by number."""

    def __init__(self, connection: Connection) -> None:
        rows = connection.execute(select(people)).mappings().all()
        groups = groups_of(connection, [row["person"] for row in rows])
        drafts = [
            PersonDraft(
                row["person"],
                row["name"],
                row["email"],
                row["number"],
                tuple(sorted(groups.get(row["person"], ()))),
                row["active"],
            )
            for row in rows
        ]
        self._by_person = {draft.person: draft for draft in drafts}
        self._by_email = {draft.email: draft for draft in drafts if draft.email}
        self._by_number = {draft.number: draft for draft in drafts if draft.number}

    def name_of(self, person: str) -> str:
        found = self._by_person.get(person)
        return found.name if found is not None else person

    def match(self, entry: Entry, columns: frozenset[str]) -> tuple[PersonDraft, PersonDraft | None]:
        """The draft for a line and who it changes, if anybody. Columns that the file lacks stay as they are."""
        by_email = self._by_email.get(entry.email) if entry.email else None
        by_number = self._by_number.get(entry.number) if entry.number else None
        if by_email is not None and by_number is not None and by_email != by_number:
            raise _Wrong(f"the e-mail is {by_email.name}'s and the number is {by_number.name}'s")
        old = by_email or by_number
        if old is None:
            draft = PersonDraft(new_person_id(), entry.name, entry.email, entry.number, entry.groups)
            return draft, None
        draft = PersonDraft(
            person=old.person,
            name=entry.name,
            email=entry.email or old.email,
            number=entry.number or old.number,
            groups=entry.groups if "groups" in columns else old.groups,
            active=old.active,  # who was shut out is let in by a person, not by a file
        )
        return draft, old


class _Lockers:
    """The banks and lockers that are there."""

    def __init__(self, connection: Connection) -> None:
        rows = connection.execute(select(banks.c.bank, banks.c.columns)).all()
        self._numbers = {bank: _numbers(columns) for bank, columns in rows}
        query = select(lockers.c.bank, lockers.c.number, lockers.c.person).where(lockers.c.person.is_not(None))
        self._held = {(bank, number): person for bank, number, person in connection.execute(query)}
        # What was asked of a bank and not answered yet counts too, so that the same file twice asks once.
        asked = select(commands.c.bank, commands.c.payload).where(
            commands.c.kind == "assign", commands.c.state == "waiting", commands.c.ordinal.is_not(None)
        )
        for bank, payload in connection.execute(asked):
            order = msgspec.json.decode(payload, type=StandingCommand)
            if order.person is not None:
                self._held.setdefault((bank, order.locker), order.person)

    def order(self, entry: Entry, draft: PersonDraft, actor: str) -> Order | None:
        """The command that gives the line's locker to its person, where it is not theirs already."""
        if entry.locker is None:
            return None
        bank, number = entry.locker
        if bank not in self._numbers:
            raise _Wrong(f"there is no bank {bank}; there is {_listed(self._numbers)}", "locker")
        numbers = self._numbers[bank]
        if numbers is None:
            raise _Wrong(f"bank {bank} has not reported yet how it is built; start its controller first", "locker")
        if number not in numbers:
            raise _Wrong(f"bank {bank} has no locker {number}; it has {numbers[0]} to {numbers[-1]}", "locker")
        holder = self._held.get((bank, number))
        if holder == draft.person:
            return None
        if holder is not None:
            raise _Wrong(f"locker {bank}-{number} is somebody else's already", "locker")
        return Order(
            bank=bank, locker=number, kind="assign", actor=actor, reason="imported",
            person=draft.person, mode="permanent", valid_ms=ASSIGN_VALID_MS,
        )  # fmt: skip


def _numbers(columns: str) -> list[str] | None:
    if not columns:
        return None
    try:
        return [spec.number for spec in parse_columns(tuple(columns.split("\n")))]
    except LayoutError:
        return None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "no bank yet: enrol its controller first"
