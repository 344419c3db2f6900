"""One bank of the world: furniture, controller, wire, people and the server's record of it, built from a seed."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field

from cubbyhole.domain import events as ev
from cubbyhole.domain.layout import parse_columns
from cubbyhole.domain.opening import Window
from cubbyhole.domain.rules import Rule, ScopeKind
from cubbyhole.domain.vocabulary import Contents, Mode, Purpose
from cubbyhole.edge import inputs as io
from cubbyhole.protocol.signing import public_text
from cubbyhole.simulator.world.clockwork import Kernel, MachineClock
from cubbyhole.simulator.world.coverage import Coverage
from cubbyhole.simulator.world.disk import WorldDisk
from cubbyhole.simulator.world.doors import Hardware, PhysicalDoor
from cubbyhole.simulator.world.keys import make_key
from cubbyhole.simulator.world.machine import Machine
from cubbyhole.simulator.world.people import Crowd, Human
from cubbyhole.simulator.world.server import BankRecord, Server
from cubbyhole.simulator.world.talk import Talk
from cubbyhole.simulator.world.wire import Weather, Wire
from cubbyhole.simulator.world.witness import Contact, Witness

TIMEZONE = "Europe/Berlin"
_BY_DAY = tuple(Window(weekday, 8 * 60, 17 * 60) for weekday in range(7))
BASE = Rule(
    rule="base", title="All", max_lockers=2, contents=Contents.RELEASE, give_offline_h=72, open_offline_h=720
)  # fmt: skip
COLUMNS = ("S S S M", "M M L", "S+ S+ M", "L_ L M", "S S M M")
HARDWARE = (
    Hardware(springs=True, senses_lock=True, senses_occupancy=True, relatch_ms=None),
    Hardware(springs=True, senses_lock=False, senses_occupancy=False, relatch_ms=None),
    Hardware(springs=False, senses_lock=True, senses_occupancy=False, relatch_ms=None),
    Hardware(springs=False, senses_lock=False, senses_occupancy=True, relatch_ms=3_000),
)


@dataclass(slots=True)
class World:
    """What all banks share."""

    kernel: Kernel
    chance: random.Random
    coverage: Coverage
    witness: Witness
    office: Server
    real_keys: bool


@dataclass
class BankScene:
    """A bank and everything around it. ``kind`` chooses its hardware, clock and rules; with a ``shared_reader`` it has
    one for all doors."""

    world: World
    bank: str
    index: int
    kind: int
    people: int
    pace_ms: int
    shared_reader: bool = field(init=False)
    doors: dict[str, PhysicalDoor] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)  # badge → person, as the server's people would say
    machine: Machine = field(init=False)
    talk: Talk = field(init=False)
    wire: Wire = field(init=False)
    crowd: Crowd = field(init=False)
    record: BankRecord = field(init=False)
    replaced: int = 0
    _next_badge: int = 0

    def __post_init__(self) -> None:
        self.shared_reader = self.kind % 5 == 1

    def build(self) -> None:
        """Furniture, people, directory and the first controller; nothing moves yet."""
        w, chance = self.world, random.Random(self.world.chance.getrandbits(64))
        self.chance = chance
        hardware = HARDWARE[self.kind % len(HARDWARE)]
        self.hardware = hardware
        columns = tuple(chance.choice(COLUMNS) for _ in range(chance.randint(4, 7)))
        self.settings = io.BankSettings(
            bank=self.bank, label=f"Bank {self.bank}", area="floor 1", site="office", columns=columns,
            reader="bank" if self.shared_reader else "door", senses_lock=hardware.senses_lock,
            senses_occupancy=hardware.senses_occupancy, drives_lights=False, springs=hardware.springs,
        )  # fmt: skip
        for spec in parse_columns(columns):
            self.doors[spec.number] = PhysicalDoor(spec.number, hardware, self._moved)
        self.wire = Wire(w.kernel, random.Random(chance.getrandbits(64)), w.coverage)
        self.record = w.office.add_bank(self.bank, TIMEZONE)
        humans = [self._human(n) for n in range(self.people)]
        self.crowd = Crowd(w.kernel, random.Random(chance.getrandbits(64)), w.coverage, self, humans)
        w.office.enter(self.bank, humans, self._rules())
        self._new_machine()

    def _moved(self, door: PhysicalDoor) -> None:
        self.machine.door_moved(door)

    # -- people -------------------------------------------------------------------------------------------------

    def new_badge(self) -> str:
        self._next_badge += 1
        text = hashlib.sha256(f"{self.bank}/{self._next_badge}".encode()).hexdigest()[:8]
        return f"uid:{text}"

    def _human(self, n: int) -> Human:
        badge = self.new_badge()
        groups = ("all", "staff") if n % 3 else ("all",)
        human = Human(f"p_{self.index:04x}{n:012x}", f"Person {n}", groups, badge, self._next_badge)
        if n % 12 == 5:
            start = self.world.kernel.now_ms + self.chance.randint(-2, 2) * 86_400_000
            human.window = (start, start + self.chance.randint(1, 4) * 86_400_000)
        if n % 25 == 11:
            human.active = False
        self.owners[badge] = human.person
        return human

    def newcomer(self) -> Human:
        """Somebody new, with a badge that works from the next directory on."""
        human = self._human(len(self.crowd.humans))
        self.crowd.humans.append(human)
        return human

    def _rules(self) -> list[Rule]:
        index, numbers = self.kind, list(self.doors)
        contents = (Contents.RETRIEVE, Contents.CHECK, Contents.RELEASE)[index % 3]
        most = 2 if self.shared_reader else 1
        hours = (2, 5) if index % 3 == 1 else (72, 720)
        names = [f"{self.bank}-{number}" for number in numbers]
        one = ScopeKind.LOCKER
        rules = [
            BASE,
            Rule(
                rule=f"bank-{self.bank}", title="This bank", scope=ScopeKind.BANK, scope_value=self.bank,
                max_lockers=most, contents=contents, give_offline_h=hours[0], open_offline_h=hours[1],
                renewals=1,
            ),
            Rule(rule=f"staff-{self.bank}", title="Staff", scope=one, scope_value=names[-1], only_groups=("staff",)),
            Rule(rule=f"fixed-{self.bank}", title="Fixed", scope=one, scope_value=names[2], mode=Mode.PERMANENT),
            Rule(rule=f"near-{self.bank}", title="By hand", scope=one, scope_value=names[1], remote_open=False),
            Rule(rule=f"post-{self.bank}", title="Parcels", scope=one, scope_value=names[3], purpose=Purpose.PARCEL),
            Rule(rule=f"big-{self.bank}", title="Big ones", scope=one, scope_value=names[4], sizes=("XL",)),
            Rule(rule=f"day-{self.bank}", title="By day", scope=one, scope_value=names[5], opening=_BY_DAY),
            Rule(rule=f"pin-{self.bank}", title="With a PIN", scope=one, scope_value=names[6], second_factor=True),
            Rule(rule=f"own-{self.bank}", title="One's own", scope=one, scope_value=names[7], sharing=False),
        ]  # fmt: skip
        if self.shared_reader:
            crew = Rule(rule=f"crew-{self.bank}", title="Crew", scope=one, scope_value=names[0], only_groups=("crew",))
            rules.append(crew)
        return rules

    # -- what people see ----------------------------------------------------------------------------------------

    def tap(self, locker: str | None, badge: str, owner: Human | None, age_ms: int = 0) -> io.TapSeen | None:
        """Hold a badge against a reader; None where the reader is dead."""
        machine = self.machine
        if not machine.alive:
            return None
        tap = io.TapSeen(locker, badge, machine.clock.mono_ms() - age_ms)
        self.world.witness.tap_count += 1
        for checker in self.world.witness.checkers:
            checker.tapped(self.bank, tap, owner.person if owner is not None else None)
        machine.post(tap)
        return tap

    def green(self) -> list[str]:
        return [s.number for s in self.machine.core.state.offered()] if self.machine.alive else []

    def check_contact(self) -> None:
        """Tell the witness whether all between this bank and the server works at the moment."""
        machine = self.machine
        well = (
            machine.alive and self.world.office.up and self.wire.weather is Weather.GOOD
            and not machine.disk.full and not machine.slow_disk and not machine.is_syncing_slowly
        )  # fmt: skip
        contact = self.world.witness.contact.setdefault(self.bank, Contact())
        if not well:
            contact.healthy_since_ms = None
        elif contact.healthy_since_ms is None:
            contact.healthy_since_ms = self.world.kernel.now_ms

    # -- controller ---------------------------------------------------------------------------------------------

    def _new_machine(self) -> None:
        w, chance = self.world, self.chance
        synced = self.kind % 2 == 0
        ppm = 1_500.0 if self.kind % 4 == 1 else chance.uniform(-80, 80)  # some quartzes are that bad
        clock = MachineClock(w.kernel, ppm, synced)
        if not synced:
            w.coverage.fault("clock_drift")
        disk = WorldDisk(self.bank, lambda epoch, first, lines: w.witness.durable(self.bank, epoch, first, lines))
        disk.keeps = w.office.real
        key = make_key(chance.randbytes(32), w.real_keys)
        controller = w.office.enrol(self.bank, public_text(key))
        machine = Machine(
            w.kernel, random.Random(chance.getrandbits(64)), self.settings, disk, clock, self.doors, key, controller,
            w.witness, w.coverage,
        )  # fmt: skip
        self.machine = machine
        self.talk = Talk(machine, w.office, self.wire, self.pace_ms)
        machine.on_said = self._said
        machine.on_answer = self.talk.answer
        machine.on_lines = self.talk.wake
        machine.on_died = self.died

    def _said(self, said: io.Said) -> None:
        for checker in self.world.witness.checkers:
            checker.decided(self.bank, said)
        self.crowd.said(said)

    def died(self) -> None:
        """The controller has lost its power; somebody or something brings it back."""
        self.check_contact()
        down_ms = self.chance.choice((4_000, 30_000, 300_000, 3_000_000))
        self.world.kernel.after(down_ms, self.power_on, self.machine)

    def power_on(self, machine: Machine) -> None:
        """Start the controller; a disk that is too full, or a first start without the server, is tried again later."""
        if machine is not self.machine or machine.alive:
            return
        begins = not machine.disk.has_lines
        resume = self.world.office.resume(self.bank) if begins else None
        if begins and resume is None:
            self.world.kernel.after(2_000, self.power_on, machine)
            return

        def started() -> ev.EpochStarted:
            assert resume is not None
            return ev.EpochStarted(
                controller=machine.controller, journal_key=public_text(machine.key),
                previous_epoch=resume.previous_epoch, previous_seq=resume.previous_seq,

                previous_hash=resume.previous_hash, assignments=tuple(resume.assignments),
                disabled=tuple(resume.disabled), answered=tuple(resume.answered), standing=resume.standing,
            )  # fmt: skip

        if not machine.boot(started):
            self.world.kernel.after(30_000, self.power_on, machine)
            return
        self.talk.restart()
        self.check_contact()
        if machine.board.silent or machine.board.port_gone:
            self.world.kernel.after(1_500, machine.board_lost)
        if self.chance.random() < 0.5:
            human = self.chance.choice(self.crowd.humans)
            number = human.locker or next(iter(self.doors))
            self.world.kernel.after(self.chance.randint(1, 300), self._early_tap, number, human)

    def _early_tap(self, number: str, human: Human) -> None:
        self.tap(None if self.shared_reader else number, human.badge, human)

    def replace(self) -> None:
        """The controller is beyond repair: another one, with its own key, goes on from what the server has."""
        self.machine.on_died = lambda: None
        self.machine.die()
        self.check_contact()
        self.world.coverage.fault("controller_replaced")
        self.replaced += 1
        self._new_machine()
        self.world.kernel.after(2_000, self.power_on, self.machine)
