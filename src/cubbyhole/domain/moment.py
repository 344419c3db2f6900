"""Time as an argument: the domain never reads a clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo


@dataclass(frozen=True, slots=True)
class Moment:
    """One reading of the controller's clocks.

    ``at_ms`` is wall time in ms since the Unix epoch, already held at or above the journal's highest; ``mono_ms``
    is monotonic within ``boot``; ``sync`` says whether the wall clock was in sync with a trusted source.
    """

    at_ms: int
    mono_ms: int
    boot: str
    sync: bool


def next_midnight_ms(midnights: Sequence[int], at_ms: int) -> int | None:
    """The first of the site's coming local midnights after ``at_ms``; None where the directory's list has run out."""
    for midnight in midnights:
        if midnight > at_ms:
            return midnight
    return None


def midnights_after(zone: tzinfo, at_ms: int, days: int) -> tuple[int, ...]:
    """The beginnings of the next ``days`` local days in ``zone`` after ``at_ms``, ms since the Unix epoch, ascending.

    A day that a change of the clocks makes begin later than 00:00, or twice, begins once, at its first instant; a day
    that a zone leaves out does not count.
    """
    found: list[int] = []
    day = datetime.fromtimestamp(at_ms / 1000, zone).date()
    while len(found) < days:
        # fold=0 is the first of two midnights, and the very change where the clock jumps over midnight.
        start_ms = round(datetime.combine(day, time(), zone).astimezone(UTC).timestamp()) * 1000
        if start_ms > max(at_ms, found[-1] if found else at_ms):
            found.append(start_ms)
        day += timedelta(days=1)
    return tuple(found)
