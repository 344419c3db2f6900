"""Who may use which lockers how. Rules are layered over site, area, bank, locker, purpose and groups of people.

The stricter wins: a rule can only narrow what another rule allows. Where no rule speaks, the base rule does, for
everywhere and everybody; it is `DEFAULT` unless the directory has a rule of that id. Every setting of the effective
rule remembers which rule it came from, so that a decision can name it. Only what a locker is there for is no
permission: it follows the nearest rule, a locker's over its bank's over its area's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from cubbyhole.domain.opening import Window
from cubbyhole.domain.vocabulary import Contents, Mode, Purpose

_MODES = list(Mode)
_CONTENTS = list(Contents)


class ScopeKind(StrEnum):
    """What a rule is about, the farthest first."""

    EVERYWHERE = "everywhere"
    SITE = "site"
    AREA = "area"
    PURPOSE = "purpose"
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
    mode: Mode | None = None  # what a bare tap gives
    longest: Mode | None = None  # the longest that somebody may ask for; what a tap gives where no rule says
    hours: int | None = None  # how long the mode hours lasts
    term_days: int | None = None  # how long the mode term lasts, in local days
    renewals: int | None = None  # how often an assignment may be renewed
    max_lockers: int | None = None
    sizes: tuple[str, ...] | None = None
    opening: tuple[Window, ...] | None = None
    contents: Contents | None = None
    grace_min: int | None = None  # who has just given a locker back may open it again for so long
    hold_min: int | None = None  # how long a locker is kept that was got from afar and not opened yet
    remote_open: bool | None = None
    sharing: bool | None = None
    second_factor: bool | None = None
    self_enrol: bool | None = None
    purpose: Purpose | None = None
    give_offline_h: int | None = None
    open_offline_h: int | None = None


@dataclass(frozen=True, slots=True)
class Effective:
    """What holds for one person at one locker. ``by`` names the rule of each setting."""

    allowed: bool
    purpose: Purpose
    mode: Mode
    longest: Mode
    hours: int
    term_days: int
    renewals: int
    max_lockers: int
    sizes: tuple[str, ...]
    opening: tuple[tuple[str, tuple[Window, ...]], ...]  # rule and windows: all of them must be open
    contents: Contents
    grace_min: int
    hold_min: int
    remote_open: bool
    sharing: bool
    second_factor: bool
    self_enrol: bool
    give_offline_h: int
    open_offline_h: int
    by: Mapping[str, str]


DEFAULT = Rule(
    rule="default", title="Day lockers for everybody", mode=Mode.DAY, hours=4, term_days=30, renewals=3, max_lockers=1,
    sizes=("S", "M", "L", "XL"), contents=Contents.RETRIEVE, grace_min=2, hold_min=15, remote_open=True, sharing=True,
    second_factor=False, self_enrol=False, purpose=Purpose.PERSONAL, give_offline_h=72, open_offline_h=30 * 24,
)  # fmt: skip

# How wide a value is; the narrowest that any rule says wins.
_WIDTH: dict[str, Callable[[Any], int]] = {
    "mode": _MODES.index,
    "longest": _MODES.index,
    "hours": int,
    "term_days": int,
    "renewals": int,
    "max_lockers": int,
    "contents": _CONTENTS.index,
    "grace_min": int,
    "hold_min": int,
    "remote_open": int,
    "sharing": int,
    "second_factor": lambda wanted: int(not wanted),
    "self_enrol": int,
    "give_offline_h": int,
    "open_offline_h": int,
}


class Place(NamedTuple):
    """Where a locker stands, for matching scopes."""

    site: str
    area: str
    bank: str
    locker: str


def concerns(rule: Rule, place: Place, groups: frozenset[str], purpose: Purpose) -> bool:
    """Whether ``rule`` has a say about a locker of ``purpose`` at ``place`` and somebody of ``groups``."""
    if rule.groups and not groups.intersection(rule.groups):
        return False
    return _is_here(rule, place) or (rule.scope is ScopeKind.PURPOSE and rule.scope_value == purpose)


def _is_here(rule: Rule, place: Place) -> bool:
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
        case ScopeKind.PURPOSE:
            return False


def effective(rules: Iterable[Rule], place: Place, groups: frozenset[str]) -> Effective:
    """Merge all rules that concern the place and the groups; the narrowest value of each setting wins.

    The order of ``rules`` does not matter: of equals, the first by id is named.
    """
    everything = sorted(rules, key=lambda r: r.rule)
    base = next((r for r in everything if r.rule == DEFAULT.rule), DEFAULT)
    others = [r for r in everything if r.rule != DEFAULT.rule]
    by: dict[str, str] = {}
    purpose, by["purpose"] = _purpose(others, base, place)
    layers = [r for r in others if concerns(r, place, groups, purpose)]

    values: dict[str, Any] = {}
    for name, width in _WIDTH.items():
        values[name], by[name] = _narrowest(name, width, layers, base)
    # Who may ask for no longer than a day gets no longer than a day by tapping; and may ask for what a tap gives.
    if values["longest"] is None:
        values["longest"], by["longest"] = values["mode"], by["mode"]
    elif _MODES.index(values["longest"]) < _MODES.index(values["mode"]):
        values["mode"], by["mode"] = values["longest"], by["longest"]

    allowed, by["allowed"] = True, base.rule
    sizes, by["sizes"] = base.sizes if base.sizes is not None else DEFAULT.sizes or (), base.rule
    opening = []
    for layer in [base, *layers]:
        if allowed and layer.only_groups is not None and not groups.intersection(layer.only_groups):
            allowed, by["allowed"] = False, layer.rule
        if layer.sizes is not None and not set(sizes) <= set(layer.sizes):
            sizes, by["sizes"] = tuple(size for size in sizes if size in layer.sizes), layer.rule
        if layer.opening is not None:
            opening.append((layer.rule, layer.opening))
    return Effective(allowed=allowed, purpose=purpose, sizes=sizes, opening=tuple(opening), by=by, **values)


def _narrowest(name: str, width: Callable[[Any], int], layers: Iterable[Rule], base: Rule) -> tuple[Any, str]:
    """The narrowest value that a layer says, and whose it is; the base's where none says one."""
    said = [(value, layer.rule) for layer in layers if (value := getattr(layer, name)) is not None]
    if said:
        value, rule = min(said, key=lambda found: width(found[0]))
        return value, rule
    value = getattr(base, name)
    return (value, base.rule) if value is not None else (getattr(DEFAULT, name), DEFAULT.rule)


def _purpose(others: Iterable[Rule], base: Rule, place: Place) -> tuple[Purpose, str]:
    """What the locker is there for: the nearest rule says it, whoever asks."""
    nearness = list(ScopeKind).index
    nearest = max((r for r in others if r.purpose and not r.groups and _is_here(r, place)),
                  key=lambda r: nearness(r.scope), default=base)  # fmt: skip
    return (nearest.purpose, nearest.rule) if nearest.purpose is not None else (Purpose.PERSONAL, DEFAULT.rule)
