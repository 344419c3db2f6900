"""What somebody does about lockers by themselves: each is a command to the bank, which decides it by the rules."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select

from cubbyhole.domain.choosing import Wish
from cubbyhole.domain.vocabulary import Mode, Reason
from cubbyhole.server.commands.actions import Actions
from cubbyhole.server.commands.live import Result
from cubbyhole.server.commands.once import Once
from cubbyhole.server.commands.standing import NotPossible, Order
from cubbyhole.server.mine.queries import Mine, Offer, Offers, Persons
from cubbyhole.server.persistence import tables as t
from cubbyhole.server.persistence.pool import WorkPool
from cubbyhole.server.persistence.unit import Store

BANKS_TRIED = 3
CANDIDATES_MOST = 50
REASON = "self"  # in the record: somebody for themselves
VALID_MS = 60_000  # whoever asked has gone on by then
# Somebody else was quicker, or something happened at that locker: another bank may still have one.
_NOT_FREE = frozenset(
    reason.value
    for reason in (
        Reason.NOTHING_FREE, Reason.TAKEN, Reason.BUSY, Reason.OUT_OF_SERVICE, Reason.CHECK_FIRST, Reason.NOT_EMPTY,
        Reason.DOOR_OPEN, Reason.DOOR_UNKNOWN, Reason.UNVERIFIED, Reason.ALARM,
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Got:
    """What became of asking for a locker; ``mine`` where one was given. ``rule`` names who said no."""

    result: Result
    mine: Mine | None
    offer: Offer | None = None
    rule: str | None = None


class OwnLockers:
    """One instance serves everybody; ``person`` says who acts."""

    def __init__(self, store: Store, pool: WorkPool, actions: Actions) -> None:
        self._store, self._pool, self._actions = store, pool, actions

    async def get(
        self, person: str, wish: Wish, mode: Mode | None = None, *, bank: str | None = None, area: str | None = None,
        locker: tuple[str, str] | None = None, hold: bool = True, wanted: Once | None = None,
    ) -> Got:  # fmt: skip
        """The best locker that is free and may be theirs, held until it is opened. Where somebody else is quicker, the
        next best; where a bank does not answer, it may still be given (``requested``)."""
        only = [locker[0]] if locker is not None else [bank] if bank is not None else None
        offers = await self._pool.run(self._offers, person, wish, mode, only, area)
        found = [o for o in offers.found if locker is None or (o.bank, o.number) == locker]
        if not found:
            reason, rule = next(iter(offers.reasons), (Reason.NOTHING_FREE, None))
            return Got(Result("", "refused", reason.value), None, None, rule)
        got: Got | None = None
        for name in list(dict.fromkeys(o.bank for o in found))[:BANKS_TRIED]:
            here = [o for o in found if o.bank == name][:CANDIDATES_MOST]
            order = self._order(person, "assign", name, here[0].number)
            order = replace(
                order, person=person, mode=mode.value if mode is not None else None, hold=hold,
                candidates=tuple(o.number for o in here),
            )  # fmt: skip
            # The key belongs to the first bank: asked again, that is the one that is asked what became of it.
            result = await self._actions.ask(order, wanted if got is None else None)
            mine = await self._pool.run(self._newest, person, name) if result.outcome == "done" else None
            offer = next((o for o in here if mine is not None and o.number == mine.number), here[0])
            got = Got(result, mine, offer)
            if result.outcome != "refused" or locker is not None or result.why not in _NOT_FREE:
                return got
            got = Got(Result(result.command, "refused", Reason.NOTHING_FREE.value), None, None)
        assert got is not None, "at least one bank was asked"
        return got

    async def renew(self, person: str, assignment: str, wanted: Once | None = None) -> Result:
        """Keep it for longer. Raises NotPossible."""
        return await self._about(person, assignment, "renew", wanted)

    async def release(self, person: str, assignment: str, wanted: Once | None = None) -> Result:
        """Give it back. Raises NotPossible."""
        return await self._about(person, assignment, "end", wanted)

    async def share(
        self, person: str, assignment: str, *, to: str | None = None, group: str | None = None,
        until_ms: int | None = None, once: bool = False, wanted: Once | None = None,
    ) -> Result:  # fmt: skip
        """Let somebody, or a group, open it too. Raises NotPossible."""
        await self._pool.run(self._exists, to, group)
        return await self._about(
            person, assignment, "share", wanted, person=to, group=group, ends_ms=until_ms, once=once
        )  # fmt: skip

    async def unshare(self, person: str, assignment: str, share: str, wanted: Once | None = None) -> Result:
        """Take a share back. Raises NotPossible."""
        return await self._about(person, assignment, "unshare", wanted, share=share)

    async def hand_over(self, person: str, assignment: str, to: str, wanted: Once | None = None) -> Result:
        """Make it somebody else's with what is inside. Raises NotPossible."""
        await self._pool.run(self._exists, to, None)
        return await self._about(person, assignment, "hand_over", wanted, person=to)

    async def move(self, person: str, assignment: str, wish: Wish, wanted: Once | None = None) -> Result:
        """Have another one at the same bank instead. Raises NotPossible."""
        held = await self._pool.run(self._held, person, assignment)
        offers = await self._pool.run(self._free_there, person, wish, Mode(held.mode), held)
        if not offers:
            raise NotPossible(Reason.NOTHING_FREE.value, "No other locker of this bank is free.")
        return await self._about(person, assignment, "move", wanted, candidates=tuple(offers))

    async def open(self, person: str, assignment: str, wanted: Once | None = None) -> Result:
        """Open it now. Raises NotPossible."""
        held = await self._pool.run(self._mine, person, assignment)
        return await self._actions.open(held.bank, held.number, person, REASON, None, wanted, person=person)

    # -- inside -------------------------------------------------------------------------------------------------

    async def _about(
        self, holder: str, assignment: str, kind: str, wanted: Once | None, **more: Any
    ) -> Result:  # fmt: skip
        held = await self._pool.run(self._held, holder, assignment)
        order = replace(self._order(holder, kind, held.bank, held.number), assignment=assignment, **more)
        return await self._actions.ask(order, wanted)

    @staticmethod
    def _order(person: str, kind: str, bank: str, number: str) -> Order:
        return Order(
            bank=bank, locker=number, kind=kind, actor=person, reason=REASON, valid_ms=VALID_MS, self_service=True
        )

    def _offers(
        self, person: str, wish: Wish, mode: Mode | None, only: list[str] | None, area: str | None
    ) -> Offers:  # fmt: skip
        with self._store.read() as connection:
            return Persons(connection, person, self._store.now_ms()).offers(wish, mode, only=only, area=area)

    def _free_there(self, person: str, wish: Wish, mode: Mode, held: Mine) -> list[str]:
        """Where somebody could move to: what is free there, whatever they hold already."""
        with self._store.read() as connection:
            found = Persons(connection, person, self._store.now_ms()).offers(wish, mode, only=[held.bank], moving=True)
        return [o.number for o in found.found][:CANDIDATES_MOST]

    def _newest(self, person: str, bank: str) -> Mine | None:
        with self._store.read() as connection:
            found = [m for m in Persons(connection, person, self._store.now_ms()).lockers() if m.bank == bank]
        own = [m for m in found if m.holder is None]
        return max(own, key=lambda m: m.since_ms, default=None)

    def _mine(self, person: str, assignment: str) -> Mine:
        with self._store.read() as connection:
            found = Persons(connection, person, self._store.now_ms()).locker(assignment)
        if found is None:
            raise NotPossible("not_assigned", "That locker is not yours (any more).")
        return found

    def _held(self, person: str, assignment: str) -> Mine:
        found = self._mine(person, assignment)
        if found.holder is not None:
            raise NotPossible("not_holder", f"The locker is {found.holder}'s, who alone can do that.")
        return found

    def _exists(self, person: str | None, group: str | None) -> None:
        with self._store.read() as connection:
            if person is not None:
                query = select(t.people.c.person).where(t.people.c.person == person, t.people.c.active)
                if connection.execute(query).scalar() is None:
                    raise NotPossible("unknown_person", "There is nobody like that here.")
            if group is not None:
                known = connection.execute(select(t.groups.c.name).where(t.groups.c.name == group)).scalar()
                if known is None:
                    raise NotPossible("unknown_group", f"There is no group {group[:80]}.")
