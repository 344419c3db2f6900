"""The controller's configuration file: which banks it runs and how their locks and readers are wired."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec

from cubbyhole.domain.layout import LayoutError, check_bank_id, parse_columns
from cubbyhole.drivers.port import BoardSettings, BusSettings, Line
from cubbyhole.edge.inputs import BankSettings


class ConfigError(Exception):
    """The configuration cannot be used; the message names the file, the place and the mend."""


class BoardConfig(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """``first`` is the locker number on channel 0; the following channels drive the following lockers."""

    address: int
    channels: int
    first: str
    door_open_level: bool = True
    lock_secured_level: bool = True
    occupied_level: bool = True
    options: dict[str, str | int | bool] = {}


class BusConfig(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    name: str
    driver: str
    port: str
    baudrate: int = 9600
    supply: str = "supply"
    board: list[BoardConfig]


class ReaderConfig(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """``locker`` absent: the bank's shared reader."""

    port: str
    baudrate: int = 9600
    locker: str | None = None
    form: str = "hex"


class BankConfig(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    id: str
    label: str
    columns: list[str]
    area: str = ""
    site: str = ""
    senses_lock: bool = False
    senses_occupancy: bool = False
    drives_lights: bool = False
    springs: bool = False
    open_within_ms: int = 5_000
    held_open_ms: int = 900_000
    pulse_ms: int = 500
    trust_rtc: bool = False
    bus: list[BusConfig] = []
    reader: list[ReaderConfig] = []

    def settings(self) -> BankSettings:
        return BankSettings(
            bank=self.id,
            label=self.label,
            area=self.area,
            site=self.site,
            columns=tuple(self.columns),
            reader="door" if any(r.locker is not None for r in self.reader) else "bank",
            senses_lock=self.senses_lock,
            senses_occupancy=self.senses_occupancy,
            drives_lights=self.drives_lights,
            springs=self.springs,
            open_within_ms=self.open_within_ms,
            held_open_ms=self.held_open_ms,
            pulse_ms=self.pulse_ms,
            trust_rtc=self.trust_rtc,
        )


class ControllerConfig(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    bank: list[BankConfig]


def bus_settings(bus: BusConfig) -> BusSettings:
    """What the driver is given."""
    return BusSettings(
        port=bus.port,
        baudrate=bus.baudrate,
        boards=tuple(
            BoardSettings(
                address=b.address,
                channels=b.channels,
                door_open_level=b.door_open_level,
                lock_secured_level=b.lock_secured_level,
                occupied_level=b.occupied_level,
                options=b.options,
            )
            for b in bus.board
        ),
    )


def wiring(bank: BankConfig, bus: BusConfig) -> dict[str, Line]:
    """Locker number → line, for the lockers on ``bus``."""
    numbers = [spec.number for spec in parse_columns(tuple(bank.columns))]
    lines: dict[str, Line] = {}
    for board in bus.board:
        start = numbers.index(board.first)
        for channel, number in enumerate(numbers[start : start + board.channels]):
            lines[number] = Line(board.address, channel)
    return lines


def load(path: Path) -> ControllerConfig:
    """Read and check the file. Raises ConfigError naming what is wrong and where."""
    try:
        config = msgspec.convert(tomllib.loads(path.read_text()), ControllerConfig)
    except FileNotFoundError:
        raise ConfigError(f"{path} is not there; see docs/how-to/wire-a-board.md for how to write one") from None
    except (
        tomllib.TOMLDecodeError,
        msgspec.ValidationError,
        UnicodeDecodeError,
    ) as error:
        raise ConfigError(f"{path}: {error}") from None
    seen: set[str] = set()
    for bank in config.bank:
        try:
            check_bank_id(bank.id)
            numbers = [spec.number for spec in parse_columns(tuple(bank.columns))]
        except LayoutError as error:
            raise ConfigError(f"{path}: bank {bank.id}: {error}") from None
        if bank.id in seen:
            raise ConfigError(f"{path}: bank {bank.id} stands twice")
        seen.add(bank.id)
        if not 200 <= bank.pulse_ms <= 1000:
            raise ConfigError(f"{path}: bank {bank.id}: pulse_ms is {bank.pulse_ms}; lock coils take 200 to 1000")
        for board in (board for bus in bank.bus for board in bus.board):
            if board.first not in numbers:
                raise ConfigError(
                    f"{path}: bank {bank.id}: board {board.address} begins at locker {board.first}, which is not there"
                )
        wired = [number for bus in bank.bus for number in wiring(bank, bus)]
        if len(set(wired)) != len(wired):
            raise ConfigError(f"{path}: bank {bank.id}: two lines drive the same locker")
        for number in {r.locker for r in bank.reader if r.locker is not None} - set(numbers):
            raise ConfigError(f"{path}: bank {bank.id}: a reader is at locker {number}, which is not there")
    return config
