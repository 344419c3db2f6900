"""nats-server as a supervised child: configured, checked, restarted when it dies, and never outliving its parent."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
import shutil
import sys
import sysconfig
from collections import deque
from collections.abc import Callable
from pathlib import Path

from cubbyhole.protocol.fabric.keyfile import write_key_file
from cubbyhole.protocol.subjects import MAX_PAYLOAD_BYTES
from cubbyhole.server.fabric import tethered
from cubbyhole.server.fabric.authority import Authority
from cubbyhole.server.fabric.keys import FabricKeys

log = logging.getLogger(__name__)

OLDEST_VERSION = (2, 15, 0)  # the oldest that the tests run with

_READY_TIMEOUT_S = 10.0
_STOP_TIMEOUT_S = 2.0  # it keeps nothing; a login that waits for its answer would hold it up for 10 s
_BACKOFF_FIRST_S = 0.1
_BACKOFF_MAX_S = 2.0
_HEALTHY_AFTER_S = 5.0
_LOG_LINES_KEPT = 40
_LINE_MAX_BYTES = 64 * 1024


class NatsServerFailed(Exception):
    """nats-server cannot be used or does not come up; the message says why and what to do."""


def find_binary(explicit: Path | None = None) -> Path:
    """The nats-server to run: the one named, else the one installed with Cubbyhole, else the first in PATH."""
    if explicit is not None:
        if not os.access(explicit, os.X_OK):
            raise NatsServerFailed(f"{explicit} is not a program that can be run")
        return explicit
    beside = shutil.which("nats-server", path=sysconfig.get_path("scripts"))
    found = beside or shutil.which("nats-server")
    if found is None:
        raise NatsServerFailed("nats-server is missing. It comes with Cubbyhole: install it again, or name another.")
    return Path(found)


async def check_version(binary: Path) -> str:
    """The version of this nats-server, like ``2.15.1``. Raises NatsServerFailed if it is too old or does not run."""
    try:
        process = await asyncio.create_subprocess_exec(
            str(binary), "--version", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        async with asyncio.timeout(10):
            out, _ = await process.communicate()
    except (OSError, TimeoutError) as error:
        raise NatsServerFailed(f"{binary} does not run here: {error}") from error
    match = re.search(rb"v(\d+)\.(\d+)\.(\d+)", out)
    if match is None:
        raise NatsServerFailed(f"{binary} does not look like nats-server: --version said {out[:100]!r}")
    version = tuple(int(part) for part in match.groups())
    text = ".".join(map(str, version))
    if version < OLDEST_VERSION:
        oldest = ".".join(map(str, OLDEST_VERSION))
        raise NatsServerFailed(f"{binary} is nats-server {text}; Cubbyhole needs {oldest} or newer")
    return text


def configuration(
    authority: Authority, keys: FabricKeys, host: str, port: int, *, ping_interval_s: int = 1, name: str = "cubbyhole"
) -> str:
    """The configuration of a nats-server for the fabric; the same serves every node of a cluster of one's own.

    It names key files and public keys, no secrets.
    """
    public = keys.auth.public, keys.server.public, keys.system.public
    settings: dict[str, object] = {
        "server_name": name,
        "host": host,
        "port": port,
        "max_payload": MAX_PAYLOAD_BYTES,
        "max_control_line": 4096,
        "max_pending": 16 * MAX_PAYLOAD_BYTES,
        "write_deadline": "5s",
        "ping_interval": f"{ping_interval_s}s",
        "ping_max": 2,
        "lame_duck_duration": "30s",
        "tls": {
            "cert_file": str(authority.leaf_path.resolve()),
            "key_file": str(authority.leaf_key_path.resolve()),
            "min_version": "1.3",
            "timeout": 5,
            "handshake_first": True,
        },
        "accounts": {
            "SYS": {"users": [{"nkey": keys.system.public}]},
            "AUTH": {"users": [{"nkey": keys.auth.public}]},
            "LOCK": {"users": [{"nkey": keys.server.public}]},
        },
        "system_account": "SYS",
        "authorization": {
            "timeout": 10,
            "auth_callout": {"issuer": keys.issuer.public, "account": "AUTH", "auth_users": list(public)},
        },
    }
    return json.dumps(settings, indent=2) + "\n"  # nats-server reads JSON as well as its own notation


class NatsServer:
    """One nats-server of our own. ``start`` returns once it accepts connections; from then on it is kept running."""

    def __init__(
        self,
        folder: Path,
        authority: Authority,
        keys: FabricKeys,
        *,
        port: int,
        host: str = "0.0.0.0",
        binary: Path | None = None,
        ping_interval_s: int = 1,
        on_state: Callable[[bool, str], None] | None = None,
    ) -> None:
        self._config_path = folder / "nats-server.conf"
        self._config = configuration(authority, keys, host, port, ping_interval_s=ping_interval_s)
        self._host = host
        self._port = port
        self._explicit_binary = binary
        self._on_state = on_state
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._tail: deque[str] = deque(maxlen=_LOG_LINES_KEPT)
        self.restarts = 0
        self.version = ""

    @property
    def url(self) -> str:
        """Where this machine's own sessions connect."""
        local = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self._host, self._host)
        return f"tls://{local}:{self._port}"

    @property
    def offered_url(self) -> str:
        """What is offered to controllers (the header ``Cubbyhole-Fabric``): this port, at the host they know."""
        return f"tls://:{self._port}"

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def start(self) -> None:
        """Start and wait until it accepts connections. Raises NatsServerFailed; nothing is left running then."""
        binary = find_binary(self._explicit_binary)
        self.version = await check_version(binary)
        write_key_file(self._config_path, self._config.encode())
        try:
            await self._launch(binary)
        except BaseException:
            await self._end()
            raise
        self._supervisor = asyncio.create_task(self._keep_running(binary), name="nats-server supervisor")

    async def stop(self) -> None:
        """Stop it and wait until it is gone."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._supervisor
            self._supervisor = None
        await self._end()

    async def _launch(self, binary: Path) -> None:
        self._ready.clear()
        self._tail.clear()
        arguments = (str(binary), "-c", str(self._config_path))
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", tethered.__file__, str(os.getpid()), *arguments,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
            limit=_LINE_MAX_BYTES, start_new_session=True,  # Ctrl-C is for us; we stop it in our own order
        )  # fmt: skip
        self._reader = asyncio.create_task(self._read_log(self._process))
        ready = asyncio.create_task(self._ready.wait())
        ended = asyncio.create_task(self._process.wait())
        try:
            await asyncio.wait({ready, ended}, timeout=_READY_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
            ended.cancel()
        if not self._ready.is_set():
            await self._end()
            raise NatsServerFailed(self._explain())
        self._tell(True, f"nats-server {self.version} listens on {self._host}:{self._port}")

    def _explain(self) -> str:
        said = "\n".join(self._tail)
        if "address already in use" in said:
            return f"port {self._port} is taken by another program. Stop it, or choose another port for the fabric."
        return "nats-server did not come up. Its last words:\n" + (said or "(none)")

    async def _read_log(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        while True:
            try:
                raw = await process.stderr.readline()
            except ValueError:  # a line longer than the limit; what follows it is read
                continue
            if not raw:
                return
            line = raw.decode("utf-8", "replace").rstrip()
            self._tail.append(line)
            log.log(logging.WARNING if re.search(r"\[(ERR|FTL)\]", line) else logging.DEBUG, "%s", line)
            if "Server is ready" in line:
                self._ready.set()

    async def _keep_running(self, binary: Path) -> None:
        pause_s = _BACKOFF_FIRST_S
        loop = asyncio.get_running_loop()
        while True:
            assert self._process is not None
            began = loop.time()
            code = await self._process.wait()
            self._tell(False, f"nats-server ended unexpectedly (code {code}); starting it again")
            if loop.time() - began > _HEALTHY_AFTER_S:
                pause_s = _BACKOFF_FIRST_S
            while True:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _BACKOFF_MAX_S)
                try:
                    await self._launch(binary)
                except (NatsServerFailed, OSError) as error:
                    self._tell(False, str(error))
                else:
                    self.restarts += 1
                    break

    async def _end(self) -> None:
        process, reader = self._process, self._reader
        self._process = self._reader = None
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(_STOP_TIMEOUT_S):
                    await process.wait()
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if reader is not None:
            await reader

    def _tell(self, running: bool, text: str) -> None:
        log.log(logging.INFO if running else logging.WARNING, "%s", text)
        if self._on_state is not None:
            self._on_state(running, text)
