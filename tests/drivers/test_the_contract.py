"""Both families keep the driver contract, on a paced pty and through a TCP gateway."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from cubbyhole.drivers import cu16, modbus
from cubbyhole.drivers.contract_tests import Bench, DriverContract
from cubbyhole.drivers.port import BoardSettings, BusSettings
from tests.drivers.rig_bench import RigBench
from tests.rig.process import RigProcess, rig

MODBUS = """
[[bank]]
id = "A"
  [[bank.bus]]
  driver = "modbus"
  port = "{port}"
  baudrate = 19200
    [[bank.bus.board]]
    address = 3
    channels = 8
    options = {{ lock_inputs = 32, occupancy_inputs = 64, light_coils = 32 }}
"""
CU16 = """
[[bank]]
id = "A"
  [[bank.bus]]
  driver = "cu16"
  port = "{port}"
  baudrate = 19200
    [[bank.bus.board]]
    address = 2
    channels = 12
    door_open_level = false
"""
OPTIONS = {"lock_inputs": 32, "occupancy_inputs": 64, "light_coils": 32}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class TestModbusOnASerialLine(DriverContract):
    @pytest.fixture(scope="class")
    @classmethod
    def running(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RigProcess]:
        with rig(tmp_path_factory.mktemp("modbus"), MODBUS.format(port="ports/locks")) as process:
            yield process

    @pytest.fixture
    def bench(self, running: RigProcess) -> Bench:
        board = BoardSettings(address=3, channels=8, options=OPTIONS)
        return RigBench(running, BusSettings(running.port("locks"), 19200, (board,)), modbus.create)


class TestModbusThroughAGateway(DriverContract):
    @pytest.fixture(scope="class")
    @classmethod
    def place(cls) -> str:
        return f"socket://127.0.0.1:{free_port()}"

    @pytest.fixture(scope="class")
    @classmethod
    def running(cls, tmp_path_factory: pytest.TempPathFactory, place: str) -> Iterator[RigProcess]:
        with rig(tmp_path_factory.mktemp("gateway"), MODBUS.format(port=place)) as process:
            yield process

    @pytest.fixture
    def bench(self, running: RigProcess, place: str) -> Bench:
        board = BoardSettings(address=3, channels=8, options=OPTIONS)
        return RigBench(running, BusSettings(place, 19200, (board,)), modbus.create)


class TestCu16OnASerialLine(DriverContract):
    @pytest.fixture(scope="class")
    @classmethod
    def running(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RigProcess]:
        with rig(tmp_path_factory.mktemp("cu16"), CU16.format(port="ports/locks")) as process:
            yield process

    @pytest.fixture
    def bench(self, running: RigProcess) -> Bench:
        board = BoardSettings(address=2, channels=12, door_open_level=False)
        return RigBench(running, BusSettings(running.port("locks"), 19200, (board,)), cu16.create)
