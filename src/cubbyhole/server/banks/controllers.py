"""Controllers: one-time codes, enrolment, removal. The fabric asks here who may connect."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, insert, select, update

from cubbyhole.domain.bank import BankState
from cubbyhole.domain.layout import check_bank_id
from cubbyhole.protocol.enrolment import ENTROPY_BYTES, make_code
from cubbyhole.protocol.journal import encode_state
from cubbyhole.server.fabric.callout import ControllerGrant, EnrolmentGrant
from cubbyhole.server.keys import SealingKey
from cubbyhole.server.persistence.tables import banks, controllers, enrolments
from cubbyhole.server.persistence.unit import Store, UnitOfWork

CODE_VALID_MS = 24 * 3_600_000


class EnrolmentRefused(Exception):
    """The code is not good for this; ``word`` is fixed, the message is for the person at the controller."""

    def __init__(self, word: str, detail: str) -> None:
        super().__init__(detail)
        self.word = word


@dataclass(frozen=True, slots=True)
class ControllerView:
    """One controller as the list shows it."""

    controller: str
    banks: tuple[str, ...]
    enrolled_ms: int
    removed_ms: int | None


def create_code(work: UnitOfWork, fingerprint: bytes, bank_ids: tuple[str, ...], actor: str) -> str:
    """Make a one-time code with which a controller may take these banks; returns what the person types."""
    for bank in bank_ids:
        check_bank_id(bank)
    code = make_code(fingerprint, secrets.token_bytes(ENTROPY_BYTES))
    work.connection.execute(
        insert(enrolments).values(
            code_id=code.code_id, secret_hash=_hash(code.secret), banks=json.dumps(list(bank_ids)), made_ms=work.now_ms,
            expires_ms=work.now_ms + CODE_VALID_MS, made_by=actor[:120],
        )
    )  # fmt: skip
    work.audit(actor, "enrolment.code", code.code_id, banks=list(bank_ids))
    return code.text


def enrol(
    work: UnitOfWork,
    sealing: SealingKey,
    *,
    code_id: str,
    secret: str,
    nkey: str,
    journal_key: str,
    bank_ids: tuple[str, ...],
) -> tuple[str, tuple[str, ...]]:
    """Spend the code and record the controller for its banks; returns its id and banks. Raises EnrolmentRefused.

    A bank that had another controller is taken from it; the old one keeps nothing of it and is removed once it has
    no bank left. The controller that spent a code gets the same answer again for as long as the code would have been
    good: it may have gone down before it had saved the first one.
    """
    connection = work.connection
    query = select(enrolments).where(enrolments.c.code_id == code_id)
    row = connection.execute(query.with_for_update() if work.is_postgresql else query).mappings().one_or_none()
    if row is None or not hmac.compare_digest(row["secret_hash"], _hash(secret)):
        raise EnrolmentRefused("bad_code", "The code is not known here. Make a new one on the server.")
    if row["expires_ms"] >= work.now_ms and _spent_by(connection, row, nkey, journal_key, bank_ids):
        return str(row["controller"]), bank_ids
    if row["used_ms"] is not None or row["expires_ms"] < work.now_ms:
        raise EnrolmentRefused("spent_code", "The code was used already or has expired. Make a new one on the server.")
    allowed = tuple(json.loads(row["banks"])) or bank_ids
    extra = sorted(set(bank_ids) - set(allowed))
    if extra:
        raise EnrolmentRefused("wrong_banks", f"The code is for {', '.join(allowed)}, not for {', '.join(extra)}.")
    if connection.execute(select(controllers.c.controller).where(controllers.c.nkey == nkey)).scalar() is not None:
        raise EnrolmentRefused("known_key", "This controller is enrolled already. Remove it on the server first.")
    name = "ctl_" + secrets.token_hex(6)
    connection.execute(
        insert(controllers).values(controller=name, nkey=nkey, journal_key=journal_key, enrolled_ms=work.now_ms)
    )
    connection.execute(
        update(enrolments).where(enrolments.c.code_id == code_id).values(used_ms=work.now_ms, controller=name)
    )
    replaced = set()
    for bank in bank_ids:
        before = _give_bank(work, sealing, bank, name)
        if before is not None:
            replaced.add(before)
    for old in replaced:
        left = connection.execute(select(banks.c.bank).where(banks.c.controller == old)).scalar()
        if left is None:
            _mark_removed(work, old, f"replaced by {name}")
        else:
            # It must connect again to lose its right to the banks that it no longer has.
            connection.execute(update(controllers).where(controllers.c.controller == old).values(kicked_ms=0))
    work.audit(f"op:enrolment:{code_id}", "controller.enrolled", name, banks=list(bank_ids))
    return name, bank_ids


def _spent_by(connection: Connection, code: RowMapping, nkey: str, journal_key: str, bank_ids: tuple[str, ...]) -> bool:
    """Whether this very controller spent the code for these banks, and still has them and no others."""
    query = select(controllers.c.controller).where(
        controllers.c.controller == code["controller"], controllers.c.nkey == nkey,
        controllers.c.journal_key == journal_key, controllers.c.removed_ms.is_(None),
    )  # fmt: skip
    if code["used_ms"] is None or connection.execute(query).scalar() is None:
        return False
    owned = connection.execute(select(banks.c.bank).where(banks.c.controller == code["controller"])).scalars()
    return set(owned) == set(bank_ids)


def _give_bank(work: UnitOfWork, sealing: SealingKey, bank: str, controller: str) -> str | None:
    """Hand ``bank`` to ``controller``; returns who had it."""
    connection = work.connection
    row = connection.execute(select(banks.c.controller).where(banks.c.bank == bank)).one_or_none()
    if row is not None:
        connection.execute(update(banks).where(banks.c.bank == bank).values(controller=controller))
        return str(row[0]) if row[0] is not None else None
    connection.execute(
        insert(banks).values(
            bank=bank, controller=controller, label=bank, area="", site="", columns="", reader="door", epoch="",
            last_seq=0, last_hash="", state=encode_state(BankState(bank=bank)), changed_ordinal=0,
            clock_doubt=False, stale=False,
            standing_last=0, key_sealed=sealing.seal(f"bank:{bank}", secrets.token_bytes(32)), directory_version=0,
            directory_sum="",
        )
    )  # fmt: skip
    return None


def remove(work: UnitOfWork, controller: str, actor: str) -> bool:
    """Cut a controller off for good; False where there is none of that name. The server kicks it once committed."""
    query = select(controllers.c.controller).where(
        controllers.c.controller == controller, controllers.c.removed_ms.is_(None)
    )
    if work.connection.execute(query).scalar() is None:
        return False
    _mark_removed(work, controller, actor)
    work.audit(actor, "controller.removed", controller)
    return True


def _mark_removed(work: UnitOfWork, controller: str, actor: str) -> None:
    work.connection.execute(
        update(controllers)
        .where(controllers.c.controller == controller)
        .values(removed_ms=work.now_ms, removed_by=actor, kicked_ms=0)
    )


def to_kick(connection: Connection) -> list[str]:
    """Controllers whose connections must end because their rights changed."""
    return list(connection.execute(select(controllers.c.controller).where(controllers.c.kicked_ms == 0)).scalars())


def kicked(work: UnitOfWork, controller: str) -> None:
    """Its connections are gone."""
    work.connection.execute(
        update(controllers).where(controllers.c.controller == controller).values(kicked_ms=work.now_ms)
    )


def list_controllers(connection: Connection) -> list[ControllerView]:
    owned: dict[str, list[str]] = {}
    for bank, controller in connection.execute(select(banks.c.bank, banks.c.controller).order_by(banks.c.bank)):
        owned.setdefault(controller, []).append(bank)
    rows = connection.execute(select(controllers).order_by(controllers.c.enrolled_ms)).mappings()
    return [
        ControllerView(r["controller"], tuple(owned.get(r["controller"], ())), r["enrolled_ms"], r["removed_ms"])
        for r in rows
    ]


class ControllerRegistry:
    """`server.fabric.callout.Registry` on the tables. Called from worker threads."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def controller_banks(self, nkey_public: str) -> ControllerGrant | None:
        with self._store.read() as connection:
            query = select(controllers.c.controller).where(
                controllers.c.nkey == nkey_public, controllers.c.removed_ms.is_(None)
            )
            name = connection.execute(query).scalar()
            if name is None:
                return None
            found = connection.execute(select(banks.c.bank).where(banks.c.controller == name).order_by(banks.c.bank))
            return ControllerGrant(name, tuple(found.scalars()))

    def enrolment(self, code_id: str, secret: str) -> EnrolmentGrant | None:
        with self._store.read() as connection:
            row = connection.execute(select(enrolments).where(enrolments.c.code_id == code_id)).mappings().one_or_none()
        # The comparison is made in any case, so that its time does not tell which codes exist.
        known = row["secret_hash"] if row is not None else _hash("")
        good = hmac.compare_digest(known, _hash(secret))
        # A spent code still gets its holder as far as `enrol`, which answers nobody but the controller that spent it.
        if row is None or not good or row["expires_ms"] < self._store.now_ms():
            return None
        return EnrolmentGrant(code_id)


def _hash(secret: str) -> str:
    return hashlib.sha256(b"cubbyhole-enrolment\0" + secret.encode()).hexdigest()
