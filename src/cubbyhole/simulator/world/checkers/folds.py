"""6: a snapshot with the events after it is the fresh fold of all events, on the bank and on the server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cubbyhole.domain.bank import BankState
from cubbyhole.protocol.journal import decode_line, encode_state
from cubbyhole.server.banks.receive import Accepted
from cubbyhole.simulator.world.banks import BankScene, World
from cubbyhole.simulator.world.server import BankRecord
from cubbyhole.simulator.world.witness import Checker, LineSeen

BANKS_MOST = 4
EVERY_COMMITS = 10


@dataclass(slots=True)
class _Shadow:
    """One continuous fold of an epoch's lines from nothing, never through a snapshot."""

    state: BankState
    folded: int = 0


class Folds(Checker):
    invariant = "6 snapshot and following events are the fresh snapshot"

    def __init__(self, world: World, scenes: Sequence[BankScene]) -> None:
        super().__init__(world.kernel)
        self._scenes = {s.bank: s for s in scenes[:BANKS_MOST]}
        self._raw: dict[tuple[str, str], list[bytes]] = {}
        self._shadows: dict[tuple[str, str, str], _Shadow] = {}
        self._commits = 0

    def lines(self) -> dict[str, Callable[[LineSeen], None]]:
        return {"*": self._keep, "boot.started": self._booted}

    def _keep(self, line: LineSeen) -> None:
        if line.bank in self._scenes:
            self._raw.setdefault((line.bank, line.epoch), []).append(line.raw)

    def fresh(self, whose: str, bank: str, epoch: str, upto: int) -> bytes:
        """The epoch's lines up to ``upto`` folded from nothing; each of ``whose`` questions may only go forward."""
        shadow = self._shadows.setdefault((whose, bank, epoch), _Shadow(BankState(bank=bank)))
        for raw in self._raw[bank, epoch][shadow.folded : upto]:
            line = decode_line(raw)
            shadow.folded += 1
            shadow.state.apply(line.event, shadow.folded, line.moment)
            shadow.state.epoch = line.epoch
        return encode_state(shadow.state)

    def _booted(self, line: LineSeen) -> None:
        """The core loaded its snapshot and what followed; it has just written its first lines onto that."""
        scene = self._scenes.get(line.bank)
        if scene is not None and line.seq > 1:
            self.kernel.after(0, self._compare_bank, scene)

    def _compare_bank(self, scene: BankScene) -> None:
        machine = scene.machine
        if not machine.alive or not self._raw.get((scene.bank, machine.core.epoch)):
            return
        state = machine.core.state
        if state.seq == len(self._raw[scene.bank, machine.core.epoch]):
            fresh = self.fresh("bank", scene.bank, machine.core.epoch, state.seq)
            self._same(f"bank {scene.bank}", fresh, encode_state(state))

    def committed(self, record: BankRecord, verdict: Accepted) -> None:
        self._commits += 1
        if record.bank in self._scenes and self._commits % EVERY_COMMITS == 0:
            self._compare_server(record)

    def _compare_server(self, record: BankRecord) -> None:
        if record.epoch and not record.stale:  # a server that lacks a newer release's words says so and waits
            fresh = self.fresh("server", record.bank, record.epoch, record.last_seq)
            self._same(f"the server's {record.bank}", fresh, record.encoded)

    def restored(self) -> None:
        self._shadows = {key: shadow for key, shadow in self._shadows.items() if key[0] != "server"}

    def _same(self, whose: str, fresh: bytes, kept: bytes) -> None:
        if fresh == kept:
            return
        pairs = enumerate(zip(fresh, kept, strict=False))
        at = next((i for i, (a, b) in pairs if a != b), min(len(fresh), len(kept)))
        around = slice(max(0, at - 80), at + 80)
        self.fail(f"{whose} is {kept[around]!r}, its events say {fresh[around]!r}")

    def finished(self) -> None:
        for scene in self._scenes.values():
            self._compare_bank(scene)
            self._compare_server(scene.record)
