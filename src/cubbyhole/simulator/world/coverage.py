"""What the runs have met so far. A fault, a transition or a denial that never happened was never tested."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from cubbyhole.domain import door, watch
from cubbyhole.domain.door import DOOR_TABLE, DoorFact, DoorNews, DoorState
from cubbyhole.domain.vocabulary import Alarm, Outcome, Reason

FAULTS = (
    "loss", "duplicate", "reorder", "partition", "power_lost_idle", "power_lost_before_commit",
    "power_lost_after_commit", "power_lost_before_pulse", "power_lost_after_pulse", "server_crash",
    "reply_lost_in_server_crash", "disk_full", "disk_slow", "clock_drift", "clock_jump_forward", "clock_jump_back",
    "clock_dead_battery", "board_silent", "board_deaf_reply", "port_gone", "jam", "door_left_open", "left_inside",
    "door_forced", "late_tap", "controller_replaced", "daylight_saving", "credential_revoked",
    "live_command", "standing_command", "garbage_tap", "garbage_message", "forged_lines",
)  # fmt: skip

# `directory_too_old` is a word of the protocol that no decision uses yet: a command waits instead.
REASONS = tuple(reason for reason in Reason if reason is not Reason.DIRECTORY_TOO_OLD)

# Where the server is the real one.
SERVER_FAULTS = (
    "server_clock_jump", "server_restored", "newer_events", "visitor_of_another_bank", "server_died_in_commit",
)  # fmt: skip

# Needs a pulse at a door that has been open for a quarter of an hour: such a tap is answered without one.
UNREACHABLE = ((DoorState.HELD_OPEN, DoorFact.RELEASED),)

LOCKER_STATES = (
    "free", "held", "armed", "former", "check", "out_of_service", "unverified", "link_lost", "untimed",
    *(f"alarm_{alarm.value}" for alarm in Alarm),
)  # fmt: skip


class Coverage:
    """Counters over a whole set of runs."""

    def __init__(self) -> None:
        self.servers: set[str] = set()  # kinds that have run
        self.faults: Counter[str] = Counter()
        self.transitions: Counter[tuple[DoorState, DoorFact]] = Counter()
        self.reasons: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.states: Counter[str] = Counter()

    def fault(self, name: str) -> None:
        self.faults[name] += 1

    def missing(self) -> list[str]:
        """Everything that could have happened and never did."""
        faults = (*FAULTS, *(SERVER_FAULTS if "sql" in self.servers else ()))
        return [
            *(f"fault {name}" for name in faults if not self.faults[name]),
            *(
                f"door {s.value} on {f.value}"
                for s, f in DOOR_TABLE
                if not self.transitions[s, f] and (s, f) not in UNREACHABLE
            ),
            *(f"denial {reason.value}" for reason in REASONS if not self.reasons[reason.value]),
            *(f"outcome {outcome.value}" for outcome in Outcome if not self.outcomes[outcome.value]),
            *(f"locker {name}" for name in LOCKER_STATES if not self.states[name]),
        ]

    def add(self, other: Coverage) -> None:
        """Count what ``other`` has met, too."""
        self.servers |= other.servers
        for mine, theirs in (
            (self.faults, other.faults), (self.reasons, other.reasons), (self.outcomes, other.outcomes),
            (self.states, other.states),
        ):  # fmt: skip
            mine.update(theirs)
        self.transitions.update(other.transitions)

    @contextmanager
    def watching_doors(self) -> Iterator[None]:
        """Count the door table's transitions while within."""
        step, seen = door.step, self.transitions

        def counted(state: DoorState, fact: DoorFact) -> tuple[DoorState, DoorNews | None]:
            seen[state, fact] += 1
            return step(state, fact)

        vars(watch)["step"] = counted  # where the watch looks it up
        try:
            yield
        finally:
            vars(watch)["step"] = step
