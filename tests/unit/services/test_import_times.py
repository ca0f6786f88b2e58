"""Local times as people write them become the right instants."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.import_times import read_times

FIRST, LAST = datetime.fromisoformat("1901-01-01"), datetime.fromisoformat("2099-12-31")
ZONES = ("America/Sao_Paulo", "Europe/London", "America/New_York", "Australia/Lord_Howe", "UTC")


def read(text, zone="America/New_York", *, form=None, clock=None, ignore_offsets=False):
    found, outside = read_times(
        pl.Series("t", [text], dtype=pl.String),
        ZoneInfo(zone),
        form=form,
        clock=clock,
        ignore_offsets=ignore_offsets,
    )
    return found[0], bool(outside[0])


@pytest.mark.parametrize(
    ("text", "zone", "instant"),
    [
        ("2021-07-01 09:30", "America/New_York", datetime(2021, 7, 1, 13, 30, tzinfo=UTC)),
        # skipped by the clock: the moment it jumps
        ("2021-03-14 02:30:00", "America/New_York", datetime(2021, 3, 14, 7, 0, tzinfo=UTC)),
        # midnight itself is skipped
        ("2015-10-18", "America/Sao_Paulo", datetime(2015, 10, 18, 3, 0, tzinfo=UTC)),
        # shown twice: the first
        ("2021-11-07T01:30:00", "America/New_York", datetime(2021, 11, 7, 5, 30, tzinfo=UTC)),
        ("2021-07-01T09:30:00Z", "America/New_York", datetime(2021, 7, 1, 9, 30, tzinfo=UTC)),
        ("2021-07-01T09:30:00-03:30", "UTC", datetime(2021, 7, 1, 13, 0, tzinfo=UTC)),
        ("2021-07-01 09:30:00.25", "UTC", datetime(2021, 7, 1, 9, 30, 0, 250_000, tzinfo=UTC)),
    ],
)
def test_a_local_time_is_the_earliest_valid_instant(text, zone, instant):
    assert read(text, zone) == (instant, False)


@pytest.mark.parametrize(
    "text", ["2021-02-30", "yesterday", "2021-07-01 25:00", "01/02/2021", "2021-07-01 09:30+25:00"]
)
def test_a_time_that_does_not_exist_is_null(text):
    assert read(text) == (None, False)


@pytest.mark.parametrize("text", ["0001-01-01", "1899-12-31", "2101-01-01", "9999-12-31 23:59:59"])
def test_a_time_outside_of_two_centuries_is_told_apart(text):
    assert read(text) == (None, True)


def test_an_offset_that_means_nothing_can_be_ignored():
    found, _ = read("2016-04-29T18:38:08Z", "America/Sao_Paulo", ignore_offsets=True)
    assert found == datetime(2016, 4, 29, 21, 38, 8, tzinfo=UTC)


def test_a_day_is_taken_at_the_time_of_day_that_the_mapping_names():
    found, _ = read("2016-04-29T00:00:00Z", "America/Sao_Paulo", clock="12:00")
    assert found == datetime(2016, 4, 29, 15, 0, tzinfo=UTC)


def test_a_format_of_its_own_is_read():
    found, _ = read("07/01/2021 9:30", "UTC", form="%m/%d/%Y %H:%M")
    assert found == datetime(2021, 7, 1, 9, 30, tzinfo=UTC)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(ZONES),
    st.lists(st.datetimes(FIRST, LAST), min_size=1, max_size=20),
)
def test_reading_agrees_with_python_for_every_time_that_exists(zone, moments):
    found, _ = read_times(
        pl.Series([moment.isoformat(" ") for moment in moments]),
        ZoneInfo(zone),
        form=None,
        clock=None,
        ignore_offsets=False,
    )
    for moment, instant in zip(moments, found, strict=True):
        expected = moment.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
        if expected.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == moment:
            assert instant == expected
        else:  # skipped: the new time begins at that very moment
            local = [
                (instant + step).astimezone(ZoneInfo(zone)).utcoffset()
                for step in (timedelta(microseconds=-1), timedelta(0))
            ]
            assert local[0] != local[1]
