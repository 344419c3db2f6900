"""7: a revoked credential opens nothing at a bank with fresh contact two seconds after the server's commit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from cubbyhole.domain.directory import CredentialRow, Row
from cubbyhole.simulator.world.banks import BankScene, World
from cubbyhole.simulator.world.witness import Checker, LineSeen

WITHIN_MS = 2_000


class Revocation(Checker):
    invariant = "7 revocation reaches every bank with contact within two seconds"

    def __init__(self, world: World, scenes: Sequence[BankScene]) -> None:
        super().__init__(world.kernel)
        self._witness, self._scenes = world.witness, scenes
        self._revoked: dict[tuple[str, str], tuple[int, int]] = {}
        self._applied: dict[str, int] = {}
        self._latest: dict[str, int] = {}

    def directory(self, bank: str, version: int, rows: Iterable[Row]) -> None:
        self._latest[bank] = version
        for row in rows:
            if isinstance(row, CredentialRow) and row.blocked:
                self._revoked[bank, row.credential] = (version, self.kernel.now_ms)
                self.kernel.after(WITHIN_MS + 1, self._must_know, bank, version, self.kernel.now_ms)

    def lines(self) -> dict[str, Callable[[LineSeen], None]]:
        return {"access.granted": self._granted, "directory.applied": self._took, "epoch.started": self._forgot}

    def _took(self, line: LineSeen) -> None:
        self._applied[line.bank] = line.fields["version"]

    def _forgot(self, line: LineSeen) -> None:
        self._applied[line.bank] = 0

    def _must_know(self, bank: str, version: int, committed_ms: int) -> None:
        contact = self._witness.contact[bank]
        if contact.healthy_since_ms is None or contact.healthy_since_ms > committed_ms - 5_000:
            return
        if self._applied.get(bank, 0) < version:
            self.fail(f"{bank} has contact and does not know of directory {version} after two seconds")

    def _granted(self, line: LineSeen) -> None:
        found = self._revoked.get((line.bank, line.fields["credential"] or ""))
        if found is None:
            return
        version, committed_ms = found
        if self._applied.get(line.bank, 0) >= version:
            self.fail(f"{line.bank} granted {line.fields['credential']}, whose revocation it had taken over")
        since = self._witness.contact[line.bank].healthy_since_ms
        if since is not None and since <= committed_ms - 5_000 and line.true_ms > committed_ms + WITHIN_MS:
            self.fail(
                f"{line.bank} granted {line.fields['credential']} {line.true_ms - committed_ms} ms after it was revoked"
            )

    def finished(self) -> None:
        for scene in self._scenes:
            if self._applied.get(scene.bank, 0) != self._latest[scene.bank]:
                self.fail(
                    f"{scene.bank} stayed at directory {self._applied.get(scene.bank, 0)} of {self._latest[scene.bank]}"
                )
