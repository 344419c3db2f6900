"""What the editor of rules offers: the places that there are, the groups, what has not been said yet."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from cubbyhole.domain.rules import Rule, ScopeKind
from cubbyhole.domain.vocabulary import Purpose
from cubbyhole.server.persistence.tables import banks, groups, lockers
from cubbyhole.server.rules.commands import MOST_OF, SIZES
from cubbyhole.server.rules.form import ANSWERS, CHOICES, SETTINGS, Typed
from cubbyhole.ui.words import Text, Words

GROUPS_SHOWN = 60
# Kinds of scope with their places: value of the form's field, and what it is called.
Where = list[tuple[ScopeKind, list[tuple[str, str]]]]


def where_choices(connection: Connection, typed: Typed, speak: Words) -> Where:
    """Every place that a rule can be for. What was chosen before stays a choice, even where it is gone."""
    rows = connection.execute(select(banks.c.bank, banks.c.label, banks.c.site, banks.c.area).order_by(banks.c.bank))
    found = rows.all()
    places: Where = [
        (ScopeKind.SITE, [(name, name) for name in sorted({row.site for row in found if row.site})]),
        (ScopeKind.AREA, [(name, name) for name in sorted({row.area for row in found if row.area})]),
        (ScopeKind.BANK, [(row.bank, f"{row.bank} · {row.label}" if row.label else row.bank) for row in found]),
        (ScopeKind.PURPOSE, [(purpose.value, speak.t(f"rules.purpose.{purpose}")) for purpose in Purpose]),
    ]  # fmt: skip
    chosen, _, value = typed.one("where").partition(":")
    for kind, names in places:
        if kind == chosen and value and value not in [name for name, _ in names]:
            names.append((value, value))
    return [(kind, [(f"{kind}:{name}", title) for name, title in names]) for kind, names in places]


def group_names(connection: Connection) -> list[str]:
    return list(connection.execute(select(groups.c.name).order_by(groups.c.name)).scalars())


def unknown_locker(connection: Connection, rule: Rule) -> bool:
    """Whether the rule is for a locker that there is not."""
    if rule.scope is not ScopeKind.LOCKER:
        return False
    bank, _, number = rule.scope_value.rpartition("-")
    query = select(lockers.c.number).where(lockers.c.bank == bank, lockers.c.number == number)
    return connection.execute(query).first() is None


def settings_shown(typed: Typed, wrong: dict[str, Text], known: list[str], speak: Words) -> list[dict[str, Any]]:
    """Each setting that the rule speaks about, as the form draws it."""
    shown = typed.many("shown")
    return [_drawn(name, typed, wrong, known, speak) for name in SETTINGS if name in shown]


def settings_left(typed: Typed, speak: Words, *, base: bool) -> list[tuple[str, str]]:
    """What can be added, by name and in words."""
    gone = {*typed.many("shown"), *({"only_groups"} if base else ())}
    return [(name, speak.t(f"rules.setting.{name}")) for name in SETTINGS if name not in gone]


def picked(typed: Typed, chosen: str, known: list[str]) -> list[tuple[str, bool]]:
    """Groups to tick: those that are chosen, and the first `GROUPS_SHOWN` that there are."""
    ticked = typed.many(chosen)
    return [(name, name in ticked) for name in sorted({*ticked, *known[:GROUPS_SHOWN]})]


def _drawn(name: str, typed: Typed, wrong: dict[str, Text], known: list[str], speak: Words) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": name, "label": speak.t(f"rules.setting.{name}"), "hint": speak.known(f"rules.hint.{name}"),
        "value": typed.one(name), "wrong": speak.say(wrong[name]) if name in wrong else None,
    }  # fmt: skip
    if name in MOST_OF:
        unit = speak.t(f"rules.unit.{name}")
        return {**made, "kind": "number", "unit": unit}
    if name in CHOICES:
        words = {"mode": "mode", "contents": "rules.choice.contents"}.get(name, f"rules.{name}")
        return {**made, "kind": "choice", "options": [(one.value, speak.t(f"{words}.{one}")) for one in CHOICES[name]]}
    if name in ANSWERS:
        return {**made, "kind": "choice", "options": [(answer, speak.t(f"rules.{answer}")) for answer in ("yes", "no")]}
    if name == "sizes":
        ticked = typed.many(name)
        return {**made, "kind": "ticks", "options": [(s, speak.t(f"size.{s}"), s in ticked) for s in SIZES]}
    if name == "only_groups":
        return {**made, "kind": "groups", "options": picked(typed, name, known), "more": typed.one("only_more")}
    rows = [
        {"row": row, "days": typed.many(f"day-{row}"), "from": typed.one(f"from-{row}"), "to": typed.one(f"to-{row}")}
        for row in typed.many("row") if row.isdecimal() and len(row) < 6
    ]  # fmt: skip
    return {**made, "kind": "opening", "rows": rows}
