"""When an assignment ends, by its mode and the rules: hours by the clock, days and terms at the site's midnights."""

from __future__ import annotations

from cubbyhole.domain.directory import Calendar
from cubbyhole.domain.moment import next_midnight_ms
from cubbyhole.domain.rules import Effective
from cubbyhole.domain.vocabulary import Mode

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


class CalendarRunOut(Exception):
    """The bank has not heard from the server for so long that it does not know the next midnight."""


def ends_at_ms(mode: Mode, rules: Effective, calendar: Calendar, from_ms: int) -> int | None:
    """The end of an assignment of ``mode`` that begins, or is renewed, at ``from_ms``; None for a permanent one.

    All in ms since the Unix epoch. A term that reaches beyond the calendar's last midnight goes on from there in days
    of 24 hours. Raises CalendarRunOut where not even the next midnight is known.
    """
    match mode:
        case Mode.PERMANENT:
            return None
        case Mode.HOURS:
            return from_ms + rules.hours * HOUR_MS
        case Mode.DAY:
            return _midnight_ms(calendar, from_ms, 1)
        case Mode.TERM:
            return _midnight_ms(calendar, from_ms, max(1, rules.term_days))


def _midnight_ms(calendar: Calendar, from_ms: int, days: int) -> int:
    first = next_midnight_ms(calendar.midnights, from_ms)
    if first is None:
        raise CalendarRunOut
    at = calendar.midnights.index(first) + days - 1
    beyond = at - (len(calendar.midnights) - 1)
    return calendar.midnights[at] if beyond <= 0 else calendar.midnights[-1] + beyond * DAY_MS
