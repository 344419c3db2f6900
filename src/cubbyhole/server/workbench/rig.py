"""One question to the simulated hardware's control socket: a JSON line out, a JSON line back, within three seconds."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from pathlib import Path

ANSWER_WITHIN_S = 3.0
ANSWER_BYTES_MOST = 64 * 1024
WAITING_MOST = 16

# What may be asked here, with exactly these fields; everything else of the rig is for its own command line.
ASKED: Mapping[str, tuple[str, ...]] = {
    "tap": ("bank", "door", "badge"),
    "door": ("bank", "door", "act"),
    "cable": ("bank", "act"),
    "power": ("bank", "act"),
    "state": ("bank",),
}
FIELD_MOST = 64


class RigTrouble(Exception):
    """The bench cannot do it; the message says why, ``status`` is the answer's. ``word`` is that of a text
    ``bench.wrong.<word>``; without one the message is the rig's own."""

    def __init__(self, status: int, why: str, word: str | None = None) -> None:
        super().__init__(why)
        self.status, self.word = status, word


def request_for(verb: str, fields: object) -> dict[str, str]:
    """The rig's request for what a page sent. Raises RigTrouble."""
    names = ASKED.get(verb)
    if names is None:
        raise RigTrouble(404, f"the bench knows {', '.join(ASKED)}", "asked")
    if not isinstance(fields, dict) or set(fields) != set(names):
        raise RigTrouble(422, f"send a JSON object with {', '.join(names)}", "asked")
    if not all(isinstance(value, str) and 0 < len(value) <= FIELD_MOST for value in fields.values()):
        raise RigTrouble(422, f"each of {', '.join(names)} is a text of 1 to {FIELD_MOST} characters", "asked")
    return {"do": verb, **fields}


class Rig:
    """The rig at a unix socket. Calls from the event loop only."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._busy = 0

    async def ask(self, request: Mapping[str, str]) -> dict[str, object]:
        """The rig's answer without its ``ok``. Raises RigTrouble."""
        if self._busy >= WAITING_MOST:
            raise RigTrouble(503, "the simulated hardware is busy; try again in a moment", "busy")
        self._busy += 1
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                raw = await self._exchange(json.dumps(request).encode() + b"\n")
        except TimeoutError:
            why = f"the simulated hardware did not answer within {ANSWER_WITHIN_S:g} s; it may still do what was asked"
            raise RigTrouble(504, why, "slow") from None
        except (OSError, ValueError) as error:
            why = f"the simulated hardware cannot be reached ({error}); is `cubbyhole sim rig` running?"
            raise RigTrouble(502, why, "away") from None
        finally:
            self._busy -= 1
        return _answer(raw)

    async def _exchange(self, line: bytes) -> bytes:
        reader, writer = await asyncio.open_unix_connection(str(self._socket), limit=ANSWER_BYTES_MOST)
        try:
            writer.write(line)
            await writer.drain()
            return await reader.readline()
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def _answer(raw: bytes) -> dict[str, object]:
    try:
        answer = json.loads(raw)
    except ValueError:
        raise RigTrouble(502, "the simulated hardware broke off its answer; try again", "away") from None
    if not isinstance(answer, dict):
        raise RigTrouble(502, "what answers at the bench's socket is no rig", "away")
    if answer.pop("ok", False) is not True:
        raise RigTrouble(409, str(answer.get("error") or "the simulated hardware refused")[:500])
    return answer
