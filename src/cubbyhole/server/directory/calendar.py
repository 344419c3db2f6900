"""The coming local midnights of a site, right across changes of daylight saving time."""

from __future__ import annotations

from datetime import datetime, time
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cubbyhole.domain.directory import Calendar
from cubbyhole.domain.moment import midnights_after
from cubbyhole.domain.opening import offsets_between

DAYS_AHEAD = 40
DAY_MS = 86_400_000


class UnknownTimezone(ValueError):
    """The name is no time zone; the message says what would be one."""


def check_timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UnknownTimezone(f"{name!r} is no time zone: write it like Europe/Berlin or America/New_York") from None
    return name


def calendar_for(timezone: str, now_ms: int) -> Calendar:
    """The site's next `DAYS_AHEAD` midnights after ``now_ms``, and its offsets from UTC until then."""
    today = datetime.fromtimestamp(now_ms / 1000, ZoneInfo(timezone)).date()
    return _from(timezone, round(datetime.combine(today, time(23, 59), ZoneInfo(timezone)).timestamp() * 1000))


@lru_cache(maxsize=512)
def _from(timezone: str, tonight_ms: int) -> Calendar:
    zone = ZoneInfo(timezone)
    midnights = midnights_after(zone, tonight_ms, DAYS_AHEAD)
    # A bank whose clock lags, or which decides on a tap of before midnight, still finds its time.
    return Calendar(
        timezone=timezone, midnights=midnights, offsets=offsets_between(zone, tonight_ms - 3 * DAY_MS, midnights[-1])
    )
