"""Spellings of badges, the furniture's text, and midnights."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cubbyhole.domain.credential import BadgeError, canonical_decimal, canonical_uid, parse_badge
from cubbyhole.domain.layout import HEIGHT_MM, MAX_LOCKERS, LayoutError, check_bank_id, parse_columns
from cubbyhole.domain.moment import midnights_after, next_midnight_ms

uids = st.one_of([st.binary(min_size=n, max_size=n).filter(any) for n in (4, 7, 8, 10)])


@given(uids, st.sampled_from([":", "-", " "]), st.booleans())
def test_one_badge_in_many_spellings_is_one_badge(uid: bytes, separator: str, upper: bool) -> None:
    canonical = canonical_uid(uid)
    spaced = uid.hex(separator)
    for text in (spaced, "0x" + uid.hex(), "uid:" + uid.hex(), f"  {spaced}\t"):
        assert parse_badge(text.upper().replace("0X", "0x") if upper else text) == canonical


@given(uids)
def test_the_canonical_form_is_a_spelling_of_itself(uid: bytes) -> None:
    assert parse_badge(canonical_uid(uid)) == canonical_uid(uid)


@given(st.binary(min_size=4, max_size=4).filter(any))
def test_a_four_byte_uid_in_decimal_is_the_same_badge(uid: bytes) -> None:
    number = int.from_bytes(uid, "big")
    assert parse_badge(str(number)) == canonical_decimal(f"{number:010d}") == canonical_uid(uid)


@given(st.integers(0, 255), st.integers(1, 65535))
def test_wiegand_is_itself_with_or_without_its_name(facility: int, number: int) -> None:
    canonical = f"w26:{facility}:{number}"
    assert parse_badge(f"{facility}:{number}") == parse_badge(canonical) == parse_badge(canonical.upper()) == canonical
    assert parse_badge(f"{facility:03d}:{number:05d}") == canonical


def test_two_short_numbers_are_wiegand_because_no_uid_is_so_short() -> None:
    assert parse_badge("12:34") == "w26:12:34"
    assert parse_badge("12:34:56:78") == "uid:12345678"


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "0", "00:00:00:00", "0:0", "256:1", "1:65536", "04:A", "0x123", "uid:", "uid:zz", "04:A2",
        "٠٤:١٢", "١٢٣٤٥٦٧٨", "²³", "1e5", "-5", "+5", "1_000", "0b11", "04A2241B\n04A2241C", "a" * 65, "9" * 26,
        "0x" + "11" * 11, "04:A2:24:1B'; DROP TABLE", "\x00\x01", "\ud800", "🔒", "1208925819614629174706176",
    ],
)  # fmt: skip
def test_what_is_no_badge_is_refused_in_words(text: str) -> None:
    with pytest.raises(BadgeError) as refused:
        parse_badge(text)
    assert str(refused.value).isprintable()


@given(st.text(max_size=80))
def test_any_text_is_a_badge_in_canonical_form_or_a_clear_error(text: str) -> None:
    try:
        canonical = parse_badge(text)
    except BadgeError:
        return
    assert canonical.isascii()
    assert parse_badge(canonical) == canonical


# -- the furniture --------------------------------------------------------------------------------------------------

tokens = st.sampled_from(["S", "M", "L", "XL", "M+", "S_", "L+_", "XL_+", "T", "TL"])
columns = st.lists(st.lists(tokens, max_size=6), min_size=1, max_size=6)


@given(columns)
def test_lockers_are_numbered_down_each_column_and_stand_where_they_were_drawn(drawn: list[list[str]]) -> None:
    texts = tuple("  ".join(column) for column in drawn)
    wanted = [token for column in drawn for token in column if not token.startswith("T")]
    if not wanted:
        with pytest.raises(LayoutError):
            parse_columns(texts)
        return
    lockers = parse_columns(texts)
    assert [s.number for s in lockers] == [f"{n:02d}" for n in range(1, len(wanted) + 1)]
    assert [s.size for s in lockers] == [token.strip("+_") for token in wanted]
    assert [set(s.features) for s in lockers] == [
        {"charging"} & {"charging" * ("+" in t)} | {"low"} & {"low" * ("_" in t)} for t in wanted
    ]
    for column, same in itertools.groupby(lockers, key=lambda s: s.column):
        bottom = 0
        for s in same:
            assert s.top_mm >= bottom, "no locker stands in another"
            bottom = s.top_mm + s.height_mm
        assert bottom <= sum(HEIGHT_MM[t.strip("+_")] for t in drawn[column])


@pytest.mark.parametrize("column", ["XXL", "m", "M*", "T+", "TL_", "M++", "M__", "MM", "M,M", "+", "_"])
def test_a_layout_that_cannot_be_built_is_refused_by_column_and_token(column: str) -> None:
    with pytest.raises(LayoutError, match="column 2") as refused:
        parse_columns(("S", f"M {column}"))
    assert repr(column) in str(refused.value)


def test_a_bank_has_an_end_and_its_numbers_grow_a_digit_all_at_once() -> None:
    assert [s.number for s in parse_columns(("S " * 100,))][::99] == ["001", "100"]
    assert len(parse_columns(("S " * MAX_LOCKERS,))) == MAX_LOCKERS
    with pytest.raises(LayoutError, match="at most 400"):
        parse_columns(("S " * (MAX_LOCKERS + 1),))


@given(st.text(max_size=30))
def test_a_bank_id_is_one_token_of_a_subject_or_refused(text: str) -> None:
    try:
        assert check_bank_id(text) == text
    except LayoutError:
        return
    assert not set(text) & set(". *>/\\\n\0")
    assert 0 < len(text) <= 24


# -- midnights ------------------------------------------------------------------------------------------------------


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp()) * 1000


@pytest.mark.parametrize(
    ("zone", "at", "midnight"),
    [
        ("Europe/Berlin", "2026-03-28T23:59:59+01:00", "2026-03-29T00:00:00+01:00"),
        ("Europe/Berlin", "2026-03-29T12:00:00+02:00", "2026-03-30T00:00:00+02:00"),  # a day of 23 hours
        ("Europe/Berlin", "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00"),  # a day of 25 hours
        ("Africa/Cairo", "2026-04-23T20:00:00+02:00", "2026-04-24T01:00:00+03:00"),  # no 00:00: the day begins at 01:00
        ("America/Havana", "2026-10-31T20:00:00-04:00", "2026-11-01T00:00:00-04:00"),  # 00:00 comes twice: the first
        ("America/Havana", "2026-11-01T00:30:00-04:00", "2026-11-02T00:00:00-05:00"),  # and not the second
        ("Pacific/Apia", "2011-12-29T12:00:00-10:00", "2011-12-31T00:00:00+14:00"),  # the 30th did not happen
        ("Asia/Kolkata", "2026-11-16T00:00:00+05:30", "2026-11-17T00:00:00+05:30"),
    ],
)
def test_the_day_ends_at_the_sites_own_midnight(zone: str, at: str, midnight: str) -> None:
    assert midnights_after(ZoneInfo(zone), ms(at), 1) == (ms(midnight),)


@given(
    st.sampled_from(["Europe/Berlin", "Africa/Cairo", "America/Havana", "Pacific/Apia", "Australia/Lord_Howe", "UTC"]),
    st.integers(1_300_000_000_000, 2_000_000_000_000),
)
def test_midnights_go_up_and_each_begins_a_new_day(zone: str, at_ms: int) -> None:
    there = ZoneInfo(zone)
    found = midnights_after(there, at_ms, 40)
    assert list(found) == sorted(set(found))
    assert found[0] > at_ms
    for midnight in found:
        after = datetime.fromtimestamp(midnight / 1000, UTC).astimezone(there)
        before = datetime.fromtimestamp(midnight / 1000 - 1, UTC).astimezone(there)
        assert before.date() < after.date()
    for earlier, later in itertools.pairwise(found):
        assert 22 * 3_600_000 <= later - earlier <= 26 * 3_600_000
    assert next_midnight_ms(found, at_ms) == found[0]
    assert next_midnight_ms(found, found[0]) == found[1]
    assert next_midnight_ms(found, found[-1]) is None
