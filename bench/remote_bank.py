"""The bank's process of `bench.remote_open`: a real link and core; also echoes and bare commits for comparison.

Run as `python -m bench.remote_bank FOLDER NATS_URL AUTHORITY_PEM`; it ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from pathlib import Path

from bench.bare import LINE_BYTES, BareCommit
from cubbyhole.domain.vocabulary import Outcome
from cubbyhole.domain.watch import Reading
from cubbyhole.edge import inputs as io
from cubbyhole.edge.clock import SystemClock
from cubbyhole.edge.core import BankCore
from cubbyhole.edge.fabric import keys
from cubbyhole.edge.fabric.enrol import Enrolment
from cubbyhole.edge.fabric.link import BankLink
from cubbyhole.edge.runner import BankRunner
from cubbyhole.edge.store import BankStore
from cubbyhole.edge.supply import mono_ms
from cubbyhole.protocol import messages as m

CONTROLLER = "ctl_0123456789ab"
BANK, ECHO = "A", "E"
COLUMNS = ("M M M M M M", "M M M M M M")
COMMIT = b"commit"


class _Bank:
    """Bank A on its store: claims a live command, commits it, answers; no unlock frame, as there is no bus."""

    def __init__(self, folder: Path, link: BankLink) -> None:
        ids = itertools.count()

        def mint(prefix: str) -> str:
            return f"{prefix}_{next(ids):016x}" if prefix else f"{next(ids):032x}"

        settings = io.BankSettings(bank=BANK, label="Bench", area="", site="", columns=COLUMNS)
        store = BankStore(folder / "bank-A.db", BANK)
        core = BankCore(
            settings, store, keys.load_or_make(folder).journal, CONTROLLER, SystemClock(), mint, "0" * 32, "bench"
        )
        core.start(True)
        for _ in range(2):
            core.handle([io.Polled("bus/1", {n: Reading(False, None, None) for n in core.state.lockers}, mono_ms())])
        self._link = link
        self._open: list[io.Unlock] = []
        self._runner = BankRunner(core, self._on_effects, lambda error: sys.exit(repr(error)))
        self._runner.start()

    async def live(self, payload: bytes) -> bytes:
        """As the controller does it: claim, journal, answer."""
        command = m.decode(m.LiveCommand, payload)
        claim = m.encode(m.Claim(bank=BANK, command=command.command))
        reply = m.decode(m.ClaimReply, await self._link.request(BANK, "claim", claim, 1.0))
        assert reply.go, f"the bench's server lets every command go: {reply.why}"
        token: asyncio.Future[m.CommandAnswer] = asyncio.get_running_loop().create_future()
        self._runner.post(io.Claimed(command, token, mono_ms()))
        return m.encode(await token)

    async def rest(self, payload: bytes) -> bytes:
        """Settle what was opened, so that each door can be opened again; not part of what is measured."""
        for unlock in self._open:
            self._runner.post(io.PulseFailed(unlock.grant, unlock.locker, Outcome.NOT_SENT))
        self._open.clear()
        return payload

    def stop(self) -> None:
        self._runner.stop()

    def _on_effects(self, effects: list[io.Effect]) -> None:
        for effect in effects:
            if isinstance(effect, io.Unlock):
                self._open.append(effect)
            elif isinstance(effect, io.Answer):
                assert isinstance(effect.token, asyncio.Future)
                effect.token.set_result(effect.answer)


async def main(folder: Path, url: str, pem: str) -> None:
    link = BankLink(Enrolment(CONTROLLER, url, (BANK, ECHO), pem, keys.load_or_make(folder)))
    bank = _Bank(folder, link)
    commit = BareCommit(folder / "bare.db", 2 * LINE_BYTES)

    async def echo(payload: bytes) -> bytes:
        if payload.startswith(COMMIT):
            commit.once()
        return payload

    async def live(payload: bytes) -> bytes:
        return await (bank.live(payload) if payload else bank.rest(payload))

    link.on_live(BANK, live)
    link.on_live(ECHO, echo)
    await link.start()
    await asyncio.to_thread(sys.stdin.read)
    await link.stop()
    bank.stop()
    commit.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]).read_text()))
