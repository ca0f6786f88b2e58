"""Arbitration: every candidate that survived, and 'do nothing', on one scale in cents."""

from dataclasses import replace

import numpy as np

from engine.actions import ActionColumns
from engine.candidates import Candidates, Contacts, remove
from engine.columns import Ints
from engine.policy.settings import PolicyData
from engine.reasons import Reason, Stage

_DECIMALS = 6  # a millionth of a cent: sums in another order can't change a rank


def score(
    candidates: Candidates, contacts: Contacts, actions: ActionColumns, policy: PolicyData
) -> Candidates:
    """Return the candidates with all score terms, cents.

    score = effect × value × context × lever - cost - fatigue, where effect is P(success |
    contacted) - P(success | left alone), cost is that of the cheapest channel still allowed, and
    fatigue grows with the messages of the last seven days. 'Do nothing' scores 0.
    """
    effect = candidates.propensity - candidates.if_left
    cost = np.where(candidates.channels_left(), actions.cost_cents[candidates.action], np.inf).min(
        axis=1, initial=np.inf
    )
    cost = np.where(np.isfinite(cost), cost, 0.0)
    fatigue = contacts.recent_sends[candidates.contact] * policy.fatigue_cents
    gain = effect * candidates.value_cents * candidates.context * candidates.lever
    return replace(
        candidates,
        effect=np.round(effect, 12),
        cost_cents=cost,
        fatigue_cents=np.round(fatigue, _DECIMALS),
        score_cents=np.asarray(np.round(gain - cost - fatigue, _DECIMALS), dtype=np.float64),
    )


def arbitrate(
    candidates: Candidates, actions: ActionColumns, contacts: int
) -> tuple[Candidates, Ints]:
    """Return the candidates with losers marked, and the winning row per contact, -1 for nothing.

    Ties go to the higher priority, then to the action that stands first: the same input gives the
    same decision on every host.
    """
    weak = candidates.score_cents <= 0.0
    kept = remove(candidates, weak, Stage.ARBITRATION, Reason.NOT_WORTH_IT)
    rows = np.flatnonzero(kept.in_play)
    order = np.lexsort(
        (
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
