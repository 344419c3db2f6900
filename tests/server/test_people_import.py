"""`cubbyhole import people.csv`: all of the file or nothing of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import func, select

from cubbyhole.domain import events as ev
from cubbyhole.domain.vocabulary import Mode
from cubbyhole.server.commands.standing import pull
from cubbyhole.server.keys import SealingKey
from cubbyhole.server.people import commands as people_commands
from cubbyhole.server.people.commands import PersonRefused
from cubbyhole.server.people.importing import Plan, carry_out, plan_import
from cubbyhole.server.people.queries import credentials_of
from cubbyhole.server.people.table import TableError, read_table
from cubbyhole.server.persistence.tables import credentials, directory_changes, memberships, people
from cubbyhole.server.persistence.unit import DIRECTORY, Store, UnitOfWork, counter_value
from tests.server.hand import HandBank

HEAD = "name,email,number,groups,badges,locker\n"


class Desk:
    """Imports texts into one database."""

    def __init__(self, store: Store, sealing: SealingKey) -> None:
        self.store, self.sealing = store, sealing

    def bring(self, text: str | bytes) -> Plan:
        """Import, and carry it out where nothing is wrong."""
        content = text.encode() if isinstance(text, str) else text
        with self.store.write() as work:
            plan = plan_import(work.connection, self.sealing, read_table(content), "op:test")
            if not plan.complaints:
                carry_out(work, self.sealing, plan, "op:test")
        return plan

    def wrong(self, text: str) -> list[str]:
        plan = self.bring(text)
        return [str(complaint) for complaint in plan.complaints]

    def count(self, table: str = "people") -> int:
        source = {"people": people, "credentials": credentials, "memberships": memberships}[table]
        with self.store.read() as connection:
            return connection.execute(select(func.count()).select_from(source)).scalar_one()

    def person(self, name: str) -> str:
        with self.store.read() as connection:
            return str(connection.execute(select(people.c.person).where(people.c.name == name)).scalar_one())

    def badges(self, name: str) -> list[str]:
        query = select(credentials.c.credential, credentials.c.sealed).where(credentials.c.person == self.person(name))
        with self.store.read() as connection:
            return sorted(self.sealing.open(*row).decode() for row in connection.execute(query))


@pytest.fixture
def desk(store: Store, sealing: SealingKey) -> Desk:
    return Desk(store, sealing)


@pytest.fixture
def bank(store: Store, sealing: SealingKey) -> HandBank:
    return HandBank(store, Ed25519PrivateKey.generate()).begin(sealing)


def test_people_groups_and_badges_in_every_spelling_come_in(desk: Desk) -> None:
    plan = desk.bring(
        HEAD + "Ada Okafor,ada@kestrel.example,E1,Design;Sales,04:A2:24:1B,\n"
        "Ben Carter,ben@kestrel.example,E2,Design,77734944,\n"
        "Cem Yıldız,,E3,,12:3456|uid:04a2241c,\n"
    )
    assert plan.summary() == {"added": 3, "changed": 0, "unchanged": 0, "badges": 4, "lockers": 0}
    assert desk.badges("Ada Okafor") == ["uid:04a2241b"]
    assert desk.badges("Ben Carter") == ["uid:04a22420"]
    assert desk.badges("Cem Yıldız") == ["uid:04a2241c", "w26:12:3456"]
    assert desk.count("memberships") == 3


def test_a_file_with_semicolons_a_byte_order_mark_and_windows_line_ends_is_read_as_well(desk: Desk) -> None:
    content = "\ufeffName;E-Mail;Badge\r\nAda Okafor;Ada@Kestrel.example;04:A2:24:1B\r\n".encode()
    assert desk.bring(content).added == 1
    assert desk.badges("Ada Okafor") == ["uid:04a2241b"]


def test_every_wrong_line_is_named_with_its_column_and_nothing_is_imported(desk: Desk) -> None:
    wrong = desk.wrong(
        HEAD + "Ada,ada@kestrel.example,E1,,04:A2:24:1B,\n"
        "Ben,no-address,E2,,,\n"
        ",cem@kestrel.example,E3,,,\n"
        "Dan,dan@kestrel.example,E4,,not a badge,\n"
        "Eve,,,,,\n"
        "Fay,fay@kestrel.example,E6\n"
        "Gus,gus@kestrel.example,E7,,,seven\n"
    )
    starts = [text.partition(": ")[0] for text in wrong]
    assert starts == ["line 3, email", "line 4, name", "line 5, badges", "line 6", "line 7", "line 8, locker"]
    assert desk.count() == 0 and desk.count("credentials") == 0


def test_a_line_behind_a_cell_with_line_breaks_is_named_by_where_it_begins(desk: Desk) -> None:
    wrong = desk.wrong('name,email\n"Ada\nOkafor",ada@kestrel.example\n\nBen,nobody\n')
    assert [text.partition(":")[0] for text in wrong] == ["line 5, email"]


def test_characters_that_cannot_be_printed_are_refused(desk: Desk) -> None:
    assert desk.wrong("name,email\nA\0da,ada@kestrel.example\n")[0].startswith("line 2, name")


@pytest.mark.parametrize(
    ("second", "column"),
    [
        ("Ben,ADA@kestrel.example,E2,,,", "email"),
        ("Ben,ben@kestrel.example,E1,,,", "number"),
        ("Ben,ben@kestrel.example,E2,,77734939,", "badges"),
    ],
)
def test_what_stands_twice_in_the_file_is_refused(desk: Desk, second: str, column: str) -> None:
    wrong = desk.wrong(HEAD + "Ada,ada@kestrel.example,E1,,04:A2:24:1B,\n" + second + "\n")
    assert len(wrong) == 1 and wrong[0].startswith(f"line 3, {column}: the same") and "line 2" in wrong[0]
    assert desk.count() == 0


def test_a_badge_of_somebody_else_is_refused_and_their_name_is_said(desk: Desk) -> None:
    desk.bring(HEAD + "Ada,ada@kestrel.example,E1,,04:A2:24:1B,\n")
    wrong = desk.wrong(HEAD + "Ben,ben@kestrel.example,E2,,04A2241B,\n")
    assert wrong == ["line 2, badges: the badge belongs to Ada already; take it from them first"]
    assert desk.count() == 1


def test_an_email_and_a_number_of_two_people_are_refused(desk: Desk) -> None:
    desk.bring(HEAD + "Ada,ada@kestrel.example,E1,,,\nBen,ben@kestrel.example,E2,,,\n")
    assert desk.wrong(HEAD + "Ada,ada@kestrel.example,E2,,,\n") == [
        "line 2: the e-mail is Ada's and the number is Ben's"
    ]


def test_two_lines_that_mean_one_person_are_refused(desk: Desk) -> None:
    desk.bring(HEAD + "Ada,ada@kestrel.example,E1,,,\n")
    wrong = desk.wrong(HEAD + "Ada,,E1,,,\nAda,ada@kestrel.example,,,,\n")
    assert len(wrong) == 1 and wrong[0].startswith("line 3") and "line 2" in wrong[0]


def test_the_same_file_twice_changes_nothing_and_no_bank_hears_of_it(desk: Desk) -> None:
    text = HEAD + "Ada,ada@kestrel.example,E1,Design,04:A2:24:1B,\n"
    desk.bring(text)
    with desk.store.read() as connection:
        before = connection.execute(select(func.count()).select_from(directory_changes)).scalar_one()
    plan = desk.bring(text)
    with desk.store.read() as connection:
        after = connection.execute(select(func.count()).select_from(directory_changes)).scalar_one()
    assert plan.summary() == {"added": 0, "changed": 0, "unchanged": 1, "badges": 0, "lockers": 0}
    assert before == after == 2


def test_a_new_name_is_a_change_and_columns_that_the_file_lacks_stay_as_they_are(desk: Desk) -> None:
    desk.bring(HEAD + "Ada,ada@kestrel.example,E1,Design,04:A2:24:1B,\n")
    plan = desk.bring("name,number\nAda Okafor,E1\n")
    assert (plan.changed, desk.count("memberships"), desk.badges("Ada Okafor")) == (1, 1, ["uid:04a2241b"])
    with desk.store.read() as connection:
        assert connection.execute(select(people.c.email)).scalar_one() == "ada@kestrel.example"


def test_whoever_was_shut_out_is_not_let_in_by_a_file(desk: Desk) -> None:
    desk.bring(HEAD + "Ada,ada@kestrel.example,E1,,,\n")
    with desk.store.write() as work:
        assert people_commands.set_active(work, "op:test", desk.person("Ada"), False)
    desk.bring(HEAD + "Ada,ada@kestrel.example,E1,Design,,\n")
    with desk.store.read() as connection:
        assert connection.execute(select(people.c.active)).scalar_one() is False


def test_a_locker_held_today_becomes_a_command_that_needs_this_directory(desk: Desk, bank: HandBank) -> None:
    plan = desk.bring(HEAD + "Ada,ada@kestrel.example,E1,,,A-02\n")
    assert len(plan.orders) == 1
    with desk.store.read() as connection:
        [command] = pull(connection, "A", 0).commands
        version = counter_value(connection, DIRECTORY)
    assert (command.kind, command.locker, command.person) == ("assign", "02", desk.person("Ada"))
    assert command.needs_directory == version > 0


def test_a_locker_is_asked_for_once_however_often_the_file_comes(desk: Desk, bank: HandBank) -> None:
    text = HEAD + "Ada,ada@kestrel.example,E1,,,A-02\n"
    assert [len(desk.bring(text).orders) for _ in range(2)] == [1, 0]
    person = desk.person("Ada")
    bank.write(
        ev.AssignmentStarted(
            assignment="a_1", locker="02", person=person, mode=Mode.PERMANENT, ends_ms=None, rule="operator"
        )
    )
    assert desk.bring(text).orders == []
    wrong = desk.wrong(HEAD + "Ben,ben@kestrel.example,E2,,,A-02\n")
    assert wrong == ["line 2, locker: locker A-02 is somebody else's already"]


def test_a_locker_that_is_not_there_is_refused(desk: Desk, bank: HandBank) -> None:
    wrong = desk.wrong(HEAD + "Ada,ada@kestrel.example,,,,A-77\nBen,ben@kestrel.example,,,,Z-01\n")
    assert wrong == [
        "line 2, locker: bank A has no locker 77; it has 01 to 08",
        "line 3, locker: there is no bank Z; there is A",
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "line 1 must name the columns"),
        (b"name,email,shoe\n", "unknown here: shoe"),
        (b"name,groups\nAda,Design\n", "neither email nor number"),
        ("name,email\nJörg,j@k.example\n".encode("latin-1"), "not UTF-8"),
        (b'name,email\n"Ada,a@k.example\n', "no CSV"),
    ],
)
def test_a_file_that_is_no_table_of_people_is_refused_as_a_whole(content: bytes, said: str) -> None:
    with pytest.raises(TableError, match=said):
        read_table(content)


def test_a_person_added_by_hand_gets_groups_and_badges_and_loses_them_again(desk: Desk) -> None:
    store = desk.store
    with store.write() as work:
        ada = people_commands.add_person(work, "op:test", name="Ada", email="Ada@kestrel.example", groups=["Design"])
        assert people_commands.give_badge(work, desk.sealing, "op:test", ada, "04:A2:24:1B")
        assert not people_commands.give_badge(work, desk.sealing, "op:test", ada, "77734939")
    with store.read() as connection:
        [badge] = credentials_of(connection, ada)
        version = counter_value(connection, DIRECTORY)
    with store.write() as work:
        assert people_commands.set_blocked(work, "op:test", badge["id"], True)
        assert not people_commands.set_blocked(work, "op:test", badge["id"], True)
    with store.read() as connection:
        assert credentials_of(connection, ada)[0]["blocked"] and counter_value(connection, DIRECTORY) > version
    with store.write() as work:
        assert people_commands.take_badge(work, "op:test", badge["id"])
        assert not people_commands.take_badge(work, "op:test", badge["id"])
        assert people_commands.set_groups(work, "op:test", ada, ["Sales"])
        ben = people_commands.add_person(work, "op:test", name="Ben", number="E2")
        assert people_commands.give_badge(work, desk.sealing, "op:test", ben, "04:A2:24:1B")
    with store.read() as connection:
        assert credentials_of(connection, ada) == [] and len(credentials_of(connection, ben)) == 1


def test_what_cannot_be_done_to_a_person_is_refused_with_a_word(desk: Desk) -> None:
    with desk.store.write() as work:
        ada = people_commands.add_person(work, "op:test", name="Ada", email="ada@kestrel.example")
        people_commands.give_badge(work, desk.sealing, "op:test", ada, "04:A2:24:1B")
        ben = people_commands.add_person(work, "op:test", name="Ben", number="E2")
    attempts: dict[str, Callable[[UnitOfWork], object]] = {
        "taken": lambda work: people_commands.give_badge(work, desk.sealing, "op:test", ben, "04A2241B"),
        "bad_badge": lambda work: people_commands.give_badge(work, desk.sealing, "op:test", ben, "badge"),
        "unknown_person": lambda work: people_commands.set_active(work, "op:test", "p_nobody", False),
        "unknown_credential": lambda work: people_commands.set_blocked(work, "op:test", "k_none", True),
        "no_identity": lambda work: people_commands.add_person(work, "op:test", name="Cem"),
        "bad_email": lambda work: people_commands.add_person(work, "op:test", name="Cem", email="cem"),
    }
    for word, attempt in attempts.items():
        with pytest.raises(PersonRefused) as refused, desk.store.write() as work:
            attempt(work)
        assert refused.value.word == word
    with pytest.raises(PersonRefused), desk.store.write() as work:
        people_commands.add_person(work, "op:test", name="Ada Two", email="ADA@kestrel.example")
