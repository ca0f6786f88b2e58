"""One contact computed alone and the same contact in a batch get the same values, to the bit."""

import math
from datetime import UTC, date, datetime, timedelta

import polars as pl
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.features.catalogue import standard_features
from engine.features.columns import feature_columns
from engine.features.contact import HistoryEvent, features_of
from engine.features.spec import Feature, Scalar
from engine.features.wall_clock import zone_of
from tests.factories.events import contact_frame, event_frame, make_event

ZONES = (
    "America/New_York",
    "America/Sao_Paulo",
    "Europe/London",
    "Asia/Kathmandu",  # 45 minutes past the hour
    "Australia/Lord_Howe",  # half an hour of daylight saving
    "Pacific/Apia",
    "not/a zone",
    None,
)
TYPES = ("visit", "no_show", "booked", "cancelled", "invoice.paid")
BOOKINGS = {"types": ("booked",), "closed_by": ("visit", "no_show", "cancelled")}
SPECS = (
    Feature("contact.age", "attribute", attribute="contact.age"),
    Feature("custom.never", "attribute", attribute="custom.never"),
    Feature("count all", "count", ("visit",)),
    Feature("count 1", "count", ("visit", "no_show"), window_days=1),
    Feature("count 30", "count", ("visit",), window_days=30),
    Feature("sum", "sum", ("invoice.paid", "visit"), window_days=60),
    Feature("last", "days_since_last", ("visit",)),
    Feature("first", "days_since_first", ("visit", "booked")),
    Feature("months", "months_since_last", ("visit",)),
    Feature("months up", "months_since_last_up", ("visit",)),
    Feature("since", "count_since_last", ("booked",), anchor="no_show"),
    Feature("since other", "count_since_last", ("visit", "no_show"), anchor="cancelled"),
    Feature("median", "median_interval_days", ("visit", "booked")),
    Feature("next", "days_until_next", **BOOKINGS),
    Feature("share", "share", ("no_show",), window_days=90, of_types=("no_show", "visit")),
    Feature("trend", "trend", ("visit",), window_days=7),
    Feature("ratio", "interval_ratio", ("visit", "booked")),
    Feature("due", "days_until_date", attribute="custom.due"),
    Feature("today", "local_month_day"),
    *standard_features(("visit", "invoice.paid")),
)
ATTRIBUTES = {"contact.age": pl.Int64, "custom.due": pl.String}

# Moments at which clocks change, days that most years lack, ends of months and years.
CORNERS = (
    datetime(2016, 2, 29, 12, tzinfo=UTC),
    datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(2026, 3, 8, 7, tzinfo=UTC),
    datetime(2026, 3, 29, 1, tzinfo=UTC),
    datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
    datetime(2026, 11, 1, 5, 30, tzinfo=UTC),
    datetime(2026, 11, 1, 6, 10, tzinfo=UTC),
    datetime(2017, 10, 15, 3, tzinfo=UTC),
    datetime(2025, 12, 31, 23, 30, tzinfo=UTC),
    datetime(2026, 3, 31, 15, tzinfo=UTC),
)
moments = st.one_of(
    st.sampled_from(CORNERS),
    st.builds(
        lambda corner, days, minutes: corner + timedelta(days=days, minutes=minutes),
        st.sampled_from(CORNERS),
        st.integers(-400, 400),
        st.sampled_from((0, 0, 1, -1, 30, 61, 719)),
    ),
)
# Ages at which windows end, on the contact's clock or an hour beside it.
AGES = (0, 1, 7, 14, 30, 60, 90, 180, 365)


def events(as_of: datetime) -> st.SearchStrategy[HistoryEvent]:
    at_the_edge = st.builds(
        lambda days, minutes: as_of - timedelta(days=days, minutes=minutes),
        st.sampled_from(AGES),
        st.sampled_from((0, 0, 0, 60, -60)),
    )
    return st.builds(
        HistoryEvent,
        st.sampled_from(TYPES),
        st.one_of(moments, at_the_edge),
        st.one_of(st.none(), st.integers(-5_000, 500_000)),
        st.sampled_from((None, "appointment:1", "appointment:2")),
        st.one_of(st.none(), moments, st.just(datetime(9999, 12, 31, 23, tzinfo=UTC))),
    )


dates = st.one_of(
    st.none(),
    st.dates(date(2015, 1, 1), date(2028, 1, 1)).map(date.isoformat),
    st.sampled_from(("2026-02-30", "20260401", "2026-4-1", "", "０026-01-01", "2026-01-01\n")),
)


@st.composite
def groups(draw: st.DrawFn) -> tuple[datetime, list[tuple]]:
    as_of = draw(moments)
    ages = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1))
    history = st.lists(events(as_of), max_size=12)
    people = st.tuples(st.sampled_from(ZONES), history, ages, dates)
    return as_of, draw(st.lists(people, max_size=4))


def same(one: Scalar, other: Scalar) -> bool:
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return type(one) is type(other) and one == other


@settings(max_examples=120, deadline=None)
@given(groups())
@example((CORNERS[0], []))
@example((CORNERS[0], [("Europe/London", [], None, None)]))
def test_a_contact_alone_and_in_a_batch_has_the_same_features(case) -> None:
    as_of, group = case
    ids = [f"contact-{n}" for n in range(len(group))]
    attributes = {
        name: {"contact.age": age, "custom.due": due}
        for name, (_, _, age, due) in zip(ids, group, strict=True)
    }
    contacts = contact_frame(
        {name: zone for name, (zone, *_) in zip(ids, group, strict=True)}, attributes, ATTRIBUTES
    )
    histories = {name: history for name, (_, history, *_) in zip(ids, group, strict=True)}
    histories["somebody else"] = [make_event("visit", CORNERS[0])]

    table = feature_columns(contacts, event_frame(histories), SPECS, as_of=as_of)

    assert table["contact_id"].to_list() == ids
    for row, (zone, history, *_) in zip(table.to_dicts(), group, strict=True):
        name = row.pop("contact_id")
        alone = features_of(attributes[name], history, SPECS, as_of=as_of, zone=zone_of(zone))
        different = {k: (alone[k], row[k]) for k in alone if not same(alone[k], row[k])}
        assert not different
