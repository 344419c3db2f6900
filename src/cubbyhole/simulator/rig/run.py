"""The rig's process: build every bank of rig.toml, serve the control socket, and leave nothing behind at the end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

from cubbyhole.simulator.rig.bank import Bank
from cubbyhole.simulator.rig.control import Control
from cubbyhole.simulator.rig.settings import RigSettings, load
from cubbyhole.simulator.rig.truth import Truth


def run_rig(config: Path, socket: Path, said_ready: Callable[[], None] | None = None) -> None:
    """Run until SIGINT or SIGTERM. Raises ``SettingsError`` when it cannot start; then nothing is left behind."""
    asyncio.run(_run(load(config), socket, said_ready))


async def _run(settings: RigSettings, socket: Path, said_ready: Callable[[], None] | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if settings.truth is not None:
        settings.truth.parent.mkdir(parents=True, exist_ok=True)
    truth = Truth(settings.truth)
    banks = {bank.id: Bank(bank, truth) for bank in settings.banks}
    control = Control(socket, banks)
    begun: list[Bank] = []
    try:
        # The socket first: it is what tells two rigs apart before either touches the other's ports.
        await control.start()
        for bank in banks.values():
            begun.append(bank)
            await bank.start()
        if said_ready is not None:
            said_ready()
        await stop.wait()
    finally:
        await control.stop()
        await asyncio.gather(*(bank.stop() for bank in begun), return_exceptions=True)
        truth.close()
