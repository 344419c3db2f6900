"""Who was let in or not, and whose lockers are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cubbyhole.domain.vocabulary import Cause, Mode, Outcome, Reason, Way


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessGranted:
    """A decision that granted a door. It is on the disk before the unlock frame is sent."""

    TYPE: ClassVar[str] = "access.granted"
    grant: str
    locker: str
    way: Way
    person: str | None = None
    assignment: str | None = None
    credential: str | None = None
    command: str | None = None
    reason: str | None = None
    note: str | None = None
    rule: str | None = None
    offline: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlockSettled:
    """The final outcome of one grant."""

    TYPE: ClassVar[str] = "unlock.settled"
    grant: str
    locker: str
    outcome: Outcome
    tap_to_open_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TapDenied:
    """A decision that refused; ``credential`` is its id, or a commitment where it is on no file."""

    TYPE: ClassVar[str] = "tap.denied"
    reason: Reason
    locker: str | None = None
    person: str | None = None
    credential: str | None = None
    rule: str | None = None
    offline: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignmentStarted:
    """A locker is somebody's from here on, until ``ends_ms``; null where it has no end or none yet. One that was got
    from afar lapses at ``hold_until_ms`` unless its holder has opened it."""

    TYPE: ClassVar[str] = "assignment.started"
    assignment: str
    locker: str
    person: str
    mode: Mode
    ends_ms: int | None
    rule: str
    hold_until_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignmentTimed:
    """An assignment given while the clock was in doubt gets its end once the clock is trusted."""

    TYPE: ClassVar[str] = "assignment.timed"
    assignment: str
    locker: str
    ends_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignmentRenewed:
    """The holder keeps the locker until ``ends_ms``; ``rule`` allowed it."""

    TYPE: ClassVar[str] = "assignment.renewed"
    assignment: str
    locker: str
    person: str
    ends_ms: int
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignmentShared:
    """``person`` or everybody of ``group`` may open the locker too, until ``until_ms`` (null: while it is held)."""

    TYPE: ClassVar[str] = "assignment.shared"
    assignment: str
    locker: str
    share: str
    person: str | None = None
    group: str | None = None
    until_ms: int | None = None
    once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareEnded:
    """A share is over: ``cause`` is withdrawn or used. One whose time is over has ended by itself."""

    TYPE: ClassVar[str] = "share.ended"
    assignment: str
    locker: str
    share: str
    person: str | None
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignmentEnded:
    """``former_may_open`` (until ``former_until_ms``, where that is given) and ``check`` are the consequences of the
    rule on contents, decided here once."""

    TYPE: ClassVar[str] = "assignment.ended"
    assignment: str
    locker: str
    person: str
    cause: Cause
    ended_ms: int
    former_may_open: bool
    check: str | None
    former_until_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseArmed:
    """The holder's gesture at the open door: the assignment ends when the door closes."""

    TYPE: ClassVar[str] = "release.armed"
    locker: str
    assignment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseDisarmed:
    """The same gesture once more: the assignment goes on."""

    TYPE: ClassVar[str] = "release.disarmed"
    locker: str
    assignment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckNeeded:
    """A free locker is not offered until somebody has looked inside."""

    TYPE: ClassVar[str] = "locker.check_needed"
    locker: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """Somebody has looked (``command``), or the occupancy sensor behind the closed door says empty."""

    TYPE: ClassVar[str] = "locker.checked"
    locker: str
    command: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfService:
    """The locker is not given to anybody; its holder may still open it."""

    TYPE: ClassVar[str] = "locker.out_of_service"
    locker: str
    reason: str
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InService:
    """The locker may be given again."""

    TYPE: ClassVar[str] = "locker.in_service"
    locker: str
    reason: str
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitExceeded:
    """A hand gave somebody more lockers than the rule allows; nobody is thrown out."""

    TYPE: ClassVar[str] = "limit.exceeded"
    person: str
    held: int
    limit: int
