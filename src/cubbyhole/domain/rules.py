"""Who may use which lockers how. Rules are layered over site, area, bank, purpose and locker; the stricter wins.

Every setting of the effective rule remembers which rule it came from, so that a decision can name it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, TypeVar

from cubbyhole.domain.vocabulary import Contents, Mode

T = TypeVar("T")

_MODES = list(Mode)
_CONTENTS = list(Contents)


class ScopeKind(StrEnum):
    EVERYWHERE = "everywhere"
    SITE = "site"
    AREA = "area"
    BANK = "bank"
    LOCKER = "locker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One layer. A setting left at None says nothing. ``groups`` limits whom the rule concerns (empty: everybody);
    ``only_groups`` limits who may use the lockers at all."""

    rule: str
    title: str
    scope: ScopeKind = ScopeKind.EVERYWHERE
    scope_value: str = ""
    groups: tuple[str, ...] = ()
    only_groups: tuple[str, ...] | None = None
    mode: Mode | None = None
    max_lockers: int | None = None
    contents: Contents | None = None
    remote_open: bool | None = None
    give_offline_h: int | None = None
    open_offline_h: int | None = None


@dataclass(frozen=True, slots=True)
class Effective:
    """What holds for one person at one locker; each value with the rule that set it."""

    allowed: bool
    allowed_by: str
    mode: Mode
    mode_by: str
    max_lockers: int
    max_by: str
    contents: Contents
    contents_by: str
    remote_open: bool
    remote_by: str
    give_offline_h: int
    open_offline_h: int


GIVE_OFFLINE_H = 72
OPEN_OFFLINE_H = 30 * 24

DEFAULT = Rule(
    rule="default", title="Day lockers for everybody", mode=Mode.DAY, max_lockers=1, contents=Contents.RETRIEVE,
    remote_open=True, give_offline_h=GIVE_OFFLINE_H, open_offline_h=OPEN_OFFLINE_H,
)  # fmt: skip


class Place(NamedTuple):
    """Where a locker stands, for matching scopes."""

    site: str
    area: str
    bank: str
    locker: str


def concerns(rule: Rule, place: Place, groups: frozenset[str]) -> bool:
    """Whether ``rule`` has a say about ``place`` and somebody of ``groups``."""
    if rule.groups and not groups.intersection(rule.groups):
        return False
    match rule.scope:
        case ScopeKind.EVERYWHERE:
            return True
        case ScopeKind.SITE:
            return rule.scope_value == place.site
        case ScopeKind.AREA:
            return rule.scope_value == place.area
        case ScopeKind.BANK:
            return rule.scope_value == place.bank
        case ScopeKind.LOCKER:
            return rule.scope_value == f"{place.bank}-{place.locker}"


def effective(rules: Iterable[Rule], place: Place, groups: frozenset[str]) -> Effective:
    """Merge all rules that concern the place and the groups; the stricter value of each setting wins.

    Where no rule sets a value, `DEFAULT` does. The order of ``rules`` does not matter: of equals, the first by id is
    named.
    """
    layers = sorted((r for r in rules if concerns(r, place, groups)), key=lambda r: r.rule)
    allowed, allowed_by = True, DEFAULT.rule
    for layer in layers:
        if layer.only_groups is not None and not groups.intersection(layer.only_groups):
            allowed, allowed_by = False, layer.rule
            break

    mode, mode_by = _strictest(Mode.DAY, ((r.mode, r) for r in layers), _MODES.index)
    most, most_by = _strictest(1, ((r.max_lockers, r) for r in layers), int)
    contents, contents_by = _strictest(Contents.RETRIEVE, ((r.contents, r) for r in layers), _CONTENTS.index)
    remote, remote_by = _strictest(True, ((r.remote_open, r) for r in layers), int)
    give, _ = _strictest(GIVE_OFFLINE_H, ((r.give_offline_h, r) for r in layers), int)
    open_, _ = _strictest(OPEN_OFFLINE_H, ((r.open_offline_h, r) for r in layers), int)
    return Effective(
        allowed=allowed, allowed_by=allowed_by, mode=mode, mode_by=mode_by, max_lockers=most, max_by=most_by,
        contents=contents, contents_by=contents_by, remote_open=remote, remote_by=remote_by,
        give_offline_h=give, open_offline_h=open_,
    )  # fmt: skip


def _strictest(default: T, values: Iterable[tuple[T | None, Rule]], severity: Callable[[T], int]) -> tuple[T, str]:
    """The value with the lowest ``severity`` number and the rule that set it; ``default`` where none is set."""
    said = [(value, rule.rule) for value, rule in values if value is not None]
    return min(said, key=lambda v: severity(v[0])) if said else (default, DEFAULT.rule)
