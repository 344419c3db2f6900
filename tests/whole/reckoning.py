"""Sets the boards' own record against the journals: every pulse must have had its grant, and what opened its pulse.

Times are CLOCK_MONOTONIC ms, which all processes of one machine share and which no clock setting moves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

# A grant lives 5 s from the tap on; the board's record is made when it has the whole frame, 20 ms later at most.
GRANT_LIVES_MS = 5_500


@dataclass(frozen=True, slots=True)
class Grant:
    """One durable decision that let a door be opened. ``outcome`` None: not settled yet."""

    grant: str
    locker: str
    mono_ms: int
    outcome: str | None


@dataclass(frozen=True, slots=True)
class Pulse:
    """Current on one lock, by the board's own record."""

    locker: str
    mono_ms: int


NO_PULSE = frozenset({"not_sent", "late"})


def contradictions(grants: Sequence[Grant], pulses: Sequence[Pulse], unknowns_most: int) -> list[str]:
    """What is wrong, in sentences; empty where record and journal agree.

    Grants and pulses are matched one to one: a grant to a later pulse of its locker within its life. If there is one
    matching for all pulses and one for all openings, there is also one that serves both (Mendelsohn and Dulmage).
    """

    def fits(grant: Grant, pulse: Pulse) -> bool:
        in_time = grant.mono_ms <= pulse.mono_ms <= grant.mono_ms + GRANT_LIVES_MS
        return grant.locker == pulse.locker and in_time and grant.outcome not in NO_PULSE

    wrong = [
        f"pulse on {pulses[at].locker} at {pulses[at].mono_ms} without a grant of its own"
        for at in unmatched(len(pulses), len(grants), lambda p, g: fits(grants[g], pulses[p]))
    ]
    opened = [grant for grant in grants if grant.outcome == "opened"]
    wrong += [
        f"grant {opened[at].grant} says that {opened[at].locker} opened at {opened[at].mono_ms}, but it had no pulse"
        for at in unmatched(len(opened), len(pulses), lambda g, p: fits(opened[g], pulses[p]))
    ]
    wrong += [f"grant {grant.grant} at {grant.locker} was never settled" for grant in grants if grant.outcome is None]
    unknown = sum(grant.outcome == "unknown" for grant in grants)
    if unknown > unknowns_most:
        wrong.append(f"{unknown} outcomes are unknown, but only {unknowns_most} faults could have caused one")
    return wrong


def unmatched(left: int, right: int, fits: Callable[[int, int], bool]) -> list[int]:
    """Which of the left ones stay alone in a largest one-to-one matching (Kuhn's augmenting paths)."""
    partner: dict[int, int] = {}

    def place(one: int, tried: set[int]) -> bool:
        for other in range(right):
            if other in tried or not fits(one, other):
                continue
            tried.add(other)
            if other not in partner or place(partner[other], tried):
                partner[other] = one
                return True
        return False

    return [one for one in range(left) if not place(one, set())]
