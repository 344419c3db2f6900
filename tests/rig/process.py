"""A rig of the test's own, as a real process."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cubbyhole.simulator.rig.client import RigError, ask
from tests.support.child import running

START_TIMEOUT_S = 30.0
READY = "rig ready"


class RigProcess:
    """A running rig in ``folder``; ports are at ``folder/ports``."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.folder = folder
        self.socket = folder / "sim.sock"
        self.process = process

    def ask(self, do: str, bank: str, **rest: object) -> dict[str, object]:
        return ask(self.socket, {"do": do, "bank": bank, **rest})

    def port(self, name: str) -> str:
        return str(self.folder / "ports" / name)


def command(folder: Path) -> list[str]:
    """What starts the rig of that folder's rig.toml."""
    program = [sys.executable, "-m", "cubbyhole.simulator.cli", "rig"]
    return [*program, "--config", str(folder / "rig.toml"), "--socket", str(folder / "sim.sock")]


@contextmanager
def rig(folder: Path, toml: str) -> Iterator[RigProcess]:
    """A rig with that configuration, ready to be asked; its output is shown where it does not start."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rig.toml").write_text(toml)
    log = folder / "rig.log"
    said_before = log.read_text().count(READY) if log.exists() else 0
    with running(command(folder), log) as process:
        deadline = time.monotonic() + START_TIMEOUT_S
        while log.read_text().count(READY) == said_before:
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the rig did not start:\n{log.read_text()}")
            time.sleep(0.03)
        yield RigProcess(folder, process)


def refusal(rig: RigProcess, do: str, bank: str, **rest: object) -> str:
    """The error that the rig answers with."""
    try:
        answer = rig.ask(do, bank, **rest)
    except RigError as error:
        return str(error)
    raise AssertionError(f"the rig did it: {answer}")
