"""A port that takes no bytes: an unlock must not wait in the program and go out at some later moment."""

from __future__ import annotations

import contextlib
import os
import pty
import tty
from collections.abc import Callable, Iterator

import pytest

from cubbyhole.drivers import cu16, modbus
from cubbyhole.drivers.port import (
    BoardBus,
    BoardSettings,
    BusSettings,
    DriverError,
    Line,
    LinkDown,
    NotSent,
    Unconfirmed,
)

FILLER = b"\xaa"


@pytest.fixture
def blocked() -> Iterator[tuple[int, str, Callable[[], None]]]:
    """The near end of a pty that nobody reads, its far end's path, and what fills it to the brim."""
    near, far = pty.openpty()
    tty.setraw(far)
    os.set_blocking(far, False)
    os.set_blocking(near, False)

    def fill() -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(far, FILLER)

    yield near, os.ttyname(far), fill
    os.close(near)
    os.close(far)


@pytest.mark.parametrize(
    ("create", "board"),
    [
        (modbus.create, BoardSettings(1, 8)),
        (cu16.create, BoardSettings(1, 8, options={"set_pulse_time": False})),
    ],
    ids=["modbus", "cu16"],
)
async def test_an_unlock_that_a_blocked_port_did_not_take_never_goes_out(
    create: Callable[[BusSettings], BoardBus],
    board: BoardSettings,
    blocked: tuple[int, str, Callable[[], None]],
) -> None:
    near, path, fill = blocked
    bus = create(BusSettings(path, 19200, (board,)))
    await bus.open()
    try:
        fill()
        with pytest.raises((Unconfirmed, NotSent)):
            await bus.unlock(Line(1, 3), 500)
        with pytest.raises(LinkDown):
            await bus.poll(1)
        with pytest.raises(NotSent):
            await bus.unlock(Line(1, 3), 500)
    finally:
        await bus.close()
    came = bytearray()
    with contextlib.suppress(BlockingIOError):
        while True:
            came += os.read(near, 65536)
    assert came and came.strip(FILLER) == b""


@pytest.mark.parametrize("create", [modbus.create, cu16.create], ids=["modbus", "cu16"])
async def test_a_gateway_that_is_not_there_is_link_down(create: Callable[[BusSettings], BoardBus]) -> None:
    bus = create(BusSettings("socket://127.0.0.1:9", 19200, (BoardSettings(1, 8),)))
    with pytest.raises(LinkDown, match="cannot be opened"):
        await bus.open()
    with pytest.raises(DriverError):
        await bus.poll(1)
    await bus.close()
