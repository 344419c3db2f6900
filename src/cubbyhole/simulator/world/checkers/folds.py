"""6: a snapshot with the events after it is the fresh fold of all events, on the bank and on the server."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cubbyhole.domain.bank import BankState
from cubbyhole.protocol.journal import decode_line, encode_state
from cubbyhole.server.banks.receive import Accepted
from cubbyhole.simulator.world.banks import BankScene, World
from cubbyhole.simulator.world.office import BankRecord
from cubbyhole.simulator.world.witness import Checker, LineSeen

BANKS_MOST = 6
EVERY_COMMITS = 40


class Folds(Checker):
    invariant = "6 snapshot and following events are the fresh snapshot"

    def __init__(self, world: World, scenes: Sequence[BankScene]) -> None:
        super().__init__(world.kernel)
        self._scenes = {s.bank: s for s in scenes[:BANKS_MOST]}
        self._raw: dict[str, list[bytes]] = {bank: [] for bank in self._scenes}
        self._commits = 0

    def lines(self) -> dict[str, Callable[[LineSeen], None]]:
        return {"*": self._keep, "boot.started": self._booted}

    def _keep(self, line: LineSeen) -> None:
        kept = self._raw.get(line.bank)
        if kept is not None:
            if line.seq == 1:
                kept.clear()
            kept.append(line.raw)

    def fresh(self, bank: str, upto: int) -> bytes:
        """All lines of the current epoch up to ``upto``, folded from nothing."""
        state = BankState(bank=bank)
        for seq, raw in enumerate(self._raw[bank][:upto], 1):
            line = decode_line(raw)
            state.apply(line.event, seq, line.moment)
            state.epoch = line.epoch
        return encode_state(state)

    def _booted(self, line: LineSeen) -> None:
        """The core loaded its snapshot and what followed; it has just written its first lines onto that."""
        scene = self._scenes.get(line.bank)
        if scene is not None and line.seq > 1:
            self.kernel.after(0, self._compare_bank, scene)

    def _compare_bank(self, scene: BankScene) -> None:
        machine = scene.machine
        if machine.alive and not machine._busy and machine.core.state.seq == len(self._raw[scene.bank]):
            self._same(f"bank {scene.bank}", self.fresh(scene.bank, machine.core.state.seq), encode_state(machine.core.state))

    def committed(self, record: BankRecord, verdict: Accepted) -> None:
        self._commits += 1
        if record.bank in self._raw and self._commits % EVERY_COMMITS == 0:
            self._compare_server(record)

    def _compare_server(self, record: BankRecord) -> None:
        self._same(f"the server's {record.bank}", self.fresh(record.bank, record.last_seq), record.encoded)

    def _same(self, whose: str, fresh: bytes, kept: bytes) -> None:
        if fresh != kept:
            at = next((i for i, (a, b) in enumerate(zip(fresh, kept, strict=False)) if a != b), min(len(fresh), len(kept)))
            self.fail(f"{whose} is {kept[max(0, at - 80) : at + 80]!r}, its events say {fresh[max(0, at - 80) : at + 80]!r}")

    def finished(self) -> None:
        for scene in self._scenes.values():
            self._compare_bank(scene)
            if scene.record.quarantined_under is None and scene.record.epoch == scene.machine.core.epoch:
                self._compare_server(scene.record)
