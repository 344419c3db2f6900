"""People, credentials and rules as one bank holds them: versioned rows, with a content hash over all of them.

The hash is the sum modulo 2^256 of the SHA-256 of each row's canonical text, so that a delta updates it in the size
of the delta. It guards against lost and doubled rows, not against an enemy: the link is authenticated.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

from cubbyhole.domain.opening import Offset
from cubbyhole.domain.rules import Effective, Place, Rule, effective

_MODULUS = 1 << 256
MAX_PEOPLE = 100_000
MAX_MIDNIGHTS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonRow:
    """A person as a bank knows them. ``commitment`` is H(salt ‖ identity), hex; the name is for greeting only."""

    person: str
    name: str
    groups: tuple[str, ...]
    active: bool
    commitment: str
    from_ms: int | None = None
    until_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialRow:
    """A credential by its digest under this bank's own key (hex); ``credential`` is the server's id of it."""

    digest: str
    credential: str
    person: str
    kind: str
    blocked: bool = False


Row = PersonRow | CredentialRow | Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """The site's coming local midnights in ms since the Unix epoch, ascending, and how far its clocks are from UTC."""

    timezone: str
    midnights: tuple[int, ...]
    offsets: tuple[Offset, ...] = ()


class DirectoryError(ValueError):
    """A delta does not fit what the bank has; the bank asks for the whole directory."""


def row_key(row: Row) -> str:
    match row:
        case PersonRow():
            return "person:" + row.person
        case CredentialRow():
            return "credential:" + row.digest
        case Rule():
            return "rule:" + row.rule


def row_weight(row: Row) -> int:
    """The row's share of the content hash. A field that says nothing has no part in it, so that a later release can
    add one without every bank of this release pulling for ever."""
    said = {name: value for name, value in asdict(row).items() if value is not None}
    text = json.dumps([row_key(row), said], sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")


def content_hash(rows: Iterable[Row]) -> str:
    """Content hash of a whole directory, hex."""
    return f"{sum(map(row_weight, rows)) % _MODULUS:064x}"


@dataclass(slots=True)
class Directory:
    """The rows at ``version``. Changed only by `apply`, which checks the content hash before it changes anything."""

    version: int = 0
    people: dict[str, PersonRow] = field(default_factory=dict)
    credentials: dict[str, CredentialRow] = field(default_factory=dict)
    rules: dict[str, Rule] = field(default_factory=dict)
    calendar: Calendar = Calendar(timezone="UTC", midnights=())
    _sum: int = 0
    _effective: dict[tuple[Place, tuple[str, ...]], Effective] = field(default_factory=dict)

    @property
    def content_hash(self) -> str:
        return f"{self._sum:064x}"

    def rows(self) -> list[Row]:
        return [*self.people.values(), *self.credentials.values(), *self.rules.values()]

    def apply(
        self, *, version: int, rows: Iterable[Row], deletes: Iterable[str], expected_hash: str, full: bool
    ) -> None:
        """Move to ``version``: put ``rows``, drop the keys ``deletes``; with ``full`` everything else goes too.

        Raises DirectoryError and changes nothing where the result does not have ``expected_hash``.
        """
        total = 0 if full else self._sum
        puts = {row_key(row): row for row in rows}
        gone = set() if full else {key for key in deletes if key not in puts and self._row(key) is not None}
        for key, row in puts.items():
            total += row_weight(row)
            if not full and (old := self._row(key)) is not None:
                total -= row_weight(old)
        for key in gone:
            if (old := self._row(key)) is not None:
                total -= row_weight(old)
        total %= _MODULUS
        if f"{total:064x}" != expected_hash:
            raise DirectoryError(f"directory version {version} does not add up to its hash; asking for all of it")
        if full:
            self.people, self.credentials, self.rules = {}, {}, {}
        for key in gone:
            self._drop(key)
        for row in puts.values():
            match row:
                case PersonRow():
                    self.people[row.person] = row
                case CredentialRow():
                    self.credentials[row.digest] = row
                case Rule():
                    self.rules[row.rule] = row
        self._sum, self.version, self._effective = total, version, {}

    def effective(self, place: Place, groups: tuple[str, ...]) -> Effective:
        """What the rules say for somebody of ``groups`` at ``place``; remembered until the directory changes."""
        found = self._effective.get((place, groups))
        if found is None:
            if len(self._effective) > 20_000:
                self._effective.clear()
            found = self._effective[place, groups] = effective(self.rules.values(), place, frozenset(groups))
        return found

    def _row(self, key: str) -> Row | None:
        kind, _, name = key.partition(":")
        match kind:
            case "person":
                return self.people.get(name)
            case "credential":
                return self.credentials.get(name)
            case "rule":
                return self.rules.get(name)
        return None

    def _drop(self, key: str) -> None:
        kind, _, name = key.partition(":")
        if kind == "person":
            self.people.pop(name, None)
        elif kind == "credential":
            self.credentials.pop(name, None)
        elif kind == "rule":
            self.rules.pop(name, None)
