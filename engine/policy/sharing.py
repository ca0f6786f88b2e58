"""What contacts of one batch share: a budget, and a household's one message.

Each contact is decided for alone; what it may take of the shared things is part of its profile, so
a decision replays alone. These functions say who gets what, from everybody's first choices.
"""

from dataclasses import dataclass

import numpy as np

from engine.columns import Bools, Floats, Ints


@dataclass(frozen=True, slots=True)
class Choices:
    """What contacts would get, one row per contact who gets something.

    Attributes:
        action: index into the actions, (w,).
        score_cents: worth of the choice, (w,).
        household: same number, same account; -1 for none, (w,).
        shares: the household rule concerns the action, (w,).
        budget: which budget pays, -1 for none, (w,).
        gives_cents: (w,).
    """

    action: Ints
    score_cents: Floats
    household: Ints
    shares: Bools
    budget: Ints
    gives_cents: Ints


def carriers(choices: Choices) -> Ints:
    """Return, by row, the row that carries the household's message of that action; -1: itself.

    It goes by the contact for whom it is worth most, of equals by the first.
    """
    found = np.full(len(choices.action), -1, dtype=np.int64)
    rows = np.flatnonzero(choices.shares & (choices.household >= 0))
    order = rows[
        np.lexsort(
            (rows, -choices.score_cents[rows], choices.action[rows], choices.household[rows])
        )
    ]
    if not len(order):
        return found
    household, action = choices.household[order], choices.action[order]
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = (household[1:] != household[:-1]) | (action[1:] != action[:-1])
    leader = order[np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))]
    found[order] = np.where(first, -1, leader)
    return found


def beyond_budget(choices: Choices, left: Ints, waiting: Bools) -> Bools:
    """Tell whose gift the budgets can't pay any more: the most valuable choices come first, (w,).

    `left` is in cents per budget. `waiting` rows are left out: they get nothing anyhow.
    """
    late = np.zeros(len(choices.action), dtype=np.bool_)
    for budget, cents in enumerate(left):
        rows = np.flatnonzero((choices.budget == budget) & ~waiting)
        order = rows[np.lexsort((rows, -choices.score_cents[rows]))]
        late[order] = np.cumsum(choices.gives_cents[order]) > cents
    return late
