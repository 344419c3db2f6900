"""Believable rules for looking at their pages: the shelves, the editor after a dry run, what was found, why."""

from __future__ import annotations

from typing import Any

from cubbyhole.domain.opening import Window
from cubbyhole.domain.rules import DEFAULT, Rule, ScopeKind, effective
from cubbyhole.domain.rules import Place as At
from cubbyhole.domain.vocabulary import Contents, Mode, Occupancy, Purpose
from cubbyhole.domain.what_if import Shortened, WhatIf
from cubbyhole.server.rules.align import Became, Found
from cubbyhole.server.rules.dry_run import Tried
from cubbyhole.server.rules.form import Typed, seal, typed_from
from cubbyhole.server.rules.pages import drawn, editor, shelves
from cubbyhole.server.rules.telling import became_rows, shortened_rows, tried_words
from cubbyhole.server.rules.why import told
from cubbyhole.ui.words import Text, Words
from tests.ui.furnished import FURNITURE, MINUTE_MS, NOW_MS, PEOPLE, shell

GROUPS = ["Board", "Design", "Facilities", "Field sales", "Visitors"]
WORKDAYS = tuple(Window(day, 7 * 60, 19 * 60) for day in range(5))
STUDIO = Rule(
    rule="studio", title="Studio: day lockers for Design", scope=ScopeKind.BANK, scope_value="B", longest=Mode.DAY,
    only_groups=("Design", "Facilities"), max_lockers=2, opening=(*WORKDAYS, Window(5, 9 * 60, 13 * 60)), sharing=False,
)  # fmt: skip
RULES = [
    DEFAULT,
    Rule(rule="facilities", title="Facilities may have two", groups=("Facilities",), max_lockers=2, renewals=0),
    Rule(rule="house", title="House hours", scope=ScopeKind.SITE, scope_value="Kestrel House", opening=WORKDAYS),
    Rule(rule="quiet", title="Library floor", scope=ScopeKind.AREA, scope_value="Floor 3", mode=Mode.TERM,
         contents=Contents.CHECK, self_enrol=True),
    STUDIO,
    Rule(rule="low", title="The low one at the entrance", scope=ScopeKind.LOCKER, scope_value="A-17",
         purpose=Purpose.IT, second_factor=True, remote_open=False),
    Rule(rule="visits", title="Visitors go home in the evening", scope=ScopeKind.PURPOSE, scope_value="visitor",
         mode=Mode.HOURS, hours=8, give_offline_h=0, sizes=("S", "M")),
]  # fmt: skip


def overview(speak: Words) -> dict[str, Any]:
    return shell("rules", total=len(RULES), shelves=shelves(RULES, speak), may_change=True, done="saved")


def _shortened() -> tuple[Shortened, ...]:
    midnight_ms = NOW_MS + 798 * MINUTE_MS
    holds = (Occupancy.EMPTY, Occupancy.UNKNOWN, Occupancy.OCCUPIED)
    return tuple(
        Shortened(
            bank="B", locker=f"{index + 2:02}", assignment=f"a_{index}", person=f"p_{index}",
            ends_ms=None if index == 1 else NOW_MS + 9_000 * MINUTE_MS, would_end_ms=midnight_ms, rule="studio",
            occupancy=holds[index],
        )
        for index in range(3)
    )  # fmt: skip


def _names() -> dict[str, str]:
    return {f"p_{index}": name for index, name in enumerate(PEOPLE)}


def edit(speak: Words, *, tried: bool = False, wrong: bool = False, meanwhile: bool = False) -> dict[str, Any]:
    typed, faults = typed_from(STUDIO), {}
    if wrong:
        typed = Typed([(name, "many" if name == "max_lockers" else value) for name, value in typed.pairs])
        number = {"least": 0, "most": 100}
        faults = {"max_lockers": Text("rules.wrong.number", number), "opening": Text("rules.wrong.opening")}
    places = [
        (ScopeKind.SITE, [("site:Kestrel House", "Kestrel House")]),
        (ScopeKind.AREA, [("area:Floor 3", "Floor 3")]),
        (ScopeKind.BANK, [(f"bank:{name}", f"{name} · {about[0]}") for name, about in FURNITURE.items()]),
        (ScopeKind.PURPOSE, [(f"purpose:{one}", speak.t(f"rules.purpose.{one}")) for one in Purpose]),
    ]
    shown = editor(typed, "studio", 12, faults, places, GROUPS, speak)
    found = _tried(speak) if tried else None
    now = {"now": drawn(STUDIO, [], speak)} if meanwhile else None
    return shell("rules", tried=found, meanwhile=now, may_change=True, **shown)


def _tried(speak: Words) -> dict[str, Any]:
    loses = tuple((f"p_{index}", bank) for index in range(3, 10) for bank in "BC"[: 1 + index % 2])
    result = WhatIf(shortened=_shortened(), loses=loses, gains=(("p_10", "B"),), over=(("p_11", "B"), ("p_12", "B")))
    said = tried_words(Tried(result, _names(), 4, 0), speak, NOW_MS, placed=False)
    return {**said, "again": False, "rule": drawn(STUDIO, [], speak), "seal": seal(STUDIO, 12)}


def removal(speak: Words) -> dict[str, Any]:
    nothing = WhatIf(shortened=(), loses=(), gains=(), over=())
    said = tried_words(Tried(nothing, {}, 4, 0), speak, NOW_MS, placed=False)
    return shell("rules", problem=None, rule=drawn(STUDIO, [], speak), version=12, tried=said)


def align(speak: Words, *, done: bool = False) -> dict[str, Any]:
    found = Found("op:lena", "studio", STUDIO.title, 12, _shortened(), _names(), NOW_MS)
    outcomes = ("done", "changed", "requested")
    became = [Became(s, outcome) for s, outcome in zip(found.shortened, outcomes, strict=True)]
    return shell(
        "rules", found=found, word="w0rd", rows=shortened_rows(found.shortened, found.names, speak, NOW_MS),
        left_out=0, became=became_rows(became, found.names, speak, NOW_MS) if done else None,
    )  # fmt: skip


def why(speak: Words) -> dict[str, Any]:
    holds = effective(RULES, At("Kestrel House", "Floor 2", "B", "03"), frozenset({"Design"}))
    said = told(holds, RULES, PEOPLE[0], speak)
    return shell("rules", person=PEOPLE[0], locker="B-03", **said)
