"""Who may use which lockers how. Rules are layered over site, area, bank, purpose and locker; the stricter wins.

Every setting of the effective rule remembers which rule it came from, so that a decision can name it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

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


DEFAULT = Rule(
    rule="default", title="Day lockers for everybody", mode=Mode.DAY, max_lockers=1, contents=Contents.RETRIEVE,
    remote_open=True, give_offline_h=72, open_offline_h=30 * 24,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
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

    Where no rule sets a value, `DEFAULT` does. Order of ``rules`` does not matter except for ties, which the first wins.
    """
    layers = [rule for rule in rules if concerns(rule, place, groups)]
    allowed, allowed_by = True, DEFAULT.rule
    for layer in layers:
        if layer.only_groups is not None and not groups.intersection(layer.only_groups):
            allowed, allowed_by = False, layer.rule
            break

    def strictest(values: list[tuple[T, str]], default: T, order: list[T] | None) -> tuple[T, str]:
        if not values:
            return default, DEFAULT.rule
        return min(values, key=lambda v: order.index(v[0]) if order is not None else v[0])  # type: ignore[return-value, arg-type]

    mode = strictest([(r.mode, r.rule) for r in layers if r.mode is not None], Mode.DAY, _MODES)
    most = strictest([(r.max_lockers, r.rule) for r in layers if r.max_lockers is not None], 1, None)
    contents = strictest([(r.contents, r.rule) for r in layers if r.contents is not None], Contents.RETRIEVE, _CONTENTS)
    remote = strictest([(r.remote_open, r.rule) for r in layers if r.remote_open is not None], True, None)
    give = strictest([(r.give_offline_h, r.rule) for r in layers if r.give_offline_h is not None], 72, None)
    open_ = strictest([(r.open_offline_h, r.rule) for r in layers if r.open_offline_h is not None], 720, None)
    return Effective(allowed, allowed_by, *mode, *most, *contents, *remote, give[0], open_[0])
