"""A day at a house of real processes on which things are killed, and what the boards' record says of it afterwards.

The dice are seeded; what the operating system makes of it is not, so who finds something wrong shows all of it.
"""

from __future__ import annotations

import http.client
import os
import random
import signal
import threading
import time
import urllib.error
from collections import Counter

from cubbyhole.simulator.house import House
from tests.support.house import (
    Kept,
    at_the_bank,
    at_the_server,
    controller_pid,
    eventually,
    is_online,
    nats_pid,
    of_type,
    pulses,
    tap,
)
from tests.whole.reckoning import GRANT_LIVES_MS, Check, Grant, Pulse, Wrong, contradictions, differences

POLLS_AT_START = 5
STRIKES_WITHIN_S = 0.2  # of a tap or a command: about as long as it takes from the frame to the open door's reading


class Day:
    """What people do in this house, and what is done to it."""

    def __init__(self, house: House, seed: int) -> None:
        self.house, self.dice = house, random.Random(seed)
        self.banks = {plan.id: plan for plan in house.banks}
        self.done: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()  # by bank: what may each have made one outcome unknown
        self.starts = Counter(self.banks.keys())  # by bank: how often its controller was started
        self.polled: Counter[str] = Counter()  # by bank: what its boards had been asked when that was

    def somebody_taps(self, bank: str) -> None:
        """Mostly people at their own doors, now and then a stranger at a taken one."""
        numbers = ["01", "02", "03", "04", "05", "06"]
        number = self.dice.choice(numbers)
        worker = self.house.staff[numbers.index(number)]
        if self.dice.random() < 0.15:
            worker = self.dice.choice(self.house.staff[8:])
        tap(self.house, bank, number if self.banks[bank].door_readers else "bank", worker)
        self.done["tap"] += 1

    def the_desk_opens(self, bank: str) -> None:
        number = f"{self.dice.randint(1, 8):02}"
        try:
            answer = self.house.post(f"/api/v1/lockers/{bank}-{number}/open", {"reason": "drill"})
            self.done[f"command {answer['outcome']}"] += 1
        except urllib.error.HTTPError as refused:
            refused.close()
            self.done[f"command {refused.code}"] += 1
        except (OSError, http.client.HTTPException):
            self.done["command without server"] += 1

    def somebody_comes(self, bank: str) -> None:
        """One person at a time: the next one comes when it is known what became of this one."""
        if self.dice.random() < 0.2:
            if self.dice.random() < 0.6:  # else perhaps while the bank is still away
                eventually(lambda: is_online(self.house, bank), f"bank {bank} to be online")
            self.the_desk_opens(bank)
            self.quiet(bank)
        else:
            self.somebody_is_answered(bank)

    def somebody_is_answered(self, bank: str) -> None:
        """A tap, and what became of it: nothing within a second is an answer too, as a reader repeats no badge."""
        before = len(decisions(self.house, bank))
        self.somebody_taps(bank)
        end = time.monotonic() + (1.0 if self.is_awake(bank) else 0.0)
        while len(decisions(self.house, bank)) == before and time.monotonic() < end:
            time.sleep(0.02)
        self.quiet(bank)

    def trouble(self, kind: str) -> None:
        """Somebody taps or asks the desk, and at a random moment of what follows the trouble strikes."""
        bank = self.dice.choice(list(self.banks))
        if self.dice.random() < 0.75:  # else it may strike while the bank still gets up from the last one
            self.awake(bank)
        if kind == "bad link":
            self.bad_link(bank)
            return
        asking = threading.Thread(target=self.the_desk_opens, args=(bank,))
        if self.dice.random() < 0.3:
            asking.start()
        else:
            self.somebody_taps(bank)
        time.sleep(self.dice.uniform(0.0, STRIKES_WITHIN_S))
        match kind:
            case "kill controller":
                self.kill_controller(bank)
            case "power":
                self.done[kind] += 1
                self.faults[bank] += 1
                self.house.sim("power", bank=bank, act="off")
                self.power_on(bank)
            case "kill nats":
                self.done[kind] += 1
                pid = nats_pid(self.house)
                if pid is not None:
                    os.kill(pid, signal.SIGKILL)
            case "kill server":
                self.kill_server()
        if asking.ident is not None:
            asking.join()

    def kill_controller(self, bank: str) -> None:
        self.done["kill controller"] += 1
        pid = controller_pid(self.house, bank)
        if pid is not None:
            self.faults[bank] += 1
            os.kill(pid, signal.SIGKILL)
            eventually(lambda: controller_pid(self.house, bank) is None, "the controller to be gone")
        self.power_on(bank)

    def kill_server(self) -> None:
        self.done["kill server"] += 1
        assert self.house.server is not None and self.house.server.stdout is not None
        self.house.server.kill()
        self.house.server.wait()
        self.house.server.stdout.close()
        for other in self.banks:
            self.somebody_taps(other)
        self.house.start_server()

    def power_on(self, bank: str) -> None:
        self.polled[bank] = polls(self.house, bank)
        self.house.sim("power", bank=bank, act="on")
        self.starts[bank] += 1

    def is_awake(self, bank: str) -> bool:
        """Whether the controller that was started last reads its boards."""
        boots = of_type(at_the_bank(self.house, bank), "boot.started")
        return len(boots) == self.starts[bank] and polls(self.house, bank) > self.polled[bank] + POLLS_AT_START

    def awake(self, bank: str) -> None:
        eventually(lambda: self.is_awake(bank), f"bank {bank} to be awake")

    def bad_link(self, bank: str) -> None:
        """One tap while the wire loses or bends everything in one direction; then it is whole again."""
        self.quiet(bank)
        self.faults[bank] += 1
        kind = self.dice.choice(["drop", "corrupt"])
        side = self.dice.choice(["request", "reply"])
        self.house.sim("fault", bank=bank, bus="locks", **{kind: 1.0}, direction=side, seed=self.dice.getrandbits(32))
        self.somebody_taps(bank)
        time.sleep(self.dice.uniform(0.1, 1.0))
        self.house.sim("fault", bank=bank, bus="locks")
        self.done[f"link {kind} {side}"] += 1

    def quiet(self, bank: str) -> None:
        """Wait until the bank's running controller knows what became of every grant: one fault, one unknown at most."""

        def is_quiet() -> bool:
            return all(grant.outcome is not None for grant in grants_of(self.house, bank))

        eventually(is_quiet, f"the grants of {bank} to be settled")

    def over(self, bank: str) -> None:
        """Wait until nothing more is to come from this bank: the server has acknowledged its newest line."""
        self.awake(bank)
        eventually(lambda: is_online(self.house, bank), f"bank {bank} to come back")
        self.quiet(bank)
        eventually(
            lambda: acknowledged(self.house, bank) == at_the_bank(self.house, bank)[-1].seq,
            f"the server to take all of {bank}",
        )


def wrongs(day: Day, bank: str) -> list[Wrong]:
    """Everything that is wrong at a bank whose day is over; empty where record, journal and server agree."""
    house = day.house
    found = contradictions(grants_of(house, bank), pulses_of(house, bank), day.faults[bank])
    for pulse in pulses_without_a_person(house, bank):
        found.append(Wrong(Check.ASKED, f"nobody asked for the pulse on {pulse.locker} at {pulse.mono_ms}"))
    upto = acknowledged(house, bank)  # a door that falls shut now says so later
    lines, theirs = at_the_bank(house, bank), at_the_server(house, bank)
    found += differences(*([(k.seq, k.raw) for k in side if k.seq <= upto] for side in (lines, theirs)))
    if [line.seq for line in lines] != list(range(1, len(lines) + 1)):
        found.append(Wrong(Check.NO_GAP, f"the journal of {bank} has other lines than 1 to {len(lines)}"))
    return found


def told(day: Day, bank: str) -> str:
    """What somebody needs who wants to know why."""
    return f"bank {bank}, {dict(day.done)}\n{grants_of(day.house, bank)}\n{pulses_of(day.house, bank)}"


def polls(house: House, bank: str) -> int:
    """How often the bank's boards have been asked for anything."""
    return int(house.sim("state", bank=bank)["buses"]["locks"]["counts"]["requests"])


def acknowledged(house: House, bank: str) -> int:
    """The newest line that the server says it has."""
    return int(house.get(f"/api/v1/banks/{bank}")["seq"])


def decisions(house: House, bank: str) -> list[Kept]:
    return [line for line in at_the_bank(house, bank) if line.type in ("access.granted", "tap.denied")]


def grants_of(house: House, bank: str) -> list[Grant]:
    lines = at_the_bank(house, bank)
    settled = {facts["grant"]: facts["outcome"] for facts in of_type(lines, "unlock.settled")}
    return [
        Grant(line.facts["grant"], line.facts["locker"], line.said["mono"], settled.get(line.facts["grant"]))
        for line in lines
        if line.type == "access.granted"
    ]


def pulses_of(house: House, bank: str) -> list[Pulse]:
    return [Pulse(pulse["locker"], pulse["mono_ns"] // 1_000_000) for pulse in pulses(house, bank)]


def pulses_without_a_person(house: House, bank: str) -> list[Pulse]:
    """Pulses at a door that nobody has just asked for, at a reader or at the desk."""
    record = house.sim("truth", bank=bank)
    ways = {
        (line.facts["locker"], line.said["mono"])
        for line in at_the_bank(house, bank)
        if line.type == "access.granted" and line.facts["way"] == "command"
    }
    found = []
    for pulse in pulses_of(house, bank):
        if any(locker == pulse.locker and 0 <= pulse.mono_ms - mono <= GRANT_LIVES_MS for locker, mono in ways):
            continue
        ages = [
            pulse.mono_ms - seen["last_byte_ns"] // 1_000_000
            for seen in record["taps"]
            if seen["reader"] in ("bank", pulse.locker)
        ]
        if not any(0 <= age <= GRANT_LIVES_MS for age in ages):
            found.append(pulse)
    return found
