"""When a challenger takes over, which weights rank best, and what counts as drift."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from churn.artifact import TrainedModel
from churn.drift import MIN_ROWS, agreements, alerts, psi, shifts
from churn.health_policy import PARTS, HealthPolicy, rest_shared
from churn.model import HazardModel
from churn.part_weights import fit_weights
from churn.reliability import by_month, by_segment, by_tenth
from churn.report_page import Report, report_page
from churn.trial import compare
from engine.errors import InvalidInput, ModelUnusable, TooFewData
from services.playbook import _check_features

JUNE = datetime(2025, 6, 1, tzinfo=UTC)


def windows(n: int = 3_000, *, seed: int = 1, noise: float = 1.0) -> pl.DataFrame:
    """Contacts whose true risk the challenger knows and the champion sees through noise."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(-1, 1.5, n)
    true = 1 / (1 + np.exp(-logit))
    blurred = 1 / (1 + np.exp(-(logit + rng.normal(0, noise, n))))
    left = rng.random(n) < true
    months = [JUNE + timedelta(days=30 * int(k)) for k in np.arange(n) * 3 // n]
    return pl.DataFrame(
        {
            "origin": months,
            "contact_id": [f"c{k % (n // 3)}" for k in range(n)],
            "segment": ["first visit" if k % 2 else "3 to 5 visits" for k in range(n)],
            **{part: rng.uniform(0, 100, n) for part in PARTS},
            "churned_30": left,
            "churned_90": left,
            "challenger_90": true,
            "champion_90": blurred,
            "champion_30": blurred,
        },
        schema_overrides={"origin": pl.Datetime("us", "UTC")},
    )


def test_a_model_that_reads_what_is_not_computed_any_more_is_unusable(trained: TrainedModel):
    _check_features(HazardModel(trained))
    names = tuple("charm_90d" if name == "visits_90d" else name for name in trained.feature_names)
    with pytest.raises(ModelUnusable, match="charm_90d"):
        _check_features(HazardModel(replace(trained, feature_names=names)))


def test_a_challenger_takes_over_only_if_it_is_better_with_the_stated_probability():
    better = compare(windows(), first_model=False)
    assert better.promoted
    assert better.better is not None
    assert better.better >= 0.9
    swapped = windows().rename({"challenger_90": "champion_90", "champion_90": "challenger_90"})
    worse = compare(swapped, first_model=False)
    assert not worse.promoted
    assert worse.better == pytest.approx(1 - better.better)


def test_two_models_that_say_the_same_are_no_improvement_of_each_other():
    same = windows().with_columns(champion_90=pl.col("challenger_90"))
    found = compare(same, first_model=False)
    assert (found.better, found.promoted) == (0.0, False)


def test_the_first_model_takes_over_unless_the_scorecard_is_better():
    assert compare(windows(), first_model=True).promoted
    swapped = windows().rename({"challenger_90": "champion_90", "champion_90": "challenger_90"})
    assert not compare(swapped, first_model=True).promoted
    assert compare(windows().clear(), first_model=True).promoted  # nothing to judge by
    few = compare(windows().head(50), first_model=False)
    assert (few.promoted, few.better) == (False, None)


def test_the_fit_finds_the_part_that_departures_follow():
    rows = windows()
    risk = 1 / (1 + np.exp((rows["satisfaction"].to_numpy() - 40) / 8))
    left = np.random.default_rng(2).random(rows.height) < risk
    found = fit_weights(rows.with_columns(churned_90=pl.Series(left)), HealthPolicy().weights)
    assert found.weights["satisfaction"] >= 0.9
    assert found.auc_then is not None
    assert found.auc_before is not None
    assert found.auc_then > found.auc_before + 0.1
    assert sum(found.weights.values()) == pytest.approx(1)


def test_weights_are_not_fitted_on_a_handful():
    with pytest.raises(TooFewData):
        fit_weights(windows(90), HealthPolicy().weights)
    with pytest.raises(TooFewData):
        fit_weights(windows().clear(), HealthPolicy().weights)


def test_what_is_set_takes_its_share_from_the_others_in_proportion():
    before = {"engagement": 0.6, "satisfaction": 0.2, "payment_behavior": 0.2}
    assert rest_shared({"engagement": 0.2}, before) == {
        "engagement": 0.2, "satisfaction": 0.4, "payment_behavior": 0.4,
    }  # fmt: skip
    with pytest.raises(InvalidInput):
        rest_shared({"engagement": 0.8, "satisfaction": 0.3}, before)
    with pytest.raises(InvalidInput):
        rest_shared({"charm": 0.1}, before)


def test_a_population_that_stays_has_no_drift_and_one_that_moves_has():
    rng = np.random.default_rng(3)
    before = rng.normal(0, 1, 5_000)
    same, moved = rng.normal(0, 1, 5_000), rng.normal(1, 1, 5_000)
    assert psi(before, same) == pytest.approx(0, abs=0.02)
    # two unit normals one apart: the index of the densities is 1, tenths catch most of it
    assert psi(before, moved) == pytest.approx(0.9, abs=0.15)
    assert psi(before[: MIN_ROWS - 1], same) is None
    assert psi(np.full(600, np.nan), np.full(600, np.nan)) == 0


def test_a_source_that_is_cut_off_is_named_as_that():
    rng = np.random.default_rng(4)
    then = pl.DataFrame({"last_satisfaction": rng.normal(8, 1, 1_000)})
    now = pl.DataFrame(
        {"last_satisfaction": [None] * 900 + rng.normal(8, 1, 100).tolist()},
        schema={"last_satisfaction": pl.Float64},
    )
    (shift,) = shifts(then, now, ["last_satisfaction"])
    (told,) = alerts([shift], None, [])
    assert "not known: 0% then, 90% now" in told
    assert alerts(shifts(then, then, ["last_satisfaction"]), None, []) == []


def test_months_that_turn_out_otherwise_than_predicted_are_alerts():
    fine = windows().with_columns(champion_90=pl.col("challenger_90"))
    assert alerts([], None, agreements(fine, "champion", (90,))) == []
    off = fine.with_columns(champion_90=pl.col("challenger_90") * 0.5)
    assert len(alerts([], None, agreements(off, "champion", (90,)))) == 2


def test_the_report_groups_what_was_predicted_and_what_happened():
    rows = windows()
    tenths = by_tenth(rows, "challenger", 90)
    assert [point.name for point in tenths] == [str(n) for n in range(1, 11)]
    assert {point.n for point in tenths} == {300}
    assert sum(point.low <= point.observed <= point.high for point in tenths) >= 9
    assert [point.name for point in by_segment(rows, "challenger", 90)] == [
        "first visit", "3 to 5 visits",
    ]  # fmt: skip
    months = by_month(rows, "challenger", 90, unseen_from="2025-07")
    assert [(m.name, m.learnt_from) for m in months] == [
        ("2025-06", True), ("2025-07", False),
    ]  # fmt: skip


def test_the_page_needs_nothing_from_elsewhere_and_names_are_escaped():
    points = by_tenth(windows(), "challenger", 90)
    page = report_page(
        Report(
            "<script>alert(1)</script>", "2025-06-01", "model x", {}, {90: points}, {}, {}, ["!"]
        )
    )
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert page.count("<circle") == 10
    assert "src=" not in page
    assert "url(" not in page


def test_a_clock_that_runs_on_is_no_news_and_a_jump_is():
    rng = np.random.default_rng(6)

    def tenure(days: float) -> pl.DataFrame:
        told = rng.gamma(4.0, 60.0, 2_000) + days
        return pl.DataFrame({"days_since_first_visit": told, "spend_365d_cents": told})

    earlier, then, now = tenure(0), tenure(120), tenure(240)
    both = ["days_since_first_visit", "spend_365d_cents"]
    found = shifts(then, now, both, earlier=earlier)
    assert all(each.psi is not None and each.psi >= 0.25 for each in found)
    assert alerts(found, None, []) == []
    # without a time before it, only what does not run on by itself is told
    (told,) = alerts(shifts(then, now, both), None, [])
    assert told.startswith("spend")
    # and a jump beyond what was usual is told
    assert len(alerts(shifts(then, tenure(900), both, earlier=earlier), None, [])) == 2
