"""A directory that came in deltas is the directory that came whole, or it is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cubbyhole.domain.directory import (
    CredentialRow,
    Directory,
    DirectoryError,
    PersonRow,
    Row,
    content_hash,
    row_key,
)
from cubbyhole.domain.rules import Place, Rule
from cubbyhole.domain.vocabulary import Mode
from tests.domain.bank_in_hand import badge, directory_of, people, person, rule

names = st.sampled_from(["ada", "ben", "cleo", "x:y", "", "person:ada"])
rows = st.one_of(
    st.builds(person, names, active=st.booleans()),
    st.builds(badge, names, blocked=st.booleans()),
    st.builds(lambda n, most: rule(n, max_lockers=most), names, st.integers(0, 3)),
)
steps = st.lists(st.tuples(st.lists(rows, max_size=5), st.lists(rows.map(row_key), max_size=3)), max_size=8)


def snapshot(directory: Directory) -> tuple[object, ...]:
    return directory.version, directory.people, directory.credentials, directory.rules, directory.content_hash


@given(steps)
def test_deltas_lead_to_the_same_directory_as_all_of_it(changes: list[tuple[list[Row], list[str]]]) -> None:
    followed, truth = Directory(), dict[str, Row]()
    for version, (puts, deletes) in enumerate(changes, 1):
        for key in deletes:
            truth.pop(key, None)
        truth.update({row_key(r): r for r in puts})
        expected = content_hash(truth.values())
        followed.apply(version=version, rows=puts, deletes=deletes, expected_hash=expected, full=False)
        fresh = directory_of(truth.values(), version)
        assert snapshot(followed) == snapshot(fresh)
        assert {row_key(r): r for r in followed.rows()} == truth


@given(st.lists(rows, min_size=1, max_size=8, unique_by=row_key), st.data())
def test_a_lost_a_doubled_and_a_changed_row_are_noticed_and_nothing_is_taken(
    sent: list[Row], data: st.DataObject
) -> None:
    expected = content_hash(sent)
    at = data.draw(st.integers(0, len(sent) - 1))
    other = data.draw(rows)
    assert content_hash([*sent, sent[at]]) != expected
    directory = directory_of(people("dora"), version=7)
    before = snapshot(directory_of(people("dora"), version=7))
    lost: list[Row] = [r for i, r in enumerate(sent) if i != at]
    replaced: list[Row] = [*lost, other]
    for arrived in (lost, replaced):
        kept: dict[str, Row] = {row_key(r): r for r in arrived}
        if content_hash(kept.values()) == expected:
            continue  # it was the same row after all
        with pytest.raises(DirectoryError):
            directory.apply(version=8, rows=arrived, deletes=(), expected_hash=expected, full=True)
        assert snapshot(directory) == before


def test_a_delta_on_the_wrong_base_is_refused() -> None:
    base = people("ada")
    directory = Directory()
    with pytest.raises(DirectoryError, match="asking for all of it"):
        directory.apply(
            version=2, rows=people("ben"), deletes=(), expected_hash=content_hash([*base, *people("ben")]), full=False
        )
    assert directory.version == 0


def test_a_row_that_is_put_and_deleted_in_one_delta_is_there() -> None:
    directory = directory_of(people("ada"))
    changed = person("ada", active=False)
    left: list[Row] = [changed, badge("ada")]
    directory.apply(version=2, rows=[changed], deletes=["person:p_ada"], expected_hash=content_hash(left), full=False)
    assert directory.people["p_ada"] == changed


def test_what_the_rules_said_is_forgotten_when_they_change() -> None:
    directory = directory_of([rule("one", max_lockers=1)])
    place = Place("Kestrel", "Ground", "A", "01")
    assert directory.effective(place, ()).max_lockers == 1
    new = rule("one", max_lockers=3)
    directory.apply(version=2, rows=[new], deletes=(), expected_hash=content_hash([new]), full=False)
    assert directory.effective(place, ()).max_lockers == 3


def test_the_content_hash_of_a_known_directory_never_changes() -> None:
    """A third party computes it from the specification; a release that computed another would pull for ever."""
    known: list[Row] = [
        PersonRow(person="p_0123456789abcdef", name="Zoë", groups=("it",), active=True, commitment="ab" * 32),
        CredentialRow(digest="cd" * 32, credential="b_1", person="p_0123456789abcdef", kind="badge"),
        Rule(rule="day", title="Day", mode=Mode.DAY),
    ]
    assert content_hash(known) == KNOWN_HASH
    assert content_hash(reversed(known)) == KNOWN_HASH
    assert content_hash([]) == "0" * 64


KNOWN_HASH = "7a5ff3411328447b528aefa0bc26c99fdcfee8e98c6b21f1e4779770a25aebc1"
