"""A whole house of real processes for tests, and looks at what each side holds: bank, server, boards."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from cubbyhole.edge.core import SAME_TAP_MS
from cubbyhole.simulator.house import House, free_ports
from cubbyhole.simulator.office import BankPlan, Worker, controller_toml, workers

SMALL = BankPlan("A", "Lobby", "Ground floor", ("M M M M", "S S S S"), "modbus", 19200, door_readers=True, lights=True)
SHARED = BankPlan("B", "Studio", "Floor 2", ("M+ M+ M+ M+", "M M M M"), "cu16", 19200, door_readers=False, lights=False)
# For things that take a moment: what a machine under load needs for them, not what is promised.
WAIT_S = 90.0
T = TypeVar("T")


@contextlib.contextmanager
def running_house(
    banks: tuple[BankPlan, ...] = (SMALL, SHARED),
    people: int = 24,
    auto_close_s: float = 0.0,
    programs: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Iterator[House]:
    """A house that is online, until the block ends. Enter from the main thread: its processes end with that."""
    # Not pytest's own temporary folder: a Unix socket's path has at most 108 bytes.
    with tempfile.TemporaryDirectory(prefix="cbh-", ignore_cleanup_errors=True) as folder:
        staff, port = workers(people), free_ports(1)[0]
        house = House(Path(folder), port, banks, staff, auto_close_s=auto_close_s, programs=programs)
        house.start()
        try:
            for plan in banks:
                eventually(lambda bank=plan.id: knows_people(house, bank), "the people to be known")  # type: ignore[misc]
            yield house
        finally:
            house.stop()


def eventually(look: Callable[[], T], what: str, limit_s: float = WAIT_S) -> T:
    """What ``look`` returns once that is true. Raises AssertionError with the last look after ``limit_s``."""
    end = time.monotonic() + limit_s
    while not (seen := look()):
        if time.monotonic() > end:
            raise AssertionError(f"waited {limit_s:.0f} s in vain for {what}; last seen: {seen!r}")
        time.sleep(0.03)
    return seen


@dataclass(frozen=True, slots=True)
class Kept:
    """One journal line as a side keeps it; ``raw`` are the exact bytes."""

    epoch: str
    seq: int
    raw: bytes

    @property
    def said(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.raw)
        return found

    @property
    def type(self) -> str:
        return str(self.said["type"])

    @property
    def facts(self) -> dict[str, Any]:
        found: dict[str, Any] = self.said["data"]
        return found


def at_the_bank(house: House, bank: str, after: int = 0) -> list[Kept]:
    """The bank's own journal on its controller's disk, from behind line ``after``; empty where none has begun."""
    query = (
        "SELECT epoch, seq, bytes FROM line "
        "WHERE seq > ? AND epoch = (SELECT CAST(value AS TEXT) FROM fact WHERE name = 'epoch') ORDER BY seq"
    )
    try:
        rows = _rows(house.journal_of(bank), query, after)
    except sqlite3.OperationalError:
        return []
    return [Kept(epoch, seq, bytes(raw)) for epoch, seq, raw in rows]


def at_the_server(house: House, bank: str, after: int = 0) -> list[Kept]:
    """What the server has committed of the bank's present journal, from behind line ``after``."""
    query = (
        "SELECT e.epoch, e.seq, e.line FROM events e JOIN banks b USING (bank, epoch) "
        "WHERE e.seq > ? AND e.bank = ? ORDER BY e.seq"
    )
    rows = _rows(house.folder / "cubbyhole.db", query, after, bank)
    return [Kept(epoch, seq, bytes(raw)) for epoch, seq, raw in rows]


def rows_of_server(house: House, query: str) -> list[tuple[Any, ...]]:
    """What the server's database answers."""
    return _rows(house.folder / "cubbyhole.db", query)


def last_line(house: House, bank: str) -> int:
    """The number of the newest line in the bank's journal."""
    lines = at_the_bank(house, bank)
    return lines[-1].seq if lines else 0


def agree(house: House, bank: str) -> bool:
    """Whether bank and server hold the same lines, byte for byte."""
    mine, theirs = at_the_bank(house, bank), at_the_server(house, bank)
    return bool(mine) and mine == theirs


def knows_people(house: House, bank: str) -> bool:
    """Whether the controller has pulled its directory: one that is online a moment earlier denies every badge."""
    return bool(of_type(at_the_bank(house, bank), "directory.applied"))


def of_type(lines: list[Kept], type_: str) -> list[dict[str, Any]]:
    """The facts of the lines of that type."""
    return [line.facts for line in lines if line.type == type_]


def pulses(house: House, bank: str) -> list[dict[str, Any]]:
    """Every unlock pulse on the boards' own record, oldest first."""
    found: list[dict[str, Any]] = house.sim("truth", bank=bank)["pulses"]
    return found


def tap(house: House, bank: str, door: str, worker: Worker) -> None:
    """Hold somebody's badge against a reader; sooner than SAME_TAP_MS after the last time it would be the same tap."""
    held = [t["last_byte_ns"] for t in house.sim("truth", bank=bank)["taps"] if t["badge"] == worker.badge]
    if held:
        time.sleep(max(0.0, SAME_TAP_MS / 1000 + 0.05 - (time.monotonic_ns() - held[-1]) / 1e9))
    house.sim("tap", bank=bank, door=door, badge=worker.badge)


def outcomes(house: House, bank: str, number: str, after: int) -> list[str]:
    """How the unlocks at a locker behind line ``after`` ended."""
    found = of_type(at_the_bank(house, bank, after), "unlock.settled")
    return [facts["outcome"] for facts in found if facts["locker"] == number]


def shut(house: House, bank: str, number: str) -> None:
    """Push the door shut, and wait until the bank has seen it."""
    line = last_line(house, bank)
    house.sim("door", bank=bank, door=number, act="close")
    eventually(lambda: of_type(at_the_bank(house, bank, line), "door.closed"), "the bank to see the door shut")


def open_by_tap(house: House, bank: str, number: str, worker: Worker) -> None:
    """Tap at the locker's own reader: it opens by exactly one pulse on the boards' record. Then shut it again."""
    before, line = len(pulses(house, bank)), last_line(house, bank)
    tap(house, bank, number, worker)
    assert eventually(lambda: outcomes(house, bank, number, line), "the door to open") == ["opened"]
    made = pulses(house, bank)[before:]
    assert [pulse["locker"] for pulse in made] == [number]
    shut(house, bank, number)


def open_by_shared_reader(house: House, bank: str, worker: Worker) -> str:
    """Tap at the bank's one reader: some locker opens by exactly one pulse. Shuts it again and says which it was."""
    before, line = len(pulses(house, bank)), last_line(house, bank)
    tap(house, bank, "bank", worker)
    done = eventually(lambda: of_type(at_the_bank(house, bank, line), "unlock.settled"), "a door to open")
    assert [facts["outcome"] for facts in done] == ["opened"]
    number = str(done[0]["locker"])
    assert [pulse["locker"] for pulse in pulses(house, bank)[before:]] == [number]
    shut(house, bank, number)
    return number


def free(house: House, locker: str) -> None:
    """Whoever has the locker, like A-08, has it no more."""
    if house.get(f"/api/v1/lockers/{locker}")["holder"] is not None:
        answer = house.post(f"/api/v1/lockers/{locker}/release", {"reason": "test"})
        assert answer["outcome"] == "done", answer


def new_events(house: House, bank: str, after: int) -> list[dict[str, Any]]:
    """The bank's events at the API behind feed ordinal ``after``."""
    found: list[dict[str, Any]] = house.get(f"/api/v1/events?bank={bank}&after={after}&limit=500")["items"]
    return found


def newest_event(house: House) -> int:
    """The feed's newest ordinal."""
    after = 0
    while True:
        newest = int(house.get(f"/api/v1/events?after={after}&limit=500")["next"])
        if newest == after:
            return after
        after = newest


def is_online(house: House, bank: str) -> bool:
    return bool(house.get(f"/api/v1/banks/{bank}")["online"])


def controller_pid(house: House, bank: str) -> int | None:
    """The process of the bank's controller, None where it does not run."""
    described = house.sim("state", bank=bank)["controller"]
    return described["pid"] if described else None


def nats_pid(house: House) -> int | None:
    """The server's own nats-server, None while it has none."""
    if house.server is None:
        return None
    for task in Path(f"/proc/{house.server.pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in task.read_text().split():
                if Path(f"/proc/{child}/comm").read_text().strip() == "nats-server":
                    return int(child)
    return None


def replace_controller(house: House, bank: str) -> None:
    """The controller is gone with all that it had; another machine is put in its place and enrolled."""
    plan = next(plan for plan in house.banks if plan.id == bank)
    folder = house.edge_folder(bank)
    house.sim("power", bank=bank, act="off")
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "controller.toml").write_text(controller_toml(plan, house.folder / "ports"), encoding="utf-8")
    code = house.command("controller", "code", bank)["code"]
    house.command("enrol", house.url, code, "--bank", bank, "--folder", str(folder))
    house.sim("power", bank=bank, act="on")
    eventually(lambda: knows_people(house, bank), "the new controller to know the people")


def look_inside(house: House, bank: str) -> None:
    """Somebody checks every locker that is unverified after its controller was replaced."""
    for view in house.get(f"/api/v1/lockers?bank={bank}")["items"]:
        if view["check"] == "unverified":
            answer = house.post(f"/api/v1/lockers/{view['id']}/checked", {"reason": "looked_inside"})
            assert answer["outcome"] in ("done", "requested"), answer
    eventually(lambda: agree(house, bank), "the server to hear of it")


def _rows(file: Path, query: str, *values: object) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(f"file:{os.fspath(file)}?mode=ro", uri=True, timeout=5)) as database:
        return database.execute(query, values).fetchall()
