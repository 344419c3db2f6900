"""One-time codes by e-mail: six digits, for ten minutes and five tries, for the browser that asked and no other.

Whoever asks learns nothing about an address: what is answered, counted and kept is the same for one that nobody has.
"""

from __future__ import annotations

import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from cubbyhole.server.auth import accounts, sessions, waits
from cubbyhole.server.auth.access import SECRET_CHARACTERS_MOST, SignedIn
from cubbyhole.server.auth.accounts import Reached
from cubbyhole.server.auth.device import UNKNOWN, Device
from cubbyhole.server.auth.secret import new_secret, secret_hash
from cubbyhole.server.keys import SealingKey
from cubbyhole.server.persistence.pool import WorkPool
from cubbyhole.server.persistence.tables import sign_in_codes
from cubbyhole.server.persistence.unit import Store, UnitOfWork

VALID_MS = 10 * 60_000
TRIES_MOST = 5
DIGITS = 6
ADDRESS_MOST = 254
_EMAIL = re.compile(r"[^@\s,;<>]{1,64}@[^@\s,;<>]{1,189}")
_PURPOSE, _SIGNED_FOR = "code-browser", "sign-in-code"


class SendsCodes(Protocol):
    """Brings a code to somebody, in the transaction that made it."""

    @property
    def ready(self) -> bool:
        """Whether a code would reach anybody: without it, the page offers none."""

    def sign_in_code(
        self, work: UnitOfWork, reached: Reached, address: str, code: str, language: str, not_after_ms: int
    ) -> None:
        """Send ``code`` to ``address``; of no use to anybody after ``not_after_ms``."""


class NoAddress(ValueError):
    """What was typed is no e-mail address."""


class CodeRefused(Exception):
    """No session was made. ``spent``: this code is over, ask for another; else: it was a wrong one, try again."""

    def __init__(self, *, spent: bool) -> None:
        super().__init__("This code is no longer good." if spent else "This is not the code.")
        self.spent = spent


@dataclass(frozen=True, slots=True)
class Asked:
    """What a browser waits for."""

    address: str
    expires_ms: int


class Codes:
    """Sends codes and signs in with them. Safe from several threads."""

    def __init__(self, store: Store, pool: WorkPool, key: SealingKey, sender: SendsCodes) -> None:
        self._store, self._pool, self._key, self._sender = store, pool, key, sender

    @property
    def ready(self) -> bool:
        return self._sender.ready

    async def ask(self, address: str, language: str, network: str | None, browser: str = "") -> str:
        """Send a code to ``address``, if somebody has it; the secret for this browser's cookie, in place of
        ``browser``. Raises NoAddress, MustWait."""
        address = address.strip().lower()
        if len(address) > ADDRESS_MOST or not _EMAIL.fullmatch(address) or not address.isprintable():
            raise NoAddress(address)
        return await self._pool.run(self._ask, address, language, network, browser)

    async def asked(self, browser: str) -> Asked | None:
        """What this browser asked for, if that is not over."""
        return await self._pool.run(self._asked, browser)

    async def sign_in(self, browser: str, code: str, network: str | None, device: Device = UNKNOWN) -> SignedIn:
        """By the code that this browser asked for. Raises CodeRefused."""
        signed_in = await self._pool.run(self._sign_in, browser, "".join(code.split()), network, device)
        if isinstance(signed_in, CodeRefused):  # what it counted had to be committed first
            raise signed_in
        return signed_in

    # -- in worker threads --------------------------------------------------------------------------------------

    def _ask(self, address: str, language: str, network: str | None, browser: str) -> str:
        secret, code = new_secret(), f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}"
        hashed = secret_hash(_PURPOSE, secret)
        with self._store.write() as work:
            connection, expires_ms = work.connection, work.now_ms + VALID_MS
            waits.count_try(work, waits.keys_for_asking(address, network))
            connection.execute(delete(sign_in_codes).where(sign_in_codes.c.expires_ms <= work.now_ms))
            connection.execute(delete(sign_in_codes).where(sign_in_codes.c.browser == _hashed(browser)))
            reached = accounts.reached_at(connection, address)
            # The hash is there in any case, of a code that goes nowhere where nobody has the address.
            kept = self._hash(hashed, code) if reached is not None else self._hash(hashed, new_secret())
            row = {
                "browser": hashed, "address": address, "code_hash": kept, "tries": 0, "made_ms": work.now_ms,
                "expires_ms": expires_ms,
            }  # fmt: skip
            connection.execute(insert(sign_in_codes).values(**row))
            if reached is not None:
                self._sender.sign_in_code(work, reached, address, code, language, expires_ms)
                who = reached.account.account if reached.account is not None else reached.person or ""
                work.audit("op:nobody", "sign_in.code_asked", who)
        return secret

    def _asked(self, browser: str) -> Asked | None:
        with self._store.read() as connection:
            row = _row(connection, browser, self._store.now_ms())
        return Asked(row["address"], row["expires_ms"]) if row is not None else None

    def _sign_in(self, browser: str, code: str, network: str | None, device: Device) -> SignedIn | CodeRefused:
        with self._store.write() as work:
            connection = work.connection
            # Counted before it is looked at: a hundred tries at once count as a hundred.
            counted = (
                update(sign_in_codes)
                .where(
                    sign_in_codes.c.browser == _hashed(browser), sign_in_codes.c.expires_ms > work.now_ms,
                    sign_in_codes.c.tries < TRIES_MOST,
                )
                .values(tries=sign_in_codes.c.tries + 1)
                .returning(sign_in_codes)
            )  # fmt: skip
            row = connection.execute(counted).mappings().one_or_none()
            if row is None:
                return CodeRefused(spent=True)
            if not hmac.compare_digest(row["code_hash"], self._hash(row["browser"], code)):
                work.audit("op:nobody", "sign_in.code_wrong", row["browser"][:16], tries=row["tries"])
                return CodeRefused(spent=row["tries"] >= TRIES_MOST)
            connection.execute(delete(sign_in_codes).where(sign_in_codes.c.browser == row["browser"]))
            reached = accounts.reached_at(connection, row["address"])
            if reached is None:  # they left meanwhile
                return CodeRefused(spent=True)
            account = accounts.come_in(work, reached, row["address"])
            waits.forgive_asking(work, row["address"], network)
            return SignedIn(account, sessions.begin(work, account, sessions.Way.CODE, device))

    def _hash(self, browser_hash: str, code: str) -> str:
        """Six digits are quickly gone through: only with the server's own key can anybody check one."""
        return self._key.sign(_SIGNED_FOR, f"{browser_hash}\n{code}".encode("utf-8", "surrogatepass")).hex()


def _hashed(browser: str) -> str:
    return secret_hash(_PURPOSE, browser[: SECRET_CHARACTERS_MOST + 1])


def _row(connection: Connection, browser: str, now_ms: int) -> RowMapping | None:
    query = select(sign_in_codes).where(
        sign_in_codes.c.browser == _hashed(browser), sign_in_codes.c.expires_ms > now_ms,
        sign_in_codes.c.tries < TRIES_MOST,
    )  # fmt: skip
    return connection.execute(query).mappings().one_or_none()
