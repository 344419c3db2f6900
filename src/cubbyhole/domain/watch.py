"""From sensor readings to facts: debounce, the door table, held-open, jams. One `Watch` per locker.

What it remembers lives only as long as the controller runs; after a start every door is blind until it has been
read. Nothing is inferred: a sensor that is not there stays unknown.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cubbyhole.domain import events as ev
from cubbyhole.domain.bank import LockerState
from cubbyhole.domain.door import DoorFact, DoorNews, DoorState, step
from cubbyhole.domain.vocabulary import Door, Lock, Occupancy, Outcome

EQUAL_POLLS = 2
# When a latch that its pulse moves must be free: no bank's pulse is shorter than 200 ms, and the frame and the latch
# take a moment. Only a look at that time can say that it did not move.
FREE_FROM_MS = 60
FREE_UNTIL_MS = 200
_SENSOR_SETTLES = ("not_empty", "contents_unknown")  # checks that a closed door and an empty locker answer


@dataclass(frozen=True, slots=True)
class Limits:
    """How patient the bank is. ``springs``: doors spring open when released, so one that does not is jammed."""

    open_within_ms: int = 5_000
    held_open_ms: int = 900_000
    springs: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """One poll of one locker; None where there is no such sensor."""

    door_open: bool | None
    lock_secured: bool | None
    occupied: bool | None


@dataclass(slots=True)
class _Debounce:
    """A value counts once two polls in a row said it."""

    settled: bool | None = None
    candidate: bool | None = None
    count: int = 0

    def take(self, value: bool | None) -> bool:
        """Feed one poll; True where the settled value has just changed."""
        if value is None or value == self.settled:
            self.count = 0
            return False
        self.count = self.count + 1 if value == self.candidate else 1
        self.candidate = value
        if self.count < EQUAL_POLLS:
            return False
        self.settled, self.count = value, 0
        return True


@dataclass(slots=True)
class Watch:
    """What is being waited for at one door. Times are the controller's monotonic ms."""

    door: DoorState = DoorState.BLIND
    grant: str | None = None
    asked_ms: int = 0
    released_ms: int = 0
    confirmed: bool = True
    opened_ms: int | None = None
    _free: bool = False  # the lock said so at least once since the frame
    _stuck: bool = False  # the lock said that it was not free when it had to be
    _late: str | None = None  # a grant given up while the lock was still free: the door may be pulled yet
    _door: _Debounce = field(default_factory=_Debounce)
    _lock: _Debounce = field(default_factory=_Debounce)
    _occupied: _Debounce = field(default_factory=_Debounce)

    def released(self, grant: str, asked_ms: int, mono_ms: int, confirmed: bool = True) -> None:
        """An unlock frame for ``grant`` went out; ``asked_ms`` is when the person asked."""
        self.grant, self.asked_ms, self.released_ms, self.confirmed = grant, asked_ms, mono_ms, confirmed
        self._free, self._stuck, self._late = False, False, None
        self.door, _ = step(self.door, DoorFact.RELEASED)

    def read(self, s: LockerState, reading: Reading, mono_ms: int) -> list[ev.Event]:
        """The events that one poll brings."""
        made: list[ev.Event] = []
        self._free = self._free or reading.lock_secured is False
        if reading.lock_secured and FREE_FROM_MS <= mono_ms - self.released_ms <= FREE_UNTIL_MS:
            self._stuck = True
        if self._occupied.take(reading.occupied):
            seen = Occupancy.OCCUPIED if self._occupied.settled else Occupancy.EMPTY
            if seen is not s.occupancy:
                made.append(ev.OccupancyChanged(locker=s.number, occupancy=seen))
        if self._lock.take(reading.lock_secured):
            lock = Lock.SECURED if self._lock.settled else Lock.RELEASED
            if lock is not s.lock:
                made.append(ev.LockChanged(locker=s.number, lock=lock))
        if self._door.take(reading.door_open):
            made += self._moved(s, bool(self._door.settled), mono_ms)
        if made and self._is_settled(s):
            made.append(ev.Checked(locker=s.number))
        return made

    def tick(self, s: LockerState, limits: Limits, mono_ms: int) -> list[ev.Event]:
        """The events that mere waiting brings: nobody pulled the door, or it stands open too long."""
        if self.grant is not None and mono_ms - self.released_ms > limits.open_within_ms:
            grant, self.grant = self.grant, None
            return [ev.UnlockSettled(grant=grant, locker=s.number, outcome=self._given_up(grant, limits))]
        if self.grant is None and self.door is DoorState.EXPECTING and self._lock.settled is not False:
            self.door, _ = step(self.door, DoorFact.GIVEN_UP)
            self._late = None
        if self.opened_ms is not None and mono_ms - self.opened_ms > limits.held_open_ms:
            self.door, news = step(self.door, DoorFact.TOO_LONG)
            if news is DoorNews.HELD_OPEN:
                return [ev.DoorHeldOpen(locker=s.number, open_ms=mono_ms - self.opened_ms)]
        return []

    def lost(self, s: LockerState) -> list[ev.Event]:
        """The board went silent: all that was known is unknown."""
        self.door, _ = step(self.door, DoorFact.LOST)
        self._door, self._lock, self._occupied, self.opened_ms = _Debounce(), _Debounce(), _Debounce(), None
        self._late = None
        if self.grant is None:
            return []
        grant, self.grant = self.grant, None
        return [ev.UnlockSettled(grant=grant, locker=s.number, outcome=Outcome.UNKNOWN)]

    def reread(self) -> None:
        """Forget what was read, because what it meant was not journaled: the next polls say it again."""
        self._door, self._lock, self._occupied = _Debounce(), _Debounce(), _Debounce()
        if self.grant is None:
            self.door, self.opened_ms, self._late = DoorState.BLIND, None, None

    def _is_settled(self, s: LockerState) -> bool:
        """Whether the sensor behind the closed door now answers what nobody knew when the assignment ended."""
        asked = s.check in _SENSOR_SETTLES and s.assignment is None and s.alarm is None and not s.unverified
        return asked and self._door.settled is False and self._occupied.settled is False

    def _given_up(self, grant: str, limits: Limits) -> Outcome:
        """What became of a frame when the time to open is over."""
        if self.door is not DoorState.EXPECTING:
            return Outcome.ALREADY_OPEN
        if self._lock.settled is False:
            # A latch that holds until it is pulled says so through its own sensor: pulling it later is no force.
            self._late = grant
            return Outcome.NOT_OPENED
        self.door, _ = step(self.door, DoorFact.GIVEN_UP)
        if not self.confirmed:
            return Outcome.UNKNOWN  # the board never said that the frame arrived
        if self._lock.settled is True and self._free:
            return Outcome.NOT_OPENED  # it was free and has caught again: nobody pulled
        # Where nobody looked while the pulse lasted, only a door that should have sprung open says that it is jammed.
        return Outcome.JAMMED if self._stuck or limits.springs else Outcome.NOT_OPENED

    def _moved(self, s: LockerState, is_open: bool, mono_ms: int) -> list[ev.Event]:
        self.door, news = step(self.door, DoorFact.OPENS if is_open else DoorFact.CLOSES)
        open_ms = mono_ms - self.opened_ms if self.opened_ms is not None else None
        self.opened_ms = mono_ms if is_open else None
        match news:
            case DoorNews.OPENED:
                made: list[ev.Event] = [ev.DoorOpened(locker=s.number, grant=self.grant or self._late)]
                if self.grant is not None:
                    took = mono_ms - self.asked_ms
                    opened = Outcome.OPENED
                    made.append(
                        ev.UnlockSettled(grant=self.grant, locker=s.number, outcome=opened, tap_to_open_ms=took)
                    )
                self.grant = self._late = None
                return made
            case DoorNews.CLOSED:
                if self.grant is not None:
                    # The pulse found it open: what it has released may be pulled yet, and that is no force.
                    self.door, _ = step(self.door, DoorFact.RELEASED)
                return [ev.DoorClosed(locker=s.number, open_ms=open_ms)]
            case DoorNews.FORCED:
                made = [ev.DoorForced(locker=s.number)]
                if s.assignment is None and s.check is None:
                    made.append(ev.CheckNeeded(locker=s.number, why="forced"))
                return made
        seen = Door.OPEN if is_open else Door.CLOSED
        return [ev.DoorSeen(locker=s.number, door=seen)] if seen is not s.door else []
