"""What a change of the rules would do, before it is saved: whose lockers would end, and who would lose or gain access.

A change of rules moves nobody out by itself: an assignment's end was written when it began. What is found here is what
somebody would bring into line with the new rules, and when: tonight at the earliest, never at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cubbyhole.domain.bank import Assignment, BankState, LockerState
from cubbyhole.domain.directory import Directory, PersonRow
from cubbyhole.domain.lasting import DAY_MS, CalendarRunOut, ends_at_ms
from cubbyhole.domain.moment import next_midnight_ms
from cubbyhole.domain.rules import Effective, Place, ScopeKind
from cubbyhole.domain.vocabulary import Mode, Occupancy

_MODES = list(Mode)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortened:
    """An assignment that lasts longer than the new rules allow. ``rule`` says so; ``occupancy`` is what the sensor
    says: only empty is known to hold nothing."""

    bank: str
    locker: str
    assignment: str
    person: str
    ends_ms: int | None
    would_end_ms: int
    rule: str
    occupancy: Occupancy


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """The difference that a change makes. ``loses`` and ``gains`` have (person, bank) where somebody could get a
    locker and could not any more, or the other way round; ``over`` has those who hold more at a bank than the new
    rules allow, and keep them."""

    shortened: tuple[Shortened, ...]
    loses: tuple[tuple[str, str], ...]
    gains: tuple[tuple[str, str], ...]
    over: tuple[tuple[str, str], ...]


def what_if(banks: Iterable[BankState], before: Directory, after: Directory, now_ms: int) -> WhatIf:
    """Compare two directories that differ in their rules, over the banks' present states."""
    shortened: list[Shortened] = []
    loses: list[tuple[str, str]] = []
    gains: list[tuple[str, str]] = []
    over: list[tuple[str, str]] = []
    crowd = _by_groups(before.people.values())
    for bank in banks:
        for s in bank.lockers.values():
            found = _shortened(bank, s, before, after, now_ms)
            if found is not None:
                shortened.append(found)
        over += [(person, bank.bank) for person in _over(bank, before, after)]
        places = _distinct_places(bank, before, after)
        for groups, people in crowd.items():
            had = any(before.effective(place, groups).allowed for place in places)
            has = any(after.effective(place, groups).allowed for place in places)
            if had is not has:
                (loses if had else gains).extend((person.person, bank.bank) for person in people)
    return WhatIf(
        shortened=tuple(shortened), loses=tuple(sorted(loses)), gains=tuple(sorted(gains)), over=tuple(sorted(over))
    )


def _by_groups(people: Iterable[PersonRow]) -> dict[tuple[str, ...], list[PersonRow]]:
    """Active people by their groups: rules know nothing else of them."""
    found: dict[tuple[str, ...], list[PersonRow]] = {}
    for person in people:
        if person.active:
            found.setdefault(person.groups, []).append(person)
    return found


def _distinct_places(bank: BankState, *directories: Directory) -> list[Place]:
    """One place for all lockers that no rule names, and each that one does."""
    named = {
        rule.scope_value for d in directories for rule in d.rules.values() if rule.scope is ScopeKind.LOCKER
    }  # fmt: skip
    single = [number for number in bank.lockers if f"{bank.bank}-{number}" in named]
    common = next((number for number in bank.lockers if number not in single), None)
    return [bank.place(number) for number in (*single, *([common] if common is not None else []))]


def _shortened(bank: BankState, s: LockerState, before: Directory, after: Directory, now_ms: int) -> Shortened | None:
    a = s.assignment
    person = after.people.get(a.person) if a is not None else None
    if a is None or person is None:
        return None
    was, now = (d.effective(bank.place(s.number), person.groups) for d in (before, after))
    tonight_ms = next_midnight_ms(after.calendar.midnights, now_ms)
    if tonight_ms is None:
        return None
    if was.allowed and not now.allowed:
        end_ms, rule = tonight_ms, now.by["allowed"]
    else:
        found = _new_end(a, was, now, after, now_ms)
        if found is None:
            return None
        end_ms, rule = found
    would_end_ms = max(end_ms, tonight_ms)
    if a.ends_ms is not None and a.ends_ms <= would_end_ms:
        return None
    return Shortened(
        bank=bank.bank, locker=s.number, assignment=a.assignment, person=a.person, ends_ms=a.ends_ms,
        would_end_ms=would_end_ms, rule=rule, occupancy=s.occupancy,
    )  # fmt: skip


def _new_end(
    a: Assignment, was: Effective, now: Effective, after: Directory, now_ms: int
) -> tuple[int, str] | None:  # fmt: skip
    """When the assignment would end by the new rules, and whose that is; None where they leave it alone."""
    longest = _MODES.index(now.longest)
    if _MODES.index(a.mode) > longest and _MODES.index(was.longest) > longest:
        # Longer than anybody may ask for now: it gets what one who asks today would get.
        mode, by = now.longest, now.by["longest"]
    elif a.mode is Mode.TERM and now.term_days < was.term_days:
        # Days that have passed count; the calendar has only the coming midnights.
        return a.since_ms + now.term_days * DAY_MS, now.by["term_days"]
    else:
        return None
    try:
        end_ms = ends_at_ms(mode, now, after.calendar, now_ms)
    except CalendarRunOut:
        return None
    return None if end_ms is None else (end_ms, by)


def _over(bank: BankState, before: Directory, after: Directory) -> list[str]:
    """Who holds more here than the new rules allow, and not more than the old ones did."""
    held: dict[str, list[str]] = {}
    for s in bank.lockers.values():
        if s.assignment is not None:
            held.setdefault(s.assignment.person, []).append(s.number)
    found = []
    for name, numbers in held.items():
        person = after.people.get(name)
        if person is None:
            continue

        def most(directory: Directory, of: PersonRow = person, at: list[str] = numbers) -> int:
            return min(directory.effective(bank.place(number), of.groups).max_lockers for number in at)

        if most(after) < len(numbers) <= most(before):
            found.append(name)
    return found
