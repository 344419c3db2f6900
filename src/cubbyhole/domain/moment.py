"""Time as an argument: the domain never reads a clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


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
