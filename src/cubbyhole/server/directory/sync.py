"""Answering a bank's pull: what changed since its version, or everything in pages, with the hash of the result.

A bank's directory holds every row that the server has, credentials under digests of the bank's own key. The hash of
what the bank should hold is kept per bank and moved on by the weights of the changes, so that a pull costs the size
of its delta. A bank whose own hash differs gets everything again.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import Connection, RowMapping, select, update

from cubbyhole.domain.directory import CredentialRow, PersonRow, Row, row_weight
from cubbyhole.domain.rules import Rule
from cubbyhole.protocol import messages as m
from cubbyhole.server.directory.calendar import calendar_for
from cubbyhole.server.directory.rows import (
    BLOCKED,
    credential_row,
    digest_for,
    person_rows,
    rule_from,
    weight_from,
    weight_text,
)
from cubbyhole.server.keys import SealingKey
from cubbyhole.server.persistence.tables import banks, credentials, directory_changes, people, rules, sites
from cubbyhole.server.persistence.unit import DIRECTORY, Store, counter_value

ROWS_PER_PAGE = 8000
_MODULUS = 1 << 256


class UnknownBank(LookupError):
    """No such bank on this server."""


@dataclass(slots=True)
class _Part:
    """Rows of a bank's directory with versions in (after, upto]."""

    upto: int
    more: bool = False
    people: list[PersonRow] = field(default_factory=list)
    credentials: list[CredentialRow] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)

    def rows(self) -> list[Row]:
        return [*self.people, *self.credentials, *self.rules]


@dataclass(frozen=True, slots=True)
class _Walk:
    """How far a bank has come in reading everything: its version, the hash it has there, the head when it began."""

    upto: int
    total: int
    head: int


class DirectoryDesk:
    """Answers `sync`. Safe to call from several threads."""

    def __init__(self, store: Store, sealing: SealingKey) -> None:
        self._store, self._sealing = store, sealing
        self._walks: dict[str, _Walk] = {}

    def answer(self, bank: str, request: m.SyncRequest) -> bytes:
        """The compressed reply. Raises UnknownBank."""
        with self._store.read() as connection:
            row = connection.execute(select(banks).where(banks.c.bank == bank)).mappings().one_or_none()
            if row is None:
                raise UnknownBank(f"bank {bank} is not enrolled here")
            key = self._sealing.open(f"bank:{bank}", row["key_sealed"])
            head = counter_value(connection, DIRECTORY)
            reply, kept = self._reply(connection, row, key, head, request)
            timezone = connection.execute(select(sites.c.timezone).where(sites.c.site == row["site"])).scalar()
        reply.calendar = calendar_for(timezone or "UTC", self._store.now_ms())
        if kept is not None and (head, kept) != (row["directory_version"], row["directory_sum"]):
            self._keep(bank, head, kept)
        return zlib.compress(m.encode(reply), 6)

    def _reply(
        self, connection: Connection, row: RowMapping, key: bytes, head: int, request: m.SyncRequest
    ) -> tuple[m.SyncReply, str | None]:
        bank = row["bank"]
        if 0 < request.have <= head:
            walk = self._walks.get(bank)
            if walk is not None and (walk.upto, weight_text(walk.total)) == (request.have, request.content_hash):
                if walk.head == head:
                    return self._page(connection, bank, key, head, request.have, walk.total)
            elif row["directory_sum"] and row["directory_version"] <= head:
                known = int(row["directory_sum"], 16)
                at_head = self._moved(connection, key, row["directory_version"], head, known)
                at_have = self._moved(connection, key, request.have, head, 0)
                if weight_text((at_head - at_have) % _MODULUS) == request.content_hash:
                    part = self._rows(connection, key, request.have, None)
                    if len(part.rows()) <= ROWS_PER_PAGE:
                        gone = self._deleted(connection, key, request.have)
                        return _message(key, head, False, weight_text(at_head), part, gone, more=False), weight_text(
                            at_head
                        )
        return self._page(connection, bank, key, head, 0, 0)

    def _page(
        self, connection: Connection, bank: str, key: bytes, head: int, after: int, total: int
    ) -> tuple[m.SyncReply, str | None]:
        part = self._rows(connection, key, after, ROWS_PER_PAGE)
        total = (total + sum(map(row_weight, part.rows()))) % _MODULUS
        upto = part.upto if part.more else head
        if part.more:
            self._walks[bank] = _Walk(upto, total, head)
        else:
            self._walks.pop(bank, None)
        reply = _message(key, upto, after == 0, weight_text(total), part, [], more=part.more)
        return reply, None if part.more else weight_text(total)

    def _rows(self, connection: Connection, key: bytes, after: int, limit: int | None) -> _Part:
        """The rows that exist now and were last changed after ``after``, whole versions, about ``limit`` of them."""
        found: list[tuple[int, Callable[[], Row]]] = []
        query = select(people).where(people.c.version > after).order_by(people.c.version)
        person_list = connection.execute(query if limit is None else query.limit(limit + 1)).mappings().all()
        built = person_rows(connection, person_list)
        found += [(row["version"], _given(made)) for row, made in zip(person_list, built, strict=True)]
        query = select(credentials).where(credentials.c.version > after, credentials.c.removed_ms.is_(None))
        query = query.order_by(credentials.c.version)
        for row in connection.execute(query if limit is None else query.limit(limit + 1)).mappings():
            found.append((row["version"], self._credential_later(key, row)))
        query = select(rules).where(rules.c.version > after).order_by(rules.c.version)
        for row in connection.execute(query if limit is None else query.limit(limit + 1)).mappings():
            found.append((row["version"], _given(rule_from(row["body"]))))
        found.sort(key=lambda entry: entry[0])
        part = _Part(upto=found[-1][0] if found else after)
        if limit is not None and len(found) > limit:
            # Cut behind a whole version, the first one at least.
            part.upto = found[limit][0] - 1 if found[limit][0] != found[0][0] else found[0][0]
            part.more = any(version > part.upto for version, _ in found)
        for version, make in found:
            if version > part.upto:
                break
            match make():
                case PersonRow() as person:
                    part.people.append(person)
                case CredentialRow() as credential:
                    part.credentials.append(credential)
                case Rule() as rule:
                    part.rules.append(rule)
        return part

    def _credential_later(self, key: bytes, row: RowMapping) -> Callable[[], Row]:
        return lambda: credential_row(digest_for(key, self._sealing, row), row)

    def _deleted(self, connection: Connection, key: bytes, have: int) -> list[str]:
        query = (
            select(credentials)
            .where(credentials.c.version > have, credentials.c.removed_ms.is_not(None))
            .order_by(credentials.c.credential)
        )
        gone = ["credential:" + digest_for(key, self._sealing, row) for row in connection.execute(query).mappings()]
        changed = directory_changes
        query = select(changed.c.kind, changed.c.key).where(
            changed.c.version > have, changed.c.after.is_(None), changed.c.kind != "credential"
        )
        return gone + sorted({f"{kind}:{name}" for kind, name in connection.execute(query)})

    def _moved(self, connection: Connection, key: bytes, after: int, upto: int, total: int) -> int:
        """``total``, a bank's sum at version ``after``, moved on to version ``upto``."""
        changed = directory_changes
        query = select(changed).where(changed.c.version > after, changed.c.version <= upto)
        numbers: dict[str, tuple[str, RowMapping]] = {}
        for change in connection.execute(query).mappings().all():
            before, now = change["before"], change["after"]
            if change["kind"] == "credential":
                total += self._weight(connection, key, change["key"], now, numbers)
                total -= self._weight(connection, key, change["key"], before, numbers)
            else:
                total += weight_from(now) - weight_from(before)
        return total % _MODULUS

    def _weight(
        self, connection: Connection, key: bytes, name: str, state: str | None, known: dict[str, tuple[str, RowMapping]]
    ) -> int:
        if state is None:
            return 0
        if name not in known:
            row = connection.execute(select(credentials).where(credentials.c.credential == name)).mappings().one()
            known[name] = digest_for(key, self._sealing, row), row
        digest, row = known[name]
        return row_weight(credential_row(digest, row, state == BLOCKED))

    def _keep(self, bank: str, version: int, total: str) -> None:
        with self._store.write() as work:
            # Never back to an older version: another thread may have answered a later pull meanwhile.
            work.connection.execute(
                update(banks)
                .where(banks.c.bank == bank, banks.c.directory_version <= version)
                .values(directory_version=version, directory_sum=total)
            )


def _given(row: Row) -> Callable[[], Row]:
    return lambda: row


def _message(
    key: bytes, upto: int, full: bool, total: str, part: _Part, deletes: list[str], *, more: bool
) -> m.SyncReply:
    return m.SyncReply(
        upto=upto,
        full=full,
        content_hash=total,
        key=base64.b64encode(key).decode(),
        calendar=calendar_for("UTC", 0),
        people=part.people,
        credentials=part.credentials,
        rules=part.rules,
        deletes=deletes,
        more=more,
    )
