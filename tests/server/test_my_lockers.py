"""What somebody has and could get, as the server sees it, on both databases."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cubbyhole.domain import events as ev
from cubbyhole.domain.choosing import Why, Wish
from cubbyhole.domain.rules import DEFAULT, Rule, ScopeKind
from cubbyhole.domain.vocabulary import Door, Mode, Purpose, Reason
from cubbyhole.server.directory.changes import DirectoryChanges
from cubbyhole.server.keys import SealingKey
from cubbyhole.server.mine.queries import Offers, Persons
from cubbyhole.server.people.register import PersonDraft, put_people
from cubbyhole.server.persistence.unit import Store
from tests.server.hand import NOON_MS, HandBank, HandClock

HOUR_MS = 3_600_000


@pytest.fixture
def banks(store: Store, sealing: SealingKey) -> dict[str, HandBank]:
    """Two banks with all doors shut; Ada, and Ben of the press group, have nothing yet."""
    with store.write() as work:
        changes = DirectoryChanges(work)
        changes.put_rule(DEFAULT)
        drafts = [
            PersonDraft("p_ada", "Ada Lovelace", "ada@example.org", None, ()),
            PersonDraft("p_ben", "Ben Ali", "ben@example.org", None, ("press",)),
        ]
        put_people(work, changes, drafts)
    made = {name: HandBank(store, Ed25519PrivateKey.generate(), name).begin(sealing) for name in ("A", "B")}
    for bank in made.values():
        bank.write(*[ev.DoorSeen(locker=f"{n:02d}", door=Door.CLOSED) for n in range(1, 9)])
    return made


def give(bank: HandBank, number: str, person: str, ends_ms: int | None = NOON_MS + 10 * HOUR_MS) -> str:
    name = f"a_{bank.bank}{number}"
    bank.write(
        ev.AssignmentStarted(
            assignment=name, locker=number, person=person, mode=Mode.DAY, ends_ms=ends_ms, rule="default"
        )
    )
    return name


def offers(store: Store, person: str, wish: Wish | None = None, **more: object) -> Offers:
    with store.read() as connection:
        return Persons(connection, person, store.now_ms()).offers(wish or Wish(), **more)  # type: ignore[arg-type]


def rule(store: Store, name: str, **said: object) -> None:
    with store.write() as work:
        DirectoryChanges(work).put_rule(Rule(rule=name, title=name, **said))  # type: ignore[arg-type]


def test_what_somebody_has_comes_before_what_is_shared_with_them(store: Store, banks: dict[str, HandBank]) -> None:
    adas, bens = give(banks["A"], "02", "p_ada"), give(banks["B"], "03", "p_ben")
    banks["B"].write(ev.AssignmentShared(assignment=bens, locker="03", share="s_1", person="p_ada"))
    until_ms = NOON_MS + HOUR_MS
    banks["A"].write(ev.AssignmentShared(assignment=adas, locker="02", share="s_2", group="press", until_ms=until_ms))
    with store.read() as connection:
        mine = Persons(connection, "p_ada", store.now_ms()).lockers()
        theirs = Persons(connection, "p_ben", store.now_ms()).lockers()
    assert [(m.bank, m.number, m.holder) for m in mine] == [("A", "02", None), ("B", "03", "Ben Ali")]
    assert [(x.share, x.group) for x in mine[0].shares] == [("s_2", "press")]
    assert mine[1].shares == (), "whom else it is shared with is the holder's business"
    assert [(m.bank, m.number, m.holder) for m in theirs] == [("B", "03", None), ("A", "02", "Ada Lovelace")]


def test_a_share_whose_time_is_over_or_that_ended_shows_nothing(
    store: Store, banks: dict[str, HandBank], clock: HandClock
) -> None:
    adas = give(banks["A"], "02", "p_ada")
    banks["A"].write(
        ev.AssignmentShared(assignment=adas, locker="02", share="s_1", person="p_ben"),
        ev.AssignmentShared(assignment=adas, locker="02", share="s_2", group="press", until_ms=NOON_MS + HOUR_MS),
    )
    banks["A"].write(ev.ShareEnded(assignment=adas, locker="02", share="s_1", person="p_ben", cause="withdrawn"))
    clock.pass_ms(HOUR_MS)
    with store.read() as connection:
        assert Persons(connection, "p_ben", store.now_ms()).lockers() == []


def test_whether_it_can_be_renewed_is_said_with_the_reason(store: Store, banks: dict[str, HandBank]) -> None:
    rule(store, "none", groups=("press",), renewals=0)
    give(banks["A"], "02", "p_ada")
    give(banks["A"], "03", "p_ben")
    with store.read() as connection:
        (adas,) = Persons(connection, "p_ada", store.now_ms()).lockers()
        (bens,) = Persons(connection, "p_ben", store.now_ms()).lockers()
    assert (adas.renewable, bens.renewable) == (None, Reason.NO_RENEWALS_LEFT)


def test_the_best_locker_is_offered_with_why(store: Store, banks: dict[str, HandBank]) -> None:
    found = offers(store, "p_ada", Wish(size="L"))
    best = found.found[0]
    assert best.choice.candidate.size == "L"
    assert Why.SPARES_SCARCE in best.choice.why, "the one that charges stays free for who needs it"
    assert offers(store, "p_ada", Wish(features=frozenset({"charging"}))).found[0].choice.why == (Why.WANTED,)


def test_only_what_the_rules_give_is_offered_and_else_the_reason(store: Store, banks: dict[str, HandBank]) -> None:
    rule(store, "post", scope=ScopeKind.BANK, scope_value="A", purpose=Purpose.PARCEL)
    assert {o.bank for o in offers(store, "p_ada").found} == {"B"}
    rule(store, "press", scope=ScopeKind.BANK, scope_value="B", only_groups=("press",))
    nothing = offers(store, "p_ada")
    assert nothing.found == ()
    assert set(nothing.reasons) == {(Reason.OTHER_PURPOSE, "post"), (Reason.NOT_ENTITLED, "press")}
    assert {o.bank for o in offers(store, "p_ben").found} == {"B"}


def test_what_somebody_has_at_another_bank_counts(store: Store, banks: dict[str, HandBank], clock: HandClock) -> None:
    give(banks["A"], "02", "p_ada")
    assert offers(store, "p_ada").reasons == ((Reason.LIMIT_REACHED, "default"),)
    assert offers(store, "p_ada", only=["A"], moving=True).found != ()
    clock.pass_ms(10 * HOUR_MS)
    assert offers(store, "p_ada").found != (), "what is over does not count, whoever has said so yet"


def test_nobody_of_the_directory_is_offered_anything(store: Store, banks: dict[str, HandBank]) -> None:
    assert offers(store, "p_nobody") == Offers((), (), 0)
