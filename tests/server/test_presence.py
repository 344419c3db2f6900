"""Which banks are there, and who has something to pull."""

from __future__ import annotations

from dataclasses import dataclass, field

from cubbyhole.protocol import messages as m
from cubbyhole.server.banks.presence import LAG_ALARM_AFTER_S, Heartbeats, Standing

EPOCH = "e" * 32


@dataclass
class Wall:
    """Two banks of two controllers, and a clock in the hand."""

    now_s: float = 1000.0
    news: list[tuple[str, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.hearts = Heartbeats(lambda: self.now_s, lambda: int(self.now_s * 1000), self.heard)
        self.learn()

    def heard(self, bank: str, online: bool) -> None:
        self.news.append((bank, online))

    def learn(self, directory: int = 5, standing: int = 2, quarantined: bool = False) -> None:
        known = {bank: Standing(f"ctl_{bank}", EPOCH, 7, quarantined, standing, 900_000) for bank in ("A", "B")}
        self.hearts.learn(directory, known)

    def beat(self, bank: str = "A", directory: int = 5, standing: int = 2) -> m.BeatReply | None:
        return self.hearts.beat(
            m.Beat(
                bank=bank, epoch=EPOCH, seq=9, directory=directory, standing=standing, at=0, mono=0, boot="b", sync=True
            )
        )  # fmt: skip

    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        self.hearts.sweep()


def test_a_bank_is_gone_two_and_a_half_seconds_after_its_last_heartbeat() -> None:
    wall = Wall()
    wall.beat()
    wall.wait(2.4)
    assert wall.hearts.seen("A").online
    wall.wait(0.2)
    assert not wall.hearts.seen("A").online
    assert wall.hearts.seen("A").offline_since_ms == 1_000_000
    assert wall.news == [("A", True), ("A", False)]


def test_a_closed_connection_is_believed_at_once_and_a_heartbeat_brings_the_bank_back() -> None:
    wall = Wall()
    wall.beat("A")
    wall.beat("B")
    wall.hearts.disconnected("ctl_A")
    assert (wall.hearts.seen("A").online, wall.hearts.seen("B").online) == (False, True)
    wall.beat("A")
    assert wall.hearts.seen("A").online


def test_before_the_first_heartbeat_a_bank_is_away_since_it_was_last_seen() -> None:
    seen = Wall().hearts.seen("A")
    assert (seen.online, seen.offline_since_ms) == (False, 900_000)


def test_a_heartbeat_is_answered_with_what_there_is_to_pull() -> None:
    reply = Wall().beat()
    assert reply is not None
    assert (reply.directory, reply.standing, reply.acked_epoch, reply.acked) == (5, 2, EPOCH, 7)


def test_a_bank_in_quarantine_is_not_told_to_send_again() -> None:
    wall = Wall()
    wall.learn(quarantined=True)
    reply = wall.beat()
    assert reply is not None
    assert reply.acked_epoch is None


def test_an_unknown_bank_is_nobody() -> None:
    assert Wall().beat("Z") is None


def test_who_is_behind_is_nudged_until_a_heartbeat_shows_the_version() -> None:
    wall = Wall()
    wall.beat("A")
    wall.beat("B", directory=4)
    wall.learn(directory=5)
    assert [bank for bank, _ in wall.hearts.behind()] == ["B"]
    wall.learn(directory=5, standing=3)
    assert {bank: nudge.standing for bank, nudge in wall.hearts.behind()} == {"A": 3, "B": 3}
    wall.beat("A", 5, 3)
    wall.beat("B", 5, 3)
    assert wall.hearts.behind() == []


def test_an_offline_bank_is_not_nudged() -> None:
    wall = Wall()
    wall.beat("A", directory=1)
    wall.wait(3)
    assert wall.hearts.behind() == []


def test_a_bank_that_stays_behind_although_it_is_there_is_an_alarm() -> None:
    wall = Wall()
    wall.beat("A", directory=4)
    wall.hearts.behind()
    for _ in range(int(LAG_ALARM_AFTER_S) + 1):
        wall.now_s += 1
        wall.beat("A", directory=4)
        wall.hearts.behind()
    assert not wall.hearts.seen("A").lagging
    assert list(wall.hearts.lagging()) == [("A", True)]
    assert wall.hearts.seen("A").lagging
    assert wall.news[-1] == ("A", True)  # pages that show it hear of it
    assert list(wall.hearts.lagging()) == []
    wall.beat("A", directory=5)
    wall.hearts.behind()
    assert list(wall.hearts.lagging()) == [("A", False)]


def test_banks_that_are_ahead_of_a_restored_database_are_noticed() -> None:
    wall = Wall()
    wall.beat("A", directory=9, standing=6)
    assert wall.hearts.ahead() == (9, {"A": 6})
    wall.learn(directory=10, standing=6)
    assert wall.hearts.ahead() == (0, {})


def test_a_bank_whose_row_is_gone_is_forgotten() -> None:
    wall = Wall()
    wall.beat("A")
    wall.hearts.learn(5, {})
    assert not wall.hearts.knows("A")
    assert not wall.hearts.seen("A").online
