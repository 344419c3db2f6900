"""Why? What holds for somebody at a locker, and which rule says so."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from cubbyhole.domain.rules import DEFAULT, Effective, Rule
from cubbyhole.server.people.roster import roster
from cubbyhole.server.persistence.tables import people as people_table
from cubbyhole.server.rules.form import SETTINGS
from cubbyhole.server.rules.queries import UnknownPerson, UnknownPlace, what_holds_for
from cubbyhole.server.rules.wording import says
from cubbyhole.ui.words import Words

ALIKE_MOST = 20
_NOTHING: dict[str, Any] = {
    "rows": [], "alike": [], "more": 0, "wrong_person": None, "wrong_locker": None, "who": None, "allowed": None
}  # fmt: skip


def why(connection: Connection, person: str, locker: str, speak: Words) -> dict[str, Any]:
    """For `rules/why.html`: ``rows`` where it is clear who and where, else ``alike`` people to choose from or what is
    wrong. ``person`` is part of a name or address, or a pseudonym."""
    shown = dict(_NOTHING)
    if not person and not locker:
        return shown
    bank, _, number = locker.rpartition("-")
    name, found = person, None
    if not person.startswith("p_"):
        people, total = roster(connection, person) if person else ([], 0)
        wanted = person.casefold()
        exact = [one for one in people if wanted in (one["name"].casefold(), (one["email"] or "").casefold())]
        people = exact or people
        if len(people) > 1:
            alike = people[:ALIKE_MOST]
            return {**shown, "alike": alike, "more": (len(exact) or total) - len(alike)}
        name = people[0]["person"] if people else ""
    try:
        found, rules = what_holds_for(connection, bank, number, name)
    except UnknownPlace:
        return {**shown, "wrong_locker": speak.t("rules.why.no_locker", locker=locker[:40] or "–")}
    except UnknownPerson:
        return {**shown, "wrong_person": speak.t("rules.why.no_person", person=person[:60] or "–")}
    who = connection.execute(select(people_table.c.name).where(people_table.c.person == name)).scalar()
    return told(found, rules, who or name, speak)


def told(found: Effective, rules: list[Rule], who: str, speak: Words) -> dict[str, Any]:
    """What holds for ``who``, and the title of the rule that says each."""
    titles = {rule.rule: rule.title for rule in [DEFAULT, *rules]}
    return {**_NOTHING, "rows": _rows(found, titles, speak), "who": who, "allowed": _allowed(found, titles, speak)}


def _allowed(found: Effective, titles: dict[str, str], speak: Words) -> dict[str, Any]:
    key = "rules.why.allowed" if found.allowed else "rules.why.not_allowed"
    return {"words": speak.t(key), "yes": found.allowed, **_by(found.by["allowed"], titles)}


def _rows(found: Effective, titles: dict[str, str], speak: Words) -> list[dict[str, Any]]:
    rows = []
    for name in SETTINGS:
        if name == "opening":
            rows += [{"says": says(name, windows, speak), **_by(rule, titles)} for rule, windows in found.opening]
        elif name != "only_groups":
            rows.append({"says": says(name, getattr(found, name), speak), **_by(found.by[name], titles)})
    return rows


def _by(rule: str, titles: dict[str, str]) -> dict[str, str]:
    return {"rule": rule, "title": titles.get(rule, rule)}
