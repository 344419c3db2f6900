"""Enrolment: with a one-time code, a controller makes its keys known to the server and learns which banks it has.

Nothing that came over the network is believed before the authority's fingerprint has been compared with the code.
"""

from __future__ import annotations

import asyncio
import base64
import http.client
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from cubbyhole.edge.fabric import keys
from cubbyhole.protocol import signing, subjects
from cubbyhole.protocol.enrolment import (
    AUTHORITY_PATH,
    FABRIC_HEADER,
    EnrolmentCode,
    EnrolReply,
    EnrolRequest,
    parse_code,
    proof_message,
)
from cubbyhole.protocol.fabric.errors import AccessRefused, FabricError, Refused
from cubbyhole.protocol.fabric.keyfile import write_key_file
from cubbyhole.protocol.fabric.login import DEFAULT_PORT, Credentials, Endpoint
from cubbyhole.protocol.fabric.session import Session
from cubbyhole.protocol.fabric.transport import trust_only

AUTHORITY_FILE = "authority.pem"
ENROLMENT_FILE = "enrolment.json"

_AUTHORITY_MAX_BYTES = 64 * 1024
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*")


class EnrolmentFailed(Exception):
    """Nothing was enrolled; the message says why and what to do."""


class NotEnrolled(Exception):
    """The folder holds no enrolment; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What a controller knows about its server once it is enrolled."""

    controller: str
    nats_url: str
    banks: tuple[str, ...]
    authority_pem: str
    keys: keys.ControllerKeys


class _Saved(msgspec.Struct, frozen=True):
    v: int
    controller: str
    nats_url: str
    banks: tuple[str, ...]


async def enrol(
    server_url: str,
    code: str,
    folder: Path,
    banks: Sequence[str],
    *,
    fabric_url: str | None = None,
    timeout_s: float = 20.0,
) -> Enrolment:
    """Spend ``code`` (as typed) at the server and save the result in ``folder``.

    ``server_url`` is the address of the server's web pages. ``fabric_url`` (``tls://host:port``) is needed only where
    NATS is reached by another way than the server says. Whatever goes wrong in between, the same call with the same
    ``folder`` may be made again while the code is good: the keys in it are what the server knows this controller by.
    Raises BadCode (the code is mistyped) or EnrolmentFailed.
    """
    parsed = parse_code(code)
    if (folder / ENROLMENT_FILE).exists():
        raise EnrolmentFailed(f"{folder} holds an enrolment already. To enrol again, move it away first.")
    authority_pem, offered = await asyncio.to_thread(_fetch_authority, server_url, parsed, timeout_s)
    nats_url = _resolve(fabric_url or offered, server_url)
    own = keys.load_or_make(folder)
    reply = await _ask(nats_url, authority_pem, _request(parsed, own, tuple(banks)), timeout_s)
    if not subjects.is_controller(reply.controller) or not all(subjects.is_bank(bank) for bank in reply.banks):
        raise EnrolmentFailed("The server's answer cannot be used: it names no proper controller or bank. Update both.")
    # Kept is the address that worked, unless the server names a host of its own and nobody gave one here.
    answered = reply.nats_url if urlsplit(reply.nats_url).hostname and fabric_url is None else nats_url
    saved = _Saved(1, reply.controller, answered, reply.banks)
    write_key_file(folder / AUTHORITY_FILE, authority_pem.encode(), mode=0o644)
    write_key_file(folder / ENROLMENT_FILE, msgspec.json.encode(saved))
    return Enrolment(saved.controller, saved.nats_url, saved.banks, authority_pem, own)


def load(folder: Path) -> Enrolment:
    """The enrolment in ``folder``. Raises NotEnrolled."""
    try:
        saved = msgspec.json.decode((folder / ENROLMENT_FILE).read_bytes(), type=_Saved)
        authority_pem = (folder / AUTHORITY_FILE).read_text()
    except FileNotFoundError:
        raise NotEnrolled(
            "This controller is not enrolled. Make a code on the server and run: cubbyhole enrol URL CODE"
        ) from None
    except msgspec.DecodeError as error:
        raise NotEnrolled(f"{folder / ENROLMENT_FILE} cannot be read ({error}). Remove it and enrol again.") from error
    return Enrolment(saved.controller, saved.nats_url, saved.banks, authority_pem, keys.load_or_make(folder))


def _fetch_authority(server_url: str, code: EnrolmentCode, timeout_s: float) -> tuple[str, str]:
    """The authority's certificate (PEM), compared with the code, and the fabric's address as the server says it."""
    url = server_url.rstrip("/") + AUTHORITY_PATH
    if urlsplit(url).scheme not in ("http", "https"):
        raise EnrolmentFailed(f"{server_url!r} is not an address. It begins with http:// or https://.")
    # Whoever answers is not trusted for it: what counts is that the certificate fits the code.
    unverified = ssl.create_default_context()
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    try:
        with urllib.request.urlopen(url, timeout=timeout_s, context=unverified) as answer:
            text = answer.read(_AUTHORITY_MAX_BYTES).decode("ascii", "replace")
            offered = answer.headers.get(FABRIC_HEADER, f"tls://:{DEFAULT_PORT}")
    except urllib.error.HTTPError as error:
        raise EnrolmentFailed(f"{url} answered {error.code}. Is this the address of a Cubbyhole server?") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise EnrolmentFailed(f"{url} cannot be reached: {error}. Check the address and the network.") from error
    found = _PEM.fullmatch(text.strip() + "\n")
    if found is None:
        raise EnrolmentFailed(f"{url} did not send a certificate. Is this the address of a Cubbyhole server?")
    try:
        der = ssl.PEM_cert_to_DER_cert(found.group().strip())
    except ValueError as error:
        raise EnrolmentFailed(f"{url} sent a certificate that cannot be read.") from error
    if not code.names(der):
        raise EnrolmentFailed(
            "This server is not the one that made the code: its authority has another fingerprint. Nothing was sent to"
            " it. Check the address; if it is right, somebody may be standing in between."
        )
    return text, offered


def _resolve(fabric_url: str, server_url: str) -> str:
    """Fill in the server's host where the fabric's address has none."""
    try:
        parts = urlsplit(fabric_url)
        port = parts.port or DEFAULT_PORT
    except ValueError:
        raise EnrolmentFailed(f"{fabric_url!r} is not an address of the form tls://host:port.") from None
    host = parts.hostname or urlsplit(server_url).hostname
    if parts.scheme != "tls" or not host:
        raise EnrolmentFailed(f"{fabric_url!r} is not an address of the form tls://host:port.")
    return f"tls://[{host}]:{port}" if ":" in host else f"tls://{host}:{port}"


def _request(code: EnrolmentCode, own: keys.ControllerKeys, banks: tuple[str, ...]) -> EnrolRequest:
    text = proof_message(code.code_id, own.login.public, own.journal_public, banks)
    return EnrolRequest(
        v=1,
        code_id=code.code_id,
        secret=code.secret,
        nkey=own.login.public,
        journal_key=own.journal_public,
        banks=banks,
        nkey_proof=base64.b64encode(own.login.sign(text)).decode(),
        journal_proof=signing.sign(own.journal, text),
    )


async def _ask(nats_url: str, authority_pem: str, request: EnrolRequest, timeout_s: float) -> EnrolReply:
    session = Session(
        Endpoint((nats_url,), trust_only(authority_pem, at_any_time=True)),
        Credentials(user=request.code_id, password=request.secret),
        name=f"enrol {request.code_id}",
        inbox_prefix=subjects.enrolment_inbox(request.code_id),
    )
    try:
        await session.connect_once()
        answer = await session.request(subjects.ENROL, msgspec.json.encode(request), timeout_s)
        return msgspec.json.decode(answer, type=EnrolReply)
    except AccessRefused as error:
        raise EnrolmentFailed(
            "The server does not accept this code: it was used already, has expired or was withdrawn. Make a new one."
        ) from error
    except Refused as refusal:
        raise EnrolmentFailed(f"The server refused: {refusal.detail}") from refusal
    except FabricError as error:
        raise EnrolmentFailed(
            f"The server's fabric at {nats_url} cannot be used: {error}. The code stays good for this controller:"
            " try it again."
        ) from error
    except msgspec.MsgspecError as error:
        raise EnrolmentFailed(
            "The server's answer cannot be read. Server and controller may be too far apart."
        ) from error
    finally:
        await session.disconnect()
