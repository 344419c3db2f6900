"""A plain nats-server on loopback, without accounts or TLS. The whole fabric has its own fixture in tests/fabric."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cubbyhole.server.fabric.nats_server import find_binary
from tests.support.child import running

START_S = 10.0


@dataclass(frozen=True, slots=True)
class PlainNats:
    """A server that listens."""

    url: str
    pid: int


@contextlib.contextmanager
def plain_nats(folder: Path, *arguments: str) -> Iterator[PlainNats]:
    """A nats-server on a free port until the block ends. Raises ``TimeoutError`` with its log if it stays silent."""
    log = folder / "nats.log"
    command = [str(find_binary()), "-a", "127.0.0.1", "-p", "-1", "--ports_file_dir", str(folder), *arguments]
    with running(command, log) as process:
        deadline = time.monotonic() + START_S
        while (url := _address(folder)) is None:
            if process.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError(f"nats-server did not come up:\n{log.read_text(errors='replace')}")
            time.sleep(0.005)
        yield PlainNats(url, process.pid)


def _address(folder: Path) -> str | None:
    for file in folder.glob("*.ports"):
        # The file may be seen half written.
        with contextlib.suppress(ValueError):
            return str(json.loads(file.read_text())["nats"][0])
    return None
