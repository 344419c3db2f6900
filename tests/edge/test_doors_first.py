"""What a tap sets off besides the unlock frame waits for the frame, but not for long; a log waits for no disk."""

from __future__ import annotations

import asyncio
import contextlib
import io as text
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from cubbyhole.domain.watch import Reading
from cubbyhole.drivers.cu16.bus import MANIFEST
from cubbyhole.drivers.port import Line, Manifest, Sense
from cubbyhole.edge import inputs as io
from cubbyhole.edge.bank import Bank
from cubbyhole.edge.clock import SystemClock
from cubbyhole.edge.config import ControllerConfig
from cubbyhole.edge.lights import Lights
from cubbyhole.edge.logbook import LINES_MOST, Logbook
from cubbyhole.edge.runner import BankRunner
from cubbyhole.edge.uplink import Uplink
from cubbyhole.protocol.fabric.errors import FabricError
from tests.edge.bank_bench import SETTINGS, BankBench, HandClock

CONFIG = """
[[bank]]
id = "A"
label = "Lobby"
columns = ["M M M M", "L L+ S S"]
drives_lights = true
[[bank.bus]]
name = "locks"
driver = "cu16"
port = "none"
[[bank.bus.board]]
address = 0
channels = 8
first = "01"
"""


def broken(error: BaseException) -> None:
    raise error


class RealClock(HandClock):
    """The machine's own: the bus looks at that one, too."""

    def wall_ms(self) -> int:
        return SystemClock().wall_ms()

    def mono_ms(self) -> int:
        return SystemClock().mono_ms()


class SlowBus:
    """A bus whose exchanges take ``exchange_s`` each; it says when an unlock frame leaves."""

    def __init__(self, exchange_s: float, on_frame: Callable[[], None]) -> None:
        self._exchange_s, self._on_frame = exchange_s, on_frame
        self.polling = asyncio.Event()

    @property
    def manifest(self) -> Manifest:
        return MANIFEST

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def poll(self, board: int) -> dict[int, Sense]:
        self.polling.set()
        await asyncio.sleep(self._exchange_s)
        return {channel: Sense(door_open=False, lock_secured=None, occupied=None) for channel in range(8)}

    async def unlock(self, line: Line, pulse_ms: int) -> None:
        self._on_frame()

    async def light(self, line: Line, on: bool) -> None: ...


class NoLink:
    """A fabric that nobody is connected to."""

    connected = False

    def on_live(self, bank: str, answer: object) -> None: ...

    def on_nudge(self, bank: str, hear: object) -> None: ...

    async def request(self, bank: str, verb: str, payload: bytes, timeout_s: float) -> bytes:
        raise FabricError("nobody is connected")


async def seen_after_a_tap(
    folder: Path, exchange_s: float, monkeypatch: pytest.MonkeyPatch, until: Callable[[list[str]], bool]
) -> list[str]:
    """What happened, in order, when a tap came while an exchange was under way."""
    seen: list[str] = []
    monkeypatch.setattr(Lights, "show", lambda lights, locker, look: seen.append("light"))
    monkeypatch.setattr(Uplink, "wake", lambda uplink: seen.append("server"))
    bench = BankBench(folder, replace(SETTINGS, senses_lock=False), RealClock()).ready()
    config = msgspec.toml.decode(CONFIG.encode(), type=ControllerConfig).bank[0]
    bus = SlowBus(exchange_s, lambda: seen.append("frame"))
    link: object = NoLink()
    bank = Bank(config, bench.core, bench.path, 0, [(config.bus[0], bus)], link, bench.clock, broken)  # type: ignore[arg-type]
    running = asyncio.create_task(bank.run())
    try:
        async with asyncio.timeout(10):
            for _ in range(4):  # the doors are known, and an exchange has just begun
                bus.polling.clear()
                await bus.polling.wait()
            seen.clear()
            bank.tap("03", "uid:ada", bench.clock.mono_ms())
            while not until(seen):
                await asyncio.sleep(0.002)
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
    return seen


async def test_the_frame_leaves_before_anything_is_shown_or_sent_to_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = await seen_after_a_tap(tmp_path, 0.01, monkeypatch, lambda seen: {"frame", "light", "server"} <= set(seen))
    assert seen[0] == "frame"


async def test_a_bus_that_takes_long_does_not_hold_up_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = await seen_after_a_tap(tmp_path, 1.0, monkeypatch, lambda seen: {"light", "server"} <= set(seen))
    assert "frame" not in seen


async def test_new_lines_without_effects_are_told_as_well(tmp_path: Path) -> None:
    bench = BankBench(tmp_path, replace(SETTINGS, drives_lights=False)).ready()
    bench.open_with("ada")
    told: asyncio.Queue[list[io.Effect]] = asyncio.Queue()
    runner = BankRunner(bench.core, told.put_nowait, broken)
    runner.start()
    try:
        shut = io.Polled("bus/1", {"03": Reading(False, True, None)}, bench.clock.mono)
        runner.post(shut)
        runner.post(shut)
        assert await asyncio.wait_for(told.get(), 10) == []
    finally:
        runner.stop()


class StuckDisk(text.StringIO):
    """A file that takes nothing until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.free = threading.Event()

    def write(self, words: str) -> int:
        self.free.wait(10)
        return super().write(words)


def test_a_log_that_its_disk_does_not_take_keeps_nobody_waiting_and_says_what_is_missing() -> None:
    disk = StuckDisk()
    book = Logbook(disk)
    for number in range(LINES_MOST + 50):
        print(number, file=book, flush=True)
    disk.free.set()
    while "\n900\n" not in disk.getvalue():
        threading.Event().wait(0.01)
    print("the end", file=book, flush=True)
    book.finish()
    lines = disk.getvalue().splitlines()
    assert "0" in lines[:2] and lines[-1] == "the end"
    dropped = next(line for line in lines if "were not logged" in line)
    assert int(dropped.split()[0]) == LINES_MOST + 51 - (len(lines) - 1)
