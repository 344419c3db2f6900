"""Wrong tries double the wait, per account and per address, over restarts.

A try is counted before the password is looked at: a hundred tries at once count as a hundred.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from cubbyhole.server.persistence.tables import sign_in_waits
from cubbyhole.server.persistence.unit import UnitOfWork

FREE_TRIES = 3
FREE_TRIES_OF_AN_ADDRESS = 20  # an office is often one address
FREE_CODES_OF_AN_ADDRESS = 300  # and on a Monday morning all of it asks
FIRST_WAIT_MS = 1000
LONGEST_WAIT_MS = 15 * 60_000
FORGOTTEN_AFTER_MS = 24 * 3_600_000
_FREE = {
    "address": FREE_TRIES_OF_AN_ADDRESS, "codes-from": FREE_CODES_OF_AN_ADDRESS,
    "passkeys-from": FREE_CODES_OF_AN_ADDRESS,
}  # fmt: skip


class MustWait(Exception):
    """Too many wrong tries; the message is for the person, ``wait_ms`` for the answer's Retry-After."""

    def __init__(self, wait_ms: int) -> None:
        self.wait_ms = wait_ms
        super().__init__(f"Too many wrong tries. Wait {self.wait_s} seconds, then try again.")

    @property
    def wait_s(self) -> int:
        return -(-self.wait_ms // 1000)


def keys_for(account: str, address: str | None) -> list[str]:
    """What a try is counted under."""
    return [f"account:{account[:100]}", *([f"address:{address[:100]}"] if address else [])]


def keys_for_asking(email: str, address: str | None) -> list[str]:
    """What asking for a code is counted under: an e-mail address has `FREE_TRIES`."""
    return [f"code:{hash_of(email)}", *([f"codes-from:{address[:100]}"] if address else [])]


def keys_for_passkeys(address: str | None) -> list[str]:
    """What asking to sign in with a passkey is counted under: nobody has said yet who they are."""
    return [f"passkeys-from:{(address or 'unknown')[:100]}"]


def hash_of(email: str) -> str:
    """Addresses that somebody typed are not kept."""
    return hashlib.sha256(email.encode("utf-8", "surrogatepass")).hexdigest()


def count_try(work: UnitOfWork, keys: Sequence[str]) -> None:
    """Count one try under each key. Raises MustWait, and counts nothing, where one of them must wait."""
    connection, table = work.connection, sign_in_waits
    connection.execute(delete(table).where(table.c.last_ms < work.now_ms - FORGOTTEN_AFTER_MS))
    insert = postgresql.insert if work.is_postgresql else sqlite.insert
    for key in sorted(keys):  # in one order, so that two tries cannot lock each other
        connection.execute(insert(table).values(key=key, failures=0, last_ms=work.now_ms).on_conflict_do_nothing())
        query = select(table.c.failures, table.c.last_ms).where(table.c.key == key)
        failures, last_ms = connection.execute(query.with_for_update() if work.is_postgresql else query).one()
        left_ms = last_ms + _wait_ms(key, failures) - work.now_ms
        if failures and left_ms > 0:
            raise MustWait(left_ms)
    connection.execute(
        update(table).where(table.c.key.in_(keys)).values(failures=table.c.failures + 1, last_ms=work.now_ms)
    )


def forgive(work: UnitOfWork, account: str, address: str | None) -> None:
    """The try was right: the account starts afresh, the address gets this one back."""
    _forgive(work, keys_for(account, address))


def forgive_asking(work: UnitOfWork, email: str, address: str | None) -> None:
    """The code came to whom it should: as `forgive`."""
    _forgive(work, keys_for_asking(email, address))


def forgive_passkey(work: UnitOfWork, address: str | None) -> None:
    keys = keys_for_passkeys(address)
    table = sign_in_waits
    work.connection.execute(
        update(table).where(table.c.key.in_(keys), table.c.failures > 0).values(failures=table.c.failures - 1)
    )


def _forgive(work: UnitOfWork, keys: Sequence[str]) -> None:
    table = sign_in_waits
    of_account, *of_address = keys
    work.connection.execute(delete(table).where(table.c.key == of_account))
    work.connection.execute(
        update(table).where(table.c.key.in_(of_address), table.c.failures > 0).values(failures=table.c.failures - 1)
    )


def _wait_ms(key: str, failures: int) -> int:
    free = _FREE.get(key.partition(":")[0], FREE_TRIES)
    if failures < free:
        return 0
    return min(LONGEST_WAIT_MS, FIRST_WAIT_MS << min(20, failures - free))
