"""What somebody changes about their own account: name, language, sessions, password."""

from __future__ import annotations

from sqlalchemy import update

from cubbyhole.server.auth import accounts, sessions, waits
from cubbyhole.server.auth.access import Auth, SignedIn, SignInRefused
from cubbyhole.server.auth.device import Device
from cubbyhole.server.auth.roles import Caller
from cubbyhole.server.auth.sessions import Way
from cubbyhole.server.persistence.tables import accounts as table
from cubbyhole.server.persistence.tables import people
from cubbyhole.server.persistence.unit import UnitOfWork

NAME_MOST = 200


def rename(work: UnitOfWork, caller: Caller, name: str) -> bool:
    """Change the name; False where it is the directory's, or nothing is left of it."""
    name = "".join(c for c in " ".join(name.split()) if c.isprintable())[:NAME_MOST]
    if caller.person is not None or not name or caller.account is None:
        return False
    work.connection.execute(update(table).where(table.c.account == caller.account).values(name=name))
    work.audit(caller.actor, "account.renamed", caller.account)
    return True


def speak(work: UnitOfWork, caller: Caller, language: str | None) -> None:
    """Choose the language of pages and mails; None: as the browser asks."""
    if caller.person is not None:
        work.connection.execute(update(people).where(people.c.person == caller.person).values(language=language))
    else:
        work.connection.execute(update(table).where(table.c.account == caller.account).values(language=language))


async def change_password(auth: Auth, caller: Caller, old: str, new: str, device: Device) -> SignedIn:
    """Set a password: with the old one, or just after signing in. All other sessions end, and this one is replaced.

    Raises WeakPassword, SignInRefused (the old one is wrong or missing), MustWait.
    """
    account = caller.account
    if account is None:
        raise ValueError("a program's token has no account whose password could be set")
    hashed = await auth.hashed(new)
    if not sessions.is_fresh(caller, auth.store.now_ms()):
        kept = await auth.pool.run(_count_try, auth, account)
        if not await auth.is_right(old, kept):
            raise SignInRefused
    return await auth.pool.run(_set_password, auth, caller, account, hashed, device)


async def drop_password(auth: Auth, caller: Caller) -> None:
    """Have no password any more."""
    await auth.pool.run(_drop_password, auth, caller)


def _count_try(auth: Auth, account: str) -> str:
    with auth.store.write() as work:
        waits.count_try(work, waits.keys_for(account, None))
        return accounts.password_hash(work.connection, account)


def _set_password(auth: Auth, caller: Caller, account: str, hashed: str, device: Device) -> SignedIn:
    with auth.store.write() as work:
        found = accounts.find_who_may_come(work.connection, account)
        if found is None:
            raise SignInRefused
        accounts.set_password_hash(work, account, hashed, caller.actor)
        waits.forgive(work, account, None)
        sessions.revoke_all(work, account, caller.actor)
        return SignedIn(found, sessions.begin(work, found, Way.PASSWORD, device))


def _drop_password(auth: Auth, caller: Caller) -> None:
    if caller.account is None:
        return
    with auth.store.write() as work:
        accounts.set_password_hash(work, caller.account, accounts.NO_PASSWORD, caller.actor)
