"""The coming midnights of a site, right across changes of daylight saving time."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from cubbyhole.domain.directory import MAX_MIDNIGHTS
from cubbyhole.server.directory.calendar import DAYS_AHEAD, UnknownTimezone, calendar_for, check_timezone
from cubbyhole.server.installation import open_store
from cubbyhole.server.persistence.tables import sites
from cubbyhole.server.settings import ServerSettings


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def hours_between(timezone: str, now: str, count: int) -> list[float]:
    midnights = calendar_for(timezone, at(now)).midnights[:count]
    return [(b - a) / 3_600_000 for a, b in itertools.pairwise(midnights)]


def test_a_day_in_march_has_23_hours_and_one_in_october_25() -> None:
    assert hours_between("Europe/Berlin", "2026-03-27T12:00+01:00", 4) == [24, 23, 24]
    assert hours_between("Europe/Berlin", "2026-10-23T12:00+02:00", 4) == [24, 25, 24]


def test_the_first_midnight_is_the_next_one_at_the_site_not_in_greenwich() -> None:
    now = at("2026-11-22T23:30+00:00")
    first = calendar_for("Asia/Tokyo", now).midnights[0]
    assert datetime.fromtimestamp(first / 1000, ZoneInfo("Asia/Tokyo")).isoformat() == "2026-11-24T00:00:00+09:00"
    first = calendar_for("America/New_York", now).midnights[0]
    assert datetime.fromtimestamp(first / 1000, UTC).isoformat() == "2026-11-23T05:00:00+00:00"


def test_a_day_that_begins_at_one_in_the_morning_ends_the_day_before() -> None:
    """In Cairo the clocks go from 00:00 to 01:00 on the last Friday of April."""
    midnights = calendar_for("Africa/Cairo", at("2026-04-23T12:00+02:00")).midnights
    first = datetime.fromtimestamp(midnights[0] / 1000, ZoneInfo("Africa/Cairo"))
    assert (first.day, first.hour) == (24, 1)


@pytest.mark.parametrize(
    "timezone", ["Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia", "UTC"]
)
def test_the_list_ascends_lies_ahead_and_fits_a_bank(timezone: str) -> None:
    now = at("2026-02-28T23:59:59.500+00:00")
    midnights = calendar_for(timezone, now).midnights
    assert len(midnights) == DAYS_AHEAD <= MAX_MIDNIGHTS
    assert list(midnights) == sorted(set(midnights))
    assert midnights[0] > now


def test_a_zone_that_does_not_exist_is_refused_with_an_example() -> None:
    assert check_timezone("Europe/Berlin") == "Europe/Berlin"
    for wrong in ("Berlin", "../etc/passwd", ""):
        with pytest.raises(UnknownTimezone, match="Europe/Berlin"):
            check_timezone(wrong)


def test_the_installations_time_zone_stays_until_another_is_given(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'x.db'}"

    def zone(given: str | None) -> str:
        store = open_store(ServerSettings(home=tmp_path, database_url=address, timezone=given))
        with store.read() as connection:
            found = connection.execute(select(sites.c.timezone).where(sites.c.site == "")).scalar_one()
        store.engine.dispose()
        return str(found)

    assert zone("Europe/Berlin") == "Europe/Berlin"
    assert zone(None) == "Europe/Berlin"
    assert zone("Asia/Tokyo") == "Asia/Tokyo"
    assert zone(None) == "Asia/Tokyo"
    with pytest.raises(UnknownTimezone):
        zone("Mars/Olympus")
