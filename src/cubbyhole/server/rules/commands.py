"""Saving and removing rules. A change is one version of the directory, which every bank pulls within seconds."""

from __future__ import annotations

import re
from dataclasses import replace

from cubbyhole.domain.opening import check_windows
from cubbyhole.domain.rules import DEFAULT, Rule, ScopeKind
from cubbyhole.domain.vocabulary import Purpose
from cubbyhole.server.directory.changes import DirectoryChanges
from cubbyhole.server.persistence.unit import UnitOfWork
from cubbyhole.server.rules.queries import kept_rule, kept_rules

MOST = 500  # every bank merges all of them for each kind of person
WINDOWS_MOST = 50
GROUPS_MOST = 100
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
# The largest value of each setting; none is below nought.
_MOST = {
    "hours": 24 * 7, "term_days": 3660, "renewals": 1000, "max_lockers": 100, "grace_min": 24 * 60,
    "hold_min": 7 * 24 * 60, "give_offline_h": 24 * 365, "open_offline_h": 24 * 3650,
}  # fmt: skip
_LEAST = {"hours": 1, "term_days": 1, "hold_min": 1}
_SIZES = ("S", "M", "L", "XL")


class RuleError(ValueError):
    """The rule cannot be as asked; the message says why and what would do."""


class RuleChanged(Exception):
    """Somebody else changed the rule meanwhile."""


def checked(rule: Rule) -> Rule:
    """``rule`` as it is kept. Raises RuleError."""
    if not _ID.fullmatch(rule.rule):
        raise RuleError("A rule's id has up to 64 small letters, digits, hyphens and underscores, like visitors-2.")
    title = " ".join(rule.title.split())
    if not 1 <= len(title) <= 120:
        raise RuleError("Give the rule a title of up to 120 characters: people read it when it says no.")
    value = rule.scope_value.strip()
    if rule.scope is ScopeKind.EVERYWHERE:
        value = ""
    elif not value:
        raise RuleError(f"Say which {rule.scope} the rule is for.")
    elif rule.scope is ScopeKind.PURPOSE and value not in list(Purpose):
        raise RuleError(f"There is no purpose {value!r}; there are {', '.join(Purpose)}.")
    if rule.rule == DEFAULT.rule and (rule.scope is not ScopeKind.EVERYWHERE or rule.groups or rule.only_groups):
        raise RuleError("The base rule is for everywhere and everybody; make another rule for a place or a group.")
    if rule.scope is ScopeKind.PURPOSE and rule.purpose is not None:
        raise RuleError("A rule for a purpose cannot say what the purpose is; use a place.")
    if rule.purpose is not None and rule.groups:
        raise RuleError("What a locker is there for is the same for everybody: leave the groups empty.")
    for name, most in _MOST.items():
        number = getattr(rule, name)
        if number is not None and not _LEAST.get(name, 0) <= number <= most:
            raise RuleError(f"{name} is from {_LEAST.get(name, 0)} to {most}, not {number}.")
    if rule.sizes is not None and not set(rule.sizes) <= set(_SIZES):
        raise RuleError(f"Sizes are {', '.join(_SIZES)}.")
    if len(rule.opening or ()) > WINDOWS_MOST or max(len(rule.groups), len(rule.only_groups or ())) > GROUPS_MOST:
        raise RuleError(f"A rule has at most {WINDOWS_MOST} opening times and {GROUPS_MOST} groups.")
    try:
        check_windows(rule.opening or ())
    except ValueError as error:
        raise RuleError(str(error)) from None
    return replace(rule, title=title, scope_value=value)


def save(work: UnitOfWork, rule: Rule, actor: str, expected: int | None) -> int:
    """Write ``rule``; the directory version that has it. ``expected`` is the version that the change was made on, 0
    for a rule that should be new, None for whatever is there. Raises RuleError, RuleChanged."""
    rule = checked(rule)
    changes = DirectoryChanges(work)
    changes.begin()  # from here on nobody else changes a rule
    kept = kept_rule(work.connection, rule.rule)
    if expected is not None and expected != (kept.version if kept is not None else 0):
        raise RuleChanged
    if kept is None and len(kept_rules(work.connection)) >= MOST:
        raise RuleError(f"There are {MOST} rules already, which is the most; merge or remove some.")
    if not changes.put_rule(rule):
        return kept.version if kept is not None else 0
    work.audit(actor, "rule.saved", rule.rule, title=rule.title)
    return changes.version


def remove(work: UnitOfWork, rule: str, actor: str, expected: int | None) -> int:
    """Remove a rule; the directory version without it. Raises RuleError, RuleChanged, and KeyError where there is no
    such rule."""
    if rule == DEFAULT.rule:
        raise RuleError("The base rule stays: something must hold where no other rule speaks.")
    changes = DirectoryChanges(work)
    changes.begin()
    kept = kept_rule(work.connection, rule)
    if kept is None:
        raise KeyError(rule)
    if expected is not None and expected != kept.version:
        raise RuleChanged
    changes.remove_rule(rule)
    work.audit(actor, "rule.removed", rule, title=kept.rule.title)
    return changes.version
