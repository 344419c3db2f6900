"""A rule as a plain form: what was typed, kept as it was typed, and the rule that it says.

Fields: ``title``, ``where`` (``bank:A``; ``locker:`` with the number in ``locker``), ``group`` and ``groups`` (more,
with commas), ``shown`` once for each setting that the rule speaks about and then the setting by its name. Opening hours
are rows: ``row`` with a number, ``day-N`` for each day, ``from-N``, ``to-N``.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request

from cubbyhole.domain.opening import DAY_MIN, Window
from cubbyhole.domain.rules import DEFAULT, Rule, ScopeKind
from cubbyhole.domain.vocabulary import Contents, Mode, Purpose
from cubbyhole.server.directory.rows import rule_body
from cubbyhole.server.rules.commands import LEAST_OF, MOST_OF, SIZES, WINDOWS_MOST, RuleError, checked
from cubbyhole.ui.words import Text

FORM_BYTES_MOST = 64 * 1024
FIELDS_MOST = 1_000
CHOICES: dict[str, type[StrEnum]] = {"mode": Mode, "longest": Mode, "contents": Contents, "purpose": Purpose}
ANSWERS = ("remote_open", "sharing", "second_factor", "self_enrol")
# In the order in which the form and the sentences have them.
SETTINGS = (
    "only_groups", "mode", "longest", "hours", "term_days", "renewals", "max_lockers", "sizes", "opening", "sharing",
    "remote_open", "second_factor", "self_enrol", "contents", "grace_min", "hold_min", "purpose", "give_offline_h",
    "open_offline_h",
)  # fmt: skip
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_WORKDAYS = ("0", "1", "2", "3", "4")


@dataclass
class Typed:
    """The fields of a form in their order; names may come several times."""

    pairs: list[tuple[str, str]] = field(default_factory=list)

    def one(self, name: str) -> str:
        return next((value for key, value in self.pairs if key == name), "")

    def many(self, name: str) -> list[str]:
        return list(dict.fromkeys(value for key, value in self.pairs if key == name))

    def without(self, *names: str, value: str | None = None) -> Typed:
        """Without these fields, or only those of them with ``value``."""
        return Typed([(k, v) for k, v in self.pairs if k not in names or (value is not None and v != value)])

    def and_also(self, *pairs: tuple[str, str]) -> Typed:
        return Typed([*self.pairs, *pairs])


async def read_typed(request: Request) -> Typed:
    """The fields of a posted form; what is too large or no form has none."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > FORM_BYTES_MOST:
            return Typed()
    try:
        return Typed(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=FIELDS_MOST))
    except ValueError:
        return Typed()


def typed_from(rule: Rule) -> Typed:
    """The form of a rule that there is."""
    at_locker = rule.scope is ScopeKind.LOCKER
    pairs = [("title", rule.title), ("where", f"{rule.scope}:{'' if at_locker else rule.scope_value}")]
    pairs += [("locker", rule.scope_value)] if at_locker else []
    pairs += [("group", group) for group in rule.groups]
    for name in SETTINGS:
        value = getattr(rule, name)
        if value is None:
            continue
        pairs.append(("shown", name))
        if name == "opening":
            pairs += _rows(value)
        elif isinstance(value, tuple):
            pairs += [(name, str(one)) for one in value]
        else:
            pairs.append((name, _answer(value) if name in ANSWERS else str(value)))
    return Typed(pairs)


def changed(typed: Typed, wish: str) -> Typed:
    """The form after one of its small buttons: ``add`` (the setting chosen in ``setting``), ``drop:NAME``, ``row``,
    ``unrow:N``."""
    what, _, name = wish.partition(":")
    if what == "add":
        name = typed.one("setting")
        if name not in SETTINGS or name in typed.many("shown"):
            return typed
        typed = typed.and_also(("shown", name), *_suggested(name))
        return changed(typed, "row") if name == "opening" and not typed.many("row") else typed
    if what == "drop" and name in SETTINGS:
        return typed.without("shown", value=name)
    if what == "row" and len(typed.many("row")) < WINDOWS_MOST:
        number = str(1 + max((int(row) for row in typed.many("row") if row.isdecimal() and len(row) < 6), default=-1))
        days = [(f"day-{number}", day) for day in _WORKDAYS]
        return typed.and_also(("row", number), *days, (f"from-{number}", "07:00"), (f"to-{number}", "19:00"))
    if what == "unrow":
        return typed.without("row", value=name)
    return typed


def rule_of(typed: Typed, name: str, taken: Iterable[str] = ()) -> tuple[Rule | None, dict[str, Text]]:
    """The rule that was typed, or what is wrong by field. ``name`` is the rule's id; "" for a new one, which gets one
    from its title that is none of ``taken``."""
    wrong: dict[str, Text] = {}
    kind, _, value = typed.one("where").partition(":")
    if kind not in list(ScopeKind):
        kind = ScopeKind.EVERYWHERE if name == DEFAULT.rule else ""
        wrong |= {} if kind else {"where": Text("rules.wrong.where")}
    said: dict[str, Any] = {}
    for setting in typed.many("shown"):
        if setting in SETTINGS:
            said[setting] = _setting(typed, setting, wrong)
    if not name and not said:
        wrong["setting"] = Text("rules.wrong.nothing_said")
    title = typed.one("title")
    rule = Rule(
        rule=name or _name_from(title, frozenset(taken)), title=title, scope=ScopeKind(kind or ScopeKind.EVERYWHERE),
        scope_value=typed.one("locker").strip().upper() if kind == ScopeKind.LOCKER else value[:120],
        groups=_groups(typed, "group", "groups"),
        **{setting: value for setting, value in said.items() if value is not None},
    )  # fmt: skip
    try:
        rule = checked(rule)
    except RuleError as error:
        wrong.setdefault(error.field, Text(f"rules.wrong.{error.word}", error.values))
    return (None if wrong else rule), wrong


def seal(rule: Rule, version: int) -> str:
    """What the form carries once the rule was tried out, so that nothing else is saved than what was tried."""
    return hashlib.sha256(f"{version}:{rule_body(replace(rule, rule=''))}".encode()).hexdigest()[:24]


def _setting(typed: Typed, name: str, wrong: dict[str, Text]) -> Any:
    if name == "opening":
        return _windows(typed, wrong)
    if name == "only_groups":
        found = _groups(typed, "only_groups", "only_more")
        wrong |= {} if found else {name: Text("rules.wrong.no_group")}
        return found
    if name == "sizes":
        sizes = tuple(size for size in SIZES if size in typed.many(name))
        wrong |= {} if sizes else {name: Text("rules.wrong.sizes")}
        return sizes
    text = typed.one(name).strip()
    if name in MOST_OF:
        if text.isdecimal() and len(text) < 9:
            return int(text)
        wrong[name] = Text("rules.wrong.number", {"least": LEAST_OF.get(name, 0), "most": MOST_OF[name]})
        return None
    if name in ANSWERS and text in ("yes", "no"):
        return text == "yes"
    if name in CHOICES and text in list(CHOICES[name]):
        return CHOICES[name](text)
    wrong[name] = Text("rules.wrong.choose")
    return None


def _windows(typed: Typed, wrong: dict[str, Text]) -> tuple[Window, ...] | None:
    found: list[Window] = []
    for row in typed.many("row")[:WINDOWS_MOST]:
        days = [int(day) for day in typed.many(f"day-{row}") if day in tuple("0123456")]
        since, until = (_TIME.fullmatch(typed.one(f"{end}-{row}")) for end in ("from", "to"))
        if not days or since is None or until is None:
            wrong["opening"] = Text("rules.wrong.opening")
            return None
        from_min, until_min = (int(at[1]) * 60 + int(at[2]) for at in (since, until))
        # Up to an hour that has passed already is up to that hour of the next day.
        found += [Window(day, from_min, until_min + (DAY_MIN if until_min <= from_min else 0)) for day in sorted(days)]
    if not found:
        wrong["opening"] = Text("rules.wrong.opening")
    return tuple(sorted(found))


def _rows(windows: Sequence[Window]) -> list[tuple[str, str]]:
    """Windows of the same hours are one row."""
    pairs: list[tuple[str, str]] = []
    for number, (hours, days) in enumerate(by_hours(windows)):
        pairs += [("row", str(number)), *((f"day-{number}", str(day)) for day in days)]
        pairs += [(f"from-{number}", clock(hours[0])), (f"to-{number}", clock(hours[1]))]
    return pairs


def by_hours(windows: Sequence[Window]) -> list[tuple[tuple[int, int], list[int]]]:
    """Weekdays by (from, until), the earliest day first."""
    found: dict[tuple[int, int], list[int]] = {}
    for w in sorted(windows):
        found.setdefault((w.from_min, w.until_min), []).append(w.weekday)
    return list(found.items())


def clock(minute: int) -> str:
    """07:30; midnight at the day's end is 00:00."""
    return f"{minute % DAY_MIN // 60:02}:{minute % 60:02}"


def _suggested(name: str) -> list[tuple[str, str]]:
    """What stands in a setting that was just added: what holds where no rule speaks."""
    value: Any = DEFAULT.mode if name == "longest" else getattr(DEFAULT, name)
    if value is None:
        return []
    if isinstance(value, tuple):
        return [(name, str(one)) for one in value]
    return [(name, _answer(value) if name in ANSWERS else str(value))]


def _groups(typed: Typed, chosen: str, more: str) -> tuple[str, ...]:
    typed_in = [name.strip()[:80] for name in typed.one(more).split(",")]
    return tuple(sorted({name for name in [*typed.many(chosen), *typed_in] if name}))


def _answer(value: bool) -> str:
    return "yes" if value else "no"


def _name_from(title: str, taken: frozenset[str]) -> str:
    plain = unicodedata.normalize("NFKD", title.lower()).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:50].strip("-") or "rule"
    number = next(n for n in range(1, len(taken) + 3) if (name if n == 1 else f"{name}-{n}") not in taken)
    return name if number == 1 else f"{name}-{number}"
