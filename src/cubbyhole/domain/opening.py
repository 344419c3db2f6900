"""Opening hours: windows of the local week, and what time it is there without asking a time zone database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import NamedTuple

DAY_MIN = 24 * 60
_WEEK_MIN = 7 * DAY_MIN
_EPOCH_WEEKDAY = 3  # 1 January 1970 was a Thursday; Monday is 0


class Offset(NamedTuple):
    """From ``from_ms`` (ms since the Unix epoch) on, local time is ``seconds`` ahead of UTC."""

    from_ms: int
    seconds: int


class Window(NamedTuple):
    """On ``weekday`` (0 is Monday) from ``from_min`` to before ``until_min``, in minutes since local midnight.

    ``until_min`` may pass 1440: the window goes on into the next day.
    """

    weekday: int
    from_min: int
    until_min: int


def check_windows(windows: Sequence[Window]) -> None:
    """Raises ValueError where a window cannot be; the message says which and what would be one."""
    for w in windows:
        if not 0 <= w.weekday <= 6:
            raise ValueError(f"weekday {w.weekday}: Monday is 0 and Sunday is 6")
        if not 0 <= w.from_min < DAY_MIN or not w.from_min < w.until_min <= w.from_min + DAY_MIN:
            raise ValueError(
                f"from minute {w.from_min} to {w.until_min}: a window begins within the day (0 to 1439) and lasts from "
                "one minute to a whole day"
            )


def offsets_between(zone: tzinfo, from_ms: int, until_ms: int) -> tuple[Offset, ...]:
    """The offset at ``from_ms`` and every change of it up to ``until_ms``, ascending and exact to the second."""

    def offset_s(at_s: int) -> int:
        found = datetime.fromtimestamp(at_s, UTC).astimezone(zone).utcoffset()
        return round(found.total_seconds()) if found is not None else 0

    at_s, last_s = from_ms // 1000, until_ms // 1000
    found = [Offset(from_ms, offset_s(at_s))]
    while at_s < last_s:
        # No zone has ever changed twice within six hours.
        next_s = min(at_s + 6 * 3600, last_s)
        if offset_s(next_s) != found[-1].seconds:
            before, after = at_s, next_s
            while after - before > 1:
                middle = (before + after) // 2
                before, after = (middle, after) if offset_s(middle) == found[-1].seconds else (before, middle)
            found.append(Offset(after * 1000, offset_s(after)))
        at_s = next_s
    return tuple(found)


def minute_of_week(offsets: Sequence[Offset], at_ms: int) -> int | None:
    """Local minutes since Monday 00:00; None where ``offsets`` (ascending) says nothing about ``at_ms``."""
    seconds = None
    for offset in offsets:
        if offset.from_ms > at_ms:
            break
        seconds = offset.seconds
    if seconds is None:
        return None
    return ((at_ms // 1000 + seconds) // 60 + _EPOCH_WEEKDAY * DAY_MIN) % _WEEK_MIN


def is_open(windows: Sequence[Window], minute: int) -> bool:
    """Whether ``minute`` of the week lies in one of ``windows``; a window over Sunday night reaches into Monday."""
    return any((minute - (w.weekday * DAY_MIN + w.from_min)) % _WEEK_MIN < w.until_min - w.from_min for w in windows)
