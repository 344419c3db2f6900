"""One door as a literal table: what the sensors and the clock say → what the door is.

``EXPECTING`` is a door whose lock a grant has released and that nobody has opened yet: opening it then is no alarm.
The first reading after a start or a dead link is never an act of somebody (`SEEN_*`).
"""

from __future__ import annotations

from enum import StrEnum


class DoorState(StrEnum):
    BLIND = "blind"
    CLOSED = "closed"
    EXPECTING = "expecting"
    OPEN = "open"
    HELD_OPEN = "held_open"
    FORCED = "forced"


class DoorFact(StrEnum):
    RELEASED = "released"  # an unlock frame went out
    OPENS = "opens"
    CLOSES = "closes"
    GIVEN_UP = "given_up"  # nobody pulled the door in time and the lock is not known to be free
    TOO_LONG = "too_long"  # open for longer than the rule allows
    LOST = "lost"  # the board does not answer


class DoorNews(StrEnum):
    """What a transition means for the journal."""

    OPENED = "opened"
    CLOSED = "closed"
    FORCED = "forced"
    HELD_OPEN = "held_open"
    SEEN_OPEN = "seen_open"
    SEEN_CLOSED = "seen_closed"
    NOT_OPENED = "not_opened"


_S, _F, _N = DoorState, DoorFact, DoorNews

DOOR_TABLE: dict[tuple[DoorState, DoorFact], tuple[DoorState, DoorNews | None]] = {
    (_S.BLIND, _F.OPENS): (_S.OPEN, _N.SEEN_OPEN),
    (_S.BLIND, _F.CLOSES): (_S.CLOSED, _N.SEEN_CLOSED),
    (_S.BLIND, _F.RELEASED): (_S.EXPECTING, None),
    (_S.CLOSED, _F.RELEASED): (_S.EXPECTING, None),
    (_S.CLOSED, _F.OPENS): (_S.FORCED, _N.FORCED),
    (_S.CLOSED, _F.LOST): (_S.BLIND, None),
    (_S.EXPECTING, _F.RELEASED): (_S.EXPECTING, None),
    (_S.EXPECTING, _F.OPENS): (_S.OPEN, _N.OPENED),
    (_S.EXPECTING, _F.CLOSES): (_S.EXPECTING, None),
    (_S.EXPECTING, _F.GIVEN_UP): (_S.CLOSED, _N.NOT_OPENED),
    (_S.EXPECTING, _F.LOST): (_S.BLIND, None),
    (_S.OPEN, _F.RELEASED): (_S.OPEN, None),
    (_S.OPEN, _F.CLOSES): (_S.CLOSED, _N.CLOSED),
    (_S.OPEN, _F.TOO_LONG): (_S.HELD_OPEN, _N.HELD_OPEN),
    (_S.OPEN, _F.LOST): (_S.BLIND, None),
    (_S.HELD_OPEN, _F.RELEASED): (_S.HELD_OPEN, None),
    (_S.HELD_OPEN, _F.CLOSES): (_S.CLOSED, _N.CLOSED),
    (_S.HELD_OPEN, _F.LOST): (_S.BLIND, None),
    (_S.FORCED, _F.RELEASED): (_S.FORCED, None),
    (_S.FORCED, _F.CLOSES): (_S.CLOSED, _N.CLOSED),
    (_S.FORCED, _F.LOST): (_S.BLIND, None),
}


def step(state: DoorState, fact: DoorFact) -> tuple[DoorState, DoorNews | None]:
    """The state after ``fact`` and what it means; a fact that says nothing new changes nothing."""
    return DOOR_TABLE.get((state, fact), (state, None))
