"""Bringing into line: assignments that a changed rule makes last too long get the end that it allows.

Saving a rule moves nobody out. What the dry run of a save found is kept here for an hour, for the one who saved, in
this process: after a restart nothing is brought into line by mistake.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

from sqlalchemy import Connection, select

from cubbyhole.domain.what_if import Shortened
from cubbyhole.server.commands.actions import Actions
from cubbyhole.server.commands.live import Result
from cubbyhole.server.commands.standing import NotPossible, Order
from cubbyhole.server.persistence.pool import Overloaded, WorkPool
from cubbyhole.server.persistence.tables import lockers
from cubbyhole.server.persistence.unit import Store
from cubbyhole.server.rules.queries import kept_rule

MOST = 100  # assignments in one go; the others stay as they are
KEPT_MOST = 200
KEPT_MS = 3_600_000
_AT_ONCE = 10
REASON = "rule_change"
CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Found:
    """What the dry run of a save found. ``version`` is the rule's since; ``names`` has the people by pseudonym."""

    actor: str
    rule: str
    title: str
    version: int
    shortened: tuple[Shortened, ...]
    names: dict[str, str]
    at_ms: int

    @property
    def people(self) -> int:
        return len({s.person for s in self.shortened[:MOST]})


@dataclass(frozen=True, slots=True)
class Became:
    """What became of one assignment. ``outcome``: done, requested, refused (``why``), changed (left alone: it is not as
    the dry run saw it any more), overloaded."""

    shortened: Shortened
    outcome: str
    why: str | None = None


class Kept:
    """The last `KEPT_MOST` findings by a word that nobody guesses. Safe in several threads."""

    def __init__(self) -> None:
        self._found: OrderedDict[str, Found] = OrderedDict()
        self._lock = Lock()

    def keep(self, found: Found) -> str:
        word = secrets.token_urlsafe(12)
        with self._lock:
            self._found[word] = found
            while len(self._found) > KEPT_MOST:
                self._found.popitem(last=False)
        return word

    def look(self, word: str, actor: str, now_ms: int) -> Found | None:
        """What ``actor`` may bring into line; None where it is somebody else's, too old or not there any more."""
        with self._lock:
            found = self._found.get(word)
        return found if found is not None and found.actor == actor and now_ms < found.at_ms + KEPT_MS else None

    def take(self, word: str, actor: str, now_ms: int) -> Found | None:
        """The same, once."""
        found = self.look(word, actor, now_ms)
        with self._lock:
            return found if found is not None and self._found.pop(word, None) is not None else None


async def bring_into_line(store: Store, pool: WorkPool, actions: Actions, found: Found, actor: str) -> list[Became]:
    """Ask the banks to set the new ends, of at most `MOST` assignments, and say what became of each."""
    wanted = found.shortened[:MOST]
    untouched = await pool.run(_untouched, store, found)
    room = asyncio.Semaphore(_AT_ONCE)

    async def ask(s: Shortened) -> Became:
        if s.assignment not in untouched:
            return Became(s, CHANGED)
        order = Order(
            bank=s.bank, locker=s.locker, kind="retime", actor=actor, reason=REASON, assignment=s.assignment,
            ends_ms=s.would_end_ms,
        )  # fmt: skip
        async with room:
            try:
                result: Result = await actions.ask(order)
            except NotPossible as error:
                return Became(s, "refused", error.word)
            except Overloaded:
                return Became(s, "overloaded")
        return Became(s, result.outcome, result.why)

    return list(await asyncio.gather(*(ask(s) for s in wanted)))


def _untouched(store: Store, found: Found) -> frozenset[str]:
    """Those assignments that are as the dry run saw them; none where the rule has changed since."""
    with store.read() as connection:
        kept = kept_rule(connection, found.rule)
        if kept is None or kept.version != found.version:
            return frozenset()
        return frozenset(
            s.assignment for s in found.shortened[:MOST]
            if s.would_end_ms > store.now_ms() and _now_at(connection, s) == (s.assignment, s.ends_ms)
        )  # fmt: skip


def _now_at(connection: Connection, s: Shortened) -> Sequence[object] | None:
    query = select(lockers.c.assignment, lockers.c.ends_ms).where(
        lockers.c.bank == s.bank, lockers.c.number == s.locker
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else tuple(row)
