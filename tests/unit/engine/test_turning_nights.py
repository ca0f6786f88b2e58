"""Between the nights found, no comparison of a feature changes its answer."""

import json
from datetime import UTC, datetime, timedelta
from random import Random
from typing import get_args

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.features.columns import feature_columns
from engine.features.contact import HistoryEvent
from engine.features.spec import Feature, Kind
from engine.features.turning_nights import CALENDAR, turning_nights
from tests.factories.events import contact_frame, event_frame

US = pl.Datetime("us", "UTC")
ZONES = ("America/New_York", "Europe/London", "Pacific/Apia", "Asia/Kathmandu", None)
OPENED = {"types": ("booked",), "closed_by": ("visit", "cancelled")}
# each kind with bounds that fall into a month of nights, most of them
ASKED: tuple[tuple[Feature, tuple[float, ...]], ...] = (
    (Feature("a", "attribute", attribute="months"), (3,)),
    (Feature("a", "has", attribute="tags", value="gold"), ()),
    (Feature("a", "count", ("visit",), window_days=14), (1, 2)),
    (Feature("a", "count", ("visit", "booked")), (3,)),
    (Feature("a", "sum", ("visit",), window_days=9), (500,)),
    (Feature("a", "days_since_last", ("visit",)), (7, 12.5, 30)),
    (Feature("a", "days_since_first", ("visit",)), (20, 365)),
    (Feature("a", "months_since_last", ("visit",)), (1, 2)),
    (Feature("a", "months_since_last_up", ("visit",)), (1, 3)),
    (Feature("a", "months_since_first", ("visit",)), (1, 12)),
    (Feature("a", "months_since_first_up", ("visit",)), (2,)),
    (Feature("a", "count_since_last", ("booked",), anchor="visit"), (0, 1)),
    (Feature("a", "median_interval_days", ("visit", "booked")), (7, 30)),
    (Feature("a", "days_until_next", **OPENED), (3, 10)),
    (Feature("a", "share", ("cancelled",), 20, of_types=("booked",)), (0.5,)),
    (Feature("a", "trend", ("visit",), window_days=10), (0, 1)),
    (Feature("a", "interval_ratio", ("visit", "booked")), (0.5, 1.5, 3)),
    (Feature("a", "last_value", ("visit",)), (5,)),
    (Feature("a", "mean_value", ("visit",), window_days=15), (5,)),
    (Feature("a", "value_change", ("visit",)), (0,)),
    (Feature("a", "mean_change", ("visit",), window_days=12), (0,)),
    (Feature("a", "interval_spread", ("visit", "booked")), (0.5,)),
    (Feature("a", "median_lead_days", ("booked",), window_days=20), (5,)),
    (Feature("a", "season_count", ("visit",), window_days=15), (1, 2)),
    (Feature("a", "distinct_count", ("visit",), 14, property="staff"), (1, 2)),
    (Feature("a", "top_share", ("visit",), 14, property="staff"), (0.6,)),
    (Feature("a", "open_count", **OPENED, window_days=12), (1,)),
    (Feature("a", "oldest_open_days", **OPENED), (5, 25)),
    (Feature("a", "median_latency_days", ("booked",), 20, of_types=("visit",)), (4,)),
    (Feature("a", "days_until_date", attribute="due"), (-3, 0, 10)),
    (Feature("a", "days_until_date", property="ends"), (0, 14)),
    (Feature("a", "months_since_date", attribute="due"), (0, 1, 6)),
    (Feature("a", "months_since_date_up", attribute="due"), (1, 7)),
    (Feature("a", "days_until_anniversary", attribute="due"), (0, 7, 300)),
    (Feature("a", "days_until_recall", ("visit",), every_months=1, attribute="months"), (-5, 0, 9)),
    (Feature("a", "days_until_recall", ("visit",), every_days=25), (0,)),
    (Feature("a", "members_due", ("visit",), 5, every_months=1), (1, 2)),
    (Feature("a", "property", property="ends"), ()),
    *((Feature("a", kind), ()) for kind in sorted(CALENDAR)),
)


def group(seed: int, first: datetime) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A few contacts with events about the 40 nights from `first` on."""
    rng = Random(seed)
    zones, attributes, histories = {}, {}, {}
    for number in range(6):
        name = f"contact-{number}"
        zones[name] = rng.choice(ZONES)
        due = first.date() + timedelta(days=rng.choice((-400, -210, -31, 3, 20, 45)))
        attributes[name] = {
            "due": rng.choice((due.isoformat(), None)),
            "months": rng.choice((None, 1.0, 3.0)),
            "tags": rng.choice((None, "gold", "")),
            "account_id": rng.choice((None, "home", "home")),
        }
        histories[name] = [event(rng, first) for _ in range(rng.randrange(9))]
    schema = dict.fromkeys(("due", "tags", "account_id"), pl.String) | {"months": pl.Float64}
    frame = event_frame(histories)
    shift = pl.Series([timedelta(hours=rng.choice((0, 0, 30))) for _ in range(frame.height)])
    frame = frame.with_columns(
        known_at=(pl.col("occurred_at") + shift).cast(US),
        forgotten_at=(pl.col("occurred_at") + timedelta(days=rng.choice((25, 1095)))).cast(US),
    )
    return contact_frame(zones, attributes, schema), frame


def event(rng: Random, first: datetime) -> HistoryEvent:
    ago = rng.choice((0, 0, 365))  # a season's events lie a year back
    days = rng.randrange(-60, 40) - ago
    at = first + timedelta(days=days, minutes=rng.choice((0, 0, 1, 719, -1)))
    starts = rng.choice((None, at + timedelta(days=rng.randrange(30))))
    ends = (at + timedelta(days=rng.randrange(40))).date().isoformat()
    return HistoryEvent(
        rng.choice(("visit", "booked", "cancelled")),
        at,
        rng.choice((None, 300, 700)),
        rng.choice((None, "appointment:1", "appointment:2")),
        starts,
        rng.choice((None, 3.0, 8.0)),
        rng.choice((None, json.dumps({"ends": ends, "staff": rng.choice("ab")}))),
    )


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from(ASKED),
    st.sampled_from(
        (
            datetime(2026, 3, 1, 8, tzinfo=UTC),
            datetime(2026, 10, 20, 3, 30, tzinfo=UTC),
            datetime(2024, 2, 10, tzinfo=UTC),
            datetime(2025, 12, 20, 5, tzinfo=UTC),
        )
    ),
)
def test_one_evaluation_stands_for_all_nights_until_the_next(seed, asked, first) -> None:
    spec, bounds = asked
    contacts, events = group(seed, first)
    nights = [first + timedelta(days=day) for day in range(40)]
    every = pl.concat(contacts.with_columns(as_of=pl.lit(at, dtype=US)) for at in nights)
    values = feature_columns(every, events, [spec], as_of=first)["a"].to_list()
    turning = set(turning_nights(contacts, events, [asked], nights).iter_rows())

    for number, name in enumerate(contacts["contact_id"]):
        before = None
        for night in range(len(nights)):
            value = values[night * contacts.height + number]
            answer = (
                value is None,
                *(value is not None and value < b for b in bounds),
                *(value is not None and value == b for b in bounds),
            )
            if not bounds and spec.kind not in CALENDAR:
                answer = (value,)
            if (name, night) not in turning and spec.kind not in CALENDAR:
                assert answer == before, (name, night, value)
            before = answer


def test_every_kind_of_feature_is_looked_at() -> None:
    assert {spec.kind for spec, _ in ASKED} == set(get_args(Kind))


def test_a_quiet_contact_is_looked_at_once() -> None:
    first = datetime(2026, 3, 1, 8, tzinfo=UTC)
    nights = [first + timedelta(days=day) for day in range(365)]
    contacts = contact_frame({"quiet": "UTC", "seen": "UTC"})
    events = event_frame({"seen": [HistoryEvent("visit", first + timedelta(days=10, hours=1))]})
    asked = [(Feature("a", "count", ("visit",), window_days=30), (1.0,))]
    found = turning_nights(contacts, events, asked, nights).rows()
    assert found == [("quiet", 0), ("seen", 0), ("seen", 11), ("seen", 41)]
