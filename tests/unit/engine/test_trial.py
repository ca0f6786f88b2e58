"""Trials are planned before they start and judged by a rule that may be asked at any time."""

import math

import numpy as np
import pytest

from engine.errors import InvalidInput
from engine.lift import LEAST_UNITS, Sample, half_width, lift, mixture_for, mixture_of, sample_of
from engine.trial import Design, judged, planned, times_as_many

DESIGN = Design(("a", "b"), 0.10, 0.05)
PLAN = planned(DESIGN)


def shares(n: int, reached: int) -> Sample:
    return Sample(n, float(reached), float(reached))


def test_the_mixture_makes_the_interval_narrowest_at_the_planned_variance():
    variance = 2e-4
    best = half_width(variance, mixture=mixture_for(variance))
    for factor in (0.25, 0.5, 2.0, 4.0):
        assert half_width(variance, mixture=mixture_for(variance) * factor) > best


def test_the_formula_is_that_of_the_asymptotic_confidence_sequence():
    # Waudby-Smith and others (2024), theorem 2.2: with n and rho, variance of one unit s^2
    n, rho, s, alpha = 500, 0.1, 0.3, 0.05
    there = s * math.sqrt(
        2 * (n * rho**2 + 1) / (n**2 * rho**2) * math.log(math.sqrt(n * rho**2 + 1) / alpha)
    )
    ours = half_width(s**2 / n, mixture=rho**2 * s**2, alpha=alpha)
    assert ours == pytest.approx(there, rel=1e-12)


def test_a_smallest_difference_is_just_reached_by_its_mixture():
    variance = 1e-4
    smallest = half_width(variance, mixture=mixture_for(variance))
    assert mixture_of(smallest) == pytest.approx(mixture_for(variance), rel=1e-9)


def test_nothing_is_said_before_there_are_enough_units():
    found = lift(shares(LEAST_UNITS - 1, 40), shares(1000, 10), mixture=1e-3)
    assert found.low is None
    assert not found.decided


def test_a_sample_keeps_what_its_mean_and_variance_need():
    values = [0.0, 120.0, 0.0, 80.0]
    found = sample_of(values)
    assert (found.mean, found.variance) == (pytest.approx(50.0), pytest.approx(np.var(values)))


def test_the_planned_size_finds_the_difference_four_times_out_of_five():
    rng = np.random.default_rng(11)
    n, runs = PLAN.units_per_arm, 1000
    a, b = rng.binomial(n, 0.10, runs), rng.binomial(n, 0.15, runs)
    found = sum(
        lift(shares(n, int(y)), shares(n, int(x)), mixture=PLAN.mixture).decided
        for x, y in zip(a, b, strict=True)
    )
    # at least 80 %, less three standard errors of a share of 0.8 over 1,000 runs: 0.038
    assert found / runs >= 0.8 - 3 * math.sqrt(0.8 * 0.2 / runs)


def test_looking_any_day_costs_more_messages_than_one_look_and_less_than_four_times_as_many():
    assert PLAN.once_units_per_arm < PLAN.units_per_arm < 4 * PLAN.once_units_per_arm


def test_the_better_wording_wins():
    found = judged(
        DESIGN, {"a": shares(2000, 200), "b": shares(2000, 320)}, {}, mixture=PLAN.mixture
    )
    assert (found.verdict, found.arm, found.units_more) == ("winner", "b", None)


def test_the_control_wins_against_a_worse_one():
    found = judged(
        DESIGN, {"a": shares(2000, 320), "b": shares(2000, 200)}, {}, mixture=PLAN.mixture
    )
    assert (found.verdict, found.arm) == ("winner", "a")


def test_wordings_that_differ_by_less_than_matters_end_without_a_winner():
    found = judged(
        DESIGN, {"a": shares(20_000, 2000), "b": shares(20_000, 2010)}, {}, mixture=PLAN.mixture
    )
    assert found.verdict == "no_difference"


def test_an_undecided_one_says_how_many_more_messages_it_takes():
    goal = {"a": shares(400, 40), "b": shares(400, 56)}
    found = judged(DESIGN, goal, {}, mixture=PLAN.mixture)
    assert found.verdict == "running"
    n = 400 + (found.units_more or 0)
    as_it_looks = lift(shares(n, round(n * 0.14)), shares(n, round(n * 0.10)), mixture=PLAN.mixture)
    assert as_it_looks.decided
    assert found.units_more > 100


def test_harm_stops_an_arm_even_where_it_wins():
    goal = {"a": shares(2000, 200), "b": shares(2000, 320)}
    guards = {"opt_out": {"a": shares(2000, 4), "b": shares(2000, 140)}}
    found = judged(DESIGN, goal, guards, mixture=PLAN.mixture)
    assert (found.verdict, found.arm, found.guard) == ("harmful", "b", "opt_out")


def test_what_looks_like_nothing_is_decided_by_no_amount_of_data():
    assert times_as_many(0.0, 1e-4, mixture=1e-3) is None
    assert times_as_many(0.5, 1e-4, mixture=1e-3) == 1.0


@pytest.mark.parametrize(
    "design",
    [
        {"arms": ("a",)},
        {"arms": ("a", "a")},
        {"rate": 0.0},
        {"smallest": 1.0},
        {"alpha": 0.0},
        {"power": 0.5},
    ],
)
def test_what_can_not_be_planned_is_refused(design):
    with pytest.raises(InvalidInput):
        Design(**{"arms": ("a", "b"), "rate": 0.1, "smallest": 0.05, **design})
