"""A run of the world: built from a seed, let go, settled, and checked."""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from time import process_time
from zoneinfo import ZoneInfo

from cubbyhole.domain import directory
from cubbyhole.edge import ledger, store
from cubbyhole.server.banks import controllers
from cubbyhole.server.commands import standing
from cubbyhole.server.directory import changes, sync
from cubbyhole.server.people import register
from cubbyhole.simulator.world import office
from cubbyhole.simulator.world.banks import TIMEZONE, BankScene, World
from cubbyhole.simulator.world.checkers import all_checkers
from cubbyhole.simulator.world.clockwork import DAY_MS, HOUR_MS, MINUTE_MS, Kernel
from cubbyhole.simulator.world.coverage import Coverage
from cubbyhole.simulator.world.drills import Drills
from cubbyhole.simulator.world.faults import Faults
from cubbyhole.simulator.world.installation import Installation
from cubbyhole.simulator.world.keys import cheap_signatures
from cubbyhole.simulator.world.office import Office
from cubbyhole.simulator.world.server import Server
from cubbyhole.simulator.world.server_faults import ServerFaults
from cubbyhole.simulator.world.wire import Weather
from cubbyhole.simulator.world.witness import Violated, Witness

SERVERS = ("memory", "sql")
PACES_MS = (20, 2_000, 20_000, 60_000, 120_000)  # how long a bank gathers lines for a batch
MANY_BANKS = 20
SNAPSHOT_EVERY = 120
WEIGHERS = (directory, office, changes, sync)
MINTERS = (controllers, standing, register)
DST_SUNDAYS = ((2026, 3, 29), (2026, 10, 25))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to run. ``often`` scales the faults; ``people`` are per bank; ``server`` is one of SERVERS."""

    seed: int
    banks: int = 3
    days: int = 2
    people: int = 62
    often: float = 1.0
    real_keys: bool = False
    server: str = "memory"

    def command(self) -> str:
        """What a person types to see the same run again."""
        extra = "" if self.often == 1.0 else f" --often {self.often:g}"
        extra += " --real-keys" if self.real_keys else ""
        extra += "" if self.server == "memory" else f" --server {self.server}"
        return f"cubbyhole world --seed {self.seed} --banks {self.banks} --days {self.days}{extra}"


@dataclass(frozen=True, slots=True)
class Report:
    """What a run was. ``violation`` is None where everything held."""

    plan: Plan
    violation: str | None
    invariant: str | None
    lines: int
    taps: int
    pulses: int
    steps: int
    cpu_s: float


def _start_ms(plan: Plan, chance: random.Random) -> int:
    """05:00 local time, so that the night in which the clocks change is within the run."""
    year, month, day = DST_SUNDAYS[plan.seed % 2]
    sunday = datetime(year, month, day, 5, tzinfo=ZoneInfo(TIMEZONE))
    return round(sunday.timestamp() * 1000) - chance.randint(1, max(1, plan.days - 1)) * DAY_MS


@contextmanager
def _quicker() -> Iterator[None]:
    """Snapshots often, so that most starts go through one; and a row's weight, a pure function, worked out once."""
    weights = lru_cache(maxsize=200_000)(directory.row_weight)
    vars(ledger)["SNAPSHOT_EVERY"] = SNAPSHOT_EVERY
    for module in WEIGHERS:
        vars(module)["row_weight"] = weights
    try:
        yield
    finally:
        vars(ledger)["SNAPSHOT_EVERY"] = store.SNAPSHOT_EVERY
        for module in WEIGHERS:
            vars(module)["row_weight"] = weights.__wrapped__


class _Secrets:
    """The server's secrets, drawn from the seed."""

    def __init__(self, seed: int) -> None:
        self.token_bytes = random.Random(seed).randbytes

    def token_hex(self, count: int) -> str:
        return self.token_bytes(count).hex()


@contextmanager
def _foreseeable(seed: int) -> Iterator[None]:
    """Let the real server mint the same ids in each run of a seed while within."""
    for module in MINTERS:
        vars(module)["secrets"] = _Secrets(seed)
    try:
        yield
    finally:
        for module in MINTERS:
            vars(module)["secrets"] = secrets


def run(plan: Plan, coverage: Coverage) -> Report:
    """Run ``plan``. Violations are reported, not raised; errors of the simulator itself are raised."""
    began = process_time()
    chance = random.Random(plan.seed)
    kernel = Kernel(_start_ms(plan, chance))
    witness = Witness(kernel, coverage)
    violation: Violated | None = None
    coverage.servers.add(plan.server)
    with cheap_signatures(plan.real_keys), _quicker(), _foreseeable(plan.seed), coverage.watching_doors():
        try:
            with _server(plan, kernel, chance, coverage) as server:
                _live(plan, World(kernel, chance, coverage, witness, server, plan.real_keys))
        except Violated as found:
            violation = found
    return Report(
        plan, str(violation) if violation else None, violation.invariant if violation else None, witness.line_count,
        witness.tap_count, witness.pulse_count, kernel.steps, process_time() - began,
    )  # fmt: skip


@contextmanager
def _server(plan: Plan, kernel: Kernel, chance: random.Random, coverage: Coverage) -> Iterator[Server]:
    if plan.server == "memory":
        yield Office(kernel, chance, coverage)
        return
    server = Installation(kernel, chance, coverage)
    server.open(plan.real_keys)
    try:
        yield server
    finally:
        server.close()


def _live(plan: Plan, world: World) -> None:
    kernel, witness = world.kernel, world.witness
    few = world.office.real or plan.banks >= MANY_BANKS  # SQL takes some milliseconds for each, and many add up
    paces_ms = PACES_MS[2:] if few else PACES_MS
    scenes = [
        BankScene(
            world, f"{chr(65 + n % 26)}{n // 26 or ''}", n, n + plan.seed, plan.people, world.chance.choice(paces_ms)
        )
        for n in range(plan.banks)
    ]
    for checker in all_checkers(world, scenes):
        witness.add(checker)
    server = world.office
    server.committed = witness.committed
    server.suspected = witness.suspected
    server.issued = witness.issued
    server.directory_committed = witness.directory
    for scene in scenes:
        scene.build()
        kernel.after(scene.index * 50, scene.power_on, scene.machine)

    def server_changed(_: int = 0) -> None:
        for scene in scenes:
            scene.check_contact()
            scene.talk.alert()

    world.office.restarted = server_changed
    world.office.crashed = server_changed
    Faults(world, scenes, plan.days, plan.often)
    Drills(world, scenes, plan.days, plan.often)
    server_faults = None
    if isinstance(server, Installation):
        server_faults = ServerFaults(world, server, scenes, plan.days, plan.often)
    for scene in scenes:
        scene.crowd.start(plan.days)
    offset = datetime.fromtimestamp(kernel.now_ms / 1000, ZoneInfo(TIMEZONE)).utcoffset()
    kernel.run_until(kernel.start_ms + plan.days * DAY_MS)
    if datetime.fromtimestamp(kernel.now_ms / 1000, ZoneInfo(TIMEZONE)).utcoffset() != offset:
        world.coverage.fault("daylight_saving")
    if server_faults is not None:
        server_faults.settle()
    _settle(world, scenes)
    witness.finished()


def _settle(world: World, scenes: list[BankScene]) -> None:
    """Mend everything and wait: what was under way must now come to its end."""
    kernel = world.kernel
    for scene in scenes:
        machine = scene.machine
        scene.wire.turn(Weather.GOOD)
        machine.disk.full = machine.slow_disk = False
        machine.power_fault = machine.disk.cut = None
        machine.board.silent = machine.board.port_gone = machine.board.loses_replies = False
        scene.check_contact()
        kernel.after(1_000, scene.power_on, machine)
        kernel.after(5_000, machine.board_back)
        for minute in (1, 2, 5, 20, 50, 80):
            kernel.after(minute * MINUTE_MS, scene.talk.alert)
            kernel.after(minute * MINUTE_MS + 5_000, machine.tick)
    world.office.crash_at_commit = False
    kernel.run_until(kernel.now_ms + 2 * HOUR_MS)
