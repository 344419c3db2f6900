"""What sensors and boards say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cubbyhole.domain.vocabulary import Door, Lock, Occupancy


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
