"""What people ask for by phone and web in the world: a locker, to keep it longer, to share it, to pass it on."""

from __future__ import annotations

import random

from cubbyhole.domain.locker import Assignment
from cubbyhole.simulator.world.banks import BankScene
from cubbyhole.simulator.world.clockwork import HOUR_MS
from cubbyhole.simulator.world.people import Human

_KINDS = ("get", "renew", "renew", "share", "share", "unshare", "hand_over", "move", "retime")


def ask(s: BankScene, chance: random.Random) -> None:
    """One wish of somebody at this bank, made on what the server shows; most can be granted, some cannot."""
    office, state = s.world.office, s.record.state
    if not office.up or not state.columns:
        return
    kind = chance.choice(_KINDS)
    if kind == "get":
        _get(s, chance)
        return
    held = [x for x in state.lockers.values() if x.assignment is not None]
    if not held:
        return
    locker = chance.choice(held)
    assignment = locker.assignment
    assert assignment is not None
    if kind == "retime":
        midnights = [m for m in s.machine.core.directory.calendar.midnights if m > s.world.kernel.now_ms]
        if s.machine.alive and midnights:
            office.new_standing(
                s.bank, kind, locker.number, assignment=assignment.assignment, for_ms=HOUR_MS, ends_ms=midnights[0]
            )
        return
    _change(s, chance, kind, locker.number, assignment)


def _get(s: BankScene, chance: random.Random) -> None:
    candidates = chance.sample(list(s.doors), 3)
    if chance.random() < 0.5:
        free = [x.number for x in s.record.state.offered()]
        candidates = (free + candidates)[:3]
    s.world.office.new_standing(
        s.bank, "assign", candidates[0], person=chance.choice(s.crowd.humans).person, for_ms=HOUR_MS,
        candidates=candidates, self_service=True, hold=True, mode=chance.choice((None, None, "hours", "permanent")),
    )  # fmt: skip


def _change(s: BankScene, chance: random.Random, kind: str, number: str, held: Assignment) -> None:
    other = chance.choice(s.crowd.humans).person
    more: dict[str, object] = {"self_service": True}
    if kind == "share":
        more["once"] = chance.random() < 0.4
        if chance.random() < 0.1:
            other = held.person  # nobody can share with themselves
        if chance.random() < 0.4:
            more["ends_ms"] = s.world.kernel.now_ms + chance.randint(-HOUR_MS, 8 * HOUR_MS)
    elif kind == "unshare":
        if not held.shares:
            return
        more["share"] = chance.choice(held.shares).share
    elif kind == "move":
        more["candidates"] = [x.number for x in s.record.state.offered()][:3] or [number]
    person = other if kind in ("share", "hand_over") else None
    s.world.office.new_standing(
        s.bank, kind, number, assignment=held.assignment, person=person, for_ms=HOUR_MS, **more
    )
    if kind == "share":
        # Whoever it is shared with comes by in the next hour, and some come too late.
        human = next(h for h in s.crowd.humans if h.person == other)
        s.world.kernel.after(chance.randint(60_000, HOUR_MS), _come_by, s, number, human)


def _come_by(s: BankScene, number: str, human: Human) -> None:
    s.tap(None if s.shared_reader else number, human.badge, human)
