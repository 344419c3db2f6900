"""Opening hours in local time, against the time zone database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cubbyhole.domain.opening import Offset, Window, check_windows, is_open, minute_of_week, offsets_between

YEAR_MS = 366 * 86_400_000
BEGIN_MS = round(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
ZONES = ("Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kolkata", "UTC")
OFFSETS = {name: offsets_between(ZoneInfo(name), BEGIN_MS, BEGIN_MS + YEAR_MS) for name in ZONES}

instants = st.integers(BEGIN_MS, BEGIN_MS + YEAR_MS)
windows = st.builds(
    lambda day, start, length: Window(day, start, start + length),
    st.integers(0, 6),
    st.integers(0, 1439),
    st.integers(1, 1440),
)


@given(st.sampled_from(ZONES), instants)
def test_the_offsets_tell_the_local_time_that_the_database_tells(zone: str, at_ms: int) -> None:
    there = datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone))
    assert minute_of_week(OFFSETS[zone], at_ms) == there.weekday() * 1440 + there.hour * 60 + there.minute


def test_a_change_of_the_clocks_is_known_to_the_second() -> None:
    change = round(datetime(2026, 3, 29, 1, tzinfo=UTC).timestamp() * 1000)
    assert OFFSETS["Europe/Berlin"][1] == Offset(change, 7200)


def test_before_the_first_offset_the_time_is_unknown() -> None:
    assert minute_of_week(OFFSETS["UTC"], BEGIN_MS - 1) is None
    assert minute_of_week((), BEGIN_MS) is None


@given(windows, st.integers(0, 7 * 1440 - 1))
def test_a_window_holds_every_minute_from_its_beginning_to_before_its_end(window: Window, minute: int) -> None:
    monday = datetime(2026, 11, 16, tzinfo=UTC)
    now = monday + timedelta(minutes=minute)
    begins = monday + timedelta(days=window.weekday, minutes=window.from_min)
    ends = monday + timedelta(days=window.weekday, minutes=window.until_min)
    within = any(begins + timedelta(weeks=w) <= now < ends + timedelta(weeks=w) for w in (-1, 0))
    assert is_open([window], minute) is within


def test_without_a_window_it_is_never_open() -> None:
    assert not is_open([], 600)


@pytest.mark.parametrize("window", [Window(7, 0, 60), Window(0, 1440, 1500), Window(0, 60, 60), Window(0, 60, 1501)])
def test_a_window_that_cannot_be_is_refused_with_what_would_be_one(window: Window) -> None:
    with pytest.raises(ValueError, match=r"Monday is 0|lasts from one minute"):
        check_windows([window])


def test_the_week_of_an_office_is_no_error() -> None:
    check_windows([Window(day, 7 * 60, 19 * 60) for day in range(5)])
