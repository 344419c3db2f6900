"""Talk to a running rig: one request, one answer."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

ANSWER_BYTES_MAX = 256 * 1024 * 1024
TIMEOUT_S = 30.0


class RigError(Exception):
    """The rig cannot be reached, or refused; the text says what to do."""


def find_socket(given: Path | None) -> Path:
    """The socket's path: as given, from CUBBYHOLE_SIM_SOCKET, or ``sim.sock`` in the data folder."""
    if given is not None:
        return given
    named = os.environ.get("CUBBYHOLE_SIM_SOCKET")
    if named:
        return Path(named)
    return Path(os.environ.get("CUBBYHOLE_HOME") or ".cubbyhole") / "sim.sock"


def ask(path: Path, request: dict[str, object], timeout_s: float = TIMEOUT_S) -> dict[str, object]:
    """The rig's answer without its ``ok``. Raises ``RigError``."""
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(timeout_s)
            line.connect(str(path))
            line.sendall(json.dumps(request).encode() + b"\n")
            answer = bytearray()
            while not answer.endswith(b"\n") and len(answer) < ANSWER_BYTES_MAX:
                part = line.recv(65_536)
                if not part:
                    break
                answer += part
    except TimeoutError as error:
        raise RigError(f"the rig at {path} does not answer") from error
    except OSError as error:
        raise RigError(f"no rig at {path} ({error.strerror or error}): start one with `cubbyhole sim rig`") from error
    try:
        facts = json.loads(answer)
    except ValueError as error:
        raise RigError(f"the rig at {path} broke off its answer") from error
    if not isinstance(facts, dict) or facts.pop("ok", False) is not True:
        raise RigError(str(facts.get("error", "the rig refused")) if isinstance(facts, dict) else "no rig answers here")
    return facts
