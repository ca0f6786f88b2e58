from dataclasses import replace

import numpy as np
import pytest

from benchmarks.cold_start import SCALE_FREE, simulated
from churn.log_features import LogHistory, view
from churn.log_labels import declared_churn, own_limits
from churn.log_models import LogHazard, Standing, log_hazard
from churn.tiers import tiered


def standing(history: LogHistory, day: int, until: int) -> Standing:
    seen = view(history, day, within_days=180, window=(0, 90)).of(SCALE_FREE)
    limits = own_limits(seen, factor=2.5, shortest=60, longest=180)
    kept = (limits > seen.recency_days) & (seen.visits >= 3)
    found = declared_churn(history, seen.where(kept), limits[kept], until=until)
    return Standing(seen.where(kept), limits[kept], found)


def some_of(each: Standing, most: int) -> Standing:
    kept = each.seen.customers < most
    found = replace(each.found, churn_days=each.found.churn_days[kept])
    return Standing(each.seen.where(kept), each.limit_days[kept], found)


@pytest.fixture(scope="module")
def shared() -> LogHazard:
    other = simulated(25.0, customers=200, days=500, seed=3)
    return log_hazard([standing(other, day, 490) for day in (150, 230, 310)], seed=0)


@pytest.fixture(scope="module")
def origins() -> tuple[list[Standing], list[Standing]]:
    own = simulated(25.0, customers=600, days=520, seed=8)
    days = (150, 180, 210, 240, 270)
    return [standing(own, day, 400) for day in days], [standing(own, d, 240) for d in days[:3]]


def test_a_business_that_has_seen_nothing_is_scored_by_the_model_of_others(
    shared: LogHazard, origins: tuple[list[Standing], list[Standing]]
):
    past, trial = ([some_of(each, 0) for each in part] for part in origins)
    model = tiered(shared, past, trial, seed=0)
    assert (model.tier, model.losses) == (1, {})
    now = origins[0][-1]
    np.testing.assert_array_equal(
        model.predict(now.seen, now.limit_days).hazard_90d,
        shared.predict(now.seen, now.limit_days).hazard_90d,
    )


def test_too_few_customers_for_trees_of_their_own_get_two_parameters_at_most(
    shared: LogHazard, origins: tuple[list[Standing], list[Standing]]
):
    past, trial = ([some_of(each, 250) for each in part] for part in origins)
    assert set(tiered(shared, past, trial, seed=0).losses) <= {1, 2}


def test_a_tier_is_taken_only_if_it_told_the_held_out_origins_better(
    shared: LogHazard, origins: tuple[list[Standing], list[Standing]]
):
    model = tiered(shared, *origins, seed=0)
    assert set(model.losses) == {1, 2, 3}
    assert model.losses[model.tier] == min(model.losses.values()) or model.tier == 1
    # a shared model that has everything upside down is straightened or left behind
    wrong = replace(shared, tree_share=-shared.tree_share)
    assert tiered(wrong, *origins, seed=0).tier > 1
