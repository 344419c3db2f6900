"""The events of a bank's journal: facts in the past tense. A bank's state is the fold of these.

Events carry their consequences (`ends_ms`, not a rule), so that a later release folds an old journal to the same
state. Every class names its wire type in ``TYPE``; the field names are the wire's. People appear as pseudonyms, free
text and unknown badges only as salted commitments.
"""

from __future__ import annotations

from cubbyhole.domain.events.access import AccessGranted as AccessGranted
from cubbyhole.domain.events.access import AssignmentEnded as AssignmentEnded
from cubbyhole.domain.events.access import AssignmentRenewed as AssignmentRenewed
from cubbyhole.domain.events.access import AssignmentShared as AssignmentShared
from cubbyhole.domain.events.access import AssignmentStarted as AssignmentStarted
from cubbyhole.domain.events.access import AssignmentTimed as AssignmentTimed
from cubbyhole.domain.events.access import Checked as Checked
from cubbyhole.domain.events.access import CheckNeeded as CheckNeeded
from cubbyhole.domain.events.access import InService as InService
from cubbyhole.domain.events.access import LimitExceeded as LimitExceeded
from cubbyhole.domain.events.access import OutOfService as OutOfService
from cubbyhole.domain.events.access import ReleaseArmed as ReleaseArmed
from cubbyhole.domain.events.access import ReleaseDisarmed as ReleaseDisarmed
from cubbyhole.domain.events.access import ShareEnded as ShareEnded
from cubbyhole.domain.events.access import TapDenied as TapDenied
from cubbyhole.domain.events.access import UnlockSettled as UnlockSettled
from cubbyhole.domain.events.doors import DoorClosed as DoorClosed
from cubbyhole.domain.events.doors import DoorForced as DoorForced
from cubbyhole.domain.events.doors import DoorHeldOpen as DoorHeldOpen
from cubbyhole.domain.events.doors import DoorOpened as DoorOpened
from cubbyhole.domain.events.doors import DoorSeen as DoorSeen
from cubbyhole.domain.events.doors import LinkLost as LinkLost
from cubbyhole.domain.events.doors import LinkRestored as LinkRestored
from cubbyhole.domain.events.doors import LockChanged as LockChanged
from cubbyhole.domain.events.doors import OccupancyChanged as OccupancyChanged
from cubbyhole.domain.events.journal import BankConfigured as BankConfigured
from cubbyhole.domain.events.journal import BootStarted as BootStarted
from cubbyhole.domain.events.journal import ClockDoubted as ClockDoubted
from cubbyhole.domain.events.journal import ClockTrusted as ClockTrusted
from cubbyhole.domain.events.journal import CommandDone as CommandDone
from cubbyhole.domain.events.journal import ContactLost as ContactLost
from cubbyhole.domain.events.journal import ContactRestored as ContactRestored
from cubbyhole.domain.events.journal import DirectoryApplied as DirectoryApplied
from cubbyhole.domain.events.journal import EpochStarted as EpochStarted
from cubbyhole.domain.events.journal import JournalGap as JournalGap
from cubbyhole.domain.events.journal import JournalLost as JournalLost
from cubbyhole.domain.events.journal import PersonBound as PersonBound
from cubbyhole.domain.events.journal import UnknownEvent as UnknownEvent
from cubbyhole.domain.snapshot import Answered as Answered
from cubbyhole.domain.snapshot import Assigned as Assigned
from cubbyhole.domain.snapshot import BankNow as BankNow
from cubbyhole.domain.snapshot import Disabled as Disabled
from cubbyhole.domain.snapshot import GapMark as GapMark

Event = (
    EpochStarted | BootStarted | BankConfigured | DirectoryApplied | ContactLost | ContactRestored | ClockDoubted
    | ClockTrusted | PersonBound | AccessGranted | UnlockSettled | TapDenied | AssignmentStarted | AssignmentTimed
    | AssignmentRenewed | AssignmentShared | ShareEnded | AssignmentEnded | ReleaseArmed | ReleaseDisarmed
    | CheckNeeded | Checked | OutOfService | InService | DoorOpened | DoorClosed | DoorForced | DoorHeldOpen | DoorSeen
    | LockChanged | OccupancyChanged | LinkLost | LinkRestored | CommandDone | LimitExceeded | JournalLost | JournalGap
)  # fmt: skip

EVENT_TYPES: dict[str, type[Event]] = {cls.TYPE: cls for cls in Event.__args__}


def locker_of(event: Event) -> str | None:
    """The locker number that an event is about, if it is about one."""
    return getattr(event, "locker", None)


def person_of(event: Event) -> str | None:
    """The pseudonym that an event names, if it names one."""
    return getattr(event, "person", None)
