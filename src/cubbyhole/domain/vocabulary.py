"""The closed word lists of the domain. Code, API, journal and screens use the same spelling."""

from __future__ import annotations

from enum import StrEnum


class Door(StrEnum):
    """What the door sensor says."""

    OPEN = "open"
    CLOSED = "closed"
    UNKNOWN = "unknown"


class Lock(StrEnum):
    """What the lock sensor says; a board without one leaves it unknown, it is never inferred."""

    SECURED = "secured"
    RELEASED = "released"
    JAMMED = "jammed"
    UNKNOWN = "unknown"


class Occupancy(StrEnum):
    """What the occupancy sensor says; unknown is never treated as empty."""

    EMPTY = "empty"
    OCCUPIED = "occupied"
    UNKNOWN = "unknown"


class Mode(StrEnum):
    """How long an assignment lasts, shortest first (the shorter is the stricter)."""

    HOURS = "hours"
    DAY = "day"
    TERM = "term"
    PERMANENT = "permanent"


class Purpose(StrEnum):
    """What a locker is there for. Only the first three are given to whoever taps."""

    PERSONAL = "personal"
    TEAM = "team"
    POOL = "pool"  # shared equipment
    PARCEL = "parcel"
    IT = "it"
    VISITOR = "visitor"


class Contents(StrEnum):
    """What happens to a locker whose contents nobody knows when its assignment ends, strictest first."""

    CHECK = "check"  # not offered until somebody has looked
    RETRIEVE = "retrieve"  # offered; the former holder may still open it until somebody takes it
    RELEASE = "release"  # offered; the former holder has no more rights


class Cause(StrEnum):
    """Why an assignment ended."""

    RELEASED = "released"  # by its holder
    EXPIRED = "expired"
    OPERATOR = "operator"
    MOVED = "moved"
    HANDED_OVER = "handed_over"  # by its holder to somebody else
    LAPSED = "lapsed"  # got from afar and not opened in time
    REMOVED = "removed"  # the bank was rebuilt without the locker


class Alarm(StrEnum):
    """What is wrong at one locker."""

    FORCED = "forced"
    HELD_OPEN = "held_open"
    JAMMED = "jammed"


class Outcome(StrEnum):
    """What became of the unlock that a grant allowed."""

    OPENED = "opened"
    ALREADY_OPEN = "already_open"  # the door stood open: no pulse was needed, or it changed nothing
    NOT_OPENED = "not_opened"  # pulse sent, lock free or unsensed, nobody pulled the door
    JAMMED = "jammed"  # pulse sent, the lock still says secured
    NOT_SENT = "not_sent"  # the frame surely did not leave
    LATE = "late"  # its turn came after the person's patience; nothing was sent
    UNKNOWN = "unknown"  # a crash or a dead link in between; never pulsed again


class Way(StrEnum):
    """By which way somebody asked for a door."""

    TAP = "tap"
    COMMAND = "command"
    RETRIEVE = "retrieve"  # a former holder fetches what was left
    SHARED = "shared"  # somebody with whom the holder shares it


class Reason(StrEnum):
    """Why a decision was `Denied`. Each has a hint for the person in the locale files."""

    UNKNOWN_CREDENTIAL = "unknown_credential"
    CREDENTIAL_BLOCKED = "credential_blocked"
    PERSON_INACTIVE = "person_inactive"
    NOT_ENTITLED = "not_entitled"
    TAKEN = "taken"
    LIMIT_REACHED = "limit_reached"
    NOTHING_FREE = "nothing_free"
    SIZE_NOT_ALLOWED = "size_not_allowed"
    OTHER_PURPOSE = "other_purpose"
    OUTSIDE_HOURS = "outside_hours"
    SECOND_FACTOR = "second_factor"
    MODE_NOT_ALLOWED = "mode_not_allowed"
    NO_RENEWALS_LEFT = "no_renewals_left"
    TOO_EARLY = "too_early"
    SHARING_NOT_ALLOWED = "sharing_not_allowed"
    SEVERAL_LOCKERS = "several_lockers"
    OUT_OF_SERVICE = "out_of_service"
    CHECK_FIRST = "check_first"
    NOT_EMPTY = "not_empty"
    DOOR_OPEN = "door_open"
    DOOR_UNKNOWN = "door_unknown"
    UNVERIFIED = "unverified"
    ALARM = "alarm"
    OFFLINE_TOO_LONG = "offline_too_long"
    CLOCK_IN_DOUBT = "clock_in_doubt"
    NO_DIRECTORY = "no_directory"
    DISK_FULL = "disk_full"
    BUSY = "busy"
    LATE = "late"
    UNKNOWN_LOCKER = "unknown_locker"
    ASSIGNMENT_CHANGED = "assignment_changed"
    DIRECTORY_TOO_OLD = "directory_too_old"
    NOT_ALLOWED_REMOTELY = "not_allowed_remotely"
    UNKNOWN_KIND = "unknown_kind"


REASON_MEANING: dict[Reason, str] = {
    Reason.UNKNOWN_CREDENTIAL: "the credential is not in the bank's directory",
    Reason.CREDENTIAL_BLOCKED: "the credential was reported lost or blocked",
    Reason.PERSON_INACTIVE: "the person is not active, or outside the time that they were given",
    Reason.NOT_ENTITLED: "a rule keeps this locker (at a shared reader: every free one) for other groups",
    Reason.TAKEN: "the locker is somebody else's",
    Reason.LIMIT_REACHED: "the person already has as many lockers here as the rule allows",
    Reason.NOTHING_FREE: "no locker of the bank is free",
    Reason.SIZE_NOT_ALLOWED: "a rule keeps lockers of this size for others",
    Reason.OTHER_PURPOSE: "the locker is there for something else, such as parcels",
    Reason.OUTSIDE_HOURS: "a rule opens the locker at other hours only",
    Reason.SECOND_FACTOR: "a rule wants a PIN besides the badge, which this reader cannot take",
    Reason.MODE_NOT_ALLOWED: "a rule gives this locker for a shorter time only",
    Reason.NO_RENEWALS_LEFT: "the assignment was renewed as often as the rule allows",
    Reason.TOO_EARLY: "the assignment has no end, or ends later than a new one would",
    Reason.SHARING_NOT_ALLOWED: "a rule forbids sharing this locker, or with that person",
    Reason.SEVERAL_LOCKERS: "the person has several lockers here and must tap on one of them",
    Reason.OUT_OF_SERVICE: "the locker was taken out of service",
    Reason.CHECK_FIRST: "somebody must look inside before the locker is given out",
    Reason.NOT_EMPTY: "the sensor says that something is inside",
    Reason.DOOR_OPEN: "the door of a free locker stands open",
    Reason.DOOR_UNKNOWN: "the bank cannot see the door: its board does not answer, or has not yet",
    Reason.UNVERIFIED: "the controller was replaced and nobody has looked at this locker since",
    Reason.ALARM: "the locker has an alarm (forced, held open, jammed)",
    Reason.OFFLINE_TOO_LONG: "the bank was without the server longer than the rule allows, or its calendar has run out",
    Reason.CLOCK_IN_DOUBT: "the right has a time of its own and the bank cannot trust its clock",
    Reason.NO_DIRECTORY: "the bank has not received its directory yet",
    Reason.DISK_FULL: "the decision could not be written to the disk",
    Reason.BUSY: "the door is being opened already",
    Reason.LATE: "the request came after the time until which it was good",
    Reason.UNKNOWN_LOCKER: "the bank has no locker of this number",
    Reason.ASSIGNMENT_CHANGED: "the assignment that the command names is not the locker's (any more)",
    Reason.DIRECTORY_TOO_OLD: "the command was made under a directory that the bank does not have yet",
    Reason.NOT_ALLOWED_REMOTELY: "a rule forbids opening this locker from afar",
    Reason.UNKNOWN_KIND: "this release of the controller does not know the kind of command",
}
