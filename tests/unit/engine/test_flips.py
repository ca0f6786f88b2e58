"""When time alone turns a comparison: never earlier, never later, not a microsecond beside."""

import operator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from random import Random
from typing import get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.features.contact import HistoryEvent, features_of
from engine.features.flips import HORIZON_DAYS, flips
from engine.features.outlook import Outlook
from engine.features.spec import Feature, Kind
from tests.factories.events import make_event

MICROSECOND = timedelta(microseconds=1)
NEW_YORK = ZoneInfo("America/New_York")
ZONES = (
    "America/New_York",
    "Europe/London",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",  # half an hour of daylight saving
    "America/St_Johns",
    "Pacific/Apia",  # had no 30 December 2011
    "UTC",
)
# clocks change, months are short, years end
CORNERS = (
    datetime(2024, 2, 29, 12, tzinfo=UTC),
    datetime(2026, 3, 8, 6, 30, tzinfo=UTC),
    datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
    datetime(2026, 11, 1, 5, 30, tzinfo=UTC),
    datetime(2011, 12, 29, 23, tzinfo=UTC),
    datetime(2010, 11, 7, 2, 31, tzinfo=UTC),
    datetime(2025, 12, 31, 23, 30, tzinfo=UTC),
    datetime(2026, 1, 31, 15, tzinfo=UTC),
)
BOOKINGS = {"types": ("booked",), "closed_by": ("visit", "cancelled")}
SPECS = (
    Feature("age", "attribute", attribute="age"),
    Feature("tagged", "has", attribute="tags", value="gold"),
    Feature("count", "count", ("visit",), window_days=30),
    Feature("count all", "count", ("visit",)),
    Feature("sum", "sum", ("visit", "booked"), window_days=7),
    Feature("last", "days_since_last", ("visit",)),
    Feature("first", "days_since_first", ("visit", "booked")),
    Feature("months last", "months_since_last", ("visit",)),
    Feature("months last up", "months_since_last_up", ("visit",)),
    Feature("months first", "months_since_first", ("visit",)),
    Feature("months first up", "months_since_first_up", ("visit",)),
    Feature("since", "count_since_last", ("booked",), anchor="visit"),
    Feature("median", "median_interval_days", ("visit", "booked")),
    Feature("ratio", "interval_ratio", ("visit", "booked")),
    Feature("next", "days_until_next", **BOOKINGS),
    Feature("share", "share", ("visit",), window_days=30, of_types=("booked", "visit")),
    Feature("trend", "trend", ("visit", "booked"), window_days=7),
    Feature("last value", "last_value", ("visit",)),
    Feature("mean value", "mean_value", ("visit",), window_days=30),
    Feature("value change", "value_change", ("visit",)),
    Feature("mean change", "mean_change", ("visit", "booked"), window_days=7),
    Feature("spread", "interval_spread", ("visit", "booked")),
    Feature("lead", "median_lead_days", ("booked",), window_days=30),
    Feature("season", "season_count", ("visit", "booked"), window_days=30),
    Feature("plans", "distinct_count", ("visit", "booked"), 30, property="plan"),
    Feature("main plan", "top_share", ("visit", "booked"), 30, property="plan"),
    Feature("open", "open_count", **BOOKINGS, window_days=30),
    Feature("oldest open", "oldest_open_days", **BOOKINGS, window_days=60),
    Feature("latency", "median_latency_days", ("booked",), 30, of_types=("visit",)),
    Feature("until", "days_until_date", attribute="day"),
    Feature("until property", "days_until_date", property="ends_on"),
    Feature("months date", "months_since_date", attribute="day"),
    Feature("months date up", "months_since_date_up", attribute="day"),
    Feature("birthday", "days_until_anniversary", attribute="day"),
    Feature("recall", "days_until_recall", ("visit",), every_months=1, attribute="own"),
    Feature("recall days", "days_until_recall", ("visit",), every_days=30),
    Feature("members", "members_due", ("visit",), 7, every_months=1),
    Feature("plan", "property", property="plan"),
    Feature("today", "local_month_day"),
    Feature("weekday", "local_weekday"),
    Feature("holiday", "holiday"),
)
OPS = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
BOUNDS = {
    "local_month_day": (101, 228, 229, 301, 815, 1231),
    "local_weekday": (1, 3, 5),
    "sum": (0, 500, 1000),
    "interval_ratio": (0.5, 1.5, 2),
    "share": (0, 0.5, 1),
    "mean_value": (0, 4.5, 9),
    "months_since_last": (0, 1, 2, 6),
    "months_since_last_up": (1, 2, 6),
}
PLAIN_BOUNDS = (-7, 0, 1, 1.5, 2, 7, 30, 60)


def holds(op: str, bound: float):
    def compare(value: object) -> bool:
        if op == "missing" or value is None:
            return op == "missing" and value is None
        if isinstance(value, bool | str):
            return op == "==" and value is True
        return OPS[op](value, bound)

    return compare


moments = st.builds(
    lambda corner, days, minutes, micro: (
        corner + timedelta(days=days, minutes=minutes, microseconds=micro)
    ),
    st.sampled_from(CORNERS),
    st.integers(-70, 40),
    st.sampled_from((0, 0, 1, 29, 60, 719)),
    st.sampled_from((0, 0, 1, 999_999)),
)


def near(as_of: datetime) -> st.SearchStrategy[datetime]:
    """Mostly past, some an hour about now, some ahead."""
    days = st.sampled_from((0, 0, 1, 2, 7, 14, 28, 30, 31, 59, 60, 200, -1, -12))
    minutes = st.sampled_from((0, 1, 30, 45, 60, -30, 61))
    return st.builds(lambda d, m: as_of - timedelta(days=d, minutes=m), days, minutes)


def events(as_of: datetime) -> st.SearchStrategy[HistoryEvent]:
    return st.builds(
        HistoryEvent,
        st.sampled_from(("visit", "booked", "cancelled")),
        st.one_of(near(as_of), moments),
        st.sampled_from((None, 500)),
        st.sampled_from((None, "appointment:1", "appointment:2")),
        st.one_of(st.none(), near(as_of).map(lambda at: 2 * as_of.timestamp() - at.timestamp()).map(
            lambda seconds: datetime.fromtimestamp(round(seconds), UTC))),
        st.sampled_from((None, 0.0, 4.5, 9.0)),
        st.sampled_from((None, '{"ends_on": "2026-03-08", "plan": "gold"}',
                         '{"ends_on": "2026-11-20"}')),
        st.sampled_from((None, None, None, "other")),
    )  # fmt: skip


@st.composite
def cases(draw: st.DrawFn) -> tuple:
    as_of = draw(moments)
    days = [as_of.date() + timedelta(days=n) for n in (-1, 0, 1, 5, 6, 380)]
    known = {
        "age": 40,
        "tags": "gold",
        "own": draw(st.sampled_from((None, 2.0))),
        "day": draw(
            st.sampled_from((None, "1980-02-29", "2026-01-31", "2026-03-08", "2010-11-07"))
        ),
    }
    spec = draw(st.sampled_from(SPECS))
    op = draw(st.sampled_from((*OPS, "missing")))
    bound = draw(st.sampled_from(BOUNDS.get(spec.kind, PLAIN_BOUNDS)))
    zone = ZoneInfo(draw(st.sampled_from(ZONES)))
    history = draw(st.lists(events(as_of), max_size=6))
    holidays = draw(st.one_of(st.none(), st.frozensets(st.sampled_from(days))))
    return as_of, spec, op, bound, zone, known, history, holidays, draw(st.integers(0, 99))


@settings(max_examples=400, deadline=None)
@given(cases())
def test_a_comparison_stays_until_its_flip_and_turns_there(case) -> None:
    assert_exact(*case)


def test_flips_are_exact_for_every_kind_of_feature() -> None:
    assert {spec.kind for spec in SPECS} == set(get_args(Kind))


def assert_exact(as_of, spec, op, bound, zone, known, history, holidays, seed) -> None:
    compare = holds(op, bound)

    def truth(at: datetime) -> bool:
        moment = {"as_of": at, "zone": zone, "holidays": holidays}
        return compare(features_of(known, history, (spec,), **moment)[spec.name])

    outlook = Outlook(known, history, zone=zone, holidays=holidays)
    bounds = () if op == "missing" else (bound,)
    turns = list(islice(flips(outlook, spec, compare, bounds, as_of=as_of), 8))
    end = as_of + timedelta(days=HORIZON_DAYS)
    held = truth(as_of)
    rng = Random(seed)
    for start, stop in pairwise([as_of, *turns, *([end] if len(turns) < 8 else [])]):
        length = (stop - start) // MICROSECOND
        probes = [start + rng.randrange(max(length, 1)) * MICROSECOND for _ in range(12)]
        hours = [start + timedelta(minutes=15 * n) for n in range(1, 12)]
        local = [midnight(start, days, zone) for days in (1, 2, 28, 29, 30, 31)]
        for at in (start, stop - MICROSECOND, *probes, *hours, *local):
            if start <= at < stop:
                assert truth(at) == held, (start, at, stop)
        if stop in turns:
            assert truth(stop) != held
            held = not held


def midnight(at: datetime, days: int, zone: ZoneInfo) -> datetime:
    day = at.astimezone(zone).date() + timedelta(days=days)
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def first(spec: Feature, op: str, bound: float, history=(), *, as_of, zone=NEW_YORK, **more):
    outlook = Outlook(more.pop("attributes", {}), history, zone=zone, **more)
    return next(flips(outlook, spec, holds(op, bound), (bound,), as_of=as_of), None)


MONDAY = datetime(2026, 3, 2, 15, tzinfo=UTC)  # ten in New York
SINCE = Feature("since", "days_since_last", ("no_show",))


def test_two_days_of_silence_are_over_at_the_same_hour_two_days_later() -> None:
    missed = [make_event("no_show", MONDAY)]
    assert first(SINCE, ">=", 2, missed, as_of=MONDAY) == MONDAY + timedelta(days=2)


def test_a_week_with_a_change_of_the_clock_is_an_hour_shorter() -> None:
    missed = [make_event("no_show", MONDAY)]
    flip = first(SINCE, ">=", 7, missed, as_of=MONDAY)
    assert flip == MONDAY + timedelta(days=7, hours=-1)
    assert flip.astimezone(NEW_YORK).hour == 10


def test_an_hour_that_the_clocks_skip_is_over_when_they_have_moved() -> None:
    missed = [make_event("no_show", datetime(2026, 3, 7, 7, 30, tzinfo=UTC))]  # 02:30
    flip = first(SINCE, ">=", 1, missed, as_of=datetime(2026, 3, 8, 5, tzinfo=UTC))
    assert flip == datetime(2026, 3, 8, 7, tzinfo=UTC)


def test_an_event_leaves_its_window_a_microsecond_after_its_last_day() -> None:
    visits = [make_event("visit", MONDAY)]
    flip = first(Feature("n", "count", ("visit",), 30), ">=", 1, visits, as_of=MONDAY, zone=UTC_)
    assert flip == MONDAY + timedelta(days=30) + MICROSECOND


UTC_ = ZoneInfo("UTC")


def test_dates_turn_at_local_midnight() -> None:
    spec = Feature("due", "days_until_date", attribute="due")
    flip = first(spec, "<=", 14, as_of=MONDAY, attributes={"due": "2026-04-01"})
    assert flip == datetime(2026, 3, 18, 4, tzinfo=UTC)  # midnight in New York, in summer


def test_a_recall_at_the_end_of_a_short_month_is_due_on_its_last_day() -> None:
    spec = Feature("recall", "days_until_recall", ("visit",), every_months=1)
    visit = [make_event("visit", datetime(2026, 1, 31, 12, tzinfo=UTC))]
    flip = first(spec, "<=", 0, visit, as_of=datetime(2026, 2, 1, tzinfo=UTC), zone=UTC_)
    assert flip == datetime(2026, 2, 28, tzinfo=UTC)


@pytest.mark.parametrize("kind", ["attribute", "has", "property", "last_value", "value_change"])
def test_what_only_events_or_people_change_never_turns_by_time(kind: Kind) -> None:
    spec = Feature("x", kind, ("visit",), attribute="x")
    visits = [make_event("visit", MONDAY, value=3.0, properties='{"x": "3"}')]
    attributes = {"x": "gold"}
    assert first(spec, ">=", 1, visits, as_of=MONDAY, attributes=attributes) is None


def test_a_day_that_is_years_away_is_not_looked_for() -> None:
    spec = Feature("due", "days_until_date", attribute="due")
    assert first(spec, "<=", 0, as_of=MONDAY, attributes={"due": "2029-01-01"}) is None


def test_a_subject_turns_by_its_own_events_alone() -> None:
    history = [
        make_event("no_show", MONDAY, subject="contract:1"),
        make_event("no_show", MONDAY + timedelta(hours=1), subject="contract:2"),
    ]
    spec = replace(SINCE, scope="contract")
    outlook = Outlook({}, history, zone=UTC_).about("contract:1")
    flip = next(flips(outlook, spec, holds(">=", 2), (2,), as_of=MONDAY + timedelta(hours=2)))
    assert flip == MONDAY + timedelta(days=2)
