"""Which controllers are connected, as NATS's own system events tell it, and how to end their connections.

This notices a killed process or a closed connection within milliseconds. It is an accelerator and no proof of life:
whether a bank is there, its heartbeats decide.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from nats.aio.msg import Msg

from cubbyhole.protocol import subjects
from cubbyhole.protocol.fabric.errors import FabricError
from cubbyhole.protocol.fabric.session import Session
from cubbyhole.server.fabric.callout import LOCK_ACCOUNT

log = logging.getLogger(__name__)

CONNECTIONS_PER_PAGE = 1024
_NODES_MAX = 64
_PENDING_MAX = 20_000
_FIRST_ANSWER_TIMEOUT_S = 2.0
_MORE_ANSWERS_TIMEOUT_S = 0.15
_KICK_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class PresenceChange:
    """A controller's first connection came up, or its last one ended. ``reason`` is NATS's word for the latter."""

    controller: str
    connected: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Connection:
    server_id: str
    cid: int


class Presence:
    """Follows the connections of all controllers. ``attach`` is the ``on_open`` of the SYS session."""

    def __init__(self, on_change: Callable[[PresenceChange], None]) -> None:
        self._on_change = on_change
        self._session: Session | None = None
        self._here: dict[str, set[_Connection]] = {}

    @property
    def connected(self) -> frozenset[str]:
        """The controllers that have a connection now."""
        return frozenset(self._here)

    async def attach(self, session: Session) -> None:
        self._session = session
        for event in ("CONNECT", "DISCONNECT"):
            await session.subscribe(f"$SYS.ACCOUNT.{LOCK_ACCOUNT}.{event}", self._take, pending_max=_PENDING_MAX)

    async def reconcile(self) -> frozenset[str]:
        """Compare with what NATS says now, tell the differences, return who is connected. Raises FabricError."""
        found: dict[str, set[_Connection]] = {}
        async for controller, connection in self._list(None):
            found.setdefault(controller, set()).add(connection)
        for controller in self._here.keys() - found.keys():
            del self._here[controller]
            self._tell(PresenceChange(controller, False, "not connected any more"))
        for controller, connections in found.items():
            is_new = controller not in self._here
            self._here[controller] = connections
            if is_new:
                self._tell(PresenceChange(controller, True))
        return self.connected

    async def kick(self, controller: str) -> int:
        """End all connections of this controller now; how many there were. Raises FabricError."""
        if self._session is None:
            raise RuntimeError("the link was not started")
        count = 0
        async for name, connection in self._list(controller):
            if name == controller:
                await self._session.request(
                    f"$SYS.REQ.SERVER.{connection.server_id}.KICK", _packed({"cid": connection.cid}), _KICK_TIMEOUT_S
                )
                count += 1
        return count

    async def _take(self, msg: Msg) -> None:
        try:
            event = json.loads(msg.data)
            client, server_id = event["client"], event["server"]["id"]
            controller, connection = str(client.get("user", "")), _Connection(str(server_id), int(client["id"]))
        except (ValueError, KeyError, TypeError, AttributeError):
            log.warning("an event on %s cannot be read", msg.subject)
            return
        if not subjects.is_controller(controller):
            return
        connections = self._here.setdefault(controller, set())
        was_here = bool(connections)
        if msg.subject.endswith(".CONNECT"):
            connections.add(connection)
        else:
            connections.discard(connection)
        if not connections:
            del self._here[controller]
        # A controller that comes back before its dead connection is noticed stays connected throughout.
        if was_here != bool(connections):
            self._tell(PresenceChange(controller, bool(connections), str(event.get("reason", ""))))

    def _tell(self, change: PresenceChange) -> None:
        try:
            self._on_change(change)
        except Exception:
            log.exception("a listener for presence failed")

    async def _list(self, controller: str | None) -> AsyncIterator[tuple[str, _Connection]]:
        """The connections of one or all controllers, from every node, page by page, each as soon as it is known."""
        offset, is_last = 0, False
        while not is_last:
            query: dict[str, Any] = {"auth": True, "acc": LOCK_ACCOUNT, "limit": CONNECTIONS_PER_PAGE, "offset": offset}
            if controller is not None:
                query["user"] = controller
            offset, is_last = offset + CONNECTIONS_PER_PAGE, True
            async for page in self._ask_all_nodes(_packed(query)):
                is_last = is_last and int(page.get("total", 0)) <= offset
                server_id = str(page.get("server_id", ""))
                for entry in page.get("connections") or ():
                    name = str(entry.get("authorized_user", ""))
                    if subjects.is_controller(name):
                        yield name, _Connection(server_id, int(entry["cid"]))

    async def _ask_all_nodes(self, query: bytes) -> AsyncIterator[dict[str, Any]]:
        if self._session is None:
            raise RuntimeError("the link was not started")
        async for answer in self._session.ask_all(
            "$SYS.REQ.SERVER.PING.CONNZ", query, _NODES_MAX, _FIRST_ANSWER_TIMEOUT_S, _MORE_ANSWERS_TIMEOUT_S
        ):
            try:
                page: dict[str, Any] = json.loads(answer)["data"]
            except (ValueError, KeyError, TypeError) as error:
                raise FabricError("NATS's list of connections cannot be read") from error
            yield page


def _packed(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode()
