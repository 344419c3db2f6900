"""One locker as its bank's journal tells it, and whose it is. They are on the wire too: fields are only added."""

from __future__ import annotations

from dataclasses import dataclass

from cubbyhole.domain.vocabulary import Alarm, Door, Lock, Mode, Occupancy, Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Somebody else may open the locker too: a person or a group, until ``until_ms`` (null: as long as it is held),
    ``once`` or always."""

    share: str
    person: str | None = None
    group: str | None = None
    until_ms: int | None = None
    once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A person's right to a locker. ``ends_ms`` null: permanent, or given in doubt of the clock (``timed`` false).
    ``hold_until_ms``: it was got from afar and lapses then unless its holder has opened it."""

    assignment: str
    person: str
    mode: Mode
    since_ms: int
    ends_ms: int | None
    rule: str
    timed: bool = True
    renewed: int = 0
    hold_until_ms: int | None = None
    shares: tuple[Share, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Former:
    """Who may still fetch what was left inside, until ``until_ms`` (null: until somebody takes the locker);
    ``fetched`` once they have opened it for that."""

    assignment: str
    person: str
    ended_ms: int
    fetched: bool = False
    until_ms: int | None = None


@dataclass(slots=True, kw_only=True)
class LockerState:
    """One locker as its journal tells it."""

    number: str
    size: str
    features: tuple[str, ...] = ()
    door: Door = Door.UNKNOWN
    lock: Lock = Lock.UNKNOWN
    occupancy: Occupancy = Occupancy.UNKNOWN
    alarm: Alarm | None = None
    check: str | None = None
    out_of_service: str | None = None
    unverified: bool = False
    link_lost: bool = False
    opened_ms: int | None = None
    grant: str | None = None
    armed: bool = False
    assignment: Assignment | None = None
    former: Former | None = None

    def not_offered(self) -> Reason | None:
        """Why this locker cannot be given to somebody now; None where it can. Unknown is never treated as free."""
        if self.out_of_service is not None:
            return Reason.OUT_OF_SERVICE
        if self.assignment is not None:
            return Reason.TAKEN
        if self.unverified:
            return Reason.UNVERIFIED
        if self.alarm is not None:
            return Reason.ALARM
        if self.check is not None:
            return Reason.CHECK_FIRST
        if self.door is Door.OPEN:
            return Reason.DOOR_OPEN
        if self.door is Door.UNKNOWN:
            return Reason.DOOR_UNKNOWN
        if self.occupancy is Occupancy.OCCUPIED:
            return Reason.NOT_EMPTY
        return None

    def may_hold_things(self) -> bool:
        """Whether somebody's things may be inside, as far as the journal tells."""
        return (
            self.assignment is not None or self.former is not None or self.check is not None or self.unverified
            or self.occupancy is Occupancy.OCCUPIED
        )  # fmt: skip
