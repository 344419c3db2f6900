"""When assignments end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cubbyhole.domain.directory import Calendar
from cubbyhole.domain.lasting import DAY_MS, HOUR_MS, CalendarRunOut, ends_at_ms
from cubbyhole.domain.moment import midnights_after
from cubbyhole.domain.rules import Place, Rule, effective
from cubbyhole.domain.vocabulary import Mode

BERLIN = ZoneInfo("Europe/Berlin")
NOW_MS = round(datetime(2026, 10, 20, 9, 30, tzinfo=BERLIN).timestamp() * 1000)
CALENDAR = Calendar(timezone="Europe/Berlin", midnights=midnights_after(BERLIN, NOW_MS, 40))
RULES = effective([Rule(rule="r", title="", hours=6, term_days=30)], Place("s", "a", "A", "01"), frozenset())


def local(at_ms: int | None) -> str:
    assert at_ms is not None
    return datetime.fromtimestamp(at_ms / 1000, BERLIN).isoformat()


def test_a_day_ends_at_the_sites_midnight() -> None:
    assert local(ends_at_ms(Mode.DAY, RULES, CALENDAR, NOW_MS)) == "2026-10-21T00:00:00+02:00"


def test_hours_end_by_the_clock() -> None:
    assert ends_at_ms(Mode.HOURS, RULES, CALENDAR, NOW_MS) == NOW_MS + 6 * HOUR_MS


def test_a_term_counts_local_days_through_a_change_of_the_clocks() -> None:
    assert local(ends_at_ms(Mode.TERM, RULES, CALENDAR, NOW_MS)) == "2026-11-19T00:00:00+01:00"


def test_a_permanent_one_has_no_end() -> None:
    assert ends_at_ms(Mode.PERMANENT, RULES, CALENDAR, NOW_MS) is None


@given(st.integers(1, 400))
def test_a_term_longer_than_the_calendar_goes_on_in_days_of_24_hours(days: int) -> None:
    rules = effective([Rule(rule="r", title="", term_days=days)], Place("s", "a", "A", "01"), frozenset())
    found = ends_at_ms(Mode.TERM, rules, CALENDAR, NOW_MS)
    assert found is not None
    if days <= 40:
        assert found == CALENDAR.midnights[days - 1]
    else:
        assert found == CALENDAR.midnights[-1] + (days - 40) * DAY_MS


def test_without_a_known_midnight_a_day_cannot_begin() -> None:
    late_ms = CALENDAR.midnights[-1] + 1
    with pytest.raises(CalendarRunOut):
        ends_at_ms(Mode.DAY, RULES, CALENDAR, late_ms)
    assert ends_at_ms(Mode.HOURS, RULES, CALENDAR, late_ms) == late_ms + 6 * HOUR_MS


def test_at_midnight_itself_a_day_is_the_new_one() -> None:
    midnight = CALENDAR.midnights[0]
    found = ends_at_ms(Mode.DAY, RULES, CALENDAR, midnight)
    assert found is not None
    assert datetime.fromtimestamp(found / 1000, UTC) - datetime.fromtimestamp(midnight / 1000, UTC) == timedelta(days=1)
