"""Passkeys (WebAuthn): made while signed in, and then a way to sign in that nobody can type, tell or phish.

A passkey belongs to the host name of the server's public address. Browsers make none for an address of numbers, so a
server without a name offers none. The person is always verified (finger, face, PIN) by their own device.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, delete, func, insert, select, update

from cubbyhole.server.auth import accounts, sessions, waits
from cubbyhole.server.auth.access import SignedIn
from cubbyhole.server.auth.device import UNKNOWN, Device
from cubbyhole.server.auth.roles import Caller
from cubbyhole.server.auth.secret import new_secret, secret_hash
from cubbyhole.server.keys import SealingKey
from cubbyhole.server.persistence.pool import WorkPool
from cubbyhole.server.persistence.tables import passkey_challenges, passkeys
from cubbyhole.server.persistence.unit import Store, UnitOfWork

if TYPE_CHECKING:  # it takes most of a second to import, and not every server is ever shown a passkey
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor

CHALLENGE_VALID_MS = 5 * 60_000
CHALLENGES_MOST = 5000  # at once; the oldest go first
PASSKEYS_MOST = 20  # of one account
NAME_MOST = 60
RESPONSE_BYTES_MOST = 32 * 1024
_BROWSER, _CHALLENGE, _USER = "passkey-browser", "passkey-challenge", "passkey-user"


class PasskeyRefused(Exception):
    """The passkey was not taken. ``word``: stale (sign in again first), many, known, wrong."""

    def __init__(self, word: str, detail: str) -> None:
        super().__init__(detail)
        self.word = word


@dataclass(frozen=True, slots=True)
class PasskeyView:
    """One passkey as its account's page lists it."""

    passkey: str
    name: str
    made_ms: int
    used_ms: int | None


class Passkeys:
    """Makes challenges and checks what authenticators answer. Safe from several threads."""

    def __init__(self, store: Store, pool: WorkPool, key: SealingKey, base_url: str) -> None:
        self._store, self._pool, self._key = store, pool, key
        address = urlsplit(base_url)
        self._origin, self._host = f"{address.scheme}://{address.netloc}".lower(), (address.hostname or "").lower()
        by_tls = address.scheme == "https" or self._host == "localhost" or self._host.endswith(".localhost")
        self.available = by_tls and not _is_number(self._host)

    async def options_to_make(self, caller: Caller) -> dict[str, Any]:
        """What the browser needs to make one for the caller's account. Raises PasskeyRefused."""
        return await self._pool.run(self._options_to_make, caller)

    async def make(self, caller: Caller, response: object, name: str) -> None:
        """Keep the passkey that the browser made. Raises PasskeyRefused."""
        await self._pool.run(self._make, caller, response, name)

    async def options_to_sign_in(self, network: str | None) -> tuple[dict[str, Any], str]:
        """What the browser needs to sign in, and the secret for its cookie. Raises MustWait."""
        return await self._pool.run(self._options_to_sign_in, network)

    async def sign_in(
        self, browser: str, response: object, network: str | None, device: Device = UNKNOWN
    ) -> SignedIn:
        """By a passkey, whoever's it is. Raises PasskeyRefused."""
        found = await self._pool.run(self._sign_in, browser, response, network, device)
        if isinstance(found, PasskeyRefused):  # the challenge is used up, and that had to be committed first
            raise found
        return found

    # -- in worker threads --------------------------------------------------------------------------------------

    def _options_to_make(self, caller: Caller) -> dict[str, Any]:
        from webauthn import generate_registration_options, options_to_json
        from webauthn.helpers import structs

        account, session = _own(caller)
        with self._store.write() as work:
            self._check_may_make(work, caller)
            mine = work.connection.execute(select(passkeys.c.id).where(passkeys.c.account == account)).scalars()
            options = generate_registration_options(
                rp_id=self._host, rp_name="Cubbyhole", user_id=self._handle(account), user_name=caller.name,
                user_display_name=caller.name, challenge=_challenge(work, session),
                timeout=CHALLENGE_VALID_MS, exclude_credentials=[_descriptor(one) for one in mine],
                authenticator_selection=structs.AuthenticatorSelectionCriteria(
                    resident_key=structs.ResidentKeyRequirement.REQUIRED,
                    user_verification=structs.UserVerificationRequirement.REQUIRED,
                ),
            )  # fmt: skip
        return _plain(options_to_json(options))

    def _make(self, caller: Caller, response: object, name: str) -> None:
        from webauthn import verify_registration_response
        from webauthn.helpers.exceptions import WebAuthnException

        account, session = _own(caller)
        credential, challenge = _read(response)
        with self._store.write() as work:
            good = _take_challenge(work, challenge, session)
        if not good:
            raise _wrong()
        try:
            made = verify_registration_response(
                credential=credential, expected_challenge=challenge, expected_rp_id=self._host,
                expected_origin=self._origin, require_user_verification=True,
            )  # fmt: skip
        except (WebAuthnException, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise _wrong() from error
        named = "".join(c for c in " ".join(name.split()) if c.isprintable())[:NAME_MOST] or "Passkey"
        transports = [t for t in _strings(credential["response"].get("transports")) if t.isascii() and len(t) < 16]
        with self._store.write() as work:
            self._check_may_make(work, caller)
            key = _named(made.credential_id)
            if work.connection.execute(select(passkeys.c.account).where(passkeys.c.credential == key)).first():
                raise PasskeyRefused("known", "This passkey is known already.")
            work.connection.execute(
                insert(passkeys).values(
                    credential=key, account=account, id=made.credential_id, name=named, sign_count=made.sign_count,
                    public_key=made.credential_public_key, transports=" ".join(transports)[:80], made_ms=work.now_ms,
                )
            )  # fmt: skip
            work.audit(caller.actor, "passkey.made", account, passkey=key[:16])

    def _options_to_sign_in(self, network: str | None) -> tuple[dict[str, Any], str]:
        from webauthn import generate_authentication_options, options_to_json
        from webauthn.helpers.structs import UserVerificationRequirement

        browser = new_secret()
        with self._store.write() as work:
            waits.count_try(work, waits.keys_for_passkeys(network))
            options = generate_authentication_options(
                rp_id=self._host, challenge=_challenge(work, secret_hash(_BROWSER, browser)),
                timeout=CHALLENGE_VALID_MS, user_verification=UserVerificationRequirement.REQUIRED,
            )  # fmt: skip
        return _plain(options_to_json(options)), browser

    def _sign_in(
        self, browser: str, response: object, network: str | None, device: Device
    ) -> SignedIn | PasskeyRefused:
        from webauthn import verify_authentication_response
        from webauthn.helpers.exceptions import WebAuthnException

        try:
            credential, challenge = _read(response)
            key = _named(_bytes(credential.get("id")))
        except PasskeyRefused as refused:
            return refused
        with self._store.write() as work:
            if not _take_challenge(work, challenge, secret_hash(_BROWSER, browser)):
                return _wrong()
            # Locked until the counter is written: two answers of one authenticator do not both count as the newer.
            query = select(passkeys).where(passkeys.c.credential == key)
            row = work.connection.execute(query.with_for_update()).mappings().one_or_none()
            account = accounts.find_who_may_come(work.connection, row["account"]) if row is not None else None
            if row is None or account is None:
                work.audit("op:nobody", "passkey.unknown", key[:16])
                return _wrong()
            handle = credential["response"].get("userHandle")
            try:
                if handle is not None and _bytes(handle) != self._handle(account.account):
                    raise ValueError("the authenticator means another account")
                used = verify_authentication_response(
                    credential=credential, expected_challenge=challenge, expected_rp_id=self._host,
                    expected_origin=self._origin, credential_public_key=row["public_key"],
                    credential_current_sign_count=row["sign_count"], require_user_verification=True,
                )  # fmt: skip
            except (
                PasskeyRefused, WebAuthnException, ValueError, KeyError, TypeError, AttributeError, IndexError,
            ) as error:  # fmt: skip
                work.audit("op:nobody", "passkey.refused", account.account, passkey=key[:16], why=str(error)[:200])
                return _wrong()
            values = {"sign_count": used.new_sign_count, "used_ms": work.now_ms}
            work.connection.execute(update(passkeys).where(passkeys.c.credential == key).values(**values))
            waits.forgive_passkey(work, network)
            return SignedIn(account, sessions.begin(work, account, sessions.Way.PASSKEY, device))

    def _check_may_make(self, work: UnitOfWork, caller: Caller) -> None:
        if not self.available:
            raise PasskeyRefused("unavailable", "Passkeys need a public address with a name, and https.")
        if not sessions.is_fresh(caller, work.now_ms):
            raise PasskeyRefused("stale", "Sign in again first: whoever adds a passkey shows who they are.")
        query = select(func.count()).select_from(passkeys).where(passkeys.c.account == caller.account)
        if work.connection.execute(query).scalar_one() >= PASSKEYS_MOST:
            raise PasskeyRefused("many", f"An account has at most {PASSKEYS_MOST} passkeys. Remove one first.")

    def _handle(self, account: str) -> bytes:
        """What authenticators know an account by; it tells nobody anything."""
        return self._key.sign(_USER, account.encode())


def list_passkeys(connection: Connection, account: str) -> list[PasskeyView]:
    query = select(passkeys).where(passkeys.c.account == account).order_by(passkeys.c.made_ms, passkeys.c.credential)
    return [
        PasskeyView(row["credential"][:16], row["name"], row["made_ms"], row["used_ms"])
        for row in connection.execute(query).mappings()
    ]


def remove_passkey(work: UnitOfWork, account: str, passkey: str, actor: str) -> bool:
    """False where the account has none of that id."""
    if len(passkey) != 16 or not passkey.isalnum():
        return False
    mine = (passkeys.c.account == account) & passkeys.c.credential.startswith(passkey)
    gone = work.connection.execute(delete(passkeys).where(mine)).rowcount
    if gone:
        work.audit(actor, "passkey.removed", account, passkey=passkey)
    return gone > 0


def _challenge(work: UnitOfWork, bound: str) -> bytes:
    """A new challenge for this session or browser alone."""
    challenge, table = secrets.token_bytes(32), passkey_challenges
    work.connection.execute(delete(table).where(table.c.expires_ms <= work.now_ms))
    kept = select(table.c.challenge).order_by(table.c.expires_ms.desc()).offset(CHALLENGES_MOST - 1)
    surplus = list(work.connection.execute(kept.limit(100)).scalars())
    if surplus:
        work.connection.execute(delete(table).where(table.c.challenge.in_(surplus)))
    row = {"challenge": _hash(challenge), "bound": bound, "expires_ms": work.now_ms + CHALLENGE_VALID_MS}
    work.connection.execute(insert(table).values(**row))
    return challenge


def _take_challenge(work: UnitOfWork, challenge: bytes, bound: str) -> bool:
    """Use the challenge up, whatever comes of it; False where it was not made for this one, or is over."""
    table = passkey_challenges
    taken = delete(table).where(table.c.challenge == _hash(challenge), table.c.bound == bound)
    expires_ms = work.connection.execute(taken.returning(table.c.expires_ms)).scalar_one_or_none()
    return expires_ms is not None and expires_ms > work.now_ms


def _read(response: object) -> tuple[dict[str, Any], bytes]:
    """The credential, and the challenge that it says it answers. Raises PasskeyRefused."""
    if not isinstance(response, dict) or not isinstance(response.get("response"), dict):
        raise _wrong()
    try:
        said = json.loads(_bytes(response["response"].get("clientDataJSON")))
        challenge = _bytes(said["challenge"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _wrong() from None
    return response, challenge


def _bytes(text: object) -> bytes:
    """Raises PasskeyRefused."""
    if not isinstance(text, str) or len(text) > RESPONSE_BYTES_MOST:
        raise _wrong()
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise _wrong() from None


def _own(caller: Caller) -> tuple[str, str]:
    if caller.account is None or caller.session is None:
        raise PasskeyRefused("wrong", "A program's token has no passkeys.")
    return caller.account, caller.session


def _descriptor(credential: bytes) -> PublicKeyCredentialDescriptor:
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor

    return PublicKeyCredentialDescriptor(id=credential)


def _wrong() -> PasskeyRefused:
    return PasskeyRefused("wrong", "This passkey was not accepted. Try again, or sign in another way.")


def _named(credential: bytes) -> str:
    return hashlib.sha256(credential).hexdigest()


def _hash(challenge: bytes) -> str:
    return secret_hash(_CHALLENGE, challenge.hex())


def _plain(options: str) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(options)
    return plain


def _strings(found: object) -> list[str]:
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return not host
    return True
