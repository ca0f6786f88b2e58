"""Draws that replay: a number is a function of its key."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.chance import contact_keys, mixed, salt, uniform
from tests.factories.contacts import contact_id

N = 20_000
KEYS = contact_keys(contact_id(n) for n in range(N))


def test_draws_are_spread_evenly_over_the_unit_interval():
    drawn = uniform(KEYS, salt("a"))
    assert ((drawn >= 0) & (drawn < 1)).all()
    counts = np.histogram(drawn, bins=20, range=(0, 1))[0]
    # chi-squared with 19 degrees of freedom exceeds 43.8 once in a thousand
    assert ((counts - N / 20) ** 2 / (N / 20)).sum() < 43.8


def test_draws_of_two_salts_have_nothing_to_do_with_each_other():
    one, other = uniform(KEYS, salt("a")), uniform(KEYS, salt("b"))
    # the correlation of independent draws has a standard deviation of 1 / sqrt(N)
    assert abs(np.corrcoef(one, other)[0, 1]) < 4 / np.sqrt(N)


def test_neighbouring_keys_have_unrelated_draws():
    drawn = uniform(np.arange(N, dtype=np.uint64), salt("a"))
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 4 / np.sqrt(N)


@given(st.lists(st.integers(0, 2**64 - 1), max_size=8), st.integers(0, 2**64 - 1))
def test_a_draw_depends_on_its_key_and_salt_alone(keys, salted):
    together = mixed(np.array(keys, dtype=np.uint64), salted)
    alone = [mixed(np.array([key], dtype=np.uint64), salted)[0] for key in keys]
    assert together.tolist() == [int(each) for each in alone]


def test_the_numbers_are_these_on_every_host():
    assert salt("holdout", "tenant") == salt("holdout", "tenant")
    assert salt("ab", "c") != salt("a", "bc")
    key = contact_keys(["0190f3a2-4d5e-7c11-9a5b-3f1f6f0c2b7d"])
    assert key.tolist() == [0x0190F3A24D5E7C11 ^ 0x9A5B3F1F6F0C2B7D]
    assert mixed(key, salt("a")).tolist() == [10874680624278048584]
