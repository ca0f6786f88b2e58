"""Numbers drawn for a stratum are even, whoever comes first and whenever."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.policy.groups import evenly


def keys_of(seed: int, n: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**63, n).astype(np.uint64)


@given(
    seed=st.integers(0, 2**31),
    n=st.integers(1, 3000),
    share=st.floats(0.01, 0.5),
    before=st.integers(0, 10_000),
)
def test_a_share_of_a_stratum_is_met_within_three_members(seed, n, share, before):
    numbers = evenly(keys_of(seed, n), "tenant", "high", before)
    assert ((numbers > 0) & (numbers < 1)).all()
    # both ends, where the groups lie; Ostrowski's bound for the golden ratio is below 3 here
    for taken in ((numbers < share).sum(), (numbers >= 1 - share).sum()):
        assert abs(taken - share * n) <= 3


def test_who_comes_later_keeps_the_stratum_even():
    first = evenly(keys_of(1, 137), "tenant", "low", 0)
    later = [evenly(keys_of(n, 1), "tenant", "low", 136 + n)[0] for n in range(1, 200)]
    taken = (np.concatenate([first, later]) < 0.1).sum()
    assert abs(taken - 0.1 * (137 + 199)) <= 3


def test_the_order_in_which_contacts_are_listed_draws_nobody_otherwise():
    keys = keys_of(3, 50)
    numbers = evenly(keys, "tenant", "low", 0)
    assert np.array_equal(evenly(keys[::-1], "tenant", "low", 0)[::-1], numbers)
    assert not np.array_equal(evenly(keys, "other", "low", 0), numbers)
