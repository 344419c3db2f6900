"""The rows of the outbox: how jobs are claimed, finished, put off and given up.

A claim lapses by itself after `LEASE_MS`, so that what a dead process had in its hands is taken by the next one. A job
is done at least once: whoever carries it out makes that harmless with the key of the row (`Job.key`).
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, delete, func, or_, select, update

from cubbyhole.server.persistence.tables import outbox
from cubbyhole.server.persistence.unit import UnitOfWork

LEASE_MS: Final = 20_000
TRIES_MOST: Final = 30  # with the waits below: about a day
FIRST_WAIT_MS: Final = 5_000
LONGEST_WAIT_MS: Final = 3_600_000
KEEP_DONE_MS: Final = 7 * 86_400_000
KEEP_GIVEN_UP_MS: Final = 90 * 86_400_000
PRUNED_AT_ONCE: Final = 1000
NOTE_MOST: Final = 300
LISTED_MOST: Final = 1000

GIVEN_UP, WAITING, DONE = "given_up", "waiting", "done"
_OPEN = and_(outbox.c.done_ms.is_(None), outbox.c.given_up_ms.is_(None))
_STATES: dict[str, ColumnElement[bool]] = {
    GIVEN_UP: outbox.c.given_up_ms.is_not(None),
    WAITING: _OPEN,
    DONE: outbox.c.done_ms.is_not(None),
}


@dataclass(frozen=True, slots=True)
class Job:
    """A job in this process's hands. ``tries`` counts the one that is about to be made."""

    id: int
    kind: str
    payload: str
    made_ms: int
    not_after_ms: int | None
    tries: int
    claim: str

    @property
    def key(self) -> str:
        """The same for every try of this job, and no other job's, also after a backup was restored."""
        return f"{self.made_ms:x}.{self.id:x}"


@dataclass(frozen=True, slots=True)
class Row:
    """A job as `cubbyhole outbox list` shows it."""

    id: int
    kind: str
    state: str
    made_ms: int
    tries: int
    next_ms: int | None
    note: str | None


def next_due(connection: Connection, kinds: Collection[str]) -> int | None:
    """When the next job of these kinds can be taken; None where none waits."""
    query = select(func.min(outbox.c.not_before_ms)).where(_OPEN, outbox.c.kind.in_(kinds))
    found = connection.execute(query).scalar()
    return int(found) if found is not None else None


def claim(work: UnitOfWork, kinds: Collection[str], most: int, holder: str) -> list[Job]:
    """Take up to ``most`` jobs that are due, the longest waiting first. No other process gets them while they are held.
    ``holder`` (16 hex digits) is the runner that takes them.

    A job whose last try never came back (the process died with it each time) is given up here instead.
    """
    query = (
        select(outbox)
        .where(_OPEN, outbox.c.kind.in_(kinds), outbox.c.not_before_ms <= work.now_ms)
        .order_by(outbox.c.not_before_ms, outbox.c.id)
        .limit(most)
        .with_for_update(skip_locked=True)  # on SQLite, whole transactions wait for each other
    )
    rows = work.connection.execute(query).mappings().all()
    mine = holder + secrets.token_hex(8)
    jobs = [
        Job(r["id"], r["kind"], r["payload"], r["made_ms"], r["not_after_ms"], r["tries"] + 1, mine)
        for r in rows
    ]  # fmt: skip
    if jobs:
        lapses_ms = work.now_ms + LEASE_MS
        work.connection.execute(
            update(outbox)
            .where(outbox.c.id.in_([job.id for job in jobs]))
            .values(claim=mine, tries=outbox.c.tries + 1, not_before_ms=lapses_ms)
        )
    for job in jobs:
        if job.tries > TRIES_MOST:
            give_up(work, job, "each try was broken off by the end of its process")
    return [job for job in jobs if job.tries <= TRIES_MOST]


def hold(work: UnitOfWork, jobs: Sequence[Job]) -> None:
    """Go on holding them for another `LEASE_MS`."""
    for job in jobs:
        _set(work, job, not_before_ms=work.now_ms + LEASE_MS)


def let_go(work: UnitOfWork, holder: str) -> None:
    """What this runner has taken and not begun is free for the next one at once."""
    taken = and_(_OPEN, outbox.c.claim.startswith(holder))
    values = {"claim": None, "not_before_ms": work.now_ms, "tries": outbox.c.tries - 1}
    work.connection.execute(update(outbox).where(taken).values(**values))


def finish(work: UnitOfWork, job: Job, note: str = "") -> bool:
    """The job is done. False where it is in other hands meanwhile. What it was about is not kept."""
    return _set(work, job, done_ms=work.now_ms, claim=None, payload="{}", note=note)


def put_off(work: UnitOfWork, job: Job, until_ms: int, note: str, *, counts: bool = True) -> bool:
    """Try again at ``until_ms``. ``counts`` False: this was no try."""
    tries = job.tries if counts else job.tries - 1
    return _set(work, job, not_before_ms=until_ms, claim=None, tries=tries, note=note)


def give_up(work: UnitOfWork, job: Job, note: str) -> bool:
    """No more tries. The row stays, to be looked at and tried again by hand."""
    return _set(work, job, given_up_ms=work.now_ms, claim=None, note=note)


def wait_ms(tries: int, chance: random.Random) -> int:
    """How long to wait after that many tries: doubling up to an hour, give or take a half, so that not all come at
    once."""
    full = min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** min(tries - 1, 20))
    return int(full * chance.uniform(0.5, 1.5))


def prune(work: UnitOfWork) -> int:
    """Forget what was done or given up long ago, a bounded number of rows at a time; how many it was."""
    old = or_(
        outbox.c.done_ms < work.now_ms - KEEP_DONE_MS,
        outbox.c.given_up_ms < work.now_ms - KEEP_GIVEN_UP_MS,
    )
    ids = list(work.connection.execute(select(outbox.c.id).where(old).limit(PRUNED_AT_ONCE)).scalars())
    if ids:
        work.connection.execute(delete(outbox).where(outbox.c.id.in_(ids)))
    return len(ids)


def listed(connection: Connection, state: str, most: int = LISTED_MOST) -> list[Row]:
    """Jobs in that state, the newest first. Without their payloads: those are other people's mail."""
    query = select(outbox).where(_STATES[state]).order_by(outbox.c.id.desc()).limit(min(most, LISTED_MOST))
    return [
        Row(
            id=r["id"], kind=r["kind"], state=state, made_ms=r["made_ms"], tries=r["tries"],
            next_ms=r["not_before_ms"] if state == WAITING else None, note=r["note"],
        )
        for r in connection.execute(query).mappings()
    ]  # fmt: skip


def count(connection: Connection, state: str) -> int:
    return int(connection.execute(select(func.count()).select_from(outbox).where(_STATES[state])).scalar_one())


def try_again(work: UnitOfWork, ids: Collection[int] | None) -> int:
    """Give jobs that were given up all their tries anew: these, or (None) all. How many there were."""
    chosen = _STATES[GIVEN_UP] if ids is None else and_(_STATES[GIVEN_UP], outbox.c.id.in_(ids))
    changed = work.connection.execute(
        update(outbox).where(chosen).values(given_up_ms=None, tries=0, not_before_ms=work.now_ms)
    )
    return changed.rowcount


def _set(work: UnitOfWork, job: Job, **values: object) -> bool:
    if "note" in values:
        values["note"] = str(values["note"])[:NOTE_MOST] or None
    mine = and_(outbox.c.id == job.id, outbox.c.claim == job.claim, _OPEN)
    return work.connection.execute(update(outbox).where(mine).values(**values)).rowcount > 0
