"""Reading rules, and the directory as it is and as it would be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, select

from cubbyhole.domain.directory import Directory
from cubbyhole.domain.rules import Effective, Place, Rule, effective
from cubbyhole.server.directory.calendar import calendar_for
from cubbyhole.server.directory.rows import groups_of, person_rows, rule_from
from cubbyhole.server.persistence.tables import banks, lockers, people, rules, sites


class UnknownPlace(LookupError):
    """There is no such locker."""


class UnknownPerson(LookupError):
    """There is no such person."""


@dataclass(frozen=True, slots=True)
class KeptRule:
    """A rule and the directory version in which it last changed."""

    rule: Rule
    version: int


def kept_rules(connection: Connection) -> list[KeptRule]:
    """All rules, by id."""
    found = connection.execute(select(rules.c.body, rules.c.version).order_by(rules.c.rule))
    return [KeptRule(rule_from(body), version) for body, version in found]


def kept_rule(connection: Connection, rule: str) -> KeptRule | None:
    row = connection.execute(select(rules.c.body, rules.c.version).where(rules.c.rule == rule)).one_or_none()
    return None if row is None else KeptRule(rule_from(row[0]), row[1])


def what_holds_for(connection: Connection, bank: str, number: str, person: str) -> tuple[Effective, list[Rule]]:
    """What the rules say for somebody at a locker, and all rules. Raises UnknownPlace, UnknownPerson."""
    there = select(banks.c.site, banks.c.area).join(lockers, lockers.c.bank == banks.c.bank)
    at = connection.execute(there.where(lockers.c.bank == bank, lockers.c.number == number)).one_or_none()
    if at is None:
        raise UnknownPlace
    if connection.execute(select(people.c.person).where(people.c.person == person)).one_or_none() is None:
        raise UnknownPerson
    groups = groups_of(connection, [person]).get(person, [])
    rule_set = [kept.rule for kept in kept_rules(connection)]
    return effective(rule_set, Place(at.site, at.area, bank, number), frozenset(groups)), rule_set


def directory_with(connection: Connection, rule_set: Iterable[Rule], now_ms: int) -> Directory:
    """The people that everybody's banks know, under ``rule_set``; without credentials, which no rule looks at."""
    rows = person_rows(connection, connection.execute(select(people)).mappings().all())
    timezone = connection.execute(select(sites.c.timezone).where(sites.c.site == "")).scalar()
    found = Directory(people={row.person: row for row in rows}, calendar=calendar_for(timezone or "UTC", now_ms))
    found.rules = {rule.rule: rule for rule in rule_set}
    return found


def under(directory: Directory, rule_set: Iterable[Rule]) -> Directory:
    """The same people under other rules."""
    other = Directory(version=directory.version, people=directory.people, calendar=directory.calendar)
    other.rules = {rule.rule: rule for rule in rule_set}
    return other
