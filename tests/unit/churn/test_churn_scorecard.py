import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.definition import HORIZONS, ChurnDefinition, rhythm
from churn.scorecard import START, TABLE, scorecard
from engine.errors import InvalidInput

DEFINITION = ChurnDefinition(("appointment.kept",))
PLAIN: dict[str, float | None] = {
    "visits_total": 1,
    "days_since_last_visit": 10.0,
    "days_since_first_visit": 300.0,
    "median_visit_interval_days": None,
    "no_shows_180d": 0,
    "cancellations_180d": 0,
    "complaints_180d": 0,
    "credits_365d": 0,
    "late_payments_365d": 0,
    "messages_sent_90d": 0,
    "opens_90d": 0,
    "clicks_90d": 0,
    "replies_90d": 0,
    "next_booking_in_days": None,
}
SCHEMA = dict.fromkeys(PLAIN, pl.Float64)


def card(*rows: dict[str, float | None]):
    table = pl.DataFrame([PLAIN | row for row in rows], schema=SCHEMA)
    return scorecard(table, rhythm(table, DEFINITION, tenant_median_days=48.0))  # limit 120 days


def test_ten_points_double_the_odds():
    # 110 of 120 days used up: 48 points, and the limit falls into every horizon
    found = card({"days_since_last_visit": 110.0}).hazards
    odds = 2 ** ((START + 48) / 10)
    assert found.hazard_30d[0] == pytest.approx(odds / (1 + odds))
    assert found.hazard_30d[0] == found.hazard_120d[0]


def test_a_departure_is_unlikely_to_show_long_before_the_limit():
    found = card({"days_since_last_visit": 30.0}).hazards  # 90 days left; 9 points
    odds = 2 ** ((START + 9) / 10)
    leaving = odds / (1 + odds)
    assert found.hazard_90d[0] == pytest.approx(leaving)
    assert found.hazard_30d[0] == pytest.approx(leaving / 27)  # (30 / 90) ^ 3


def test_thirty_points_of_trouble_halve_the_time_that_is_left():
    trouble = {"complaints_180d": 1, "no_shows_180d": 2, "cancellations_180d": 2}  # 10 + 12 + 8
    found = card({"days_since_last_visit": 20.0, **trouble}).hazards
    odds = 2 ** ((START + 30) / 10)
    left = 120 / 2 - 20
    assert found.hazard_30d[0] == pytest.approx(odds / (1 + odds) * (30 / left) ** 3)
    answered = card({"days_since_last_visit": 20.0, "replies_90d": 3}).hazards
    odds = 2 ** ((START - 9) / 10)
    assert answered.hazard_30d[0] == pytest.approx(odds / (1 + odds) * (30 / 100) ** 3)


@pytest.mark.parametrize(
    ("sign", "factor"),
    [
        ({"no_shows_180d": 1}, "no_shows"),
        ({"cancellations_180d": 2}, "cancellations"),
        ({"complaints_180d": 1}, "complaints"),
        ({"credits_365d": 2}, "credits"),
        ({"late_payments_365d": 2}, "late_payments"),
        ({"messages_sent_90d": 4}, "unanswered"),
        ({"days_since_last_visit": 100.0}, "silence"),
    ],
)
def test_these_signs_raise_the_risk_and_are_named(sign: dict[str, float], factor: str):
    found = card({}, sign)
    assert found.hazards.hazard_90d[1] > found.hazards.hazard_90d[0]
    named = {f.factor: f.points for f in found.factors(np.array([1]))[0]}
    assert (named[factor] or 0) > 0


@pytest.mark.parametrize(
    ("sign", "factor"),
    [
        ({"next_booking_in_days": 5.0}, "next_booking"),
        ({"messages_sent_90d": 4, "replies_90d": 1}, "replies"),
        ({"visits_total": 8}, "visits"),
    ],
)
def test_these_signs_lower_it(sign: dict[str, float], factor: str):
    found = card({}, sign)
    assert found.hazards.hazard_90d[1] < found.hazards.hazard_90d[0]
    named = {f.factor: f.points for f in found.factors(np.array([1]))[0]}
    assert (named[factor] or 0) < 0


def test_what_is_not_known_gives_no_points():
    bare = pl.DataFrame(
        [{name: PLAIN[name] for name in list(PLAIN)[:4]}], schema=dict(list(SCHEMA.items())[:4])
    )
    alone = scorecard(bare, rhythm(bare, DEFINITION, tenant_median_days=48.0))
    unknown = card(dict.fromkeys(list(PLAIN)[4:]))
    assert alone.hazards.hazard_90d[0] == unknown.hazards.hazard_90d[0]
    assert alone.hazards.hazard_90d[0] == card({}).hazards.hazard_90d[0]


def test_who_never_came_has_no_chance_and_who_passed_the_limit_has_gone():
    found = card({"visits_total": 0, "days_since_last_visit": None}, {"days_since_last_visit": 121})
    assert np.isnan(found.hazards.hazard_30d[0])
    assert found.hazards.hazard_30d[1] == 1


COUNTS = st.fixed_dictionaries(
    {
        "visits_total": st.integers(1, 20),
        "days_since_last_visit": st.floats(0, 200),
        "no_shows_180d": st.one_of(st.none(), st.integers(0, 5)),
        "complaints_180d": st.integers(0, 3),
        "messages_sent_90d": st.integers(0, 9),
        "next_booking_in_days": st.one_of(st.none(), st.floats(0, 60)),
    }
)


@given(st.lists(COUNTS, min_size=1, max_size=8))
def test_one_contact_alone_gets_the_same_bits_and_longer_horizons_never_less(
    contacts: list[dict[str, float | None]],
):
    together = card(*contacts).hazards
    stacked = np.stack([together.within(days) for days in HORIZONS])
    assert (np.diff(stacked, axis=0) >= 0).all()
    for row, contact in enumerate(contacts):
        alone = card(contact).hazards
        assert [alone.within(d)[0] for d in HORIZONS] == stacked[:, row].tolist()


def test_every_line_of_the_table_has_a_reason_and_rising_steps():
    assert len({line.factor for line in TABLE}) == len(TABLE)
    for line in TABLE:
        assert line.reason
        assert list(line.steps) == sorted(line.steps)


def test_rows_and_rhythm_must_belong_together():
    table = pl.DataFrame([PLAIN], schema=SCHEMA)
    with pytest.raises(InvalidInput, match="One rhythm per feature row"):
        scorecard(table.clear(), rhythm(table, DEFINITION, tenant_median_days=48.0))
