"""Rules in sentences, in the viewer's language."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from cubbyhole.domain.rules import DEFAULT, Rule, ScopeKind
from cubbyhole.server.rules.form import ANSWERS, SETTINGS, by_hours, clock
from cubbyhole.ui.words import Words

# A text in parts; what the rule has set is marked.
Sentence = list[tuple[str, bool]]
_MARKED = re.compile("\x02([^\x03]*)\x03")
_PHRASES = ("contents", *ANSWERS)
_WORDS_OF = {"mode": "mode", "longest": "rules.longest", "purpose": "rules.purpose"}


def sentences(rule: Rule, speak: Words) -> list[Sentence]:
    """One for each setting that the rule speaks about."""
    return [says(name, value, speak) for name in SETTINGS if (value := getattr(rule, name)) is not None]


def says(name: str, value: Any, speak: Words) -> Sentence:
    """What one setting says."""
    if name in _PHRASES:
        word = {True: "yes", False: "no"}[value] if name in ANSWERS else str(value)
        return [(speak.t(f"rules.says.{name}.{word}"), False)]
    if isinstance(value, tuple) and not value:
        return [(speak.t("rules.says.never" if name == "opening" else "rules.says.nobody"), False)]
    if isinstance(value, int):
        key = f"rules.says.{name}"
        if value == 0 and speak.known(f"{key}.none") is not None:
            return [(speak.t(f"{key}.none"), False)]
        one = value == 1 and speak.known(f"{key}.one") is not None
        return _parts(speak.t(f"{key}.one" if one else key, n=f"\x02{value}\x03"))
    return _parts(speak.t(f"rules.says.{name}", value=f"\x02{value_words(name, value, speak)}\x03"))


def value_words(name: str, value: Any, speak: Words) -> str:
    """The value alone, as people say it."""
    if name in _WORDS_OF:
        return speak.t(f"{_WORDS_OF[name]}.{value}")
    if name == "sizes":
        return _list([speak.t(f"size.{size}") for size in value], speak)
    if name == "opening":
        return "; ".join(_hours(hours, days, speak) for hours, days in by_hours(value))
    if isinstance(value, tuple):
        return _list(list(value), speak)
    return str(value)


def where(rule: Rule, speak: Words) -> str:
    """The place that the rule is for."""
    if rule.scope is ScopeKind.EVERYWHERE:
        return speak.t("rules.where.everywhere")
    value = value_words("purpose", rule.scope_value, speak) if rule.scope is ScopeKind.PURPOSE else rule.scope_value
    return speak.t(f"rules.where.{rule.scope}", value=value)


def for_whom(rule: Rule, speak: Words) -> str | None:
    """The groups that it is about; None for everybody."""
    return speak.t("rules.for", groups=_list(list(rule.groups), speak)) if rule.groups else None


def instead_of(rule: Rule, rules: Iterable[Rule], speak: Words) -> list[Sentence]:
    """What holds where the rule does not speak, for each of its settings that says something else."""
    base = next((one for one in rules if one.rule == DEFAULT.rule), DEFAULT)
    found = []
    for name in SETTINGS:
        value, other = getattr(rule, name), getattr(base, name)
        if other is None:
            other = base.mode or DEFAULT.mode if name == "longest" else getattr(DEFAULT, name)
        if rule.rule != DEFAULT.rule and value is not None and other is not None and value != other:
            found.append(says(name, other, speak))
    return found


def _hours(hours: tuple[int, int], days: Sequence[int], speak: Words) -> str:
    values = {"days": _days(days, speak), "since": clock(hours[0]), "until": clock(hours[1])}
    return speak.t("rules.hours", **values)


def _days(days: Sequence[int], speak: Words) -> str:
    names = [speak.t(f"weekday.{day}") for day in days]
    if len(days) == 7:
        return speak.t("rules.days.all")
    if len(days) > 2 and list(days) == list(range(days[0], days[-1] + 1)):
        return speak.t("rules.days.range", first=names[0], last=names[-1])
    return _list(names, speak)


def _list(words: Sequence[str], speak: Words) -> str:
    if len(words) < 2:
        return "".join(words)
    return speak.t("rules.and", first=", ".join(words[:-1]), last=words[-1])


def _parts(text: str) -> Sentence:
    found: Sentence = []
    for index, part in enumerate(_MARKED.split(text)):
        if part:
            found.append((part, index % 2 == 1))
    return found
