"""Roles are given by an owner, at places, with a reason; the last owner stays; a changed address brings no role."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select, update
from typer.testing import CliRunner

from cubbyhole.cli.account import account
from cubbyhole.server.auth import accounts, sessions
from cubbyhole.server.auth.appointments import RoleRefused, appoint, appointments, find, parse_place, remove
from cubbyhole.server.auth.places import all_within, banks_within, known_places, places_of
from cubbyhole.server.auth.roles import PLACED, RIGHTS, Act, Caller, Place, Role, acts_of, may
from cubbyhole.server.auth.sessions import Way
from cubbyhole.server.keys import SealingKey
from cubbyhole.server.people.commands import add_person, set_active
from cubbyhole.server.persistence import tables as t
from cubbyhole.server.persistence.unit import Store
from tests.server.hand import HandBank

WHY = "Runs the front desk from Monday"
HOUSE, BARN = Place("Kestrel House"), Place("Barn")


@pytest.fixture
def banks(store: Store, sealing: SealingKey) -> None:
    """A and C on two floors of one site, B on another site."""
    key = Ed25519PrivateKey.generate()
    for bank, site, area in (("A", HOUSE.site, "Ground floor"), ("B", BARN.site, "Loft"), ("C", HOUSE.site, "Roof")):
        HandBank(store, key, bank).begin(sealing)
        with store.write() as work:
            work.connection.execute(update(t.banks).where(t.banks.c.bank == bank).values(site=site, area=area))


def owner(store: Store, name: str = "owner") -> str:
    with store.write() as work:
        return accounts.make(work, name, "Olga", Role.OWNER, "op:test").account


def person(store: Store, name: str = "Ada Okafor", email: str = "ada@kestrel.example") -> str:
    with store.write() as work:
        return add_person(work, "op:test", name=name, email=email)


def give(store: Store, who: str, role: Role, *places: Place, why: str = WHY) -> accounts.Account:
    with store.write() as work:
        return appoint(work, who, role, places, why, "op:owner")


def refused(store: Store, who: str, role: Role, *places: Place, why: str = WHY) -> str:
    with pytest.raises(RoleRefused) as error:
        give(store, who, role, *places, why=why)
    return error.value.word


def records(store: Store, act: str) -> list[dict[str, Any]]:
    with store.read() as connection:
        found = connection.execute(select(t.server_audit.c.detail).where(t.server_audit.c.act == act)).scalars()
        return [json.loads(detail) for detail in found]


def test_the_table_gives_every_role_its_own_account_and_only_owners_the_roles() -> None:
    assert set(RIGHTS) == set(Role)
    for role, acts in RIGHTS.items():
        assert acts >= RIGHTS[Role.PERSON]
        assert (Act.ACCOUNTS in acts) is (role is Role.OWNER)
    assert RIGHTS[Role.RECEPTION] < RIGHTS[Role.AREA_MANAGER] < RIGHTS[Role.MANAGER] < RIGHTS[Role.OWNER]
    changing = {Act.OPERATE, Act.ASSIGN, Act.PEOPLE, Act.RULES, Act.MANAGE, Act.SYSTEM, Act.REPORTS}
    assert not RIGHTS[Role.AUDITOR] & changing
    assert not RIGHTS[Role.IT] & {Act.SEE, Act.OPERATE, Act.PEOPLE_SEE, Act.AUDIT}


def test_a_placed_role_holds_at_its_places_and_ones_own_locker_everywhere() -> None:
    here = Caller("op:x", "X", role=Role.RECEPTION, places=frozenset({Place("Kestrel House", "Roof")}))
    assert may(here, Act.OPERATE) and may(here, Act.OPERATE, Place("Kestrel House", "Roof"))
    for elsewhere in (Place("Kestrel House", "Cellar"), Place("Barn", "Roof"), Place("Kestrel House")):
        assert not may(here, Act.OPERATE, elsewhere) and may(here, Act.OWN_OPEN, elsewhere)
    nowhere = Caller("op:x", "X", role=Role.AREA_MANAGER, places=frozenset())
    assert acts_of(nowhere) == {act.value for act in RIGHTS[Role.PERSON]}


def test_somebody_of_the_directory_gets_a_role_under_their_pseudonym(store: Store, banks: None) -> None:
    pseudonym = person(store)
    given = give(store, "Ada@Kestrel.example", Role.RECEPTION, HOUSE)
    assert (given.account, given.person, given.role) == (pseudonym, pseudonym, Role.RECEPTION)
    with store.read() as connection:
        assert places_of(connection, pseudonym) == {HOUSE}
        assert find(connection, "ada@kestrel.example") == find(connection, pseudonym)
        [listed] = appointments(connection, staff_only=True)
    assert (listed.name, listed.address, listed.places, listed.rests) == (
        "Ada Okafor", "ada@kestrel.example", (HOUSE,), False,
    )  # fmt: skip
    [record] = records(store, "account.role")
    assert (record["before"], record["after"], record["reason"]) == ("person", "reception", WHY)


def test_somebody_from_outside_is_named_by_an_address(store: Store) -> None:
    assert give(store, "audit@firm.example", Role.AUDITOR).account == "audit@firm.example"
    assert refused(store, "nobody", Role.AUDITOR) == "unknown_account"


def test_places_are_needed_known_and_only_for_roles_that_are_bound_to_some(store: Store, banks: None) -> None:
    person(store)
    for role in Role:
        assert refused(store, "ada@kestrel.example", role, *(() if role in PLACED else (HOUSE,))) == (
            "places_needed" if role in PLACED else "no_places"
        )
    assert refused(store, "ada@kestrel.example", Role.RECEPTION, Place("Moon")) == "unknown_place"
    assert refused(store, "ada@kestrel.example", Role.RECEPTION, HOUSE, why=" ") == "reason_needed"
    with store.read() as connection:
        assert HOUSE in known_places(connection) and parse_place("Barn / Loft") in known_places(connection)


def test_a_change_of_role_ends_the_sessions_and_the_places_of_before(store: Store, banks: None) -> None:
    person(store)
    given = give(store, "ada@kestrel.example", Role.AREA_MANAGER, HOUSE, BARN)
    with store.write() as work:
        token = sessions.begin(work, given, Way.CODE)
    with store.read() as connection:
        found = sessions.find(connection, token, store.now_ms())
    assert found is not None and found.caller.places == frozenset({HOUSE, BARN})
    give(store, "ada@kestrel.example", Role.RECEPTION, BARN)
    with store.read() as connection:
        assert sessions.find(connection, token, store.now_ms()) is None
        assert places_of(connection, given.account) == {BARN}


def test_a_caller_of_one_place_reaches_its_banks_and_no_others(store: Store, banks: None) -> None:
    def at(*places: Place) -> Caller:
        return Caller("op:x", "X", role=Role.RECEPTION, places=frozenset(places))

    with store.read() as connection:
        assert banks_within(connection, at(HOUSE)) == ["A", "C"]
        assert banks_within(connection, at(Place("Kestrel House", "Roof"), BARN)) == ["B", "C"]
        assert banks_within(connection, Caller("op:x", "X", role=Role.OWNER)) is None
        assert all_within(connection, at(HOUSE), ["A", "C"])
        assert not all_within(connection, at(HOUSE), ["A", "B"]) and not all_within(connection, at(HOUSE), ["Z"])


def test_the_last_owner_is_neither_removed_nor_made_anything_else(store: Store) -> None:
    owner(store)
    assert refused(store, "owner", Role.PERSON) == "last_owner"
    with pytest.raises(RoleRefused), store.write() as work:
        remove(work, "owner", WHY, "op:owner")
    pseudonym = person(store)
    give(store, "ada@kestrel.example", Role.OWNER)
    with store.write() as work:
        set_active(work, "op:test", pseudonym, False)
    assert refused(store, "owner", Role.PERSON) == "last_owner"  # whoever has left cannot come
    with store.write() as work:
        set_active(work, "op:test", pseudonym, True)
    give(store, "owner", Role.PERSON)
    assert refused(store, "ada@kestrel.example", Role.IT) == "last_owner"


def test_a_removed_account_leaves_nothing_and_its_person_may_come_again(store: Store, banks: None) -> None:
    pseudonym = person(store)
    given = give(store, "ada@kestrel.example", Role.RECEPTION, HOUSE)
    with store.write() as work:
        token = sessions.begin(work, given, Way.CODE)
    with store.write() as work:
        assert remove(work, "ada@kestrel.example", WHY, "op:owner") == pseudonym
    with store.read() as connection:
        assert sessions.find(connection, token, store.now_ms()) is None
        assert connection.execute(select(t.account_places)).all() == []
        reached = accounts.reached_at(connection, "ada@kestrel.example")
    assert reached is not None and reached.account is None and reached.person == pseudonym


def test_an_address_that_the_directory_changed_does_not_lead_to_the_role(store: Store) -> None:
    pseudonym = person(store)
    give(store, "ada@kestrel.example", Role.MANAGER)
    with store.write() as work:
        work.connection.execute(update(t.people).where(t.people.c.person == pseudonym).values(email="eve@evil.example"))
    with store.read() as connection:
        assert accounts.reached_at(connection, "eve@evil.example") is None
        assert accounts.reached_at(connection, "ada@kestrel.example") is None
        assert [one.rests for one in appointments(connection)] == [True]
    give(store, "eve@evil.example", Role.MANAGER)
    with store.read() as connection:
        reached = accounts.reached_at(connection, "eve@evil.example")
    assert reached is not None and reached.account is not None and reached.account.role is Role.MANAGER


def test_an_account_that_was_named_by_an_address_becomes_the_persons_when_they_come(store: Store) -> None:
    give(store, "ada@kestrel.example", Role.IT)
    pseudonym = person(store)
    with store.write() as work:
        reached = accounts.reached_at(work.connection, "ada@kestrel.example")
        assert reached is not None
        account = accounts.come_in(work, reached, "ada@kestrel.example")
    assert (account.account, account.person, account.role) == ("ada@kestrel.example", pseudonym, Role.IT)
    with store.read() as connection:
        again = accounts.reached_at(connection, "ada@kestrel.example")
    assert again is not None and again.account == account


def test_whoever_has_left_has_no_session_any_more(store: Store) -> None:
    pseudonym = person(store)
    given = give(store, "ada@kestrel.example", Role.AUDITOR)
    with store.write() as work:
        token = sessions.begin(work, given, Way.CODE)
        set_active(work, "op:test", pseudonym, False)
    with store.read() as connection:
        assert sessions.find(connection, token, store.now_ms()) is None
        assert accounts.reached_at(connection, "ada@kestrel.example") is None
        assert accounts.find_who_may_come(connection, given.account) is None


def test_the_command_line_gives_roles_and_says_what_is_wrong(store: Store, database_url: str) -> None:
    def run(*words: str) -> tuple[int, Any]:
        done = CliRunner().invoke(account, [*words, "--json", "--database-url", database_url])
        return done.exit_code, json.loads(done.stdout)

    owner(store)
    pseudonym = person(store)
    said = {"account": pseudonym, "name": "Ada Okafor", "role": "auditor", "places": []}
    assert run("role", "ada@kestrel.example", "auditor", "--reason", WHY) == (0, said)
    code, listed = run("list", "--staff")
    assert code == 0 and [(one["address"], one["role"]) for one in listed] == [
        (None, "owner"), ("ada@kestrel.example", "auditor"),
    ]  # fmt: skip
    code, wrong = run("role", "ada@kestrel.example", "king", "--reason", WHY)
    assert code == 1 and "area_manager" in wrong["error"]
    assert run("remove", "owner", "--reason", WHY)[0] == 1
    assert run("remove", "ada@kestrel.example", "--reason", WHY) == (0, {"removed": pseudonym})
