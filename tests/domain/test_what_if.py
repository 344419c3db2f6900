"""What a change of the rules would do, before anybody saves it."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cubbyhole.domain import events as ev
from cubbyhole.domain.directory import Directory, PersonRow
from cubbyhole.domain.rules import DEFAULT, Rule, ScopeKind
from cubbyhole.domain.vocabulary import Mode, Occupancy
from cubbyhole.domain.what_if import WhatIf, what_if
from tests.domain.bank_in_hand import DAY_MS, MIDNIGHTS, NOON_MS, BankInHand, directory_of, person

STAFF = [person("ada", "board"), person("ben"), person("cleo", "it"), person("dan", active=False)]
NOTHING = WhatIf(shortened=(), loses=(), gains=(), over=())
KEEPS = Rule(rule="default", title="Keep what you have", mode=Mode.PERMANENT, max_lockers=3)


def with_rules(*rules: Rule) -> Directory:
    return directory_of([*STAFF, *rules])


def furnished() -> BankInHand:
    """Ada holds 01 for good, Ben 02 for a term that began a fortnight ago, Cleo 03 until tonight."""
    bank = BankInHand(rows=[*STAFF])
    for number, name, mode, ends_ms in (
        ("01", "ada", Mode.PERMANENT, None),
        ("02", "ben", Mode.TERM, MIDNIGHTS[15]),
        ("03", "cleo", Mode.DAY, MIDNIGHTS[0]),
    ):
        bank.fold(
            ev.AssignmentStarted(
                assignment=f"a_{number}", locker=number, person=f"p_{name}", mode=mode, ends_ms=ends_ms, rule="operator"
            )
        )
    held = bank.state.lockers["02"].assignment
    assert held is not None
    bank.state.lockers["02"].assignment = replace(held, since_ms=NOON_MS - 14 * DAY_MS)
    bank.state.lockers["01"].occupancy = Occupancy.OCCUPIED
    return bank


def change(before: Directory, after: Directory) -> WhatIf:
    return what_if([furnished().state], before, after, NOON_MS)


def test_nothing_changes_where_the_rules_do_not() -> None:
    assert change(with_rules(KEEPS), with_rules(KEEPS)) == NOTHING


def test_days_instead_of_permanent_lockers_end_tonight_and_say_what_is_inside() -> None:
    days = replace(KEEPS, mode=Mode.DAY, longest=Mode.DAY)
    found = change(with_rules(KEEPS), with_rules(days)).shortened
    assert [(s.locker, s.would_end_ms, s.rule) for s in found] == [
        ("01", MIDNIGHTS[0], "default"),
        ("02", MIDNIGHTS[0], "default"),
    ]
    assert found[0].occupancy is Occupancy.OCCUPIED
    assert found[0].person == "p_ada"


def test_a_shorter_term_counts_the_days_that_have_passed_but_ends_tonight_at_the_earliest() -> None:
    (twenty,) = change(with_rules(KEEPS), with_rules(replace(KEEPS, term_days=20))).shortened
    assert twenty.would_end_ms == NOON_MS + 6 * DAY_MS
    (five,) = change(with_rules(KEEPS), with_rules(replace(KEEPS, term_days=5))).shortened
    assert five.would_end_ms == MIDNIGHTS[0]


def test_who_may_not_use_the_bank_any_more_is_named_and_their_locker_ends_tonight() -> None:
    only_it = Rule(rule="it", title="For IT", scope=ScopeKind.BANK, scope_value="A", only_groups=("it",))
    found = change(with_rules(KEEPS), with_rules(KEEPS, only_it))
    assert found.loses == (("p_ada", "A"), ("p_ben", "A"))
    assert [(s.locker, s.rule) for s in found.shortened] == [("01", "it"), ("02", "it")]
    back = change(with_rules(KEEPS, only_it), with_rules(KEEPS))
    assert (back.gains, back.shortened) == (found.loses, ())


def test_who_holds_more_than_allowed_is_said_and_keeps_it() -> None:
    bank = furnished()
    bank.fold(
        ev.AssignmentStarted(
            assignment="a_04", locker="04", person="p_ben", mode=Mode.DAY, ends_ms=MIDNIGHTS[0], rule="operator"
        )
    )
    found = what_if([bank.state], with_rules(KEEPS), with_rules(replace(KEEPS, max_lockers=1)), NOON_MS)
    assert found.over == (("p_ben", "A"),)
    assert found.shortened == ()


def test_it_changes_nothing_itself() -> None:
    bank = furnished()
    before = repr(bank.state)
    what_if([bank.state], with_rules(KEEPS), with_rules(replace(KEEPS, longest=Mode.DAY)), NOON_MS)
    assert repr(bank.state) == before


groups = st.lists(st.sampled_from(("it", "desk", "board")), unique=True).map(tuple)
scopes = st.sampled_from(
    [
        (ScopeKind.EVERYWHERE, ""),
        (ScopeKind.BANK, "A"),
        (ScopeKind.BANK, "B"),
        (ScopeKind.LOCKER, "A-01"),
        (ScopeKind.LOCKER, "A-03"),
        (ScopeKind.AREA, "Ground"),
    ]
)


@st.composite
def some_rules(draw: st.DrawFn) -> list[Rule]:
    found = []
    for name in draw(st.lists(st.sampled_from("abcd"), unique=True)):
        scope, value = draw(scopes)
        found.append(
            Rule(
                rule=name, title="", scope=scope, scope_value=value, groups=draw(groups),
                only_groups=draw(st.none() | groups),
            )
        )  # fmt: skip
    return found


@given(some_rules(), some_rules(), st.lists(groups, max_size=5))
def test_who_loses_and_who_gains_is_what_asking_at_every_door_finds(
    old: list[Rule], new: list[Rule], belong: list[tuple[str, ...]]
) -> None:
    staff = [PersonRow(person=f"p_{i}", name="", groups=g, active=True, commitment="") for i, g in enumerate(belong)]
    before, after = directory_of([*staff, DEFAULT, *old]), directory_of([*staff, DEFAULT, *new])
    bank = BankInHand().state

    def can(directory: Directory, row: PersonRow) -> bool:
        return any(directory.effective(bank.place(n), row.groups).allowed for n in bank.lockers)

    found = what_if([bank], before, after, NOON_MS)
    assert found.loses == tuple((row.person, "A") for row in staff if can(before, row) and not can(after, row))
    assert found.gains == tuple((row.person, "A") for row in staff if can(after, row) and not can(before, row))
