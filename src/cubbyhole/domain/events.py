"""The events of a bank's journal: facts in the past tense. A bank's state is the fold of these.

Events carry their consequences (`ends_ms`, not a rule), so that a later release folds an old journal to the same
state. Every class names its wire type in ``TYPE``; the field names are the wire's. People appear as pseudonyms, free
text and unknown badges only as salted commitments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cubbyhole.domain.snapshot import Answered as Answered
from cubbyhole.domain.snapshot import Assigned as Assigned
from cubbyhole.domain.snapshot import BankNow as BankNow
from cubbyhole.domain.snapshot import Disabled as Disabled
from cubbyhole.domain.snapshot import GapMark as GapMark
from cubbyhole.domain.vocabulary import Cause, Door, Lock, Mode, Occupancy, Outcome, Reason, Way


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochStarted:
    """A journal begins: on the first controller, or on one that replaces another, from what the server had."""

    TYPE: ClassVar[str] = "epoch.started"
    controller: str
    journal_key: str
    previous_epoch: str | None = None
    previous_seq: int = 0
    previous_hash: str | None = None
    assignments: tuple[Assigned, ...] = ()
    disabled: tuple[Disabled, ...] = ()
    answered: tuple[Answered, ...] = ()
    standing: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BootStarted:
    """The controller came up; grants without an outcome are settled as unknown right after this."""

    TYPE: ClassVar[str] = "boot.started"
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BankConfigured:
    """What the bank is built of, as its controller's configuration says."""

    TYPE: ClassVar[str] = "bank.configured"
    label: str
    area: str
    site: str
    columns: tuple[str, ...]
    reader: str
    senses_lock: bool
    senses_occupancy: bool
    drives_lights: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryApplied:
    """The bank works with this version of its directory from here on."""

    TYPE: ClassVar[str] = "directory.applied"
    version: int
    content_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactLost:
    """The server did not answer any more; ``last_ms`` is when it last did."""

    TYPE: ClassVar[str] = "contact.lost"
    last_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactRestored:
    """The server answers again after ``lost_ms``."""

    TYPE: ClassVar[str] = "contact.restored"
    lost_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockDoubted:
    """From here on nothing is released early; ``offset_ms`` is how far the clock seemed to be off."""

    TYPE: ClassVar[str] = "clock.doubted"
    why: str
    offset_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockTrusted:
    """The wall clock is right again, as ``source`` says."""

    TYPE: ClassVar[str] = "clock.trusted"
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonBound:
    """Ties a pseudonym to an identity by a salted hash; erasing the salt unties it for ever."""

    TYPE: ClassVar[str] = "person.bound"
    person: str
    commitment: str


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
    """A locker is somebody's from here on, until ``ends_ms``; null where it has no end or none yet."""

    TYPE: ClassVar[str] = "assignment.started"
    assignment: str
    locker: str
    person: str
    mode: Mode
    ends_ms: int | None
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignmentTimed:
    """An assignment given while the clock was in doubt gets its end once the clock is trusted."""

    TYPE: ClassVar[str] = "assignment.timed"
    assignment: str
    locker: str
    ends_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignmentEnded:
    """``former_may_open`` and ``check`` are the consequences of the rule on contents, decided here once."""

    TYPE: ClassVar[str] = "assignment.ended"
    assignment: str
    locker: str
    person: str
    cause: Cause
    ended_ms: int
    former_may_open: bool
    check: str | None


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
class DoorOpened:
    """``grant`` is the one that allowed it; None where the door was found open after a blind time."""

    TYPE: ClassVar[str] = "door.opened"
    locker: str
    grant: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorClosed:
    """``open_ms`` is how long it stood open, where that was seen."""

    TYPE: ClassVar[str] = "door.closed"
    locker: str
    open_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorForced:
    """A door opened that nothing had released."""

    TYPE: ClassVar[str] = "door.forced"
    locker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorHeldOpen:
    """A door stands open for longer than the bank allows; ``open_ms`` is how long by now."""

    TYPE: ClassVar[str] = "door.held_open"
    locker: str
    open_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LockChanged:
    """What the lock sensor says; never inferred from anything else."""

    TYPE: ClassVar[str] = "lock.changed"
    locker: str
    lock: Lock


@dataclass(frozen=True, slots=True, kw_only=True)
class OccupancyChanged:
    """What the occupancy sensor says."""

    TYPE: ClassVar[str] = "occupancy.changed"
    locker: str
    occupancy: Occupancy


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkLost:
    """A board stopped answering: its doors are unknown from here on."""

    TYPE: ClassVar[str] = "link.lost"
    link: str
    lockers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRestored:
    """The board answers again; what its doors are comes with the next readings."""

    TYPE: ClassVar[str] = "link.restored"
    link: str
    lockers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorSeen:
    """First reading of a door after a start or a blind time, where it is no change that somebody made."""

    TYPE: ClassVar[str] = "door.seen"
    locker: str
    door: Door


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandDone:
    """The final outcome of a command (`done`, `refused`, `unknown`), replayed for duplicates."""

    TYPE: ClassVar[str] = "command.done"
    command: str
    kind: str
    outcome: str
    reason: Reason | None = None
    ordinal: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitExceeded:
    """A hand gave somebody more lockers than the rule allows; nobody is thrown out."""

    TYPE: ClassVar[str] = "limit.exceeded"
    person: str
    held: int
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalLost:
    """What could not be written while the disk was full, counted."""

    TYPE: ClassVar[str] = "journal.lost"
    events: int
    denials: int
    since_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalGap:
    """The controller says that its lines ``first`` to ``last`` are gone and cannot be sent any more. ``hash_before``
    is the hash of the line before them (null where it is gone too), ``hash_after`` that of line ``last``, from which
    the chain goes on. ``state`` is how the bank stands before this line; persons are bound anew behind it."""

    TYPE: ClassVar[str] = "journal.gap"
    first: int
    last: int
    hash_before: str | None
    hash_after: str
    why: str
    state: BankNow


@dataclass(frozen=True, slots=True)
class UnknownEvent:
    """An event type of a newer release: kept, marked, folded again after the upgrade."""

    type: str


Event = (
    EpochStarted | BootStarted | BankConfigured | DirectoryApplied | ContactLost | ContactRestored | ClockDoubted
    | ClockTrusted | PersonBound | AccessGranted | UnlockSettled | TapDenied | AssignmentStarted | AssignmentTimed
    | AssignmentEnded | ReleaseArmed | ReleaseDisarmed | CheckNeeded | Checked | OutOfService | InService | DoorOpened
    | DoorClosed | DoorForced | DoorHeldOpen | DoorSeen | LockChanged | OccupancyChanged | LinkLost | LinkRestored
    | CommandDone | LimitExceeded | JournalLost | JournalGap
)  # fmt: skip

EVENT_TYPES: dict[str, type[Event]] = {cls.TYPE: cls for cls in Event.__args__}


def locker_of(event: Event) -> str | None:
    """The locker number that an event is about, if it is about one."""
    return getattr(event, "locker", None)


def person_of(event: Event) -> str | None:
    """The pseudonym that an event names, if it names one."""
    return getattr(event, "person", None)
