"""rig.toml: what to simulate. Parsed once, at the border; every error names the place and what to write there."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cubbyhole.simulator.rig.physical import Build
from cubbyhole.simulator.rig.table import SettingsError, Table

__all__ = ["BankSettings", "BoardSpec", "BusSpec", "CableSpec", "ReaderSpec", "RigSettings", "SettingsError", "load"]

BANKS_MAX = 256
_BANK_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,23}")
# The bus and reader tables are those of controller.toml; what only the controller needs is passed over.
_ONLY_CONTROLLER_BUS = ("supply",)
_ONLY_CONTROLLER_READER = ("form",)
_FAMILIES = ("modbus", "cu16")


@dataclass(frozen=True, slots=True)
class BoardSpec:
    """One board. ``options`` are those of its driver (README of the family)."""

    address: int
    channels: int
    first: int
    digits: int
    door_open_level: bool
    lock_secured_level: bool
    occupied_level: bool
    options: Mapping[str, int | bool | str]

    def number(self, channel: int) -> str:
        """The number on the door of a channel."""
        return f"{self.first + channel:0{self.digits}d}"


@dataclass(frozen=True, slots=True)
class BusSpec:
    name: str
    driver: str
    port: str
    baudrate: int
    boards: tuple[BoardSpec, ...]


@dataclass(frozen=True, slots=True)
class ReaderSpec:
    """``locker`` None: the reader that the whole bank shares."""

    port: str
    baudrate: int
    locker: str | None

    @property
    def name(self) -> str:
        return self.locker or "bank"


@dataclass(frozen=True, slots=True)
class CableSpec:
    listen: tuple[str, int]
    to: tuple[str, int]


@dataclass(frozen=True, slots=True)
class BankSettings:
    id: str
    build: Build
    buses: tuple[BusSpec, ...]
    readers: tuple[ReaderSpec, ...]
    cables: tuple[CableSpec, ...]
    controller: tuple[str, ...]
    controller_log: Path | None
    controller_env: Mapping[str, str]
    powered: bool
    seed: int


@dataclass(frozen=True, slots=True)
class RigSettings:
    truth: Path | None
    banks: tuple[BankSettings, ...]


def load(path: Path) -> RigSettings:
    """Read rig.toml; relative paths in it are from its own folder. Raises ``SettingsError``."""
    try:
        with path.open("rb") as file:
            content = tomllib.load(file)
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from error
    folder = path.resolve().parent
    top = Table(str(path), content)
    truth = top.text("truth", "")
    banks = tuple(_bank(table, folder) for table in top.tables("bank"))
    top.done()
    if not 1 <= len(banks) <= BANKS_MAX:
        raise SettingsError(f"{path}: write 1 to {BANKS_MAX} [[bank]] tables")
    _unique([bank.id for bank in banks], f"{path}: bank id")
    ports = [bus.port for bank in banks for bus in bank.buses] + [
        reader.port for bank in banks for reader in bank.readers
    ]
    _unique(ports, f"{path}: port")
    return RigSettings(folder / truth if truth else None, banks)


def _bank(table: Table, folder: Path) -> BankSettings:
    bank_id = table.text("id")
    if _BANK_ID.fullmatch(bank_id) is None:
        raise SettingsError(f"{table.where}: id must be letters, digits, - and _, at most 24, not {bank_id!r}")
    table.where = f"bank {bank_id}"
    auto_close_s = table.number("auto_close_s", 0.0, low=0.0, high=86_400.0)
    build = Build(
        spring=table.flag("spring", True),
        latch=_latch(table),
        release_ms=table.whole("release_ms", 12, low=0, high=1000),
        spring_ms=table.whole("spring_ms", 60, low=0, high=60_000),
        bounce_ms=table.whole("bounce_ms", 20, low=0, high=10_000),
        auto_close_ms=round(auto_close_s * 1000) if auto_close_s else None,
    )
    log = table.text("controller_log", "")
    bank = BankSettings(
        id=bank_id,
        build=build,
        buses=tuple(_bus(bus, folder) for bus in table.tables("bus")),
        readers=tuple(_reader(reader, folder) for reader in table.tables("reader")),
        cables=tuple(_cable(cable) for cable in table.tables("cable")),
        controller=table.texts("controller"),
        controller_log=folder / log if log else None,
        controller_env=table.text_map("controller_env"),
        powered=table.flag("powered", True),
        seed=table.whole("seed", 0, low=0, high=2**31),
    )
    table.done()
    if not bank.buses:
        raise SettingsError(f"{table.where}: write at least one [[bank.bus]]")
    _unique([bus.name for bus in bank.buses], f"{table.where}: bus name")
    _unique([reader.name for reader in bank.readers], f"{table.where}: reader for locker")
    numbers = [board.number(ch) for bus in bank.buses for board in bus.boards for ch in range(board.channels)]
    _unique(numbers, f"{table.where}: locker")
    for reader in bank.readers:
        if reader.locker is not None and reader.locker not in numbers:
            raise SettingsError(f"{table.where}: the reader's locker {reader.locker!r} is on no board")
    return bank


def _latch(table: Table) -> Literal["slam", "rotary"]:
    latch = table.text("latch", "slam")
    if latch == "slam":
        return "slam"
    if latch == "rotary":
        return "rotary"
    raise SettingsError(f"{table.where}: latch must be slam or rotary, not {latch!r}")


def _bus(table: Table, folder: Path) -> BusSpec:
    name = table.text("name", "locks")
    table.where = f"{table.where} ({name})"
    driver = table.text("driver")
    if driver not in _FAMILIES:
        raise SettingsError(f"{table.where}: driver must be one of {', '.join(_FAMILIES)}, not {driver!r}")
    bus = BusSpec(
        name=name,
        driver=driver,
        port=_port(table, folder),
        baudrate=_baudrate(table, 9600 if driver == "modbus" else 19200),
        boards=tuple(_board(board, driver) for board in table.tables("board")),
    )
    table.done(*_ONLY_CONTROLLER_BUS)
    if not bus.boards:
        raise SettingsError(f"{table.where}: write at least one [[bank.bus.board]]")
    _unique([str(board.address) for board in bus.boards], f"{table.where}: board address")
    return bus


def _board(table: Table, driver: str) -> BoardSpec:
    first = table.text("first", "01")
    if not (first.isascii() and first.isdigit() and len(first) <= 4):
        raise SettingsError(f'{table.where}: first must be a locker number like "01", not {first!r}')
    low, high, channels_max = (1, 247, 32) if driver == "modbus" else (0, 14, 16)
    board = BoardSpec(
        address=table.whole("address", low=low, high=high),
        channels=table.whole("channels", low=1, high=channels_max),
        first=int(first),
        digits=max(2, len(first)),
        door_open_level=table.flag("door_open_level", True),
        lock_secured_level=table.flag("lock_secured_level", True),
        occupied_level=table.flag("occupied_level", True),
        options=table.options("options"),
    )
    table.done()
    return board


def _reader(table: Table, folder: Path) -> ReaderSpec:
    locker = table.text("locker", "")
    reader = ReaderSpec(port=_port(table, folder), baudrate=_baudrate(table, 9600), locker=locker or None)
    table.done(*_ONLY_CONTROLLER_READER)
    return reader


def _cable(table: Table) -> CableSpec:
    cable = CableSpec(listen=address(table.text("listen"), table.where), to=address(table.text("to"), table.where))
    table.done()
    return cable


def _port(table: Table, folder: Path) -> str:
    port = table.text("port")
    if port.startswith("socket://"):
        address(port.removeprefix("socket://"), table.where)
        return port
    if "://" in port:
        raise SettingsError(f"{table.where}: port must be a path or socket://host:port, not {port!r}")
    return str(folder / port)


def _baudrate(table: Table, default: int) -> int:
    return table.whole("baudrate", default, low=300, high=1_000_000)


def address(text: str, where: str) -> tuple[str, int]:
    """``host:port`` taken apart. Raises ``SettingsError``."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not (port.isascii() and port.isdigit()) or not 0 <= int(port) <= 65535:
        raise SettingsError(f"{where}: write an address as host:port, not {text!r}")
    return host.strip("[]"), int(port)


def _unique(values: list[str], what: str) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise SettingsError(f"{what} {value} is there twice")
        seen.add(value)
