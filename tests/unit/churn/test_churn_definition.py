import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.definition import ChurnDefinition, industry_definition, rhythm, tenant_median
from engine.errors import InvalidInput

VISIT = ("appointment.kept",)


def rows(*contacts: tuple[int, float | None, float | None], age: float = 400.0) -> pl.DataFrame:
    """visits, days since the last, own median interval"""
    return pl.DataFrame(
        contacts,
        schema={
            "visits_total": pl.Int64,
            "days_since_last_visit": pl.Float64,
            "median_visit_interval_days": pl.Float64,
        },
        orient="row",
    ).with_columns(days_since_first_visit=pl.lit(age))


@pytest.mark.parametrize(
    ("visits", "own", "limit"),
    [
        (1, None, 2.5 * 40),  # no interval: the tenant's
        (4, 20.0, 2.5 * (3 * 20 + 3 * 40) / 6),  # three intervals weigh as much as the tenant
        (31, 20.0, 60.0),  # 2.5 x (30 x 20 + 3 x 40) / 33 = 54.5, not under 60
        (3, 300.0, 180.0),  # 2.5 x (2 x 300 + 3 x 40) / 5 = 360, not over 180
    ],
)
def test_the_limit_is_two_and_a_half_intervals_shrunk_to_the_tenant(
    visits: int, own: float | None, limit: float
):
    found = rhythm(rows((visits, 10.0, own)), ChurnDefinition(VISIT), tenant_median_days=40.0)
    assert found.limit_days[0] == pytest.approx(limit)
    assert found.days_to_limit[0] == pytest.approx(limit - 10)


def test_at_risk_is_who_came_and_is_not_yet_silent_for_the_limit():
    found = rhythm(
        rows((0, None, None), (1, 99.0, None), (1, 100.0, None), (1, 5.0, None)),
        ChurnDefinition(VISIT),
        tenant_median_days=40.0,
    )
    assert found.at_risk.tolist() == [False, True, False, True]
    assert np.isnan(found.days_to_limit[0])
    stricter = ChurnDefinition(VISIT, min_visits=2)
    assert not rhythm(rows((1, 5.0, None)), stricter, tenant_median_days=40.0).at_risk[0]


def test_the_tenants_median_is_over_active_contacts_with_an_interval():
    table = rows((3, 5.0, 10.0), (3, 5.0, 30.0), (3, 400.0, 99.0), (1, 5.0, None))
    assert tenant_median(table, ChurnDefinition(VISIT)) == 20.0
    assert tenant_median(rows((1, 5.0, None)), ChurnDefinition(VISIT)) == 45.0


def test_a_young_history_does_not_shorten_the_usual_interval():
    # all that can be seen in six weeks is intervals of under six weeks
    dental = industry_definition("healthcare", VISIT)
    young = rows((3, 5.0, 10.0), (2, 9.0, 20.0), age=42.0)
    assert tenant_median(young, dental) == 182.0
    assert tenant_median(rows((3, 5.0, 10.0), age=364.0), dental) == 10.0


@given(st.lists(st.tuples(st.integers(1, 50), st.floats(0, 400), st.floats(1, 400)), min_size=1))
def test_a_contacts_limit_does_not_depend_on_the_others(contacts: list[tuple[int, float, float]]):
    definition = ChurnDefinition(VISIT)
    together = rhythm(rows(*contacts), definition, tenant_median_days=33.0)
    for place, contact in enumerate(contacts):
        alone = rhythm(rows(contact), definition, tenant_median_days=33.0)
        assert alone.limit_days[0] == together.limit_days[place]
        assert 60 <= alone.limit_days[0] <= 180


def test_a_dental_practice_waits_longer_than_a_shop():
    dental = industry_definition("healthcare", VISIT)
    assert dental.longest_limit_days == 540
    assert industry_definition("florists", VISIT) == ChurnDefinition(VISIT)


@pytest.mark.parametrize(
    "wrong",
    [
        {"visit_types": ()},
        {"shortest_limit_days": 200.0},
        {"interval_factor": 0.0},
        {"min_visits": 0},
    ],
)
def test_a_definition_that_means_nothing_is_refused(wrong: dict[str, object]):
    with pytest.raises(InvalidInput):
        ChurnDefinition(**{"visit_types": VISIT, **wrong})


def test_rows_without_the_rhythm_are_refused_by_name():
    with pytest.raises(InvalidInput, match="visits_total"):
        rhythm(pl.DataFrame({"contact_id": ["a"]}), ChurnDefinition(VISIT), tenant_median_days=1.0)
