"""One simulated bank: its lockers, boards, readers, cable and mains."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import get_args

from cubbyhole.simulator.rig.boards import Family, Wiring
from cubbyhole.simulator.rig.bus import BadFault, Bus, Faults
from cubbyhole.simulator.rig.cable import Cable
from cubbyhole.simulator.rig.cu16_board import Cu16Boards
from cubbyhole.simulator.rig.modbus_board import ModbusBoards
from cubbyhole.simulator.rig.physical import Act, Locker
from cubbyhole.simulator.rig.power import Controller
from cubbyhole.simulator.rig.reader import LINE_END, CannotTap, Reader
from cubbyhole.simulator.rig.settings import BankSettings, BusSpec
from cubbyhole.simulator.rig.truth import Tap, Truth

ACTS: tuple[Act, ...] = get_args(Act)
SHARED = "bank"


class NoSuch(Exception):
    """There is no such door, reader, bus or act; the text lists what there is."""


class Bank:
    """All hardware of one bank. Built without side effects; ``start`` makes its ports appear."""

    def __init__(self, settings: BankSettings, truth: Truth) -> None:
        """Raises ``SettingsError`` for board options that cannot be simulated."""
        self.id = settings.id
        self._truth = truth
        self._powered = settings.powered
        self.lockers: dict[str, Locker] = {}
        for spec in settings.buses:
            for board in spec.boards:
                for channel in range(board.channels):
                    number = board.number(channel)
                    self.lockers[number] = Locker(number, settings.build, settings.seed)
        self._buses = {spec.name: Bus(spec, self._family(spec)) for spec in settings.buses}
        self._readers = {spec.name: Reader(settings.id, spec, truth) for spec in settings.readers}
        self._cables = [Cable(spec) for spec in settings.cables]
        self._controller = Controller(settings.controller, settings.controller_log, settings.controller_env)

    async def start(self) -> None:
        """Make the ports and cables appear, then switch the mains on. Raises ``SettingsError``."""
        for bus in self._buses.values():
            await bus.start()
        for reader in self._readers.values():
            await reader.start()
        for cable in self._cables:
            await cable.start()
        await self.power("on" if self._powered else "off")

    async def stop(self) -> None:
        await self._controller.stop()
        for cable in self._cables:
            await cable.stop()
        for reader in self._readers.values():
            await reader.stop()
        for bus in self._buses.values():
            await bus.stop()

    async def tap(self, door: str, badge: str, octets: bytes | None) -> Tap:
        """Hold a badge against the door's own reader, or the bank's where the door has none."""
        if door == SHARED:
            reader = self._readers.get(SHARED)
            if reader is None:
                raise NoSuch(f"bank {self.id} has no shared reader; name a door: {', '.join(self._readers) or 'none'}")
        else:
            number = self._number(door)
            reader = self._readers.get(number) or self._readers.get(SHARED)
            if reader is None:
                raise NoSuch(f"door {number} of bank {self.id} has no reader; there are {', '.join(self._readers)}")
        if not self._powered:
            raise CannotTap(f"bank {self.id} has no power; switch it on first")
        return await reader.tap(badge, octets if octets is not None else badge.encode() + LINE_END)

    def door(self, door: str, act: str) -> tuple[Locker, bool]:
        """A person's hand on a door; whether anything changed. Raises ``NoSuch`` or ``Impossible``."""
        locker = self.lockers[self._number(door)]
        for known in ACTS:
            if act == known:
                return locker, locker.hand(time.monotonic_ns(), known)
        raise NoSuch(f"nobody can {act[:40]!r} a door; they can {', '.join(ACTS)}")

    def cable(self, act: str) -> None:
        if not self._cables:
            raise NoSuch(f"bank {self.id} has no cable of its own in rig.toml")
        if act not in ("cut", "mend"):
            raise NoSuch(f"a cable can be cut or mended, not {act!r}: write cut or mend")
        for cable in self._cables:
            if act == "cut":
                cable.cut()
            else:
                cable.mend()

    async def power(self, act: str) -> None:
        """``off`` kills the controller and silences boards and readers at once; ``on`` starts them again."""
        if act not in ("off", "on"):
            raise NoSuch(f"power can be off or on, not {act!r}")
        self._powered = act == "on"
        for bus in self._buses.values():
            bus.set_power(self._powered)
        for reader in self._readers.values():
            reader.power = self._powered
        if self._powered:
            await self._controller.start()
        else:
            await self._controller.kill()

    async def fault(self, bus: str | None, wanted: dict[str, object]) -> Faults:
        """Set what is wrong with a bus (the only one, where none is named), or unplug a reader ``reader:<door>``."""
        if bus is not None and bus.startswith("reader:"):
            return await self._unplug_reader(bus.removeprefix("reader:"), wanted)
        if bus is None and len(self._buses) == 1:
            bus = next(iter(self._buses))
        if bus not in self._buses:
            raise NoSuch(f"bank {self.id} has no bus {bus!r}; there are {', '.join(self._buses)}")
        faults = Faults.of(wanted)
        await self._buses[bus].set_faults(faults)
        return faults

    def truth(self) -> dict[str, object]:
        counts = {name: bus.describe()["counts"] for name, bus in self._buses.items()}
        return {**self._truth.of(self.id), "buses": counts}

    def state(self) -> dict[str, object]:
        now_ns = time.monotonic_ns()
        return {
            "lockers": {number: asdict(locker.state(now_ns)) for number, locker in self.lockers.items()},
            "power": "on" if self._powered else "off",
            "controller": self._controller.describe(),
            "cables": [cable.describe() for cable in self._cables],
            "readers": list(self._readers),
            "buses": {name: bus.describe() for name, bus in self._buses.items()},
        }

    async def _unplug_reader(self, door: str, wanted: dict[str, object]) -> Faults:
        name = door if door == SHARED else self._number(door)
        if name not in self._readers:
            raise NoSuch(f"bank {self.id} has no reader {name}; there are {', '.join(self._readers)}")
        faults = Faults.of(wanted)
        if faults != Faults(unplugged=faults.unplugged):
            raise BadFault("a reader can only be unplugged; use tap with raw bytes for damaged lines")
        await self._readers[name].set_plugged(not faults.unplugged)
        return faults

    def _family(self, spec: BusSpec) -> Family:
        wirings = [Wiring(self.id, board, self.lockers, self._truth) for board in spec.boards]
        return ModbusBoards(wirings) if spec.driver == "modbus" else Cu16Boards(wirings)

    def _number(self, door: str) -> str:
        number = door.removeprefix(f"{self.id}-")
        if number in self.lockers:
            return number
        if number.isascii() and number.isdigit():
            for known in self.lockers:
                if int(known) == int(number):
                    return known
        raise NoSuch(f"bank {self.id} has no door {door[:40]!r}; it has {', '.join(self.lockers)}")
