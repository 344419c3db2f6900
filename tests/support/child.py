"""A child process that ends with the test run, however that ends."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

STOP_S = 10.0


def tied(command: Sequence[str], signal: str = "KILL") -> list[str]:
    """The command, made to receive that signal when the process that started it is gone."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", signal, "--", *command] if setpriv else list(command)


@contextlib.contextmanager
def running(
    command: Sequence[str], log: Path, *, environment: Mapping[str, str] | None = None, death_signal: str = "KILL"
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the command until the block ends: terminated then, killed if it does not end within ``STOP_S``.

    Its output goes to ``log``. Enter from the main thread: the death signal follows the thread that started it.
    """
    with (
        log.open("ab") as output,
        subprocess.Popen(
            tied(command, death_signal),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
