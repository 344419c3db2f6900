"""What the core does with a disk that takes nothing more. tests/whole has the same with a real full disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cubbyhole.domain import events as ev
from cubbyhole.edge import inputs as io
from cubbyhole.edge.store import BankStore, DirectoryChange, StoreFull
from cubbyhole.protocol.journal import decode_line
from cubbyhole.protocol.messages import Head
from tests.edge.bank_bench import BankBench


class TightStore(BankStore):
    """The real store on a disk that somebody else has filled: only what the reserve gives up is left."""

    full = False
    room = 0

    def commit(
        self,
        epoch: str,
        first: int,
        lines: Sequence[tuple[bytes, bytes]],
        head: Head,
        change: DirectoryChange | None = None,
    ) -> None:
        if self.full and self.room <= 0:
            raise StoreFull("no room")
        self.room -= 1
        super().commit(epoch, first, lines, head, change)

    def keep_reserve(self) -> bool:
        return not self.full and super().keep_reserve()

    def give_up_reserve(self) -> None:
        self.room = 10
        super().give_up_reserve()


def bench_on_a_tight_disk(folder: Path) -> tuple[BankBench, TightStore]:
    bench = BankBench(folder)
    bench.store.close()
    store = TightStore(bench.path, "A")
    bench.boot(store)
    bench.ready()
    return bench, store


def written(store: BankStore) -> list[ev.Event | ev.UnknownEvent]:
    return [decode_line(raw).event for (raw,) in store._db.execute("SELECT bytes FROM line ORDER BY seq")]


def test_the_reserve_takes_denials_and_alarms_but_no_grant(tmp_path: Path) -> None:
    bench, store = bench_on_a_tight_disk(tmp_path)
    store.full = True
    for _ in range(3):
        assert not any(isinstance(effect, io.Unlock) for effect in bench.tap("ada"))
        bench.tick()
    bench.see()  # after a refusal every door is read anew
    bench.see(d05=True)
    events = written(store)
    assert not any(isinstance(event, ev.AccessGranted) for event in events)
    assert sum(isinstance(event, ev.TapDenied) and event.reason == "disk_full" for event in events) == 3
    assert any(isinstance(event, ev.DoorForced) for event in events)


def test_when_there_is_room_again_the_journal_says_what_it_lost_and_grants_go_on(tmp_path: Path) -> None:
    bench, store = bench_on_a_tight_disk(tmp_path)
    store.full = True
    for _ in range(2):
        bench.tap("ada")
        bench.tick()
    store.full = False
    bench.tick()
    (lost,) = [event for event in written(store) if isinstance(event, ev.JournalLost)]
    assert lost.denials == 2
    bench.open_with("ada")


def test_what_was_lost_is_still_said_when_saying_it_found_no_room(tmp_path: Path) -> None:
    bench, store = bench_on_a_tight_disk(tmp_path)
    store.full = True
    bench.tap("ada")
    store.full = False
    store.keep_reserve()
    store.full, store.room = True, 0
    store.keep_reserve = lambda: True  # type: ignore[method-assign]
    bench.tick()
    assert not any(isinstance(event, ev.JournalLost) for event in written(store))
    store.full = False
    bench.tick()
    (lost,) = [event for event in written(store) if isinstance(event, ev.JournalLost)]
    assert lost.denials == 1
