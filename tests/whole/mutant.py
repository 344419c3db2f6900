"""`python mutant.py FAULT …`: a controller or server that is wrong in one way, and in all else `cubbyhole …` itself.

A reckoning that lets one of them pass reckons nothing. Started by `test_mutants`; production code knows nothing of it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from cubbyhole.cli.main import main
from cubbyhole.domain.vocabulary import Outcome
from cubbyhole.edge import inputs as io

PUT_OFF_S = 0.4


def put_in(owner: object, name: str, faulty: Callable[..., Any]) -> None:
    """Replace a production function."""
    assert callable(getattr(owner, name)), f"{owner} has no {name} any more"
    setattr(owner, name, faulty)


def frame_before_commit() -> None:
    """The unlock frame goes out at once; what it rests on is written to the disk a little later."""
    from cubbyhole.edge.ledger import Ledger

    commit, since_s = Ledger.commit, [0.0]

    def later(ledger: Ledger) -> None:
        if ledger.state.seq < 5:  # the journal has only begun
            commit(ledger)
        elif not since_s[0]:
            since_s[0] = time.monotonic()
        elif time.monotonic() - since_s[0] > PUT_OFF_S:
            since_s[0] = 0.0
            commit(ledger)

    put_in(Ledger, "commit", later)


def pulse_again_after_crash() -> None:
    """A grant that a crash left open is carried out once more instead of being given up as unknown."""
    from cubbyhole.domain.bank import BankState
    from cubbyhole.edge.core import BankCore

    start, handle, open_grants = BankCore.start, BankCore.handle, BankState.open_grants
    again: list[tuple[str, str]] = []

    def starts(core: BankCore, *args: Any) -> None:
        put_in(BankState, "open_grants", lambda state: [])
        start(core, *args)
        put_in(BankState, "open_grants", open_grants)
        again.extend(core.state.open_grants())

    def handles(core: BankCore, group: Sequence[io.Input]) -> list[io.Effect]:
        now_ms = time.monotonic_ns() // 1_000_000
        repeated = [io.Unlock(number, grant, now_ms, now_ms + io.UNLOCK_LIVES_MS) for grant, number in again]
        again.clear()
        core._in_flight.update(order.grant for order in repeated)
        return [*handle(core, group), *repeated]

    put_in(BankCore, "start", starts)
    put_in(BankCore, "handle", handles)


def opened_without_pulse() -> None:
    """Every second frame stays in the program, and is written down as an opening all the same."""
    from cubbyhole.edge.bus import BusWorker
    from cubbyhole.edge.core import BankCore

    unlock, take, orders = BusWorker.unlock, BankCore._take, [0]

    async def unlocks(worker: BusWorker, number: str, pulse_ms: int, until_ms: int) -> tuple[str, int]:
        orders[0] += 1
        if orders[0] % 2:
            return "not_sent", time.monotonic_ns() // 1_000_000
        return await unlock(worker, number, pulse_ms, until_ms)

    def takes(core: BankCore, item: io.Input, *rest: Any) -> None:
        take(core, replace(item, outcome=Outcome.OPENED) if isinstance(item, io.PulseFailed) else item, *rest)

    put_in(BusWorker, "unlock", unlocks)
    put_in(BankCore, "_take", takes)


def server_drops(bank: str) -> None:
    """Of this bank's batches with several lines all are acknowledged and folded, but the first is not kept."""
    from cubbyhole.protocol.messages import Events
    from cubbyhole.server.banks import ingest, receive
    from cubbyhole.server.banks.receive import Accepted, Known, Verdict

    judge = receive.judge

    def judges(known: Known, batch: Events) -> Verdict:
        verdict = judge(known, batch)
        if known.bank != bank or not isinstance(verdict, Accepted):
            return verdict
        has_begun = verdict.new_epoch is None
        return replace(verdict, lines=verdict.lines[1:] if has_begun and len(verdict.lines) > 1 else verdict.lines)

    put_in(ingest, "judge", judges)


FAULTS: dict[str, Callable[[], None]] = {
    "frame_before_commit": frame_before_commit,
    "pulse_again_after_crash": pulse_again_after_crash,
    "opened_without_pulse": opened_without_pulse,
    "server_drops_of_D": lambda: server_drops("D"),
}

if __name__ == "__main__":
    FAULTS[sys.argv.pop(1)]()
    main()
