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
TITLE_MOST = 120
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
# The largest value of each number; none is below nought.
MOST_OF = {
    "hours": 24 * 7, "term_days": 3660, "renewals": 1000, "max_lockers": 100, "grace_min": 24 * 60,
    "hold_min": 7 * 24 * 60, "give_offline_h": 24 * 365, "open_offline_h": 24 * 3650,
}  # fmt: skip
LEAST_OF = {"hours": 1, "term_days": 1, "hold_min": 1}
SIZES = ("S", "M", "L", "XL")


class RuleError(ValueError):
    """The rule cannot be as asked; the message says why and what would do. ``field`` is what is wrong, ``word`` and
    ``values`` say it in people's language (`rules.wrong.<word>` of the locale files)."""

    def __init__(self, detail: str, field: str, word: str, **values: object) -> None:
        super().__init__(detail)
        self.field, self.word, self.values = field, word, values


class RuleChanged(Exception):
    """Somebody else changed the rule meanwhile."""


def checked(rule: Rule) -> Rule:
    """``rule`` as it is kept. Raises RuleError."""
    if not _ID.fullmatch(rule.rule):
        detail = "A rule's id has up to 64 small letters, digits, hyphens and underscores, like visitors-2."
        raise RuleError(detail, "title", "id")
    title = " ".join(rule.title.split())
    if not 1 <= len(title) <= TITLE_MOST:
        detail = f"Give the rule a title of up to {TITLE_MOST} characters: people read it when it says no."
        raise RuleError(detail, "title", "title", most=TITLE_MOST)
    value = rule.scope_value.strip()
    if rule.scope is ScopeKind.EVERYWHERE:
        value = ""
    elif not value:
        raise RuleError(f"Say which {rule.scope} the rule is for.", "where", "where")
    elif rule.scope is ScopeKind.PURPOSE and value not in list(Purpose):
        detail = f"There is no purpose {value!r}; there are {', '.join(Purpose)}."
        raise RuleError(detail, "where", "where")
    if rule.rule == DEFAULT.rule and (rule.scope is not ScopeKind.EVERYWHERE or rule.groups or rule.only_groups):
        detail = "The base rule is for everywhere and everybody; make another rule for a place or a group."
        raise RuleError(detail, "only_groups" if rule.only_groups else "where", "base")
    if rule.scope is ScopeKind.PURPOSE and rule.purpose is not None:
        raise RuleError("A rule for a purpose cannot say what the purpose is; use a place.", "purpose", "purpose_twice")
    if rule.purpose is not None and rule.groups:
        detail = "What a locker is there for is the same for everybody: leave the groups empty."
        raise RuleError(detail, "purpose", "purpose_groups")
    for name, most in MOST_OF.items():
        number = getattr(rule, name)
        if number is not None and not LEAST_OF.get(name, 0) <= number <= most:
            least = LEAST_OF.get(name, 0)
            raise RuleError(f"{name} is from {least} to {most}, not {number}.", name, "number", least=least, most=most)
    if rule.sizes is not None and not set(rule.sizes) <= set(SIZES):
        raise RuleError(f"Sizes are {', '.join(SIZES)}.", "sizes", "sizes")
    if len(rule.opening or ()) > WINDOWS_MOST or max(len(rule.groups), len(rule.only_groups or ())) > GROUPS_MOST:
        detail = f"A rule has at most {WINDOWS_MOST} opening times and {GROUPS_MOST} groups."
        field = "opening" if len(rule.opening or ()) > WINDOWS_MOST else "groups"
        raise RuleError(detail, field, "too_many", windows=WINDOWS_MOST, groups=GROUPS_MOST)
    try:
        check_windows(rule.opening or ())
    except ValueError as error:
        raise RuleError(str(error), "opening", "opening") from None
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
        detail = f"There are {MOST} rules already, which is the most; merge or remove some."
        raise RuleError(detail, "title", "most", most=MOST)
    if not changes.put_rule(rule):
        return kept.version if kept is not None else 0
    work.audit(actor, "rule.saved", rule.rule, title=rule.title)
    return changes.version


def remove(work: UnitOfWork, rule: str, actor: str, expected: int | None) -> int:
    """Remove a rule; the directory version without it. Raises RuleError, RuleChanged, and KeyError where there is no
    such rule."""
    if rule == DEFAULT.rule:
        detail = "The base rule stays: something must hold where no other rule speaks."
        raise RuleError(detail, "title", "base_stays")
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
