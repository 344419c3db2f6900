"""A disk that has lost lines: the bank says so under its own signature and goes on; nothing else is believed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from cubbyhole.domain import events as ev
from cubbyhole.domain.bank import BankState
from cubbyhole.edge import inputs as io
from cubbyhole.edge.reader import JournalReader, Stretch, next_stretch
from cubbyhole.edge.store import BankStore, StoreBroken
from cubbyhole.protocol import journal
from cubbyhole.protocol import messages as m
from cubbyhole.protocol.journal import decode_state, encode_state
from cubbyhole.protocol.signing import public_text
from cubbyhole.server.banks.receive import Accepted, Known, judge
from tests.edge.bank_bench import BankBench


class Server:
    """What a server commits of a bank's journal, judged as the real one does."""

    def __init__(self, bench: BankBench) -> None:
        self.bench, self.seq, self.hash, self.epoch = bench, 0, b"", ""
        self.state = encode_state(BankState(bank="A"))
        self.hashes: dict[int, bytes] = {}
        self.lines: dict[int, bytes] = {}
        self.holes: list[tuple[int, int]] = []
        self.promised: dict[int, bytes] = {}

    def pull(self, most: int = 1_000) -> None:
        """Take batches from the bank until it has none."""
        reader = JournalReader(self.bench.path)
        try:
            for _ in range(most):
                core = self.bench.core
                found = next_stretch(reader, core.epoch, self.seq, core.state.gaps)
                match found:
                    case None:
                        return
                    case io.LinesGone():
                        core.handle([found])
                    case Stretch():
                        self.take(found)
        finally:
            reader.close()

    def take(self, found: Stretch) -> None:
        epoch, bench = self.bench.core.epoch, self.bench
        batch = m.Events(
            bank="A", epoch=epoch, first=found.first, lines=found.lines, heads=found.heads, gap=found.gap
        )  # fmt: skip
        batch = m.decode(m.Events, m.encode(batch))
        known = Known(
            bank="A", controller="ctl_test", journal_key=public_text(bench.key), epoch=self.epoch, last_seq=self.seq,
            last_hash=self.hash, state=self.state, promised=self.promised,
        )  # fmt: skip
        verdict = judge(known, batch)
        assert isinstance(verdict, Accepted), verdict
        if verdict.hole is not None:
            self.holes.append((verdict.hole.first, verdict.hole.last))
            self.promised[verdict.hole.gap.seq] = verdict.hole.gap.line_hash
        for new in verdict.lines:
            self.lines[new.line.seq], self.hashes[new.line.seq] = new.raw, new.hash
        self.epoch, self.seq, self.hash = epoch, verdict.lines[-1].line.seq, verdict.lines[-1].hash
        self.state = encode_state(verdict.state)

    def restored_to(self, seq: int, state: bytes) -> None:
        """Its database is that of an earlier day."""
        self.seq, self.hash, self.state = seq, self.hashes[seq], state
        self.lines = {at: raw for at, raw in self.lines.items() if at <= seq}
        self.promised = {}

    def sees_the_bank(self) -> bool:
        return self.state == encode_state(self.bench.core.state)


def on_disk(bench: BankBench, statement: str, *values: object) -> None:
    db = apsw.Connection(str(bench.path))
    db.set_busy_timeout(2_000)
    db.execute(statement, values)
    db.close()


def bytes_changed(bench: BankBench, first: int, last: int) -> None:
    on_disk(bench, "UPDATE line SET bytes = replace(bytes, '\"', '!') WHERE seq BETWEEN ? AND ?", first, last)
    on_disk(bench, "UPDATE line SET bytes = CAST(bytes AS BLOB) WHERE seq BETWEEN ? AND ?", first, last)


def rows_away(bench: BankBench, first: int, last: int) -> None:
    on_disk(bench, "DELETE FROM line WHERE seq BETWEEN ? AND ?", first, last)


def hashes_changed(bench: BankBench, first: int, last: int) -> None:
    on_disk(bench, "UPDATE line SET hash = zeroblob(32) WHERE seq BETWEEN ? AND ?", first, last)


@pytest.fixture
def bench(tmp_path: Path) -> BankBench:
    """A bank at which something happens, in one commit after the other."""
    bench = BankBench(tmp_path).ready()
    for locker, name in (("01", "ada"), ("02", "ben"), ("03", "cleo")):
        use(bench, name, locker)
    return bench


def use(bench: BankBench, name: str, locker: str) -> None:
    """Somebody opens their locker and shuts it."""
    bench.clock.pass_ms(20_000)
    bench.open_with(name, locker)
    bench.see(**{f"d{locker}": False})


@pytest.mark.parametrize("damage", [bytes_changed, rows_away, hashes_changed])
def test_damaged_lines_are_owned_up_to_and_everything_else_arrives(
    bench: BankBench, damage: Callable[[BankBench, int, int], None]
) -> None:
    damage(bench, 14, 16)
    server = Server(bench)
    server.pull()
    assert server.sees_the_bank()
    [(first, last)] = server.holes
    assert first <= 14 and last >= 16 and last - first < 12, "a commit or two are gone, no more"
    (mark,) = bench.core.state.gaps
    assert (mark.first, mark.last) == (first, last)
    assert set(server.lines) == set(range(1, bench.core.state.seq + 1)) - set(range(first, last + 1))
    use(bench, "ada", "01")
    server.pull()
    assert server.sees_the_bank() and server.holes == [(first, last)]


def test_a_server_restored_to_a_day_whose_lines_were_dropped_since(bench: BankBench) -> None:
    server = Server(bench)
    server.pull()
    day, then = server.seq, server.state
    use(bench, "ada", "01")
    server.pull()
    bench.store.snapshot(bench.core.state)
    bench.store.trim(bench.core.epoch, server.seq)
    use(bench, "ben", "02")
    server.restored_to(day, then)
    dropped = max(server.hashes) - 1
    server.pull()
    assert server.holes == [(day + 1, dropped)], "the last one that was dropped has its hash kept: nothing more is gone"
    assert server.sees_the_bank()
    gap = bench.core.state.gaps[-1]
    assert (gap.first, gap.last) == (day + 1, dropped)


def test_nothing_is_gone_as_long_as_the_disk_has_it(bench: BankBench) -> None:
    server = Server(bench)
    server.pull()
    assert (server.holes, bench.core.state.gaps) == ([], ())
    reader = JournalReader(bench.path)
    assert reader.gone(bench.core.epoch, 1, 0) is None
    assert reader.gone(bench.core.epoch, server.seq + 1, 0) is None, "what is not written yet is not gone"
    reader.close()


def test_the_same_loss_is_written_once_however_often_it_is_noticed(bench: BankBench) -> None:
    server = Server(bench)
    bytes_changed(bench, 14, 14)
    server.pull(1)
    reader = JournalReader(bench.path)
    gone = next_stretch(reader, bench.core.epoch, server.seq, bench.core.state.gaps)
    assert isinstance(gone, io.LinesGone) and gone.first <= 14 == gone.last
    for _ in range(3):
        bench.core.handle([gone, gone])
    reader.close()
    assert len(bench.core.state.gaps) == 1
    server.pull()
    assert server.sees_the_bank()


def test_the_line_that_owns_up_may_be_lost_too(bench: BankBench) -> None:
    server = Server(bench)
    bytes_changed(bench, 14, 14)
    server.pull(3)
    (mark,) = bench.core.state.gaps
    use(bench, "ada", "01")
    rows_away(bench, mark.seq, mark.seq)
    server = Server(bench)
    server.pull()
    assert server.sees_the_bank() and len(bench.core.state.gaps) >= 2


def test_a_bank_that_lost_its_newest_lines_while_it_runs_starts_again_from_behind_the_hole(bench: BankBench) -> None:
    end = bench.core.state.seq
    rows_away(bench, end - 4, end - 2)
    with pytest.raises(StoreBroken, match="is missing"):
        BankStore(bench.path, "A").load()
    server = Server(bench)
    server.pull()
    bench.boot()
    server.pull()
    assert server.sees_the_bank() and server.holes


def test_a_line_that_was_changed_is_not_started_from(bench: BankBench) -> None:
    bytes_changed(bench, 9, 9)
    with pytest.raises(StoreBroken, match=r"line 9 is damaged.*audit import"):
        bench.boot()


def test_a_journal_of_a_newer_release_is_not_gone_on_with_by_an_older_one(bench: BankBench) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(journal._event_decoders, ev.AccessGranted.TYPE)
        with pytest.raises(StoreBroken, match="newer release"):
            bench.boot()
    bench.boot()


def test_a_page_that_cannot_be_read_is_a_hole_and_no_crash(tmp_path: Path) -> None:
    bench = BankBench(tmp_path).ready()
    for _ in range(60):
        use(bench, "ada", "01")
    bench.store.snapshot(bench.core.state)
    end = bench.core.state.seq
    on_disk(bench, "PRAGMA wal_checkpoint(TRUNCATE)")
    db = apsw.Connection(str(bench.path))
    page = db.execute(
        "SELECT pageno FROM dbstat WHERE name='line' AND pagetype='leaf' ORDER BY pageno LIMIT 1 OFFSET 4"
    )
    number = page.fetchone()
    size = db.execute("PRAGMA page_size").fetchone()
    db.close()
    assert number is not None and size is not None
    bench.store.close()
    with bench.path.open("r+b") as file:
        file.seek((number[0] - 1) * size[0])
        file.write(b"\xff" * size[0])
    bench.boot()
    assert bench.core.state.seq > end
    server = Server(bench)
    server.pull()
    assert server.holes and server.sees_the_bank()


def test_the_state_that_a_gap_tells_is_the_banks_own(bench: BankBench) -> None:
    before = decode_state(encode_state(bench.core.state))
    bytes_changed(bench, 14, 14)
    Server(bench).pull()
    after = bench.core.state
    for name in ("lockers", "removed", "answered", "directory_version", "standing", "columns", "contact_lost_ms"):
        assert getattr(after, name) == getattr(before, name), name
    assert before.bound and not after.bound, "who is who may have been in the lines that are gone: said anew"
    use(bench, "ada", "01")
    assert set(after.bound) == {"p_ada"}
