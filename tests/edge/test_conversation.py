"""What a bank says to its server and when: the conversation alone, with its time and its carrier in the hand."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw
import pytest

from cubbyhole.edge import inputs as io
from cubbyhole.edge.conversation import Ask, Conversation, Verb
from cubbyhole.edge.reader import JournalReader
from cubbyhole.protocol import messages as m
from tests.edge.bank_bench import BankBench


@dataclass
class Hand:
    """A conversation whose requests are answered by hand."""

    bench: BankBench
    conversation: Conversation
    connected: bool = True
    asked: dict[Verb, Ask] = field(default_factory=dict)

    def due(self) -> list[Verb]:
        """What it sends now."""
        asks = self.conversation.due(self.connected)
        self.asked |= {ask.verb: ask for ask in asks}
        return [ask.verb for ask in asks]

    def answer(self, verb: Verb, reply: m.Message) -> list[io.Input]:
        return self.conversation.answered(self.asked[verb], m.encode(reply))

    def beat(self, *, directory: int = 0, standing: int = 0, acked: int = 0) -> list[io.Input]:
        reply = m.BeatReply(
            at=self.bench.clock.wall_ms(), directory=directory, standing=standing,
            acked_epoch=self.bench.core.epoch, acked=acked,
        )  # fmt: skip
        return self.answer(Verb.BEAT, reply)

    def fail(self, verb: Verb) -> list[io.Input]:
        return self.conversation.failed(self.asked[verb], "nobody there")


@pytest.fixture
def hand(tmp_path: Path) -> Any:
    bench = BankBench(tmp_path).ready()
    reader = JournalReader(bench.store.path)
    yield Hand(bench, Conversation(bench.core, reader, bench.clock, 0, chance=lambda: 0.5))
    reader.close()


def passes(hand: Hand, ms: int) -> None:
    hand.bench.clock.pass_ms(ms)


def test_it_begins_with_a_heartbeat_and_pulls_and_sends_what_the_reply_says_is_missing(hand: Hand) -> None:
    assert hand.due() == [Verb.BEAT]
    version = hand.bench.core.directory.version
    hand.beat(directory=version + 1, standing=1)
    assert set(hand.due()) == {Verb.EVENTS, Verb.SYNC, Verb.STANDING}


def test_a_lane_has_one_request_under_way(hand: Hand) -> None:
    hand.conversation.wake()
    assert Verb.EVENTS in hand.due()
    hand.conversation.wake()
    assert hand.due() == []
    assert hand.conversation.next_ms(True) is not None  # the next pull, in a minute


def test_what_the_server_has_is_not_sent_again_until_it_says_that_it_has_less(hand: Hand) -> None:
    seq, epoch = hand.bench.core.state.seq, hand.bench.core.epoch
    hand.due()
    hand.beat()
    hand.due()
    assert hand.answer(Verb.EVENTS, m.EventsReply(epoch=epoch, ack=seq)) == [io.Acked(epoch, seq)]
    hand.conversation.wake()
    assert hand.due() == []
    passes(hand, 1_000)
    assert hand.due() == [Verb.BEAT]
    hand.beat(acked=3)  # from before the batch: an answer that was overtaken
    assert hand.conversation.acked == seq
    passes(hand, 1_000)
    hand.due()
    hand.beat(acked=3)  # restored from an older backup
    assert hand.due() == [Verb.EVENTS]
    assert m.decode(m.Events, hand.asked[Verb.EVENTS].payload).first == 4


def test_a_batch_that_fails_is_sent_again_after_growing_pauses(hand: Hand) -> None:
    hand.conversation.wake()
    hand.due()
    pauses = []
    for _ in range(7):
        hand.fail(Verb.EVENTS)
        before, hand.asked = hand.bench.clock.mono, {}
        while Verb.EVENTS not in hand.due():
            if Verb.BEAT in hand.asked:
                hand.beat()
                del hand.asked[Verb.BEAT]
            passes(hand, 100)
        pauses.append(hand.bench.clock.mono - before)
    assert pauses == [200, 400, 800, 1_600, 3_200, 5_000, 5_000]


def test_a_connection_that_is_back_ends_every_pause(hand: Hand) -> None:
    hand.due()
    hand.beat(directory=hand.bench.core.directory.version + 1)
    hand.due()
    for _ in range(3):
        hand.fail(Verb.EVENTS)
        hand.fail(Verb.SYNC)
    assert hand.due() == []
    hand.conversation.reconnected()
    assert set(hand.due()) == {Verb.BEAT, Verb.EVENTS, Verb.SYNC}


def test_without_a_connection_only_heartbeats_are_tried_and_their_silence_is_told(hand: Hand) -> None:
    hand.connected = False
    hand.conversation.wake()
    told: list[io.Input] = []
    for _ in range(5):
        assert hand.due() == [Verb.BEAT]
        told += hand.fail(Verb.BEAT)
        passes(hand, 1_000)
    assert told and all(isinstance(item, io.ServerSilent) for item in told)


def test_a_directory_that_does_not_fit_is_asked_for_from_its_first_row(hand: Hand) -> None:
    hand.due()
    hand.conversation.resync()
    assert hand.due() == [Verb.SYNC]
    assert m.decode(m.SyncRequest, hand.asked[Verb.SYNC].payload).have == 0
    hand.fail(Verb.SYNC)
    passes(hand, 1_000)
    assert Verb.SYNC in hand.due()
    assert m.decode(m.SyncRequest, hand.asked[Verb.SYNC].payload).have == 0, "still from its first row"


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff" * 40, zlib.compress(b"[]"), b'{"v":99}'], ids=range(5))
@pytest.mark.parametrize("verb", list(Verb))
def test_a_reply_that_cannot_be_read_is_none(hand: Hand, verb: Verb, raw: bytes) -> None:
    ask = Ask(verb, b"", 1_000, hand.bench.clock.mono_ms())
    assert hand.conversation.answered(ask, raw) == []
    hand.conversation.nudged(raw)


def test_lines_that_the_disk_has_lost_are_owned_up_to_and_then_passed_over_with_the_proof(hand: Hand) -> None:
    bench, end = hand.bench, hand.bench.core.state.seq
    db = apsw.Connection(str(bench.store.path))
    db.execute("UPDATE line SET hash = zeroblob(32) WHERE seq = 2")
    db.close()
    hand.due()
    hand.beat()
    assert Verb.EVENTS not in hand.due(), "nothing can be sent"
    passes(hand, 1_000)
    hand.due()
    made = hand.beat()
    (gone,) = [item for item in made if isinstance(item, io.LinesGone)]
    bench.core.handle(made)
    (mark,) = bench.core.state.gaps
    assert (mark.first, mark.seq) == (gone.first, end + 1)
    hand.conversation.wake()
    assert Verb.EVENTS in hand.due()
    batch = m.decode(m.Events, hand.asked[Verb.EVENTS].payload)
    assert batch.first == mark.last + 1 and batch.gap is not None


def test_a_server_that_asks_for_the_same_again_is_not_answered_without_a_pause(hand: Hand) -> None:
    hand.due()
    hand.beat()
    hand.due()
    hand.answer(Verb.EVENTS, m.EventsReply(epoch=hand.bench.core.epoch, ack=0, need=1))
    assert Verb.EVENTS not in hand.due()
    passes(hand, 1_000)
    assert Verb.EVENTS in hand.due()
