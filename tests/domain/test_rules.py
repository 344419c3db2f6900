"""Layered rules against a slow, plain restatement of what they should say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cubbyhole.domain.opening import Window
from cubbyhole.domain.rules import DEFAULT, Place, Rule, ScopeKind, effective
from cubbyhole.domain.vocabulary import Contents, Mode, Purpose

PLACES = [Place(s, a, b, n) for s in "xy" for a in "pq" for b in ("A", "B") for n in ("01", "02")]
GROUPS = ("it", "desk", "board")
NUMBERS = ("hours", "term_days", "renewals", "max_lockers", "grace_min", "hold_min", "give_offline_h", "open_offline_h")
SETTINGS = ("contents", "remote_open", "sharing", "second_factor", "self_enrol", *NUMBERS)
SIZES = ("S", "M", "L", "XL")

groups = st.frozensets(st.sampled_from(GROUPS))
scopes = st.one_of(
    st.just((ScopeKind.EVERYWHERE, "")),
    st.tuples(st.just(ScopeKind.SITE), st.sampled_from("xy")),
    st.tuples(st.just(ScopeKind.AREA), st.sampled_from("pq")),
    st.tuples(st.just(ScopeKind.BANK), st.sampled_from("AB")),
    st.tuples(st.just(ScopeKind.LOCKER), st.sampled_from(("A-01", "B-02"))),
    st.tuples(st.just(ScopeKind.PURPOSE), st.sampled_from(("personal", "team", "parcel"))),
)
windows = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 1000), st.integers(1001, 1440)), max_size=2)


@st.composite
def one_rule(draw: st.DrawFn, base: bool = True) -> Rule:
    scope, value = draw(scopes)
    names = [*"abcdefgh", *(["default"] if base else [])]
    return Rule(
        rule=draw(st.sampled_from(names)),
        title="",
        scope=scope,
        scope_value=value,
        groups=tuple(draw(groups)),
        only_groups=draw(st.none() | groups.map(tuple)),
        mode=draw(st.none() | st.sampled_from(Mode)),
        longest=draw(st.none() | st.sampled_from(Mode)),
        sizes=draw(st.none() | st.lists(st.sampled_from(SIZES), unique=True).map(tuple)),
        opening=draw(st.none() | windows.map(lambda found: tuple(Window(*w) for w in found))),
        contents=draw(st.none() | st.sampled_from(Contents)),
        remote_open=draw(st.none() | st.booleans()),
        sharing=draw(st.none() | st.booleans()),
        second_factor=draw(st.none() | st.booleans()),
        self_enrol=draw(st.none() | st.booleans()),
        purpose=draw(st.none() | st.sampled_from(Purpose)),
        **{name: draw(st.none() | st.integers(0, 50)) for name in NUMBERS},
    )


rule_sets = st.lists(one_rule(), max_size=6, unique_by=lambda r: r.rule)
places = st.sampled_from(PLACES)

# How wide each value is, the narrowest first, written down a second time on purpose.
WIDTH: dict[str, list[Any]] = {
    "mode": [Mode.HOURS, Mode.DAY, Mode.TERM, Mode.PERMANENT],
    "contents": [Contents.CHECK, Contents.RETRIEVE, Contents.RELEASE],
    "remote_open": [False, True],
    "sharing": [False, True],
    "second_factor": [True, False],
    "self_enrol": [False, True],
    **{name: list(range(2000)) for name in NUMBERS},
}
FALL_BACK: dict[str, Any] = {
    "contents": Contents.RETRIEVE, "remote_open": True, "sharing": True, "second_factor": False, "self_enrol": False,
    "hours": 4, "term_days": 30, "renewals": 3, "max_lockers": 1, "grace_min": 2, "hold_min": 15, "give_offline_h": 72,
    "open_offline_h": 720, "mode": Mode.DAY,
}  # fmt: skip


def plainly(rules: list[Rule], place: Place, mine: frozenset[str]) -> dict[str, object]:
    """What holds, by going through every possible value from the narrowest up."""
    here = {
        "everywhere": "", "site": place.site, "area": place.area, "bank": place.bank,
        "locker": place.bank + "-" + place.locker,
    }  # fmt: skip
    base, others = None, []
    for r in rules:
        if r.rule == "default":
            base = r
        else:
            others.append(r)

    purpose, nearness = base.purpose if base else None, -1
    for r in sorted(others, key=lambda r: r.rule):
        level = ["everywhere", "site", "area", "purpose", "bank", "locker"].index(r.scope.value)
        if r.purpose and r.groups == () and here.get(r.scope.value) == r.scope_value and level > nearness:
            purpose, nearness = r.purpose, level

    is_for = {**here, "purpose": (purpose or Purpose.PERSONAL).value}
    layers = [r for r in others if is_for[r.scope.value] == r.scope_value]
    layers = [r for r in layers if r.groups == () or any(g in mine for g in r.groups)]
    said: dict[str, object] = {"allowed": True, "purpose": purpose or Purpose.PERSONAL}
    for r in [*layers, *([base] if base else [])]:
        if r.only_groups is not None and all(g not in mine for g in r.only_groups):
            said["allowed"] = False

    def narrowest(name: str, field: str) -> Any:
        values = [getattr(r, field) for r in layers if getattr(r, field) is not None]
        found = next((w for w in WIDTH[name] if w in values), None)
        return found if found is not None else getattr(base, field) if base is not None else None

    for name in SETTINGS:
        found = narrowest(name, name)
        said[name] = FALL_BACK[name] if found is None else found
    mode, longest = narrowest("mode", "mode") or Mode.DAY, narrowest("mode", "longest")
    order = WIDTH["mode"].index
    said["longest"] = longest or mode
    said["mode"] = longest if longest and order(longest) < order(mode) else mode
    sizes: list[str] = list(SIZES) if base is None or base.sizes is None else list(base.sizes)
    for r in layers:
        if r.sizes is not None:
            sizes = [size for size in sizes if size in r.sizes]
    said["sizes"] = set(sizes)
    said["opening"] = {r.opening for r in [*layers, *([base] if base else [])] if r.opening is not None}
    return said


def found_here(rules: list[Rule], place: Place, mine: frozenset[str]) -> dict[str, object]:
    found = effective(rules, place, mine)
    names = ("allowed", "purpose", "mode", "longest", *SETTINGS)
    return {name: getattr(found, name) for name in names} | {
        "sizes": set(found.sizes),
        "opening": {windows for _, windows in found.opening},
    }


@given(rule_sets, places, groups)
def test_the_rules_say_what_the_plain_restatement_says(rules: list[Rule], place: Place, mine: frozenset[str]) -> None:
    assert found_here(rules, place, mine) == plainly(rules, place, mine)


@given(rule_sets, places, groups, st.randoms())
def test_the_order_of_the_rules_changes_nothing_not_even_who_is_named(
    rules: list[Rule], place: Place, mine: frozenset[str], random: object
) -> None:
    shuffled = list(rules)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert effective(shuffled, place, mine) == effective(rules, place, mine)


@given(rule_sets, one_rule(base=False), places, groups)
def test_another_rule_never_widens_what_a_rule_had_said(
    rules: list[Rule], more: Rule, place: Place, mine: frozenset[str]
) -> None:
    """Only a setting on which no rule has spoken yet can become wider than the base."""
    before = effective(rules, place, mine)
    after = effective([*rules, replace(more, rule="zz", purpose=None)], place, mine)
    assert before.allowed or not after.allowed
    assert set(after.sizes) <= set(before.sizes)
    assert set(before.opening) <= set(after.opening)
    for name in ("mode", *SETTINGS):
        if before.by[name] != DEFAULT.rule:
            assert WIDTH[name].index(getattr(after, name)) <= WIDTH[name].index(getattr(before, name))


@given(rule_sets, places, groups)
def test_the_rule_that_is_named_is_one_that_says_so(rules: list[Rule], place: Place, mine: frozenset[str]) -> None:
    found = effective(rules, place, mine)
    named = {DEFAULT.rule: DEFAULT} | {r.rule: r for r in rules}
    for name in SETTINGS:
        said = getattr(named[found.by[name]], name)
        assert (getattr(DEFAULT, name) if said is None else said) == getattr(found, name)
    assert found.mode in (named[found.by["mode"]].mode, named[found.by["mode"]].longest, DEFAULT.mode)
    if not found.allowed:
        assert not mine.intersection(named[found.by["allowed"]].only_groups or ())


def test_without_rules_people_get_one_locker_for_a_day() -> None:
    found = effective([], PLACES[0], frozenset())
    assert (found.allowed, found.mode, found.longest, found.max_lockers) == (True, Mode.DAY, Mode.DAY, 1)
    assert set(found.by.values()) == {"default"}


def test_the_base_rule_gives_way_to_whoever_says_something_else() -> None:
    base = replace(DEFAULT, max_lockers=1, mode=Mode.DAY)
    board = Rule(rule="board", title="The board keeps two", groups=("board",), mode=Mode.PERMANENT, max_lockers=2)
    theirs = effective([base, board], PLACES[0], frozenset({"board"}))
    assert (theirs.mode, theirs.max_lockers, theirs.by["mode"]) == (Mode.PERMANENT, 2, "board")
    assert effective([base, board], PLACES[0], frozenset()).max_lockers == 1


def test_what_a_locker_is_for_is_said_by_the_nearest_rule() -> None:
    floor = Rule(rule="a", title="", scope=ScopeKind.AREA, scope_value="p", purpose=Purpose.TEAM)
    one = Rule(rule="z", title="", scope=ScopeKind.LOCKER, scope_value="A-01", purpose=Purpose.PARCEL)
    parcels = Rule(rule="p", title="", scope=ScopeKind.PURPOSE, scope_value="parcel", only_groups=("desk",))
    at = effective([floor, one, parcels], Place("x", "p", "A", "01"), frozenset())
    assert (at.purpose, at.allowed, at.by["allowed"]) == (Purpose.PARCEL, False, "p")
    assert effective([floor, one, parcels], Place("x", "p", "A", "02"), frozenset()).purpose is Purpose.TEAM
