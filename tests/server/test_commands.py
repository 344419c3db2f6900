"""Live commands are never late and never twice; standing commands are in order and settled by the journal."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import RowMapping, select

from cubbyhole.domain import events as ev
from cubbyhole.domain.vocabulary import Door, Way
from cubbyhole.protocol import messages as m
from cubbyhole.protocol.digest import commitment
from cubbyhole.protocol.fabric.errors import FabricError, NoAnswer, NobodyThere
from cubbyhole.server.banks.ingest import Ingest
from cubbyhole.server.commands import live
from cubbyhole.server.commands.actions import Actions, Outcomes
from cubbyhole.server.commands.live import LiveCommands, Result
from cubbyhole.server.commands.standing import NotPossible, Order, issue, pull
from cubbyhole.server.keys import SealingKey
from cubbyhole.server.persistence.pool import WorkPool
from cubbyhole.server.persistence.tables import alarms, commands, outbox, server_audit
from cubbyhole.server.persistence.unit import Store
from tests.server.hand import COLUMNS, HandBank, HandClock


@pytest.fixture
def bank(store: Store, sealing: SealingKey) -> HandBank:
    made = HandBank(store, Ed25519PrivateKey.generate()).begin(sealing)
    made.write(*[ev.DoorSeen(locker=f"{n:02d}", door=Door.CLOSED) for n in range(1, 9)])
    return made


class Wire:
    """The bank's end of a live request: a function that is given the command."""

    def __init__(self, answer: Callable[[m.LiveCommand], Awaitable[m.Message]]) -> None:
        self._answer = answer

    async def request_live(self, bank: str, payload: bytes, timeout_s: float) -> bytes:
        return m.encode(await self._answer(m.decode(m.LiveCommand, payload)))


def make(
    bank: HandBank, pool: WorkPool, answer: Callable[[m.LiveCommand, LiveCommands], m.Message | FabricError]
) -> LiveCommands:
    """Live commands to a bank that does ``answer``, in a thread of the pool as a bank is elsewhere."""

    async def at_the_bank(command: m.LiveCommand) -> m.Message:
        found = await pool.run(answer, command, made)
        if isinstance(found, FabricError):
            raise found
        return found

    ingest = Ingest(bank.store, bank.receipt_key, lambda change: None)
    made = LiveCommands(bank.store, pool, Wire(at_the_bank), ingest.receive)
    return made


def row_of(store: Store, name: str) -> RowMapping:
    with store.read() as connection:
        return connection.execute(select(commands).where(commands.c.command == name)).mappings().one()


def opened(bank: HandBank, command: m.LiveCommand) -> m.Message:
    granted = ev.AccessGranted(
        grant="g_1", locker=command.locker, way=Way.COMMAND, command=command.command, reason=command.reason,
        note=command.note,
    )  # fmt: skip
    done = ev.CommandDone(command=command.command, kind="open", outcome="done")
    batch = bank.batch(granted, done, actor=command.actor)
    return m.CommandAnswer(command=command.command, outcome="done", events=batch)


def test_an_opening_brings_its_events_with_the_answer(bank: HandBank, pool: WorkPool, store: Store) -> None:
    def answer(command: m.LiveCommand, desk: LiveCommands) -> m.Message:
        assert desk.claim("A", command.command).go
        return opened(bank, command)

    desk = make(bank, pool, answer)
    result = asyncio.run(desk.open("A", "03", "op:desk", "delivery", "for Mei, from the courier"))
    assert result.outcome == "done"
    row = row_of(store, result.command)
    assert (row["state"], row["note"]) == ("done", "for Mei, from the courier")
    # The journal has only what proves the note.
    with store.read() as connection:
        acts = list(connection.execute(select(server_audit.c.act, server_audit.c.actor)))
    assert ("command.open", "op:desk") in [tuple(act) for act in acts]
    assert row["note_commitment"] == commitment(row["note_salt"], row["note"])


def test_a_command_is_claimed_once_however_many_ask(bank: HandBank, pool: WorkPool) -> None:
    goes: list[bool] = []

    def answer(command: m.LiveCommand, desk: LiveCommands) -> m.Message:
        def ask() -> None:
            goes.append(desk.claim("A", command.command).go)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return opened(bank, command)

    asyncio.run(make(bank, pool, answer).open("A", "03", "op:desk", "delivery"))
    assert sorted(goes) == [False] * 7 + [True]


def test_another_bank_cannot_claim_it(bank: HandBank, pool: WorkPool) -> None:
    goes: list[bool] = []

    def answer(command: m.LiveCommand, desk: LiveCommands) -> m.Message:
        goes.extend([desk.claim("B", command.command).go, desk.claim("A", command.command).go])
        return opened(bank, command)

    asyncio.run(make(bank, pool, answer).open("A", "03", "op:desk", "delivery"))
    assert goes == [False, True]


def test_a_claim_after_the_deadline_is_refused(bank: HandBank, pool: WorkPool, clock: HandClock) -> None:
    goes: list[bool] = []

    def answer(command: m.LiveCommand, desk: LiveCommands) -> m.Message:
        clock.pass_ms(live.CLAIM_WITHIN_MS + 1)
        goes.append(desk.claim("A", command.command).go)
        return m.CommandAnswer(command=command.command, outcome="refused", reason="late")

    result = asyncio.run(make(bank, pool, answer).open("A", "03", "op:desk", "delivery"))
    assert goes == [False]
    assert (result.outcome, result.why) == ("refused", "late")


def test_a_clock_that_steps_back_does_not_make_a_late_claim_timely(
    bank: HandBank, pool: WorkPool, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "CLAIM_WITHIN_MS", 30)
    goes: list[bool] = []

    def answer(command: m.LiveCommand, desk: LiveCommands) -> m.Message:
        clock.pass_ms(-3_600_000)
        threading.Event().wait(0.06)
        goes.append(desk.claim("A", command.command).go)
        return m.CommandAnswer(command=command.command, outcome="refused", reason="late")

    asyncio.run(make(bank, pool, answer).open("A", "03", "op:desk", "delivery"))
    assert goes == [False]


def test_a_command_that_nobody_heard_is_withdrawn(bank: HandBank, pool: WorkPool, store: Store) -> None:
    desk = make(bank, pool, lambda command, desk: NobodyThere("nobody listens"))
    result = asyncio.run(desk.open("A", "03", "op:desk", "delivery"))
    assert result.outcome == "unreachable"
    assert row_of(store, result.command)["state"] == "expired"
    assert not desk.claim("A", result.command).go


def test_a_command_that_was_claimed_and_not_answered_is_unknown_until_the_journal_tells(
    bank: HandBank, pool: WorkPool, store: Store
) -> None:
    def answer(command: m.LiveCommand, desk: LiveCommands) -> FabricError:
        desk.claim("A", command.command)
        return NoAnswer("silence")

    result = asyncio.run(make(bank, pool, answer).open("A", "03", "op:desk", "delivery"))
    assert result.outcome == "unknown"
    bank.write(ev.CommandDone(command=result.command, kind="open", outcome="done"))
    assert row_of(store, result.command)["state"] == "done"


@pytest.mark.parametrize(("reason", "note"), [("", ""), ("   ", ""), ("two words", ""), ("other", "x" * 301)])
def test_without_a_proper_reason_nothing_is_sent(bank: HandBank, pool: WorkPool, reason: str, note: str) -> None:
    desk = make(bank, pool, lambda command, desk: pytest.fail("it was sent"))
    with pytest.raises(NotPossible):
        asyncio.run(desk.open("A", "03", "op:desk", reason, note))


def order(locker: str = "01", **more: str) -> Order:
    return Order(bank="A", locker=locker, kind="out_of_service", actor="op:desk", reason="cleaning", **more)  # type: ignore[arg-type]


def test_standing_commands_are_numbered_per_bank_without_a_hole(bank: HandBank, store: Store) -> None:
    def give() -> None:
        for _ in range(5):
            with store.write() as work:
                issue(work, order())

    threads = [threading.Thread(target=give) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.read() as connection:
        found = pull(connection, "A", 0).commands
        assert [command.ordinal for command in found] == list(range(1, 21))
        assert [command.ordinal for command in pull(connection, "A", 18).commands] == [19, 20]


def test_a_standing_command_says_until_when_and_under_which_directory_it_holds(
    bank: HandBank, store: Store, clock: HandClock
) -> None:
    with store.write() as work:
        issue(work, order(note="smells of fish"))
    with store.read() as connection:
        command = pull(connection, "A", 0).commands[0]
    assert command.not_after_ms == clock() + 24 * 3_600_000
    assert command.needs_directory == 0
    assert command.note is not None
    assert "fish" not in command.note


def test_a_command_for_a_bank_that_is_not_there_is_refused(bank: HandBank, store: Store) -> None:
    def give() -> None:
        with store.write() as work:
            issue(work, Order(bank="Z", locker="01", kind="checked", actor="op:desk", reason="checked"))

    with pytest.raises(NotPossible, match="no bank Z"):
        give()


def test_whoever_asks_hears_the_outcome_when_the_journal_tells_it(bank: HandBank, pool: WorkPool) -> None:
    async def run() -> Result:
        outcomes = Outcomes(asyncio.get_running_loop())

        async def nudge(name: str) -> None:
            def do() -> None:
                with bank.store.read() as connection:
                    command = pull(connection, name, 0).commands[-1]
                bank.write(
                    ev.OutOfService(locker=command.locker, reason=command.reason),
                    ev.CommandDone(command=command.command, kind=command.kind, outcome="done", ordinal=command.ordinal),
                    actor=command.actor,
                )
                for settled in bank.announced[-1].settled:
                    outcomes.settled(Result(settled.command, settled.outcome, settled.reason))

            await pool.run(do)

        desk = make(bank, pool, lambda command, desk: pytest.fail("not live"))
        actions = Actions(bank.store, pool, desk, outcomes, nudge)
        return await actions.change("out_of_service", "A", "02", "op:desk", "cleaning")

    assert asyncio.run(run()).outcome == "done"


def test_a_locker_that_the_bank_was_rebuilt_without_is_settled_by_looking(bank: HandBank, pool: WorkPool) -> None:
    smaller = ev.BankConfigured(
        label="Lobby", area="Ground floor", site="Kestrel House", columns=COLUMNS[:1], reader="door",
        senses_lock=True, senses_occupancy=False, drives_lights=False,
    )  # fmt: skip
    bank.write(ev.CheckNeeded(locker="06", why="contents_unknown"))
    bank.write(smaller)
    with bank.store.read() as connection:
        [alarm] = connection.execute(select(alarms).where(alarms.c.kind == "removed")).mappings()
        [job] = connection.execute(select(outbox.c.payload).where(outbox.c.payload.contains("removed"))).scalars()
    assert (alarm["locker"], alarm["cleared_ms"]) == ("06", None) and "things may be inside" in job

    async def run() -> str:
        outcomes = Outcomes(asyncio.get_running_loop())

        async def nudge(name: str) -> None:
            def do() -> None:
                with bank.store.read() as connection:
                    command = pull(connection, name, 0).commands[-1]
                bank.write(
                    ev.Checked(locker=command.locker, command=command.command),
                    ev.CommandDone(command=command.command, kind=command.kind, outcome="done", ordinal=command.ordinal),
                )
                for settled in bank.announced[-1].settled:
                    outcomes.settled(Result(settled.command, settled.outcome, settled.reason))

            await pool.run(do)

        actions = Actions(bank.store, pool, make(bank, pool, lambda *_: pytest.fail("not live")), outcomes, nudge)
        with pytest.raises(NotPossible, match="no locker"):
            await actions.change("out_of_service", "A", "06", "op:desk", "cleaning")
        return (await actions.change("checked", "A", "06", "op:desk", "checked")).outcome

    assert asyncio.run(run()) == "done"
    with bank.store.read() as connection:
        assert connection.execute(select(alarms.c.cleared_ms).where(alarms.c.kind == "removed")).scalar() is not None


def test_while_the_bank_is_silent_it_is_requested(
    bank: HandBank, pool: WorkPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cubbyhole.server.commands.actions.SETTLED_WITHIN_S", 0.05)

    async def silence(bank: str) -> None:
        return None

    async def run() -> Result:
        desk = make(bank, pool, lambda command, desk: pytest.fail("not live"))
        actions = Actions(bank.store, pool, desk, Outcomes(asyncio.get_running_loop()), silence)
        with pytest.raises(NotPossible, match="Nobody has"):
            await actions.end("A", "02", "op:desk", "abandoned")
        with pytest.raises(NotPossible, match="no locker"):
            await actions.change("checked", "A", "99", "op:desk", "checked")
        return await actions.change("out_of_service", "A", "02", "op:desk", "cleaning")

    assert asyncio.run(run()).outcome == "requested"
