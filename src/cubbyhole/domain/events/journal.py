"""The journal itself, the bank that writes it, its clock, its contact and the commands that it was sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cubbyhole.domain.snapshot import Answered, Assigned, BankNow, Disabled
from cubbyhole.domain.vocabulary import Reason


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
class CommandDone:
    """The final outcome of a command (`done`, `refused`, `unknown`), replayed for duplicates."""

    TYPE: ClassVar[str] = "command.done"
    command: str
    kind: str
    outcome: str
    reason: Reason | None = None
    ordinal: int | None = None


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
