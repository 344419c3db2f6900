"""Passwords, the fallback: argon2id in a small pool of its own, so that guessing cannot take the server's threads."""

from __future__ import annotations

import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from cubbyhole.server.persistence.pool import WorkPool

LEAST_CHARACTERS = 10
MOST_CHARACTERS = 200


class WeakPassword(ValueError):
    """The password cannot be taken; the message says what would do."""


def check_password(password: str) -> str:
    """Raises WeakPassword."""
    if not LEAST_CHARACTERS <= len(password) <= MOST_CHARACTERS:
        raise WeakPassword(
            f"The password needs {LEAST_CHARACTERS} to {MOST_CHARACTERS} characters. Several words do well."
        )
    return password


class Passwords:
    """Hashes and checks; raises Overloaded where too many wait already."""

    def __init__(self) -> None:
        # RFC 9106 would take more memory; OWASP's second choice (19 MiB, two passes) suits small machines.
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
        self._decoy = self._hasher.hash(secrets.token_hex(16))
        self._pool = WorkPool("passwords", threads=2, waiting=8)

    async def hash(self, password: str) -> str:
        """What is kept instead of ``password``. Raises WeakPassword."""
        return await self._pool.run(self._hasher.hash, check_password(password))

    async def is_right(self, password: str, kept: str) -> bool:
        """Takes as long where nothing is kept, so that its time does not tell which accounts have a password."""
        right = await self._pool.run(self._verify, kept or self._decoy, password[: MOST_CHARACTERS + 1])
        return right and bool(kept)

    def close(self) -> None:
        self._pool.close()

    def _verify(self, kept: str, password: str) -> bool:
        try:
            return self._hasher.verify(kept, password)
        except (VerificationError, InvalidHashError):
            return False
