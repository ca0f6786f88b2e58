"""The next legal moment, against a search that walks minute by minute."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.policy.quiet_hours import Place, is_open, next_open, zone_or_utc
from engine.policy.settings import Window
from tests.factories.contacts import make_policy

ZONES = (
    "UTC",
    "America/New_York",
    "America/St_Johns",  # half an hour off
    "Asia/Kathmandu",  # a quarter off
    "Australia/Lord_Howe",  # daylight saving of half an hour
    "Africa/Cairo",  # clocks change at midnight: the day starts at 1 am
    "America/Havana",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
    "Europe/London",
)
MINUTE = timedelta(minutes=1)
TEN_TO_SIX: tuple[Window, ...] = ((600, 1080),) * 5 + ((600, 1020), None)


def is_allowed_at(at: datetime, zone: ZoneInfo, windows: tuple[Window, ...]) -> bool:
    return is_open(at, Place(zone, ()), make_policy(windows=windows))


def next_span(
    at: datetime, zone: ZoneInfo, windows: tuple[Window, ...], slot: tuple[int, int] = (0, 1440)
) -> tuple[datetime, datetime] | None:
    return next_open(at, Place(zone, ()), make_policy(windows=windows), slot=slot)


def next_allowed_at(
    at: datetime, zone: ZoneInfo, windows: tuple[Window, ...], slot: tuple[int, int] = (0, 1440)
) -> datetime | None:
    span = next_span(at, zone, windows, slot)
    return None if span is None else span[0]


def searched(
    at: datetime, zone: ZoneInfo, windows: tuple[Window, ...], slot: tuple[int, int]
) -> datetime | None:
    """The same by brute force: `at`, then every full minute of the fortnight after it."""
    policy, where = make_policy(windows=windows), Place(zone, ())
    moment = at
    while moment < at + timedelta(days=14, hours=1):
        local = moment.astimezone(zone)
        minute = local.hour * 60 + local.minute
        if is_open(moment, where, policy) and slot[0] <= minute < slot[1]:
            return moment
        moment = moment.replace(second=0, microsecond=0) + MINUTE
    return None


# changes of clocks happen between midnight and 4 am, the legal windows lie between 4:00 and 24:00
window = st.one_of(
    st.none(),
    st.tuples(st.integers(4 * 60, 22 * 60), st.integers(4 * 60, 24 * 60)).filter(
        lambda w: w[0] < w[1]
    ),
)


def moments_after(start: datetime, days: int) -> st.SearchStrategy[datetime]:
    return st.timedeltas(timedelta(0), timedelta(days=days)).map(lambda after: start + after)


moments = st.one_of(
    moments_after(datetime(2026, 1, 1, tzinfo=UTC), 364),
    # the clocks change in America, Australia, Egypt and America again
    moments_after(datetime(2026, 3, 7, tzinfo=UTC), 2),
    moments_after(datetime(2026, 4, 4, tzinfo=UTC), 2),
    moments_after(datetime(2026, 4, 23, tzinfo=UTC), 2),
    moments_after(datetime(2026, 10, 31, tzinfo=UTC), 2),
)


@settings(deadline=None)  # twenty thousand minutes are tried
@given(
    at=moments,
    zone=st.sampled_from(ZONES),
    windows=st.tuples(*[window] * 7),
    slot=st.sampled_from(((0, 1440), (480, 720), (720, 900), (1080, 1260))),
)
@example(
    at=datetime(2026, 3, 8, 6, 59, 59, 999_999, tzinfo=UTC),
    zone="America/New_York",
    windows=TEN_TO_SIX,
    slot=(0, 1440),
)
def test_the_next_legal_moment_is_the_one_a_search_by_minutes_finds(at, zone, windows, slot):
    where = ZoneInfo(zone)
    assert next_allowed_at(at, where, windows, slot=slot) == searched(at, where, windows, slot)


@given(
    at=moments,
    zone=st.sampled_from(ZONES),
    windows=st.tuples(
        *[st.tuples(st.integers(0, 1440), st.integers(0, 1440)).filter(lambda w: w[0] < w[1])] * 7
    ),
    part=st.floats(0, 1, exclude_max=True),
)
def test_every_moment_of_the_next_span_is_legal_even_where_the_clocks_change(
    at, zone, windows, part
):
    where = ZoneInfo(zone)
    opens, closes = next_span(at, where, windows)
    assert at <= opens < closes
    within = min(opens + (closes - opens) * part, closes - timedelta(microseconds=1))
    # a window that starts in an hour that comes twice is left again when the clocks go back
    if within.astimezone(where).utcoffset() == opens.astimezone(where).utcoffset():
        assert is_allowed_at(within, where, windows)


def test_a_start_that_the_clocks_skip_moves_to_the_moment_they_have_moved():
    new_york = ZoneInfo("America/New_York")
    at = datetime(2026, 3, 8, 0, 0, tzinfo=UTC)
    half_past_two_to_ten_past_three: tuple[Window, ...] = ((150, 190),) * 7
    three = datetime(2026, 3, 8, 7, 0, tzinfo=UTC)
    assert next_span(at + timedelta(hours=6), new_york, half_past_two_to_ten_past_three) == (
        three,
        three + timedelta(minutes=10),
    )


def test_a_window_that_the_clocks_skip_whole_does_not_open_that_day():
    new_york = ZoneInfo("America/New_York")
    two_to_half_past: tuple[Window, ...] = ((120, 150),) * 7
    at = datetime(2026, 3, 8, 6, 0, tzinfo=UTC)
    assert next_allowed_at(at, new_york, two_to_half_past) == datetime(2026, 3, 9, 6, tzinfo=UTC)


def test_a_date_that_a_country_skipped_has_no_window():
    apia = ZoneInfo("Pacific/Apia")  # went from 29 to 31 December 2011
    fridays_only: tuple[Window, ...] = (None, None, None, None, (600, 1080), None, None)
    at = datetime(2011, 12, 30, 8, 0, tzinfo=UTC)
    found = next_allowed_at(at, apia, fridays_only)
    assert found is not None
    assert found.astimezone(apia).isoformat() == "2012-01-06T10:00:00+14:00"


def test_nothing_is_found_where_window_and_slot_never_meet():
    at = datetime(2026, 3, 10, 12, tzinfo=UTC)
    assert next_allowed_at(at, ZoneInfo("UTC"), TEN_TO_SIX, slot=(1080, 1260)) is None
    assert next_allowed_at(at, ZoneInfo("UTC"), (None,) * 7) is None


@pytest.mark.parametrize("name", ["Mars/Phobos", "", None, "../etc/passwd", "America", "a\0b", "ü"])
def test_a_zone_that_nobody_knows_is_utc(name):
    assert zone_or_utc(name) == ZoneInfo("UTC")
