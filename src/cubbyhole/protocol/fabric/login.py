"""Making one connection to NATS and logging in; and what of nats-py must be handled with care."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import nats.errors
from nats.aio.client import Client

from cubbyhole.protocol.fabric.errors import AccessRefused, NoAnswer, Offline, TooLarge
from cubbyhole.protocol.fabric.transport import AbortingTransport

FABRIC_TLS_NAME: Final = "fabric.cubbyhole.internal"
DEFAULT_PORT: Final = 4222

_OPEN_TIMEOUT_S = 3.0  # TCP and TLS; short, because a cut cable swallows the first packets


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where NATS listens (``tls://host:port``, one per node), and by which authority and name it is recognised."""

    urls: tuple[str, ...]
    tls: ssl.SSLContext
    tls_name: str = FABRIC_TLS_NAME


@dataclass(frozen=True, slots=True)
class Credentials:
    """Either an nkey seed, or a user and password (only for enrolling)."""

    seed: str | None = None
    user: str | None = None
    password: str | None = None


@dataclass(frozen=True, slots=True)
class Connection:
    """One client and the stream under it. When the stream is gone, the client is of no more use."""

    client: Client
    transport: AbortingTransport

    async def until_gone(self) -> None:
        """Return when the connection has ended, by whatever side."""
        while not self.client.is_closed:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self.transport.gone.wait()
                    return

    async def all_sent(self, timeout_s: int) -> None:
        """Return when NATS has received everything so far; raises OSError or nats.errors.Error.

        nats-py's own flush overtakes what still waits to be written.
        """
        async with asyncio.timeout(timeout_s):
            while self.client.pending_data_size and not self.client.is_closed:
                await asyncio.sleep(0.001)
            await self.client.flush(timeout=timeout_s)

    async def close(self) -> None:
        """End it now, without waiting for anybody. Idempotent."""
        self.transport.abort()
        if not self.client.is_closed:
            with contextlib.suppress(nats.errors.Error, OSError):
                await self.client.close()


async def log_in(
    endpoint: Endpoint,
    turn: int,
    credentials: Credentials,
    *,
    name: str,
    inbox_prefix: str,
    ping_interval_s: int,
    timeout_s: int,
    on_error: Callable[[Exception], Awaitable[None]],
) -> Connection:
    """Connect to one of the endpoint's nodes (``turn`` by turn) and log in.

    Raises Offline (cannot be reached), NoAnswer (the login is not answered) or AccessRefused.
    """
    url = urlsplit(endpoint.urls[turn % len(endpoint.urls)])
    host, port = url.hostname or "localhost", url.port or DEFAULT_PORT
    transport = AbortingTransport()
    try:
        await transport.open(host, port, endpoint.tls, endpoint.tls_name, _OPEN_TIMEOUT_S)
    except OSError as error:
        transport.abort()
        raise Offline(f"cannot reach {host}:{port}: {why(error)}") from error
    client = Client()
    client._transport = transport  # the one private thing that we touch: nats-py has no public way in
    try:
        async with asyncio.timeout(timeout_s):
            await client.connect(
                f"tls://{url.netloc.rpartition('@')[2]}",
                name=name,
                error_cb=on_error,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                connect_timeout=timeout_s + 1,
                ping_interval=ping_interval_s,
                max_outstanding_pings=2,
                pending_size=0,
                inbox_prefix=inbox_prefix,
                tls=endpoint.tls,
                nkeys_seed_str=credentials.seed,
                user=credentials.user,
                password=credentials.password,
            )
    except TimeoutError as error:
        transport.abort()
        raise NoAnswer(f"{host}:{port} does not answer the login; the server may just be starting") from error
    except (nats.errors.Error, OSError) as error:
        transport.abort()
        if "authorization" in str(error).lower():
            raise AccessRefused("the server does not accept this key or code (authorization refused)") from error
        raise Offline(f"cannot log in at {host}:{port}: {why(error)}") from error
    except BaseException:
        transport.abort()
        raise
    return Connection(client, transport)


@contextlib.contextmanager
def in_our_words() -> Iterator[None]:
    """Turn nats-py's errors of an established connection into the fabric's."""
    try:
        yield
    except nats.errors.TimeoutError as error:
        raise NoAnswer("no answer in time") from error
    except nats.errors.MaxPayloadError as error:
        raise TooLarge("the message is larger than this NATS server accepts; nothing was sent") from error
    except (nats.errors.Error, OSError) as error:
        raise Offline(f"not connected: {why(error)}") from error


def why(error: BaseException) -> str:
    """What to tell a person about an error that may have no text."""
    return "no answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
