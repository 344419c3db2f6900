"""Which of the free lockers somebody gets who asks for one: near, big enough, and none that others need more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

_SIZES = ("S", "M", "L", "XL")


class Why(StrEnum):
    """What speaks for a choice, in the words of the locale files."""

    NEAREST = "nearest"  # no other that fits is nearer
    WANTED = "wanted"  # it has what was asked for
    FITS = "fits"  # no smaller one that fits is free at that distance
    SPARES_SCARCE = "spares_scarce"  # low, large and charging lockers stay free for those who need them
    LEAST_USED = "least_used"  # it was opened least of those that are as good


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A locker that is free. ``distance`` grows with the way to it (0: the person's own area or usual bank);
    ``opened`` counts how often its door was opened."""

    bank: str
    number: str
    size: str
    features: frozenset[str]
    distance: int = 0
    opened: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody asks for: at least ``size``, and all of ``features`` (charging, low)."""

    size: str = "S"
    features: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Choice:
    candidate: Candidate
    why: tuple[Why, ...]


def rank(candidates: Iterable[Candidate], wish: Wish) -> list[Choice]:
    """All that fit ``wish``, the best first; the order of ``candidates`` does not matter.

    Nearness counts most, then sparing what is scarce, then the smallest that fits, then the least used: somebody who
    did not ask for a socket gets one only where nothing else is as near.
    """
    least = _SIZES.index(wish.size)
    fit = [c for c in candidates if _SIZES.index(c.size) >= least and wish.features <= c.features]
    left = _kinds(fit)

    def cost(c: Candidate) -> tuple[int, float, int, int, str, str]:
        return (c.distance, _spent(c, wish, left), _SIZES.index(c.size), c.opened, c.bank, c.number)

    ordered = sorted(fit, key=cost)
    return [Choice(c, _why(c, wish, ordered, left)) for c in ordered]


def _kinds(candidates: Sequence[Candidate]) -> Counter[str]:
    """How many of each scarce kind are free."""
    left = Counter(feature for c in candidates for feature in c.features)
    left["XL"] = sum(1 for c in candidates if c.size == "XL")
    return left


def _spent(c: Candidate, wish: Wish, left: Counter[str]) -> float:
    """What giving it out takes from others: for each kind that was not asked for, the more the fewer are left."""
    kinds = set(c.features - wish.features) | ({"XL"} if c.size == "XL" and wish.size != "XL" else set())
    return sum(1 / left[kind] + 1 for kind in kinds)


def _why(c: Candidate, wish: Wish, ordered: Sequence[Candidate], left: Counter[str]) -> tuple[Why, ...]:
    why = []
    if c.distance == ordered[0].distance and any(o.distance > c.distance for o in ordered):
        why.append(Why.NEAREST)
    if wish.features:
        why.append(Why.WANTED)
    beside = [o for o in ordered if o.distance == c.distance]
    spent = _spent(c, wish, left)
    if spent == 0 and any(_spent(o, wish, left) > 0 for o in beside):
        why.append(Why.SPARES_SCARCE)
    alike = [o for o in beside if _spent(o, wish, left) == spent]
    if c.size == min((o.size for o in alike), key=_SIZES.index) and any(o.size != c.size for o in alike):
        why.append(Why.FITS)
    same = [o for o in alike if o.size == c.size]
    if c.opened == min(o.opened for o in same) and any(o.opened > c.opened for o in same):
        why.append(Why.LEAST_USED)
    return tuple(why)
