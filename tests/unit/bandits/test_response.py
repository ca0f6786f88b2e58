"""An effect is learnt together with the level of those left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandits.response import Counts, Guess, response
from engine.errors import InvalidInput

GUESS = Guess(0.30, 0.22, 20.0)
shares = st.floats(0.01, 0.99)
counts = st.integers(0, 5000).flatmap(lambda n: st.builds(Counts, st.just(n), st.integers(0, n)))


def test_without_data_the_guess_stands_as_it_is():
    told = response(GUESS)
    assert (told.if_contacted, told.if_left) == pytest.approx((0.30, 0.22))
    assert told.effect.mean == pytest.approx(0.08)


def test_a_business_where_fewer_come_than_guessed_does_not_make_the_message_look_harmful():
    told = response(GUESS, Counts(1000, 100))
    assert told.if_contacted == pytest.approx(0.10, abs=0.005)
    assert 0.0 < told.effect.mean < 0.08


def test_a_holdout_that_comes_more_often_shows_the_harm():
    told = response(GUESS, Counts(1000, 100), Counts(600, 100))
    assert told.effect.high < 0.0


def test_many_of_both_are_believed_over_any_guess():
    told = response(GUESS, Counts(100_000, 12_000), Counts(100_000, 9_000))
    # standard error of the difference: sqrt(.12*.88/1e5 + .09*.91/1e5) = 0.0014
    assert told.effect.mean == pytest.approx(0.03, abs=0.003)
    assert told.effect.high - told.effect.low == pytest.approx(2 * 1.96 * 0.00137, rel=0.05)


@given(shares, shares, counts, counts)
def test_shares_stay_shares_and_the_interval_holds_its_mean(contacted, left, treated, alone):
    told = response(Guess(contacted, left, 20.0), treated, alone)
    assert 0.0 <= told.if_left <= 1.0
    assert 0.0 <= told.if_contacted <= 1.0
    assert told.effect.low <= told.effect.mean <= told.effect.high


@given(counts, counts)
def test_one_more_success_never_lowers_what_contacting_is_believed_to_do(treated, alone):
    before = response(GUESS, treated, alone).if_contacted
    after = response(GUESS, Counts(treated.n + 1, treated.reached + 1), alone).if_contacted
    assert after >= before - 2e-9


@pytest.mark.parametrize(
    ("guess", "seen"),
    [
        (Guess(0.0, 0.2, 20.0), Counts()),
        (Guess(0.3, 1.0, 20.0), Counts()),
        (Guess(0.3, 0.2, 0.0), Counts()),
        (GUESS, Counts(3, 4)),
        (GUESS, Counts(3, -1)),
    ],
)
def test_what_is_no_belief_and_no_count_is_refused(guess, seen):
    with pytest.raises(InvalidInput):
        response(guess, seen)
