"""A ranking by effect is judged by those who were left alone."""

import numpy as np
import pytest

from engine.errors import InvalidInput
from engine.uplift import qini

N = 20_000


def world(seed: int = 1):
    """People whom contact changes by 0 to 0.2; one in five is left alone."""
    rng = np.random.default_rng(seed)
    effect = rng.uniform(0.0, 0.2, N)
    contacted = rng.random(N) < 0.8
    reached = rng.random(N) < 0.2 + effect * contacted
    return effect, contacted, reached


def test_the_true_effect_ranks_better_than_chance_and_its_opposite_worse():
    effect, contacted, reached = world()
    right, wrong = qini(effect, contacted, reached), qini(-effect, contacted, reached)
    # the effect is uniform on [0, 0.2]: the area between curve and line is 0.2 / 12 = 0.0167
    assert right.coefficient == pytest.approx(0.2 / 12, abs=3 * right.error)
    assert wrong.coefficient < -3 * wrong.error
    noise = qini(np.random.default_rng(2).random(N), contacted, reached)
    assert abs(noise.coefficient) < 3 * noise.error


def test_uplift_falls_from_the_best_tenth_to_all():
    found = qini(*world())
    best, overall = found.at[0], found.overall
    assert best.uplift == pytest.approx(0.19, abs=3 * best.error)
    assert overall.uplift == pytest.approx(0.10, abs=3 * overall.error)
    assert best.uplift > overall.uplift


def test_the_curve_ends_at_the_uplift_of_all():
    found = qini(*world())
    assert found.points[0] == (0.0, 0.0)
    assert found.points[-1] == pytest.approx((1.0, found.overall.uplift), abs=1e-9)


def test_without_anybody_left_alone_there_is_no_uplift():
    effect, contacted, reached = world()
    with pytest.raises(InvalidInput):
        qini(effect, np.ones(N, dtype=np.bool_), reached)
    with pytest.raises(InvalidInput):
        qini(effect[:-1], contacted, reached)
