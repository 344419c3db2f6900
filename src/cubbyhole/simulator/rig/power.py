"""The mains of one bank: the controller's process, owned by the rig and killed like a machine that loses power."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from cubbyhole.simulator.rig.table import SettingsError

STOP_TIMEOUT_S = 8.0
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


class Controller:
    """The process of a bank's controller. It dies with the rig, however the rig dies (PDEATHSIG)."""

    def __init__(self, command: tuple[str, ...], log: Path | None, env: Mapping[str, str]) -> None:
        self._command = command
        self._log = log
        self._env = env
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it unless it runs. Raises ``SettingsError`` when the command cannot be run."""
        if not self._command or self.running:
            return
        output: IO[bytes] | int = asyncio.subprocess.DEVNULL
        if self._log is not None:
            self._log.parent.mkdir(parents=True, exist_ok=True)
            output = self._log.open("ab")
        rig = os.getpid()

        def die_with_the_rig() -> None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != rig:
                os._exit(1)

        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **self._env},
                start_new_session=True,
                preexec_fn=die_with_the_rig,
            )
        except OSError as error:
            raise SettingsError(f"the controller cannot be started ({self._command[0]}: {error.strerror})") from error
        finally:
            if not isinstance(output, int):
                output.close()

    async def kill(self) -> None:
        """Power off: the process and all that it started are killed at once."""
        await self._end(signal.SIGKILL, STOP_TIMEOUT_S)

    async def stop(self) -> None:
        """Ask it to end; kill it if it does not."""
        await self._end(signal.SIGTERM, STOP_TIMEOUT_S)
        await self._end(signal.SIGKILL, STOP_TIMEOUT_S)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    def describe(self) -> dict[str, object] | None:
        """None where the rig owns no controller."""
        if not self._command:
            return None
        process = self._process
        return {
            "running": self.running,
            "pid": process.pid if process is not None and self.running else None,
            "exit": process.returncode if process is not None else None,
        }

    async def _end(self, how: signal.Signals, timeout_s: float) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await process.wait()
