"""Who may connect to the fabric, and what they may do there: the answer to NATS's auth callout.

Two kinds of client ask: a controller, which proves its key over the connection's nonce (nats-server leaves that check
to us), and a new controller with a one-time enrolment code. Everybody else is refused.
"""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from cubbyhole.protocol import subjects
from cubbyhole.protocol.fabric.nkey import SERVER, USER, is_signed_by
from cubbyhole.protocol.fabric.serving import Serving
from cubbyhole.protocol.fabric.session import Session
from cubbyhole.server.fabric import jwt
from cubbyhole.server.fabric.keys import FabricKeys

log = logging.getLogger(__name__)

AUTH_SUBJECT = "$SYS.REQ.USER.AUTH"
AUTH_QUEUE = "auth"
LOCK_ACCOUNT = "LOCK"

LOOKUPS_AT_ONCE = 8
LOOKUP_THREADS = 4
LOOKUP_TIMEOUT_S = 8.0  # below the 10 s that nats-server waits
_PENDING_MAX = 4096
_RESPONSE_TTL_NS = 60 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class ControllerGrant:
    """An enrolled controller (``ctl_…``) and the banks that it speaks for."""

    controller: str
    banks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EnrolmentGrant:
    """An enrolment code that may be shown: known, not expired, its secret right. Whether it is spent the desk says."""

    code_id: str


class Registry(Protocol):
    """Where enrolled controllers and open enrolment codes are looked up. Called from worker threads; may block."""

    def controller_banks(self, nkey_public: str) -> ControllerGrant | None:
        """The controller with this login key, or None if there is none or it was removed."""

    def enrolment(self, code_id: str, secret: str) -> EnrolmentGrant | None:
        """The code if it may be used now, without using it. The secret is compared in constant time."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What NATS tells about a client that wants in."""

    server_id: str
    user_nkey: str
    nonce: str
    nkey: str
    signature: str
    user: str
    password: str


class Callout:
    """Answers for one session of the AUTH account. ``attach`` is that session's ``on_open``."""

    def __init__(self, keys: FabricKeys, registry: Registry) -> None:
        self._issuer = keys.issuer
        self._registry = registry
        self._threads = ThreadPoolExecutor(LOOKUP_THREADS, thread_name_prefix="fabric-auth")
        self._serving = Serving("auth callout", self._answer, at_once=LOOKUPS_AT_ONCE, timeout_s=LOOKUP_TIMEOUT_S)

    async def attach(self, session: Session) -> None:
        await session.subscribe(AUTH_SUBJECT, self._serving.take, queue=AUTH_QUEUE, pending_max=_PENDING_MAX)

    async def settled(self, timeout_s: float) -> None:
        """Wait until those who are asking now have their answer."""
        await self._serving.settled(timeout_s)

    async def stop(self) -> None:
        await self._serving.stop()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _answer(self, _subject: str, payload: bytes) -> bytes:
        asked = _parse(payload)
        token, error = "", ""
        try:
            token = await self._permit(asked)
        except Exception:
            log.exception("looking up who connects failed; the client is refused")
        if not token:
            error = "not enrolled, removed, or the code is not good"
            log.info(
                "refused a connection: %s", f"code {asked.user[:16]!r}" if asked.user else f"key {asked.nkey[:60]!r}"
            )
        claims = {
            "sub": asked.user_nkey,
            "aud": asked.server_id,
            "nats": {"type": "authorization_response", "version": 2, "jwt": token, "error": error},
        }
        return jwt.signed(claims, self._issuer, int(time.time())).encode()

    async def _permit(self, asked: _Asked) -> str:
        """The user token for this client, or nothing if it is refused."""
        loop = asyncio.get_running_loop()
        if asked.nkey:
            if not asked.nonce or not is_signed_by(asked.nkey, USER, asked.nonce.encode(), asked.signature):
                return ""
            grant = await loop.run_in_executor(self._threads, self._registry.controller_banks, asked.nkey)
            if grant is None:
                return ""
            name = grant.controller
            publish, subscribe = subjects.controller_permissions(grant.controller, grant.banks)
        elif asked.user and asked.password:
            code = await loop.run_in_executor(self._threads, self._registry.enrolment, asked.user, asked.password)
            if code is None or code.code_id != asked.user:
                return ""
            name = f"enrol_{code.code_id}"
            publish, subscribe = subjects.enrolment_permissions(code.code_id)
        else:
            return ""
        rights: dict[str, Any] = {
            "type": "user",
            "version": 2,
            "pub": {"allow": publish},
            "sub": {"allow": subscribe},
            "subs": 16 + 4 * len(subscribe),
            "data": -1,
            "payload": subjects.MAX_PAYLOAD_BYTES,
        }
        if asked.nkey:
            rights["resp"] = {"max": 1, "ttl": _RESPONSE_TTL_NS}
        claims = {"sub": asked.user_nkey, "aud": LOCK_ACCOUNT, "name": name, "nats": rights}
        return jwt.signed(claims, self._issuer, int(time.time()))


def _parse(payload: bytes) -> _Asked:
    """Read the request. Raises BadToken (then nats-server gets an answer that it takes for a refusal)."""
    nats = jwt.verified(payload.decode("ascii", "replace"), SERVER).get("nats")
    if not isinstance(nats, dict):
        raise jwt.BadToken("not a callout request")

    def text(section: str, field: str) -> str:
        part = nats.get(section)
        value = part.get(field) if isinstance(part, dict) else None
        return value if isinstance(value, str) else ""

    user_nkey = nats.get("user_nkey")
    if not isinstance(user_nkey, str):
        raise jwt.BadToken("not a callout request")
    return _Asked(
        server_id=text("server_id", "id"),
        user_nkey=user_nkey,
        nonce=text("client_info", "nonce"),
        nkey=text("connect_opts", "nkey"),
        signature=text("connect_opts", "sig"),
        user=text("connect_opts", "user"),
        password=text("connect_opts", "pass"),
    )
