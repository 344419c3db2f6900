"""What a change of the rules would do tonight, in people and lockers, before it is saved."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from cubbyhole.domain.bank import BankState
from cubbyhole.domain.directory import Directory
from cubbyhole.domain.rules import Rule
from cubbyhole.domain.what_if import WhatIf, what_if
from cubbyhole.protocol.journal import decode_state
from cubbyhole.server.persistence.tables import banks
from cubbyhole.server.rules.commands import checked
from cubbyhole.server.rules.queries import directory_with, kept_rules, under

BANKS_MOST = 2_000


@dataclass(frozen=True, slots=True)
class Tried:
    """What would happen; ``names`` has the people in it by pseudonym. ``left_out`` banks were not looked at."""

    result: WhatIf
    names: dict[str, str]
    looked_at: int
    left_out: int


def dry_run(
    connection: Connection, puts: Sequence[Rule], removes: Iterable[str], now_ms: int,
    within: Sequence[str] | None = None,
) -> Tried:  # fmt: skip
    """Compare the rules as they are with what they would be after ``puts`` and ``removes``, at the banks ``within``
    (None: all). Raises RuleError."""
    before = {kept.rule.rule: kept.rule for kept in kept_rules(connection)}
    after = dict(before)
    for name in removes:
        after.pop(name, None)
    after.update((rule.rule, checked(rule)) for rule in puts)
    present = directory_with(connection, before.values(), now_ms)
    states, left_out = states_of(connection, within)
    result = what_if(states, present, under(present, after.values()), now_ms)
    return Tried(result, names_in(present, result), len(states), left_out)


def states_of(connection: Connection, within: Sequence[str] | None) -> tuple[list[BankState], int]:
    """The present states of the first `BANKS_MOST` banks ``within`` (None: all), and how many were left out."""
    wanted = [banks.c.epoch != ""] + ([banks.c.bank.in_(within)] if within is not None else [])
    found = connection.execute(select(banks.c.state).where(*wanted).order_by(banks.c.bank).limit(BANKS_MOST)).scalars()
    states = [decode_state(bytes(raw)) for raw in found]
    total = len(states)
    if total == BANKS_MOST:
        total = connection.execute(select(func.count()).select_from(banks).where(*wanted)).scalar_one()
    return states, total - len(states)


def names_in(directory: Directory, result: WhatIf) -> dict[str, str]:
    """The names of the people in a result, by pseudonym."""
    named = {s.person for s in result.shortened}
    named |= {person for pairs in (result.loses, result.gains, result.over) for person, _ in pairs}
    return {person: directory.people[person].name for person in sorted(named) if person in directory.people}
