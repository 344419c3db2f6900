"""A ``Bench`` for the driver contract: one simulated board of a running rig."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Unpack

from cubbyhole.drivers.contract_tests import Fault, SeenPulse
from cubbyhole.drivers.port import BoardBus, BusSettings
from tests.rig.process import RigProcess

BANK = "A"
REST_TIMEOUT_S = 5.0


class RigBench:
    """Made anew for each test: everything mended, every door shut and empty, its record read from here on."""

    def __init__(self, rig: RigProcess, settings: BusSettings, make: Callable[[BusSettings], BoardBus]) -> None:
        self._rig = rig
        self._settings = settings
        self._make = make
        self.fault()
        self._come_to_rest()
        self._pulses_before = len(self._all_pulses())
        self._frames_before = self._all_unlock_frames()

    @property
    def settings(self) -> BusSettings:
        return self._settings

    def create(self, settings: BusSettings) -> BoardBus:
        return self._make(settings)

    def fault(self, **wrong: Unpack[Fault]) -> None:
        self._rig.ask("fault", BANK, **wrong)

    def hand(self, channel: int, act: str) -> None:
        self._rig.ask("door", BANK, door=f"{channel + 1:02d}", act=act)

    def pulses(self) -> list[SeenPulse]:
        return [
            SeenPulse(_whole(pulse["board"]), _whole(pulse["channel"]), _whole(pulse["pulse_ms"]))
            for pulse in self._all_pulses()[self._pulses_before :]
        ]

    def unlock_frames(self) -> int:
        return self._all_unlock_frames() - self._frames_before

    def _come_to_rest(self) -> None:
        # The last test's pulse may still hold a latch, and its door spring open only now.
        deadline = time.monotonic() + REST_TIMEOUT_S
        while True:
            for channel in range(self._settings.boards[0].channels):
                self.hand(channel, "close")
                self.hand(channel, "empty")
            time.sleep(0.03)
            if all(locker["lock"] == "secured" and locker["door"] == "closed" for locker in self._lockers()):
                return
            assert time.monotonic() < deadline, "a lock stays released"

    def _lockers(self) -> list[Mapping[str, object]]:
        lockers = self._rig.ask("state", BANK)["lockers"]
        assert isinstance(lockers, dict)
        return list(lockers.values())

    def _all_pulses(self) -> list[Mapping[str, object]]:
        pulses = self._rig.ask("truth", BANK)["pulses"]
        assert isinstance(pulses, list)
        return pulses

    def _all_unlock_frames(self) -> int:
        buses = self._rig.ask("truth", BANK)["buses"]
        assert isinstance(buses, dict)
        return sum(bus["unlocks"] for bus in buses.values())


def _whole(value: object) -> int:
    assert isinstance(value, int)
    return value
