"""Sets the boards' own record against the journals: every pulse must have had its grant, and what opened its pulse.

Times are CLOCK_MONOTONIC ms, which all processes of one machine share and which no clock setting moves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

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


class Check(StrEnum):
    """What is looked at."""

    PULSE = "every pulse has a grant of its own"
    OPENING = "every opening had a pulse"
    SETTLED = "every grant is settled"
    UNKNOWN = "an unknown outcome has a fault behind it"
    ASKED = "somebody asked for every pulse"
    SERVER = "the server has the bank's lines, byte for byte"
    NO_GAP = "the journal has no gap"


@dataclass(frozen=True, slots=True)
class Wrong:
    """One thing that is wrong, and the check that found it."""

    check: Check
    text: str


NO_PULSE = frozenset({"not_sent", "late"})


def contradictions(grants: Sequence[Grant], pulses: Sequence[Pulse], unknowns_most: int) -> list[Wrong]:
    """What is wrong; empty where record and journal agree.

    Grants and pulses are matched one to one: a grant to a later pulse of its locker within its life. If there is one
    matching for all pulses and one for all openings, there is also one that serves both (Mendelsohn and Dulmage).
    """

    def fits(grant: Grant, pulse: Pulse) -> bool:
        in_time = grant.mono_ms <= pulse.mono_ms <= grant.mono_ms + GRANT_LIVES_MS
        return grant.locker == pulse.locker and in_time and grant.outcome not in NO_PULSE

    wrong = [
        Wrong(Check.PULSE, f"pulse on {pulses[at].locker} at {pulses[at].mono_ms} without a grant of its own")
        for at in unmatched(len(pulses), len(grants), lambda p, g: fits(grants[g], pulses[p]))
    ]
    opened = [grant for grant in grants if grant.outcome == "opened"]
    for at in unmatched(len(opened), len(pulses), lambda g, p: fits(opened[g], pulses[p])):
        said = opened[at]
        text = f"grant {said.grant} says that {said.locker} opened at {said.mono_ms}, but it had no pulse"
        wrong.append(Wrong(Check.OPENING, text))
    for grant in grants:
        if grant.outcome is None:
            wrong.append(Wrong(Check.SETTLED, f"grant {grant.grant} at {grant.locker} was never settled"))
    unknown = sum(grant.outcome == "unknown" for grant in grants)
    if unknown > unknowns_most:
        text = f"{unknown} outcomes are unknown, but only {unknowns_most} faults could have caused one"
        wrong.append(Wrong(Check.UNKNOWN, text))
    return wrong


def differences(mine: Sequence[tuple[int, bytes]], theirs: Sequence[tuple[int, bytes]]) -> list[Wrong]:
    """Where the server's lines (number, bytes) are not the bank's own."""
    wrong = []
    have, sent = dict(theirs), dict(mine)
    if len(have) != len(theirs):
        wrong.append(Wrong(Check.SERVER, f"the server has {len(theirs) - len(have)} lines twice"))
    for seq in sorted(have.keys() | sent.keys()):
        if seq not in have:
            wrong.append(Wrong(Check.SERVER, f"line {seq} is missing at the server"))
        elif seq not in sent:
            wrong.append(Wrong(Check.SERVER, f"line {seq} is at the server, but not at the bank"))
        elif have[seq] != sent[seq]:
            wrong.append(Wrong(Check.SERVER, f"line {seq} is another one at the server"))
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
