"""What a dry run found and what became of bringing into line, in words and with links."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cubbyhole.domain.vocabulary import Occupancy
from cubbyhole.domain.what_if import Shortened
from cubbyhole.server.banks.wording import hint_for_reason, words_for_reason
from cubbyhole.server.rules.align import Became
from cubbyhole.server.rules.dry_run import Tried
from cubbyhole.ui.words import Words

SHOWN_MOST = 50  # of each list; how many more there are is said


def tried_words(tried: Tried, speak: Words, now_ms: int, *, placed: bool) -> dict[str, Any]:
    """For `rules/tried.html`. ``placed``: only the banks at the caller's places were looked at."""
    result = tried.result
    not_empty = sum(s.occupancy is not Occupancy.EMPTY for s in result.shortened)
    lists = [
        _people(name, pairs, tried.names, speak)
        for name, pairs in (("loses", result.loses), ("gains", result.gains), ("over", result.over)) if pairs
    ]  # fmt: skip
    return {
        "shortened": shortened_rows(result.shortened[:SHOWN_MOST], tried.names, speak, now_ms),
        "shortened_words": speak.t("rules.tried.shortened", n=len(result.shortened)) if result.shortened else None,
        "not_empty": speak.t("rules.tried.not_empty", n=not_empty) if not_empty else None,
        "more": _more(len(result.shortened), speak), "lists": lists, "nothing": not result.shortened and not lists,
        "banks": speak.t("rules.tried.banks", n=tried.looked_at), "placed": placed,
        "left_out": speak.t("rules.tried.left_out", n=tried.left_out) if tried.left_out else None,
    }  # fmt: skip


def shortened_rows(
    found: Sequence[Shortened], names: dict[str, str], speak: Words, now_ms: int
) -> list[dict[str, str]]:
    return [
        {
            "locker": f"{s.bank}-{s.locker}", "href": f"/banks/{s.bank}?locker={s.locker}",
            "name": names.get(s.person) or speak.t("who.unknown"),
            "ends": speak.until(s.ends_ms, now_ms) if s.ends_ms is not None else speak.t("drawer.no_end"),
            "would_end": speak.until(s.would_end_ms, now_ms), "holds": speak.t(f"rules.holds.{s.occupancy}"),
        }
        for s in found
    ]  # fmt: skip


def became_rows(became: Sequence[Became], names: dict[str, str], speak: Words, now_ms: int) -> list[dict[str, Any]]:
    rows = shortened_rows([one.shortened for one in became], names, speak, now_ms)
    return [
        {**row, "good": one.outcome == "done", "became": _became(one, row["would_end"], speak)}
        for row, one in zip(rows, became, strict=True)
    ]


def _became(one: Became, ends: str, speak: Words) -> str:
    match one.outcome:
        case "done":
            return speak.t("rules.became.done", ends=ends)
        case "changed" | "overloaded" | "requested":
            return speak.t(f"rules.became.{one.outcome}")
        case "refused":
            reason, hint = words_for_reason(one.why, speak), hint_for_reason(one.why, speak)
            return speak.t("refused.by_bank", reason=reason, hint=hint)
        case _:
            return speak.t("rules.became.unknown")


def _people(name: str, pairs: Sequence[tuple[str, str]], names: dict[str, str], speak: Words) -> dict[str, Any]:
    """People by name, each with the banks where it is so."""
    banks: dict[str, list[str]] = {}
    for person, bank in pairs:
        banks.setdefault(person, []).append(bank)
    shown = sorted((names.get(person) or speak.t("who.unknown"), at) for person, at in banks.items())
    return {
        "words": speak.t(f"rules.tried.{name}", n=len(banks)),
        "people": [{"name": who, "banks": at} for who, at in shown[:SHOWN_MOST]], "more": _more(len(shown), speak),
    }  # fmt: skip


def _more(total: int, speak: Words) -> str | None:
    return speak.t("rules.tried.more", n=total - SHOWN_MOST) if total > SHOWN_MOST else None
