"""One contact computed alone and the same contact in a batch get the same values, to the bit."""

import json
import math
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import get_args

import polars as pl
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from engine.features.catalogue import standard_features
from engine.features.columns import feature_columns
from engine.features.contact import HistoryEvent, features_of
from engine.features.spec import EVENT_COLUMNS, Feature, Kind, Scalar, SubjectKind
from engine.features.subjects import subject_columns, subjects_of
from engine.features.wall_clock import zone_of
from tests.factories.events import contact_frame, event_frame, make_event

US = pl.Datetime("us", "UTC")
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
SUBJECTS = (
    SubjectKind("contract", ("contract.started", "booked"), ("contract.ended",)),
    SubjectKind("appointment", ("booked",), ("visit", "no_show", "cancelled")),
)
TYPES = (
    "visit",
    "no_show",
    "booked",
    "cancelled",
    "invoice.paid",
    "contract.started",
    "contract.ended",
)
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
    Feature("weekday", "local_weekday"),
    Feature("holiday", "holiday"),
    Feature("tagged", "has", attribute="custom.tags", value="gold"),
    Feature("never tagged", "has", attribute="custom.never", value="gold"),
    Feature("months first", "months_since_first", ("visit", "booked")),
    Feature("months first up", "months_since_first_up", ("visit", "booked")),
    Feature("months date", "months_since_date", attribute="custom.due"),
    Feature("months date up", "months_since_date_up", attribute="custom.due"),
    Feature("birthday", "days_until_anniversary", attribute="custom.due"),
    Feature("recall", "days_until_recall", ("visit",), every_months=6),
    Feature("recall days", "days_until_recall", ("visit", "booked"), every_days=45),
    Feature("recall own", "days_until_recall", ("visit",), every_months=6, attribute="custom.own"),
    Feature("recall only own", "days_until_recall", ("visit",), attribute="custom.own"),
    Feature("recall never", "days_until_recall", ("visit",)),
    Feature("last value", "last_value", ("visit", "invoice.paid")),
    Feature("mean value", "mean_value", ("visit", "booked"), window_days=90),
    Feature("value change", "value_change", ("visit", "invoice.paid")),
    Feature("mean change", "mean_change", ("visit", "booked"), window_days=90),
    Feature("spread", "interval_spread", ("visit", "booked")),
    Feature("lead", "median_lead_days", ("booked", "visit")),
    Feature("lead 90", "median_lead_days", ("booked",), window_days=90),
    Feature("season", "season_count", ("visit", "booked"), window_days=90),
    Feature("plans", "distinct_count", ("visit", "booked"), 60, property="plan"),
    Feature("plans ever", "distinct_count", ("visit",), property="plan"),
    Feature("usual plan", "top_share", ("visit", "booked"), 365, property="plan"),
    Feature("usual plan ever", "top_share", ("visit", "booked"), property="plan"),
    Feature("open", "open_count", **BOOKINGS),
    Feature("open 60", "open_count", **BOOKINGS, window_days=60),
    Feature("open for good", "open_count", ("booked",)),
    Feature("oldest open", "oldest_open_days", **BOOKINGS),
    Feature("oldest open 60", "oldest_open_days", **BOOKINGS, window_days=60),
    Feature("latency", "median_latency_days", ("booked", "visit"), of_types=("visit", "cancelled")),
    Feature("latency 90", "median_latency_days", ("booked",), 90, of_types=("visit", "no_show")),
    Feature("members", "members_due", ("visit",), 30, every_months=6),
    Feature("members days", "members_due", ("visit", "booked"), every_days=45),
    Feature("members never", "members_due", ("visit",)),
    Feature("nothing counted", "count"),
    Feature("plan", "property", property="plan"),
    Feature("plan of visits", "property", ("visit", "booked"), property="plan"),
    Feature("visits", "property", property="visits", value_type="number"),
    Feature("active", "property", property="active", value_type="flag"),
    Feature("covers", "property", property="covers", value_type="list"),
    *standard_features(("visit", "invoice.paid")),
)
SUBJECT_SPECS = tuple(
    replace(spec, name=f"{kind.name}: {spec.name}", scope=kind.name)
    for kind in SUBJECTS
    for spec in (
        *SPECS,
        Feature("ends", "days_until_date", property="ends_on"),
        Feature("ended", "months_since_date", property="ends_on"),
        Feature("ended up", "months_since_date_up", property="ends_on"),
        Feature("yearly", "days_until_anniversary", property="ends_on"),
        Feature("covers boiler", "has", property="covers", value="boiler"),
    )
    # What is not of the subject; members are counted for contacts only.
    if spec.kind not in {"attribute", "holiday"} and spec.attribute in {None, "custom.own"}
)
ATTRIBUTES = {
    "contact.age": pl.Int64,
    "custom.due": pl.String,
    "custom.tags": pl.String,
    "custom.own": pl.Float64,
    "account_id": pl.String,
}
PROPERTIES = (
    None,
    "{}",
    "no JSON",
    "[1]",
    '{"plan": "gold", "visits": 2, "active": true, "ends_on": "2026-04-30"}',
    '{"plan": "basic", "visits": 2.5, "active": false, "ends_on": "2024-02-29"}',
    '{"plan": null, "ends_on": null, "covers": null}',
    '{"\\u0070lan": "escaped", "covers": ["boiler", "", "roof"]}',
    '{"plan": 3, "visits": "two", "active": "yes", "covers": [], "ends_on": 20260430}',
    '{"plan": "half \\ud83d", "visits": 1e400, "covers": ["boiler", 1], "ends_on": "2026-02-30"}',
    '{"visits": NaN, "active": 1, "covers": "boiler"}',
    '{"visits": ' + "9" * 400 + "}",
    "[" * 100_000,
    json.dumps({"plan": "Zürich 🦷\n", "outer": {"plan": "inner"}}, ensure_ascii=False),
)

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
        st.sampled_from(
            (None, "appointment:1", "appointment:2", "contract:1", "contract:02", "o:1")
        ),
        st.one_of(st.none(), moments, st.just(datetime(9999, 12, 31, 23, tzinfo=UTC))),
        st.one_of(st.none(), st.integers(0, 10).map(float), st.floats(-2e9, 2e9), st.floats()),
        st.sampled_from(PROPERTIES),
    )


dates = st.one_of(
    st.none(),
    st.dates(date(2015, 1, 1), date(2028, 1, 1)).map(date.isoformat),
    st.sampled_from(("2026-02-30", "20260401", "2026-4-1", "", "０026-01-01", "2026-01-01\n")),
)


@st.composite
def people(draw: st.DrawFn, as_of: datetime) -> tuple[str | None, list[HistoryEvent], dict]:
    zone, history = draw(st.sampled_from(ZONES)), draw(st.lists(events(as_of), max_size=12))
    some = draw(st.lists(st.integers(0, len(history) - 1), max_size=2)) if history else []
    intervals = (None, 3.0, 6.0, 0.0, -1.0, 2.5, 1200.0, 1201.0, math.inf, math.nan)
    attributes = {
        "contact.age": draw(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1))),
        "custom.due": draw(dates),
        "custom.tags": draw(st.sampled_from((None, "", "gold", "golden", "new\ngold\nold"))),
        "custom.own": draw(st.sampled_from(intervals)),
        "account_id": draw(st.sampled_from((None, "contact-0", "household", "household"))),
    }
    return zone, history + [history[n] for n in some], attributes


@st.composite
def groups(draw: st.DrawFn) -> tuple:
    as_of = draw(moments)
    near = [as_of.date() + timedelta(days=n) for n in (-1, 0, 1)]
    holidays = draw(st.one_of(st.none(), st.frozensets(st.sampled_from(near))))
    return as_of, draw(st.lists(people(as_of), max_size=4)), holidays


def same(one: Scalar, other: Scalar) -> bool:
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return type(one) is type(other) and one == other


def with_members(number: int, group: list) -> list[HistoryEvent]:
    """The contact's events, and those of the others in its account."""
    account = group[number][2]["account_id"]
    return group[number][1] + [
        replace(event, member=f"contact-{other}")
        for other, (_, history, attributes) in enumerate(group)
        if other != number and account is not None and attributes["account_id"] == account
        for event in history
    ]


NOBODY = dict.fromkeys(ATTRIBUTES)


@settings(max_examples=100, deadline=None)
@given(groups())
@example((CORNERS[0], [], None))
@example((CORNERS[0], [("Europe/London", [], NOBODY)], frozenset({CORNERS[0].date()})))
def test_a_contact_alone_and_in_a_batch_has_the_same_features(case) -> None:
    assert_equal(*case)


def test_a_contact_alone_and_in_a_batch_agree_when_events_fall_on_one_moment() -> None:
    # In Newfoundland clocks went back at 00:01 on 7 November 2010, to 23:01 the day before: what
    # happened at 00:00:30 lies on the day after `as_of`.
    as_of = datetime(2010, 11, 7, 2, 40, tzinfo=UTC)
    rng = Random(20)
    instants = [as_of - timedelta(seconds=s) for s in (-1, 0, 570, 3600, 86_400, 180 * 86_400)]
    group = [
        (
            rng.choice(("America/St_Johns", "UTC", "America/New_York")),
            [
                HistoryEvent(
                    rng.choice(TYPES),
                    rng.choice(instants),
                    rng.choice((None, 100)),
                    rng.choice((None, "appointment:1", "contract:1")),
                    rng.choice((None, as_of + timedelta(days=3))),
                    rng.choice((None, 1.0, 4.5, 9.0)),
                    rng.choice(PROPERTIES),
                )
                for _ in range(rng.randrange(16))
            ],
            NOBODY | {"account_id": rng.choice((None, "small", "large", "large"))},
        )
        for _ in range(80)
    ]
    assert_equal(as_of, group, frozenset({as_of.date()}))


def assert_equal(as_of: datetime, group: list, holidays: frozenset[date] | None) -> None:
    ids = [f"contact-{n}" for n in range(len(group))]
    attributes = {name: one[2] for name, one in zip(ids, group, strict=True)}
    zones = {name: one[0] for name, one in zip(ids, group, strict=True)}
    contacts = contact_frame(zones, attributes, ATTRIBUTES)
    histories = {name: one[1] for name, one in zip(ids, group, strict=True)}
    histories["somebody else"] = [make_event("visit", CORNERS[0], subject="contract:1")]
    frame = event_frame(histories)

    table = feature_columns(contacts, frame, SPECS + SUBJECT_SPECS, as_of=as_of, holidays=holidays)
    tables = subject_columns(contacts, frame, SUBJECTS, SPECS + SUBJECT_SPECS, as_of=as_of)

    assert table["contact_id"].to_list() == ids
    assert list(tables) == [kind.name for kind in SUBJECTS]
    subjects = {kind: iter(one.to_dicts()) for kind, one in tables.items()}
    for number, row in enumerate(table.to_dicts()):
        name, history = row.pop("contact_id"), with_members(number, group)
        moment = {"as_of": as_of, "zone": zone_of(zones[name])}
        alone = features_of(
            attributes[name], history, SPECS + SUBJECT_SPECS, **moment, holidays=holidays
        )
        assert not differences(alone, row)
        for found in subjects_of(
            history, SUBJECTS, SUBJECT_SPECS + SPECS, **moment, attributes=attributes[name]
        ):
            in_batch = next(subjects[found.kind])
            assert in_batch.pop("contact_id") == name
            assert in_batch.pop("subject") == found.subject
            assert not differences(found.row, in_batch)
    assert [row for rows in subjects.values() for row in rows] == []


def differences(alone: dict, row: dict) -> dict:
    assert alone.keys() == row.keys()
    return {k: (alone[k], row[k]) for k in alone if not same(alone[k], row[k])}


def test_every_kind_of_feature_is_held_equal() -> None:
    assert {spec.kind for spec in SPECS} == set(get_args(Kind))


def test_events_may_come_without_the_columns_that_few_sources_fill() -> None:
    contacts = contact_frame({"1": "UTC"})
    events = event_frame({"1": [make_event("visit", CORNERS[0], value=3.0, properties="{}")]})
    specs = [Feature("x", "last_value", ("visit",)), Feature("y", "property", property="plan")]
    table = feature_columns(
        contacts, events.select(EVENT_COLUMNS[:6]), specs, as_of=CORNERS[0] + timedelta(days=1)
    )
    assert table.rows() == [("1", None, None)]


@settings(max_examples=60, deadline=None)
@given(groups(), st.lists(st.integers(-60, 400), min_size=1, max_size=3, unique=True))
def test_rows_with_moments_of_their_own_are_those_of_a_frame_for_each_moment(case, ages) -> None:
    as_of, group, holidays = case
    ids = [f"contact-{n}" for n in range(len(group))]
    contacts = contact_frame(
        {name: one[0] for name, one in zip(ids, group, strict=True)},
        {name: one[2] for name, one in zip(ids, group, strict=True)},
        ATTRIBUTES,
    )
    frame = event_frame({name: one[1] for name, one in zip(ids, group, strict=True)})
    asked = [as_of - timedelta(days=age, minutes=7 * age) for age in ages]
    together = pl.concat(contacts.with_columns(as_of=pl.lit(at, dtype=US)) for at in asked)
    table = feature_columns(together, frame, SPECS, as_of=as_of, holidays=holidays)
    alone = [feature_columns(contacts, frame, SPECS, as_of=at, holidays=holidays) for at in asked]
    assert_frame_equal(table, pl.concat(alone))

    tables = subject_columns(together, frame, SUBJECTS, SUBJECT_SPECS, as_of=as_of)
    parts = [subject_columns(contacts, frame, SUBJECTS, SUBJECT_SPECS, as_of=at) for at in asked]
    for kind, found in tables.items():
        assert_frame_equal(found.drop("as_of"), pl.concat([part[kind] for part in parts]))
        moments = [at for at, part in zip(asked, parts, strict=True) for _ in part[kind].rows()]
        assert found["as_of"].to_list() == moments


@settings(max_examples=30, deadline=None)
@given(groups(), st.randoms(use_true_random=False))
def test_what_was_learnt_of_later_is_not_known_yet(case, random) -> None:
    as_of, group, _ = case
    histories = {f"contact-{n}": one[1] for n, one in enumerate(group)}
    contacts = contact_frame({f"contact-{n}": one[0] for n, one in enumerate(group)})
    frame = event_frame(histories)
    late = [random.choice((-1, 0, 1)) for _ in range(frame.height)]
    known = [as_of + timedelta(minutes=minutes) for minutes in late]
    frame = frame.with_columns(known_at=pl.Series(known, dtype=US))
    in_time = frame.filter(pl.col("known_at") <= as_of).drop("known_at")
    assert_frame_equal(
        feature_columns(contacts, frame, SPECS, as_of=as_of),
        feature_columns(contacts, in_time, SPECS, as_of=as_of),
    )
