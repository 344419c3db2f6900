"""Taps and desk commands while controllers, server and nats-server are killed at random moments, with real processes.

Afterwards the boards' own record is set against the journals. The dice are seeded; what the operating system makes of
it is not, so a failure prints the journal and the record. CUBBYHOLE_TRUTH_ROUNDS plays more rounds.
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

import pytest

from cubbyhole.simulator.house import House
from cubbyhole.simulator.office import Worker
from tests.support.house import (
    Kept,
    agree,
    at_the_bank,
    controller_pid,
    eventually,
    is_online,
    nats_pid,
    of_type,
    pulses,
    running_house,
    tap,
)
from tests.whole.reckoning import GRANT_LIVES_MS, Grant, Pulse, contradictions

pytestmark = pytest.mark.slow
SEED = 20_26
ROUNDS = int(os.environ.get("CUBBYHOLE_TRUTH_ROUNDS", "1"))
ROUND_S = 60.0
# What goes wrong in one round: each at least once, the others for as long as the round lasts; the dice give the order.
TROUBLES = ["kill controller", "power", "bad link", "kill server", "kill nats"]
MORE = ["kill controller"] * 6 + ["power"] * 2 + ["bad link"] * 2 + ["kill server", "kill nats"]
POLLS_AT_START = 5
BANKS = ("A", "B")


class Day:
    """What people do in this house, and what is done to it."""

    def __init__(self, house: House, seed: int) -> None:
        self.house, self.dice = house, random.Random(seed)
        self.done: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()  # by bank: what may each have made one outcome unknown
        self.starts = Counter(BANKS)  # by bank: how often its controller was started
        self.polled: Counter[str] = Counter()  # by bank: what its boards had been asked when that was

    def somebody_taps(self, bank: str) -> None:
        """Mostly people at their own doors, now and then a stranger at a taken one."""
        numbers = ["01", "02", "03", "04", "05", "06"]
        number = self.dice.choice(numbers)
        worker: Worker = self.house.staff[numbers.index(number)]
        if self.dice.random() < 0.15:
            worker = self.dice.choice(self.house.staff[8:])
        tap(self.house, bank, number if bank == "A" else "bank", worker)
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
            self.the_desk_opens(bank)
        else:
            before = len(decisions(self.house, bank))
            self.somebody_taps(bank)
            end = time.monotonic() + (1.0 if self.is_awake(bank) else 0.0)
            while len(decisions(self.house, bank)) == before and time.monotonic() < end:
                time.sleep(0.02)
        self.quiet(bank)

    def trouble(self, kind: str) -> None:
        """Somebody taps or asks the desk, and at a random moment of what follows the trouble strikes."""
        bank = self.dice.choice(BANKS)
        if self.dice.random() < 0.75:  # else it may strike while the bank still gets up from the last one
            eventually(lambda: self.is_awake(bank), f"bank {bank} to be awake")
        if kind == "bad link":
            self.bad_link(bank)
            return
        asking = threading.Thread(target=self.the_desk_opens, args=(bank,))
        if self.dice.random() < 0.3:
            asking.start()
        else:
            self.somebody_taps(bank)
        time.sleep(self.dice.uniform(0.0, 0.2))
        self.done[kind] += 1
        match kind:
            case "kill controller":
                pid = controller_pid(self.house, bank)
                if pid is not None:
                    self.faults[bank] += 1
                    os.kill(pid, signal.SIGKILL)
                    eventually(lambda: controller_pid(self.house, bank) is None, "the controller to be gone")
                self.power_on(bank)
            case "power":
                self.faults[bank] += 1
                self.house.sim("power", bank=bank, act="off")
                self.power_on(bank)
            case "kill nats":
                pid = nats_pid(self.house)
                if pid is not None:
                    os.kill(pid, signal.SIGKILL)
            case "kill server":
                assert self.house.server is not None and self.house.server.stdout is not None
                self.house.server.kill()
                self.house.server.wait()
                self.house.server.stdout.close()
                for other in BANKS:
                    self.somebody_taps(other)
                self.house.start_server()
        if asking.ident is not None:
            asking.join()

    def power_on(self, bank: str) -> None:
        self.polled[bank] = polls(self.house, bank)
        self.house.sim("power", bank=bank, act="on")
        self.starts[bank] += 1

    def is_awake(self, bank: str) -> bool:
        """Whether the controller that was started last reads its boards."""
        boots = of_type(at_the_bank(self.house, bank), "boot.started")
        return len(boots) == self.starts[bank] and polls(self.house, bank) > self.polled[bank] + POLLS_AT_START

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
            grants = grants_of(self.house, bank)
            return all(grant.outcome is not None for grant in grants)

        eventually(is_quiet, f"the grants of {bank} to be settled", 20.0)


def polls(house: House, bank: str) -> int:
    """How often the bank's boards have been asked for anything."""
    return int(house.sim("state", bank=bank)["buses"]["locks"]["counts"]["requests"])


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


def test_every_pulse_has_its_grant_whatever_is_killed() -> None:
    with running_house(auto_close_s=0.5) as house:
        day = Day(house, SEED)
        for _ in range(ROUNDS):
            play(day)
        for bank in BANKS:
            eventually(lambda bank=bank: is_online(house, bank), f"bank {bank} to come back", 30.0)  # type: ignore[misc]
            day.quiet(bank)
            eventually(lambda bank=bank: agree(house, bank), f"the server to have all of {bank}", 30.0)  # type: ignore[misc]
        for bank in BANKS:
            grants, made = grants_of(house, bank), pulses_of(house, bank)
            told = f"bank {bank}, {dict(day.done)}\n{grants}\n{made}"
            assert contradictions(grants, made, day.faults[bank]) == [], told
            assert pulses_without_a_person(house, bank) == [], told
            assert sum(grant.outcome == "opened" for grant in grants) >= 3 * ROUNDS, told
            assert len({line.seq for line in at_the_bank(house, bank)}) == at_the_bank(house, bank)[-1].seq, told
        print(dict(day.done), {bank: Counter(grant.outcome for grant in grants_of(house, bank)) for bank in BANKS})


def play(day: Day) -> None:
    """One round: people come to both banks, and between them something goes wrong."""
    end = time.monotonic() + ROUND_S
    troubles, more = list(TROUBLES), list(MORE)
    day.dice.shuffle(troubles)
    day.dice.shuffle(more)
    for number, kind in enumerate([*troubles, *more]):
        if number >= len(troubles) and time.monotonic() > end:
            return
        for bank in BANKS:
            day.somebody_comes(bank)
        day.trouble(kind)
