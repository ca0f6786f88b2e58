"""What contacts share: one message for a household, a budget that is never exceeded."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.policy.rest import rest_days, unanswered
from engine.policy.settings import Rest
from engine.policy.sharing import Choices, beyond_budget, carriers

REST = Rest(ignored=2, within_days=30, rest_days=60, answer_days=3, purposes=("marketing",))


def random_choices(seed: int) -> Choices:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(0, 40))
    action = rng.integers(0, 3, n)
    return Choices(
        action=action,
        score_cents=rng.choice([-5.0, 1.0, 1.0, 300.0], n),
        household=rng.integers(-1, 6, n),
        shares=action != 2,
        budget=np.where(action == 0, -1, action - 1),
        gives_cents=np.where(action == 0, 0, rng.integers(1, 900, n)),
    )


@given(st.integers(0, 2**32))
def test_each_household_has_one_carrier_of_a_message_and_it_is_worth_most_to_it(seed):
    choices = random_choices(seed)
    carried = carriers(choices)
    for row, leader in enumerate(carried):
        family = (
            choices.shares
            & (choices.household == choices.household[row])
            & (choices.action == choices.action[row])
        )
        shared = choices.shares[row] and choices.household[row] >= 0
        if leader < 0:
            assert not shared or (carried[family] < 0).sum() == 1
        else:
            assert shared
            assert family[leader]
            assert carried[leader] < 0
            assert choices.score_cents[leader] == choices.score_cents[family].max()


@given(st.integers(0, 2**32), st.lists(st.integers(-100, 3_000), min_size=2, max_size=2))
def test_gifts_never_exceed_a_budget_and_only_the_least_valuable_go_without(seed, left):
    choices = random_choices(seed)
    waiting = carriers(choices) >= 0
    late = beyond_budget(choices, np.array(left), waiting)
    assert not (late & waiting).any()
    for budget, cents in enumerate(left):
        paid = (choices.budget == budget) & ~late & ~waiting
        assert choices.gives_cents[paid].sum() <= max(cents, 0)
        without = (choices.budget == budget) & late
        if without.any() and paid.any():
            assert choices.score_cents[without].max() <= choices.score_cents[paid].min()


def test_two_ignored_messages_in_thirty_days_are_a_rest_of_sixty():
    for sent, answered, left in (
        ([10.0, 25.0], None, 50.0),
        ([10.0, 25.0], 30.0, 50.0),  # the answer was to something before
        ([10.0, 25.0], 5.0, 0.0),  # something came back since
        ([10.0, 25.0], 20.0, 0.0),  # only one was ignored
        ([2.0, 25.0], None, 0.0),  # the newest may still be answered
        ([10.0, 45.0], None, 0.0),  # too far apart
        ([70.0, 80.0], None, 0.0),  # the rest is over
        ([5.0, 70.0, 80.0], None, 0.0),  # and a new message alone starts none
        ([], None, 0.0),
    ):
        assert rest_days(sent, answered, REST) == left, (sent, answered)
    assert rest_days([1.0, 2.0], None, None) == 0.0


def test_messages_after_the_newest_answer_are_unanswered():
    assert unanswered([1.0, 5.0, 9.0, 70.0], 7.0, 60) == 2
    assert unanswered([1.0, 5.0, 9.0, 70.0], None, 60) == 3
