"""The coming local midnights of a site, right across changes of daylight saving time."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cubbyhole.domain.directory import Calendar

DAYS_AHEAD = 40


class UnknownTimezone(ValueError):
    """The name is no time zone; the message says what would be one."""


def check_timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UnknownTimezone(f"{name!r} is no time zone: write it like Europe/Berlin or America/New_York") from None
    return name


def calendar_for(timezone: str, now_ms: int) -> Calendar:
    """The site's next `DAYS_AHEAD` midnights after ``now_ms``."""
    today = datetime.fromtimestamp(now_ms / 1000, ZoneInfo(timezone)).date()
    return Calendar(timezone=timezone, midnights=_midnights(timezone, today.isoformat()))


@lru_cache(maxsize=512)
def _midnights(timezone: str, today: str) -> tuple[int, ...]:
    zone, first = ZoneInfo(timezone), datetime.fromisoformat(today)
    found = []
    for days in range(1, DAYS_AHEAD + 1):
        # Where a day begins at 01:00 because midnight is skipped, the skipped midnight stands for the same instant.
        found.append(round((first + timedelta(days=days)).replace(tzinfo=zone).timestamp() * 1000))
    return tuple(found)
