"""Layered rules against a slow, plain restatement of what they should say."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cubbyhole.domain.rules import DEFAULT, Effective, Place, Rule, ScopeKind, effective
from cubbyhole.domain.vocabulary import Contents, Mode

PLACES = [Place(s, a, b, n) for s in "xy" for a in "pq" for b in ("A", "B") for n in ("01", "02")]
GROUPS = ("it", "desk", "board")
SETTINGS = ("mode", "max_lockers", "contents", "remote_open", "give_offline_h", "open_offline_h")

groups = st.frozensets(st.sampled_from(GROUPS))
scopes = st.one_of(
    st.just((ScopeKind.EVERYWHERE, "")),
    st.tuples(st.just(ScopeKind.SITE), st.sampled_from("xy")),
    st.tuples(st.just(ScopeKind.AREA), st.sampled_from("pq")),
    st.tuples(st.just(ScopeKind.BANK), st.sampled_from("AB")),
    st.tuples(st.just(ScopeKind.LOCKER), st.sampled_from(("A-01", "B-02"))),
)


@st.composite
def one_rule(draw: st.DrawFn) -> Rule:
    scope, value = draw(scopes)
    return Rule(
        rule=draw(st.sampled_from("abcdefgh")),
        title="",
        scope=scope,
        scope_value=value,
        groups=tuple(draw(groups)),
        only_groups=draw(st.none() | groups.map(tuple)),
        mode=draw(st.none() | st.sampled_from(Mode)),
        max_lockers=draw(st.none() | st.integers(0, 4)),
        contents=draw(st.none() | st.sampled_from(Contents)),
        remote_open=draw(st.none() | st.booleans()),
        give_offline_h=draw(st.none() | st.integers(0, 100)),
        open_offline_h=draw(st.none() | st.integers(0, 1000)),
    )


rule_sets = st.lists(one_rule(), max_size=6, unique_by=lambda r: r.rule)
places = st.sampled_from(PLACES)

# How wide each value is, the narrowest first, written down a second time on purpose.
WIDTH: dict[str, list[object]] = {
    "mode": [Mode.HOURS, Mode.DAY, Mode.TERM, Mode.PERMANENT],
    "contents": [Contents.CHECK, Contents.RETRIEVE, Contents.RELEASE],
    "remote_open": [False, True],
    "max_lockers": list(range(10)),
    "give_offline_h": list(range(200)),
    "open_offline_h": list(range(2000)),
}


def plainly(rules: list[Rule], place: Place, mine: frozenset[str]) -> dict[str, object]:
    """What holds, by going through every possible value from the narrowest up."""
    layers = []
    for r in rules:
        here = {
            "everywhere": "",
            "site": place.site,
            "area": place.area,
            "bank": place.bank,
            "locker": place.bank + "-" + place.locker,
        }[r.scope.value]
        if here == r.scope_value and (r.groups == () or any(g in mine for g in r.groups)):
            layers.append(r)
    said: dict[str, object] = {"allowed": True}
    for r in layers:
        if r.only_groups is not None and all(g not in mine for g in r.only_groups):
            said["allowed"] = False
    for name in SETTINGS:
        values = [getattr(r, name) for r in layers if getattr(r, name) is not None]
        said[name] = next((w for w in WIDTH[name] if w in values), getattr(DEFAULT, name))
    return said


@given(rule_sets, places, groups)
def test_the_rules_say_what_the_plain_restatement_says(rules: list[Rule], place: Place, mine: frozenset[str]) -> None:
    found = effective(rules, place, mine)
    assert {name: getattr(found, name) for name in ("allowed", *SETTINGS)} == plainly(rules, place, mine)


@given(rule_sets, places, groups, st.randoms())
def test_the_order_of_the_rules_changes_nothing_not_even_who_is_named(
    rules: list[Rule], place: Place, mine: frozenset[str], random: object
) -> None:
    shuffled = list(rules)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert effective(shuffled, place, mine) == effective(rules, place, mine)


@given(rule_sets, one_rule(), places, groups)
def test_another_rule_never_widens_what_a_rule_had_said(
    rules: list[Rule], more: Rule, place: Place, mine: frozenset[str]
) -> None:
    """Only a setting on which no rule has spoken yet can become wider than the default."""
    before = effective(rules, place, mine)
    after = effective([*rules, replace(more, rule="zz")], place, mine)
    assert before.allowed or not after.allowed
    by = {"mode": "mode_by", "contents": "contents_by", "remote_open": "remote_by", "max_lockers": "max_by"}
    for name, said_by in by.items():
        if getattr(before, said_by) != DEFAULT.rule:
            assert WIDTH[name].index(getattr(after, name)) <= WIDTH[name].index(getattr(before, name))


@given(rule_sets, places, groups)
def test_the_rule_that_is_named_is_one_that_says_so(rules: list[Rule], place: Place, mine: frozenset[str]) -> None:
    found = effective(rules, place, mine)
    named = {r.rule: r for r in (*rules, DEFAULT)}
    assert named[found.mode_by].mode is found.mode
    assert named[found.max_by].max_lockers == found.max_lockers
    assert named[found.contents_by].contents is found.contents
    assert named[found.remote_by].remote_open is found.remote_open
    if not found.allowed:
        assert not mine.intersection(named[found.allowed_by].only_groups or ())


def test_without_rules_the_default_holds() -> None:
    assert effective([], PLACES[0], frozenset()) == Effective(
        allowed=True, allowed_by="default", mode=Mode.DAY, mode_by="default", max_lockers=1, max_by="default",
        contents=Contents.RETRIEVE, contents_by="default", remote_open=True, remote_by="default", give_offline_h=72,
        open_offline_h=720,
    )  # fmt: skip
