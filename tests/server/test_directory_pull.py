"""A bank pulls the directory: deltas, pages, losses and restores all end at the same rows."""

from __future__ import annotations

import base64
import random
import zlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select, update

from cubbyhole.domain.directory import Directory, DirectoryError, Row, content_hash
from cubbyhole.domain.rules import Rule
from cubbyhole.domain.vocabulary import Contents
from cubbyhole.protocol import messages as m
from cubbyhole.protocol.digest import credential_digest
from cubbyhole.server.directory import changes as changing
from cubbyhole.server.directory import sync
from cubbyhole.server.directory.changes import DirectoryChanges
from cubbyhole.server.directory.sync import DirectoryDesk, UnknownBank
from cubbyhole.server.keys import SealingKey
from cubbyhole.server.people.register import PersonDraft, add_badges, put_people, set_active, set_blocked
from cubbyhole.server.persistence.tables import credentials
from cubbyhole.server.persistence.unit import DIRECTORY, Store, counter_value
from tests.server.hand import HandBank


class Puller:
    """A bank's side of `sync`."""

    def __init__(self, desk: DirectoryDesk, bank: str = "A") -> None:
        self.desk, self.bank = desk, bank
        self.directory, self.key = Directory(), b""
        self.sizes: list[int] = []

    def ask(self) -> m.SyncReply:
        request = m.SyncRequest(bank=self.bank, have=self.directory.version, content_hash=self.directory.content_hash)
        raw = self.desk.answer(self.bank, request)
        return m.decode(m.SyncReply, zlib.decompress(raw))

    def take(self, reply: m.SyncReply) -> None:
        rows: list[Row] = [*reply.people, *reply.credentials, *reply.rules]
        self.sizes.append(len(rows) + len(reply.deletes))
        self.directory.apply(
            version=reply.upto, rows=rows, deletes=reply.deletes, expected_hash=reply.content_hash, full=reply.full
        )
        self.directory.calendar = reply.calendar

    def pull(self) -> Directory:
        for _ in range(200):
            reply = self.ask()
            try:
                self.take(reply)
            except DirectoryError:
                # As the bank does: ask for all of it.
                self.directory = Directory()
                continue
            if not reply.more:
                return self.directory
        raise AssertionError("the pull does not end")


class Office:
    """Changes people and badges."""

    def __init__(self, store: Store, sealing: SealingKey) -> None:
        self.store, self.sealing = store, sealing

    def hire(self, *names: str, badge: bool = True) -> None:
        with self.store.write() as work:
            changes = DirectoryChanges(work)
            put_people(work, changes, [PersonDraft(f"p_{n}", n, f"{n}@x.example", None, ("Design",)) for n in names])
            if badge:
                add_badges(work, changes, self.sealing, [(f"p_{n}", f"uid:{n.encode().hex():0>8}") for n in names])

    def rename(self, name: str, to: str) -> None:
        with self.store.write() as work:
            draft = PersonDraft(f"p_{name}", to, f"{name}@x.example", None, ("Sales",))
            put_people(work, DirectoryChanges(work), [draft])

    def dismiss(self, name: str) -> None:
        with self.store.write() as work:
            set_active(work, DirectoryChanges(work), f"p_{name}", False, "op:test")

    def badge_of(self, name: str) -> str:
        with self.store.read() as connection:
            query = select(credentials.c.credential).where(credentials.c.person == f"p_{name}")
            return str(connection.execute(query.where(credentials.c.removed_ms.is_(None))).scalars().first())

    def block(self, name: str, blocked: bool = True) -> None:
        badge = self.badge_of(name)
        with self.store.write() as work:
            set_blocked(work, DirectoryChanges(work), badge, blocked, "op:test")

    def take_badge(self, name: str) -> None:
        badge = self.badge_of(name)
        with self.store.write() as work:
            changes = DirectoryChanges(work)
            changes.before_credentials([badge])
            work.connection.execute(
                update(credentials).where(credentials.c.credential == badge).values(removed_ms=work.now_ms)
            )
            changes.after_credentials()

    def rule(self, name: str, most: int) -> None:
        with self.store.write() as work:
            made = Rule(rule=name, title=name, max_lockers=most, contents=Contents.CHECK)
            DirectoryChanges(work).put_rule(made)


@pytest.fixture
def office(store: Store, sealing: SealingKey) -> Office:
    for bank in ("A", "B"):
        HandBank(store, Ed25519PrivateKey.generate(), bank=bank).begin(sealing)
    made = Office(store, sealing)
    made.rule("default", 1)
    made.hire("ada", "mei", "sam")
    return made


@pytest.fixture
def desk(office: Office) -> DirectoryDesk:
    return DirectoryDesk(office.store, office.sealing)


def same_as_fresh(puller: Puller) -> bool:
    fresh = Puller(puller.desk, puller.bank)
    fresh.pull()
    mine = puller.directory
    return (mine.people, mine.credentials, mine.rules) == (
        fresh.directory.people,
        fresh.directory.credentials,
        fresh.directory.rules,
    )


def test_the_first_pull_brings_everything(desk: DirectoryDesk) -> None:
    found = Puller(desk).pull()
    assert {row.name for row in found.people.values()} == {"ada", "mei", "sam"}
    assert len(found.credentials) == 3
    assert list(found.rules) == ["default"]
    assert found.content_hash == content_hash(found.rows())


def test_one_banks_digests_say_nothing_at_another(desk: DirectoryDesk, office: Office) -> None:
    a, b = Puller(desk, "A"), Puller(desk, "B")
    assert not a.pull().credentials.keys() & b.pull().credentials.keys()
    key = base64.b64decode(a.ask().key)
    assert credential_digest(key, f"uid:{b'ada'.hex():0>8}") in a.directory.credentials


def test_a_change_costs_a_delta_of_its_size(desk: DirectoryDesk, office: Office) -> None:
    office.hire(*(f"n{i}" for i in range(40)))
    puller = Puller(desk)
    puller.pull()
    office.rename("mei", "Mei Tanaka")
    puller.pull()
    assert puller.sizes[-1] == 1
    assert puller.directory.people["p_mei"].name == "Mei Tanaka"
    assert puller.directory.people["p_mei"].groups == ("Sales",)
    puller.pull()
    assert puller.sizes[-1] == 0


def test_a_blocked_badge_and_a_dismissed_person_arrive(desk: DirectoryDesk, office: Office) -> None:
    puller = Puller(desk)
    puller.pull()
    office.block("ada")
    office.dismiss("sam")
    found = puller.pull()
    assert [row.person for row in found.credentials.values() if row.blocked] == ["p_ada"]
    assert not found.people["p_sam"].active


def test_a_badge_that_was_taken_away_is_deleted_at_the_bank(desk: DirectoryDesk, office: Office) -> None:
    puller = Puller(desk)
    puller.pull()
    office.take_badge("ada")
    found = puller.pull()
    assert "p_ada" not in {row.person for row in found.credentials.values()}
    assert puller.sizes[-1] == 1
    assert same_as_fresh(puller)


def test_a_reply_that_got_lost_is_made_up_for(desk: DirectoryDesk, office: Office) -> None:
    puller = Puller(desk)
    puller.pull()
    office.block("ada")
    puller.ask()  # answered, but never arrived
    office.rename("mei", "Mei Tanaka")
    puller.pull()
    assert puller.sizes[-1] == 2
    assert same_as_fresh(puller)


def test_a_bank_that_lost_a_row_gets_everything(desk: DirectoryDesk, office: Office) -> None:
    puller = Puller(desk)
    puller.pull()
    lost = puller.directory.people.pop("p_ada")
    puller.directory._sum -= 1
    assert puller.ask().full
    assert puller.pull().people["p_ada"] == lost


def test_a_bank_that_is_ahead_of_a_restored_server_gets_everything(desk: DirectoryDesk, office: Office) -> None:
    puller = Puller(desk)
    puller.pull()
    puller.directory.version += 100
    reply = puller.ask()
    assert reply.full
    assert not reply.more


def test_after_a_restart_the_server_still_answers_with_deltas(desk: DirectoryDesk, office: Office) -> None:
    puller = Puller(desk)
    puller.pull()
    office.block("mei")
    puller.desk = DirectoryDesk(office.store, office.sealing)
    puller.pull()
    assert puller.sizes[-1] == 1


def test_a_change_that_changes_nothing_makes_no_row(office: Office) -> None:
    puller = Puller(DirectoryDesk(office.store, office.sealing))
    puller.pull()
    with office.store.write() as work:
        draft = PersonDraft("p_ada", "ada", "ada@x.example", None, ("Design",))
        assert put_people(work, DirectoryChanges(work), [draft]) == 0
    puller.pull()
    assert puller.sizes[-1] == 0


def test_an_unknown_bank_gets_nothing(desk: DirectoryDesk) -> None:
    with pytest.raises(UnknownBank):
        desk.answer("Z", m.SyncRequest(bank="Z", have=0, content_hash=""))


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync, "ROWS_PER_PAGE", 10)
    monkeypatch.setattr(changing, "ROWS_PER_VERSION", 4)


@pytest.mark.usefixtures("small_pages")
def test_a_large_directory_comes_in_pages(desk: DirectoryDesk, office: Office) -> None:
    office.hire(*(f"n{i}" for i in range(30)))
    puller = Puller(desk)
    puller.pull()
    assert len(puller.sizes) > 4
    assert max(puller.sizes) <= 10
    assert len(puller.directory.people) == 33
    with office.store.read() as connection:
        assert puller.directory.version == counter_value(connection, DIRECTORY)


@pytest.mark.usefixtures("small_pages")
def test_a_change_between_two_pages_is_not_missed(desk: DirectoryDesk, office: Office) -> None:
    office.hire(*(f"n{i}" for i in range(30)))
    puller = Puller(desk)
    puller.take(puller.ask())
    puller.take(puller.ask())
    office.block("ada")
    office.take_badge("n1")
    puller.pull()
    assert same_as_fresh(puller)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.usefixtures("small_pages")
def test_random_changes_and_pulls_end_at_the_same_rows(desk: DirectoryDesk, office: Office, seed: int) -> None:
    chance = random.Random(seed)
    pullers = [Puller(desk, "A"), Puller(desk, "B")]
    names = ["ada", "mei", "sam"]
    with_badge = set(names)
    for step in range(40):
        match chance.randrange(7):
            case 0:
                fresh = [f"r{step}x{i}" for i in range(chance.randrange(1, 9))]
                office.hire(*fresh)
                names += fresh
                with_badge.update(fresh)
            case 1:
                office.rename(chance.choice(names), f"Name {step}")
            case 2 if with_badge:
                office.block(chance.choice(sorted(with_badge)), chance.random() < 0.7)
            case 3 if len(with_badge) > 1:
                gone = chance.choice(sorted(with_badge))
                office.take_badge(gone)
                with_badge.discard(gone)
            case 4:
                office.rule(chance.choice(["default", "x", "y"]), chance.randrange(1, 4))
            case 5:
                chance.choice(pullers).ask()
            case _:
                chance.choice(pullers).pull()
    for puller in pullers:
        puller.pull()
        assert same_as_fresh(puller)
