"""What the machine itself can do: a bare fdatasync, a bare SQLite commit, a bare exchange on a bus."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import apsw
import msgspec

from bench.figure import NotMeasured, quantile
from cubbyhole.drivers.port import BoardBus, DriverError, Line
from cubbyhole.drivers.registry import family
from cubbyhole.edge.config import ControllerConfig, bus_settings
from cubbyhole.simulator.office import BankPlan, controller_toml, rig_toml

LINE_BYTES = 420
EXCHANGES = 60
RIG_START_S = 15.0


class BareSync:
    """A plain file that is appended to and synced, nothing else."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        self._block = b"x" * size_bytes
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self._file)

    def once_s(self) -> float:
        """Seconds for one append with fdatasync."""
        began = time.perf_counter()
        os.write(self._file, self._block)
        os.fdatasync(self._file)
        return time.perf_counter() - began


class BareCommit:
    """SQLite as the controller uses it (write-ahead log, synchronous=FULL), with one row a commit and nothing else."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        self._block = b"x" * size_bytes
        path.unlink(missing_ok=True)
        self._db = apsw.Connection(str(path))
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("PRAGMA wal_autocheckpoint=2000")
        self._db.execute("CREATE TABLE row (id INTEGER PRIMARY KEY, bytes BLOB)")

    def once(self) -> None:
        self._db.execute("INSERT INTO row(bytes) VALUES (?)", (self._block,))

    def close(self) -> None:
        self._db.close()


def slowest_exchange_ms(folder: Path, plan: BankPlan) -> tuple[float, float]:
    """The slower of a poll and a light on this plan's bus at its baud rate, p99 and median, by a bare driver and rig.

    It is what an unlock may find in flight: a frame on its way is never broken off. Raises NotMeasured.
    """
    folder = folder.resolve()
    ports = folder / "ports"
    ports.mkdir(parents=True, exist_ok=True)
    (folder / "rig.toml").write_text(rig_toml(plan, ports, cable=None, controller=None, log=None), encoding="utf-8")
    config = msgspec.toml.decode(controller_toml(plan, ports).encode(), type=ControllerConfig).bank[0].bus[0]
    socket = folder / "sim.sock"
    socket.unlink(missing_ok=True)
    command = [
        sys.executable,
        "-m",
        "cubbyhole",
        "sim",
        "rig",
        "--config",
        str(folder / "rig.toml"),
        "--socket",
        str(socket),
    ]
    with (folder / "rig.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as rig:
        try:
            end = time.monotonic() + RIG_START_S
            while not socket.exists():
                if rig.poll() is not None or time.monotonic() > end:
                    raise NotMeasured(f"the rig did not start: {(folder / 'rig.log').read_text()[-500:]}")
                time.sleep(0.02)
            bus = family(config.driver).create(bus_settings(config))
            return asyncio.run(_exchanges(bus, config.board[0].address))
        except DriverError as error:
            raise NotMeasured(f"the machine is too busy, a bare exchange failed: {error}") from None
        finally:
            rig.terminate()


async def _exchanges(bus: BoardBus, board: int) -> tuple[float, float]:
    polls: list[float] = []
    lights: list[float] = []
    await bus.open()
    try:
        for turn in range(EXCHANGES):
            began = time.perf_counter()
            await bus.poll(board)
            polls.append(time.perf_counter() - began)
            began = time.perf_counter()
            await bus.light(Line(board, 0), turn % 2 == 0)
            lights.append(time.perf_counter() - began)
    finally:
        await bus.close()
    slower = max(polls, lights, key=lambda taken: quantile(taken, 0.99))
    return quantile(slower, 0.99) * 1000, quantile(slower, 0.5) * 1000
