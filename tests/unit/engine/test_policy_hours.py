"""Legal hours and places against a second implementation: the audit's, which shares no code."""

from datetime import UTC, date, datetime, timedelta

import holidays as library
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.policy.holidays import easter, holidays_of
from engine.policy.quiet_hours import is_open, next_open, place
from engine.policy.whereabouts import Told, place_name
from rules.policy_data import read_policy, tenant_policy
from rules.us_regions import atlas
from services.audit_hours import is_closed, places
from services.policy_numbers import policy_document

ATLAS = atlas()
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# as wide as a tenant may go: every law and holiday decides by itself
WIDEST = tenant_policy(
    read_policy(), {"windows": dict.fromkeys(DAYS, "08:00-21:00"), "closed": ["2026-12-24"]}, None
)
NUMBERS = policy_document(WIDEST)
PLACES = [f"{zones[0]}@{region}" for region, zones in ATLAS.zones.items()]


def closed_by_the_audit(at: datetime, name: str) -> bool:
    where = place(name)
    local = at.astimezone(where.zone)
    regions = list(where.regions)
    return is_closed(NUMBERS, regions, local.date(), local.hour * 60 + local.minute) is not None


def test_every_state_weekday_and_half_hour_is_open_or_closed_as_the_law_says():
    # 52 regions × 14 days × 48 half hours, over Christmas and the New Year
    start = datetime(2026, 12, 20, tzinfo=UTC)
    moments = [start + timedelta(minutes=30 * n) for n in range(14 * 48)]
    for name in PLACES:
        where = place(name)
        wrong = [m for m in moments if is_open(m, where, WIDEST) == closed_by_the_audit(m, name)]
        assert wrong == [], (name, wrong[:3])


@given(
    st.sampled_from(PLACES),
    st.timedeltas(timedelta(0), timedelta(days=2500)).map(
        lambda after: datetime(2024, 1, 1, tzinfo=UTC) + after
    ),
)
def test_the_next_open_span_is_legal_from_its_start_to_its_last_minute(name, at):
    opens, closes = next_open(at, place(name), WIDEST)
    assert at <= opens < closes
    for moment in (opens, closes - timedelta(microseconds=1)):
        assert not closed_by_the_audit(moment, name)


@pytest.mark.parametrize(
    ("name", "hour_utc", "day", "opened"),
    [
        ("America/Chicago@US-TX", 17, 15, False),  # Sunday, 11 in the morning
        ("America/Chicago@US-TX", 18, 15, True),  # Sunday noon
        ("America/New_York@US-RI", 23, 13, False),  # Friday, half past six
        ("America/New_York@US-RI", 22, 13, True),
        ("America/Chicago@US-AL", 17, 15, False),  # no Sunday
        ("America/Chicago@US-TX,US-AL", 19, 15, False),  # the stricter of two regions
    ],
)
def test_laws_of_single_states(name, hour_utc, day, opened):
    at = datetime(2026, 11, day, hour_utc, 30, tzinfo=UTC)
    assert is_open(at, place(name), WIDEST) == opened


@pytest.mark.parametrize("year", [2024, 2026, 2027, 2030])
def test_federal_holidays_are_those_of_the_library(year):
    told = library.country_holidays("US", years=year, observed=False)
    assert holidays_of(WIDEST.holidays, year)["US"] == frozenset(told)


@pytest.mark.parametrize(
    ("year", "month", "day"), [(2024, 3, 31), (2025, 4, 20), (2026, 4, 5), (2027, 3, 28)]
)
def test_easter(year, month, day):
    assert easter(year) == date(year, month, day)


people = st.tuples(
    st.sampled_from(["America/New_York", "America/Denver", "Mars/Phobos", "", None, "UTC"]),
    st.sampled_from(["CA", " ny ", "Texas", "Ontario", "", None, "FL", "ID"]),
    st.sampled_from(["+1 (915) 555-0100", "2175550123", "+44 20 7946 0018", "", None, "x",
                     "1-212-555-0100", "5550100"]),
)  # fmt: skip


@given(
    st.lists(people, min_size=1, max_size=20, unique=True), st.sampled_from(["US/Eastern", None])
)
def test_places_are_those_the_audit_finds(rows, tenant_zone):
    schema = dict.fromkeys(("timezone", "state", "phone"), pl.String)
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    placed = places(frame, tenant_zone, (ATLAS.zones, ATLAS.names, ATLAS.codes))
    for row in placed.iter_rows(named=True):
        told = Told(row["timezone"], row["state"], row["phone"])
        where = place(place_name(told, tenant_zone, ATLAS))
        assert (where.zone.key, sorted(where.regions)) == (row["zone"], row["regions"])


@pytest.mark.parametrize(
    ("told", "tenant", "expected"),
    [
        (Told("America/Denver", "CA", "2125550100"), None, "America/Denver@US-CA,US-NY"),
        # the CRM's default says nothing where the address says otherwise
        (Told("America/New_York", "CA", None), None, "America/Los_Angeles@US-CA"),
        (Told("America/New_York", "NY", None), None, "America/New_York@US-NY"),
        (Told(None, "TX", "9155550100"), None, "America/Denver@US-TX"),  # El Paso
        (Told("nonsense", None, "2175550123"), "America/Denver", "America/Chicago@US-IL"),
        (Told(None, None, None), "America/Denver", "America/Denver"),
        (Told(None, None, None), "nowhere", "UTC"),
    ],
)
def test_the_order_in_which_a_place_is_told(told, tenant, expected):
    assert place_name(told, tenant, ATLAS) == expected
