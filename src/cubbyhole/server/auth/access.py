"""The desk that knows callers, made once by the composition root; `dependencies.install` gives it to routes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cubbyhole.server.auth import accounts, owner_link, places, sessions, tokens, waits
from cubbyhole.server.auth.accounts import Account
from cubbyhole.server.auth.device import UNKNOWN, Device
from cubbyhole.server.auth.passwords import Passwords
from cubbyhole.server.auth.refusals import Refusals
from cubbyhole.server.auth.roles import Caller
from cubbyhole.server.auth.sessions import Way
from cubbyhole.server.persistence.pool import WorkPool
from cubbyhole.server.persistence.unit import Store

SECRET_CHARACTERS_MOST = 200


class SignInRefused(Exception):
    """No session was made; the message is for the person, the same whatever was wrong."""

    def __init__(self) -> None:
        super().__init__(
            "Name and password do not belong together. Without a password, sign in with a new owner's link."
        )


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A new session: ``token`` is for the cookie only."""

    account: Account
    token: str


@dataclass(frozen=True, slots=True)
class Ways:
    """By which ways somebody can sign in here, besides a password and an owner's link."""

    codes: bool = False
    passkeys: bool = False


class Auth:
    """Finds callers, begins and ends sessions.

    ``always_secure``: browsers reach the server by https although it does not see so itself (a proxy ends TLS).
    """

    def __init__(self, store: Store, pool: WorkPool, *, always_secure: bool = False) -> None:
        self.store, self.pool, self.always_secure = store, pool, always_secure
        self.ways = Ways()
        self._passwords, self._refusals = Passwords(), Refusals(store)

    async def by_session(self, token: str) -> Caller | None:
        """Who a cookie stands for."""
        if not 0 < len(token) <= SECRET_CHARACTERS_MOST:
            return None
        return await self.pool.run(self._by_session, token)

    async def by_bearer(self, token: str) -> Caller | None:
        """Which program a bearer token is."""
        if not 0 < len(token) <= SECRET_CHARACTERS_MOST:
            return None
        return await self.pool.run(self._by_bearer, token)

    async def are_within(self, caller: Caller, banks: Iterable[str]) -> bool:
        """Whether all these banks are where the caller's rights hold."""
        return await self.pool.run(self._are_within, caller, frozenset(banks))

    async def banks_of(self, caller: Caller) -> list[str] | None:
        """The banks where the caller's rights hold; None: all."""
        return await self.pool.run(self._banks_of, caller)

    async def note_refusal(self, actor: str, why: str, subject: str) -> None:
        """Write down that something was refused."""
        await self.pool.run(self._refusals.note, actor, why, subject)

    async def link_is_good(self, token: str) -> bool:
        return len(token) <= SECRET_CHARACTERS_MOST and await self.pool.run(self._link_is_good, token)

    async def spend_link(self, token: str, password: str | None, device: Device = UNKNOWN) -> SignedIn:
        """Sign the owner in by the link, and give them a password where they want one.

        Raises LinkSpent, and WeakPassword with the link still good.
        """
        if len(token) > SECRET_CHARACTERS_MOST or not await self.link_is_good(token):
            raise owner_link.LinkSpent
        hashed = await self._passwords.hash(password) if password else None
        return await self.pool.run(self._spend_link, token, hashed, device)

    async def sign_in(self, account: str, password: str, address: str | None, device: Device = UNKNOWN) -> SignedIn:
        """By name and password. Raises MustWait, SignInRefused."""
        account = account.strip().lower()[:SECRET_CHARACTERS_MOST]
        kept = await self.pool.run(self._count_try, account, address)
        if not await self._passwords.is_right(password, kept):
            raise SignInRefused
        return await self.pool.run(self._sign_in, account, address, device)

    async def hashed(self, password: str) -> str:
        """What is kept of a new password. Raises WeakPassword."""
        return await self._passwords.hash(password)

    async def is_right(self, password: str, kept: str) -> bool:
        return await self._passwords.is_right(password, kept)

    async def any_password(self) -> bool:
        """Whether the form for name and password is worth showing."""
        return await self.pool.run(self._any_password)

    async def sign_out(self, token: str) -> None:
        if 0 < len(token) <= SECRET_CHARACTERS_MOST:
            await self.pool.run(self._sign_out, token)

    def close(self) -> None:
        self._passwords.close()

    # -- in worker threads --------------------------------------------------------------------------------------

    def _by_session(self, token: str) -> Caller | None:
        with self.store.read() as connection:
            found = sessions.find(connection, token, self.store.now_ms())
        if found is None:
            return None
        if found.touch:
            with self.store.write() as work:
                sessions.touch(work, token)
        return found.caller

    def _by_bearer(self, token: str) -> Caller | None:
        with self.store.read() as connection:
            return tokens.find(connection, token)

    def _link_is_good(self, token: str) -> bool:
        with self.store.read() as connection:
            return owner_link.is_good(connection, token, self.store.now_ms())

    def _are_within(self, caller: Caller, banks: frozenset[str]) -> bool:
        with self.store.read() as connection:
            return places.all_within(connection, caller, banks)

    def _banks_of(self, caller: Caller) -> list[str] | None:
        with self.store.read() as connection:
            return places.banks_within(connection, caller)

    def _spend_link(self, token: str, password_hash: str | None, device: Device) -> SignedIn:
        with self.store.write() as work:
            owner = owner_link.spend(work, token)
            if password_hash is not None:
                accounts.set_password_hash(work, owner.account, password_hash, f"op:{owner.account}")
            return SignedIn(owner, sessions.begin(work, owner, Way.LINK, device))

    def _count_try(self, account: str, address: str | None) -> str:
        with self.store.write() as work:
            waits.count_try(work, waits.keys_for(account, address))
            return accounts.password_hash(work.connection, accounts.named(work.connection, account))

    def _sign_in(self, account: str, address: str | None, device: Device) -> SignedIn:
        with self.store.write() as work:
            found = accounts.find_who_may_come(work.connection, accounts.named(work.connection, account))
            if found is None:
                raise SignInRefused
            waits.forgive(work, account, address)
            return SignedIn(found, sessions.begin(work, found, Way.PASSWORD, device))

    def _any_password(self) -> bool:
        with self.store.read() as connection:
            return accounts.any_password(connection)

    def _sign_out(self, token: str) -> None:
        with self.store.write() as work:
            sessions.end(work, token)
