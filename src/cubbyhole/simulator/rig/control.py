"""The control socket: one JSON object a line in, one a line out. Nothing that arrives here can stop the rig."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from cubbyhole.simulator.rig.bank import Bank, NoSuch
from cubbyhole.simulator.rig.bus import BadFault
from cubbyhole.simulator.rig.physical import Impossible
from cubbyhole.simulator.rig.reader import CannotTap
from cubbyhole.simulator.rig.table import SettingsError

LINE_BYTES_MAX = 65_536
CLIENTS_MAX = 128


class BadRequest(Exception):
    """The message cannot be understood; the text says what would be."""


Answer = dict[str, object]
_KNOWN_ERRORS = (BadRequest, BadFault, CannotTap, Impossible, NoSuch, SettingsError)


class Control:
    """Serves the socket; any number of requests per connection, answered in their order."""

    def __init__(self, path: Path, banks: Mapping[str, Bank]) -> None:
        self._path = path
        self._banks = banks
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()
        self._verbs: dict[str, Callable[[Bank, Answer], Awaitable[Answer]]] = {
            "tap": self._tap,
            "door": self._door,
            "cable": self._cable,
            "power": self._power,
            "fault": self._fault,
            "truth": self._truth,
            "state": self._state,
        }

    async def start(self) -> None:
        """Raises ``SettingsError`` when the socket's place is taken, by another rig or by a file."""
        if self._path.exists():
            if not self._path.is_socket():
                raise SettingsError(f"{self._path} is there and is no socket: choose another --socket")
            if _answers(self._path):
                raise SettingsError(f"another rig is running at {self._path}: stop it, or choose another --socket")
            self._path.unlink(missing_ok=True)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if len(os.fsencode(self._path)) > 100:
            raise SettingsError(f"{self._path} is too long for a socket's path (100 bytes): choose a shorter --socket")
        old_mask = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, str(self._path), limit=LINE_BYTES_MAX)
        except OSError as error:
            raise SettingsError(f"cannot listen at {self._path}: {error.strerror or error}") from error
        finally:
            os.umask(old_mask)

    async def stop(self) -> None:
        if self._server is None:
            return
        self._server.close()
        self._path.unlink(missing_ok=True)
        for task in tuple(self._clients):
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            if len(self._clients) > CLIENTS_MAX:
                await _reply(writer, {"ok": False, "error": f"{CLIENTS_MAX} clients are connected; close some"})
                return
            while True:
                try:
                    line = await reader.readuntil(b"\n")
                except asyncio.IncompleteReadError as rest:
                    line = rest.partial
                except (asyncio.LimitOverrunError, ValueError):
                    error = f"a request is at most {LINE_BYTES_MAX} bytes, on one line"
                    await _reply(writer, {"ok": False, "error": error})
                    return
                if not line:
                    return
                if line.strip():
                    await _reply(writer, await self._answer(line))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._clients.discard(task)
            with contextlib.suppress(OSError):
                writer.close()

    async def _answer(self, line: bytes) -> Answer:
        try:
            return {"ok": True, **await self._do(line)}
        except _KNOWN_ERRORS as error:
            return {"ok": False, "error": str(error)}
        except Exception as error:  # a mistake of the rig's own must not end the simulation for everybody
            return {"ok": False, "error": f"the rig made a mistake ({type(error).__name__}: {error}); please report it"}

    async def _do(self, line: bytes) -> Answer:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise BadRequest('this is no JSON object on one line, like {"do":"state","bank":"A"}') from error
        if not isinstance(request, dict):
            raise BadRequest('write a JSON object, like {"do":"state","bank":"A"}')
        verb = request.pop("do", None)
        if verb == "banks":
            return {"banks": list(self._banks)}
        handler = self._verbs.get(verb) if isinstance(verb, str) else None
        if handler is None:
            raise BadRequest(f"do must be one of banks, {', '.join(self._verbs)}")
        bank_id = request.pop("bank", None)
        bank = self._banks.get(bank_id) if isinstance(bank_id, str) else None
        if bank is None:
            raise BadRequest(f"bank must be one of {', '.join(self._banks)}")
        answer = await handler(bank, request)
        return {"bank": bank.id, **answer}

    async def _tap(self, bank: Bank, request: Answer) -> Answer:
        door = _text(request, "door")
        octets: bytes | None = None
        if "raw" in request:
            try:
                octets = bytes.fromhex(_text(request, "raw"))
            except ValueError as error:
                raise BadRequest("raw must be bytes in hex; they are sent as they are, without a line end") from error
            badge = f"raw:{octets[:32].hex()}"
        else:
            badge = _text(request, "badge")
        _nothing_else(request)
        return asdict(await bank.tap(door, badge, octets))

    async def _door(self, bank: Bank, request: Answer) -> Answer:
        door, act = _text(request, "door"), _text(request, "act")
        _nothing_else(request)
        locker, changed = bank.door(door, act)
        state = bank.state()["lockers"]
        assert isinstance(state, dict)
        return {"locker": locker.number, "changed": changed, **state[locker.number]}

    async def _cable(self, bank: Bank, request: Answer) -> Answer:
        act = _text(request, "act")
        _nothing_else(request)
        bank.cable(act)
        return {"cable": act}

    async def _power(self, bank: Bank, request: Answer) -> Answer:
        act = _text(request, "act")
        _nothing_else(request)
        await bank.power(act)
        return {"power": act}

    async def _fault(self, bank: Bank, request: Answer) -> Answer:
        bus = _text(request, "bus") if request.get("bus") is not None else None
        request.pop("bus", None)
        return {"faults": asdict(await bank.fault(bus, request))}

    async def _truth(self, bank: Bank, request: Answer) -> Answer:
        _nothing_else(request)
        return bank.truth()

    async def _state(self, bank: Bank, request: Answer) -> Answer:
        _nothing_else(request)
        return bank.state()


def _text(request: Answer, key: str) -> str:
    value = request.pop(key, None)
    if not isinstance(value, str) or not value:
        raise BadRequest(f"{key} must be a text")
    return value


def _nothing_else(request: Answer) -> None:
    if request:
        raise BadRequest(f"{sorted(request)[0]!r} does not belong here")


async def _reply(writer: asyncio.StreamWriter, answer: Answer) -> None:
    writer.write(json.dumps(answer, separators=(",", ":")).encode() + b"\n")
    await writer.drain()


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True
