from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.definition import ChurnDefinition
from churn.labels import Outcomes, outcomes, person_periods, reachable, rolling_origins, visits_of

ORIGIN = datetime(2025, 1, 1, tzinfo=UTC)


def day(n: float) -> datetime:
    return ORIGIN + timedelta(days=n)


def visit_frame(days: list[float], contact: str = "a") -> pl.DataFrame:
    return pl.DataFrame(
        {"contact_id": [contact] * len(days), "occurred_at": [day(n) for n in sorted(days)]},
        schema={"contact_id": pl.String, "occurred_at": pl.Datetime("us", "UTC")},
    )


def churn_day(
    later: list[float], *, limit: float = 60.0, left: float = 50.0, followed: float = 400.0
) -> float | None:
    snapshot = pl.DataFrame({"contact_id": ["a"], "limit_days": [limit], "days_to_limit": [left]})
    visits = visit_frame([left - limit, *later])
    found = outcomes(snapshot, visits, origin=ORIGIN, data_until=day(followed)).churn_days[0]
    return None if np.isnan(found) else float(found)


@pytest.mark.parametrize(
    ("later", "churned"),
    [
        ([], 50.0),  # never seen again: the limit
        ([49.0], 109.0),  # came back in time, then silent for 60 days
        ([51.0], 50.0),  # came back too late: it had churned
        ([50.0], 50.0),  # a visit at the very moment is not before it
        ([40.0, 80.0, 110.0], None),  # keeps coming: not within 120 days
        ([40.0, 101.0], 100.0),
    ],
)
def test_the_churn_date_ends_the_first_silence_as_long_as_the_limit(
    later: list[float], churned: float | None
):
    assert churn_day(later) == (None if churned is None else pytest.approx(churned))


def test_what_the_follow_up_does_not_cover_is_unknown():
    assert churn_day([], left=50.0, followed=49.0) is None
    assert churn_day([], left=50.0, followed=50.0) == 50.0
    found = Outcomes(churn_days=np.array([np.nan]), followed_days=45.0)
    assert not found.churned_within(30)[0]
    with pytest.raises(ValueError, match="60 days asked"):
        found.churned_within(60)


LATER = st.lists(st.integers(1, 900).map(lambda n: n / 4), max_size=8, unique=True)


@given(LATER, st.integers(60, 180), st.integers(1, 180), st.integers(0, 200))
def test_outcomes_agree_with_walking_through_the_visits_one_by_one(
    later: list[float], limit: int, left: int, followed: int
):
    left = min(left, limit)
    end = min(float(followed), 120.0)
    last, expected = float(left - limit), None
    for visit in [*sorted(visit for visit in later if visit <= end), float("inf")]:
        if visit >= last + limit:
            expected = last + limit
            break
        last = visit
    if expected is not None and expected > end:
        expected = None
    found = churn_day(later, limit=float(limit), left=float(left), followed=float(followed))
    assert found == (None if expected is None else pytest.approx(expected))


@given(LATER, st.integers(0, 119))
def test_visits_after_the_end_of_the_data_change_nothing(later: list[float], followed: int):
    known = [visit for visit in later if visit <= followed]
    assert churn_day(later, followed=followed) == churn_day(known, followed=followed)


def test_a_period_that_is_not_over_is_left_out_even_where_the_churn_is_known():
    found = Outcomes(churn_days=np.array([10.0, 40.0, 65.0, np.nan]), followed_days=70.0)
    periods = person_periods(found, np.array([10.0, 40.0, 65.0, 20.0]))
    triples = list(zip(periods.row, periods.period, periods.event, strict=True))
    assert triples == [
        (0, 1, True),
        (3, 1, False),  # rows 1 and 2 can't churn in period 1: their limit is later
        (1, 2, True),
        (3, 2, False),
        # period 3 ends on day 90 and is not covered: row 2 is not learnt from
    ]


def test_nobody_can_churn_before_the_limit():
    assert reachable(np.array([31.0, 120.0, np.nan])).T.tolist() == [
        [False, True, True, True],
        [False, False, False, True],
        [False, False, False, False],
    ]


def test_origins_go_back_from_the_last_moment_whose_120_days_are_over():
    first, last = (
        datetime(2009, 12, 1, 7, 45, tzinfo=UTC),
        datetime(2011, 12, 9, 12, 50, tzinfo=UTC),
    )
    origins = rolling_origins(first, last)
    assert origins.test == datetime(2011, 8, 11, tzinfo=UTC)
    assert origins.training[-1] == datetime(2011, 7, 12, tzinfo=UTC)
    assert origins.training[0] >= first + timedelta(days=90)
    assert len(origins.training) == 17
    # 2011-04-13 + 120 days = 2011-08-11: the last that had closed
    assert origins.calibration == (
        datetime(2011, 3, 14, tzinfo=UTC),
        datetime(2011, 4, 13, tzinfo=UTC),
    )


def test_under_a_year_of_history_is_looked_at_every_two_weeks():
    origins = rolling_origins(day(-360), day(0))
    assert origins.training[-1] == origins.test - timedelta(days=14)
    assert all(origin >= day(-360 + 90) for origin in origins.training)


def test_only_visits_up_to_the_moment_count():
    events = visit_frame([1.0, 2.0, 3.0]).with_columns(
        type=pl.Series(["appointment.kept", "invoice.issued", "appointment.kept"])
    )
    found = visits_of(events, ChurnDefinition(("appointment.kept",)), day(2.5))
    assert found["occurred_at"].to_list() == [day(1.0)]
