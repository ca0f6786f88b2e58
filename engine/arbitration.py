"""Arbitration: every candidate that survived, and 'do nothing', on one scale in cents."""

from dataclasses import replace

import numpy as np

from engine.actions import ActionColumns
from engine.candidates import Candidates, Contacts, remove, strike_channels
from engine.columns import Ints
from engine.policy.settings import PolicyData
from engine.reasons import Reason, Stage

_DECIMALS = 6  # a millionth of a cent: sums in another order can't change a rank


def score(
    candidates: Candidates, contacts: Contacts, actions: ActionColumns, policy: PolicyData
) -> Candidates:
    """Return the candidates with all score terms, cents.

    score = effect × value × context × lever - cost - fatigue, where effect is P(success |
    contacted) - P(success | left alone) and fatigue grows with the messages of the last seven days.
    'Do nothing' scores 0. A channel whose cost would eat the gain is struck. Candidates are ranked
    with the cost of the cheapest channel left: the channel is drawn afterwards, and a rank that
    depended on the draw would bend its logged probability.
    """
    effect = candidates.propensity - candidates.if_left
    fatigue = contacts.recent_sends[candidates.contact] * policy.fatigue_cents
    gain = effect * candidates.value_cents * candidates.context * candidates.lever
    cost = actions.cost_cents[candidates.action]
    worth = np.round(gain[:, None] - cost - fatigue[:, None], _DECIMALS)
    kept = strike_channels(candidates, worth <= 0.0, Reason.NOT_WORTH_IT, Stage.ARBITRATION)
    # of a candidate without any channel the cheapest of all is told, to show what it was worth
    some_left = np.asarray(kept.channels_left().any(axis=1))
    counted = np.where(some_left[:, None], kept.channels_left(), True)
    counted &= actions.channel[candidates.action]
    cheapest = np.where(counted, cost, np.inf).min(axis=1, initial=np.inf)
    cheapest = np.where(np.isfinite(cheapest), cheapest, 0.0)
    return replace(
        kept,
        effect=np.round(effect, 12),
        cost_cents=cheapest,
        fatigue_cents=np.round(fatigue, _DECIMALS),
        score_cents=np.asarray(np.round(gain - cheapest - fatigue, _DECIMALS), dtype=np.float64),
    )


def arbitrate(
    candidates: Candidates, actions: ActionColumns, contacts: int
) -> tuple[Candidates, Ints]:
    """Return the candidates with losers marked, and the winning row per contact, -1 for nothing.

    Ties go to the higher priority, then to the action that stands first, then to the subject whose
    name sorts first: the same input gives the same decision on every host.
    """
    weak = candidates.score_cents <= 0.0
    kept = remove(candidates, weak, Stage.ARBITRATION, Reason.NOT_WORTH_IT)
    rows = np.flatnonzero(kept.in_play)
    order = np.lexsort(
        (
            kept.subject[rows],
            kept.action[rows],
            -actions.priority[kept.action[rows]],
            -kept.score_cents[rows],
            kept.contact[rows],
        )
    )
    ranked = rows[order]
    who = kept.contact[ranked]
    first = np.ones(len(ranked), dtype=np.bool_)
    first[1:] = who[1:] != who[:-1]
    winner = np.full(contacts, -1, dtype=np.int64)
    winner[who[first]] = ranked[first]
    beaten = np.zeros(len(kept.contact), dtype=np.bool_)
    beaten[ranked[~first]] = True
    return remove(kept, beaten, Stage.ARBITRATION, Reason.LOWER_VALUE), winner
