from __future__ import annotations

import pytest

from cubbyhole.drivers.port import BoardSettings, BusSettings, DriverError
from cubbyhole.drivers.registry import families, family


def test_the_families_that_ship_are_found_by_name() -> None:
    assert {"modbus", "cu16"} <= set(families())
    for name in ("modbus", "cu16"):
        found = family(name)
        assert found.manifest.family == name
        bus = found.create(BusSettings("/dev/null", 9600, (BoardSettings(1, 4),)))
        assert bus.manifest is found.manifest


def test_an_unknown_family_is_refused_with_the_known_ones() -> None:
    with pytest.raises(DriverError, match="cu16, modbus"):
        family("hafele")


@pytest.mark.parametrize("name", ["modbus", "cu16"])
def test_a_bus_without_boards_or_with_one_address_twice_is_refused(name: str) -> None:
    create = family(name).create
    with pytest.raises(DriverError, match="no boards"):
        create(BusSettings("/dev/null", 9600, ()))
    with pytest.raises(DriverError, match="listed twice"):
        create(BusSettings("/dev/null", 9600, (BoardSettings(1, 4), BoardSettings(1, 4))))


@pytest.mark.parametrize(
    "board",
    [
        BoardSettings(15, 8),
        BoardSettings(0, 17),
        BoardSettings(0, 8, options={"infra": True}),
        BoardSettings(0, 8, options={"infrared": 1}),
        BoardSettings(0, 8, options={"reply_ms": 5}),
    ],
)
def test_cu16_settings_that_cannot_work_are_refused(board: BoardSettings) -> None:
    with pytest.raises(DriverError):
        family("cu16").create(BusSettings("/dev/null", 19200, (board,)))
