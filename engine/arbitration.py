"""Arbitration: every candidate that survived, and 'do nothing', on one scale in cents."""

from dataclasses import replace
from datetime import datetime

import numpy as np

from engine.actions import ActionColumns
from engine.candidates import Candidates, Contacts, remove, strike_channels
from engine.chance import salt, uniform
from engine.columns import Bools, Floats, Ints, Keys
from engine.policy.groups import Group, is_judged
from engine.policy.settings import PolicyData
from engine.policy.stages import is_over
from engine.policy.terms import Terms
from engine.reasons import Reason, Stage

_DECIMALS = 6  # a millionth of a cent: sums in another order can't change a rank


def weigh(
    candidates: Candidates, contacts: Contacts, terms: Terms, policy: PolicyData, as_of: datetime
) -> Candidates:
    """Fill `context` and `lever`: what has just happened to the contact, what a manager pushes."""
    context = np.ones(len(candidates.contact))
    for place, each in enumerate(policy.contexts):
        if not terms.contexts[place].any():
            continue
        with np.errstate(invalid="ignore"):
            recent = contacts.since[:, policy.events.index(each.after)] < each.within_days
        rows = recent[candidates.contact] & terms.contexts[place, candidates.action]
        context = np.where(rows, context * each.factor, context)
    lever = np.ones(terms.levers.shape[1])
    for place, pushed in enumerate(policy.levers):
        if not is_over(pushed.until, as_of):
            factor = max(0.0, 1.0 + pushed.percent / 100.0)
            lever = np.where(terms.levers[place], lever * factor, lever)
    return replace(candidates, context=context, lever=lever[candidates.action])


def score(
    candidates: Candidates,
    contacts: Contacts,
    actions: ActionColumns,
    terms: Terms,
    policy: PolicyData,
    group: Ints,
) -> Candidates:
    """Return the candidates with all score terms, cents.

    score = effect × value × context × lever × capacity - cost - fatigue, where effect is P(success
    | contacted) - P(success | left alone), cost includes what the message gives away times
    P(success | contacted), and fatigue grows with the messages of the last seven days. 'Do nothing'
    scores 0. A channel whose cost would eat the gain is struck, unless the contact's group shows
    what happens without such judgement. Candidates are ranked with the cost of the cheapest channel
    left: the channel is drawn afterwards, and a rank that depended on the draw would bend its
    logged probability.
    """
    effect = candidates.propensity - candidates.if_left
    fatigue = contacts.recent_sends[candidates.contact] * policy.fatigue_cents
    weight = candidates.context * candidates.lever * candidates.capacity
    gain = effect * candidates.value_cents * weight
    given = terms.gives_cents[candidates.action] * candidates.propensity
    cost = actions.cost_cents[candidates.action] + given[:, None]
    worth = np.round(gain[:, None] - cost - fatigue[:, None], _DECIMALS)
    eaten = (worth <= 0.0) & is_judged(group)[candidates.contact][:, None]
    kept = strike_channels(candidates, eaten, Reason.NOT_WORTH_IT, Stage.ARBITRATION)
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
    candidates: Candidates, actions: ActionColumns, group: Ints, keys: Keys
) -> tuple[Candidates, Ints]:
    """Return the candidates with losers marked, and the winning row per contact, -1 for nothing.

    The engine's contacts get what scores most, and nothing where nothing scores above 0; others
    what their group says. Ties go to the higher priority, then to the action that stands first,
    then to the subject whose name sorts first: the same input gives the same decision on every
    host. `keys` are per contact and moment.
    """
    by = group[candidates.contact]
    weak = (candidates.score_cents <= 0.0) & is_judged(by)
    kept = remove(candidates, weak, Stage.ARBITRATION, Reason.NOT_WORTH_IT)
    rows = np.flatnonzero(kept.in_play)
    order = _order(kept, rows, _rank(kept, actions, by, keys), actions)
    ranked = rows[order]
    who = kept.contact[ranked]
    first = np.ones(len(ranked), dtype=np.bool_)
    first[1:] = who[1:] != who[:-1]
    winner = np.full(len(group), -1, dtype=np.int64)
    winner[who[first]] = ranked[first]
    beaten = np.zeros(len(kept.contact), dtype=np.bool_)
    beaten[ranked[~first]] = True
    return remove(kept, beaten, Stage.ARBITRATION, _WHY_BEATEN[by]), winner


# by Group
_WHY_BEATEN = np.full(len(Group), int(Reason.LOWER_VALUE), dtype=np.int64)
_WHY_BEATEN[[Group.USUAL, Group.PLAIN]] = int(Reason.LOWER_PRIORITY)
_WHY_BEATEN[Group.RANDOM] = int(Reason.NOT_DRAWN)


def _rank(candidates: Candidates, actions: ActionColumns, by: Ints, keys: Keys) -> Floats:
    """What decides among a contact's candidates; higher wins, (m,)."""
    judged = is_judged(by)
    if judged.all():
        return candidates.score_cents
    rank = np.where(judged, candidates.score_cents, actions.priority[candidates.action])
    spread = candidates.action.astype(np.uint64) << np.uint64(40)
    drawn = uniform(keys[candidates.contact] ^ spread, salt("random group"))
    return np.where(by == Group.RANDOM, drawn, rank)


def _order(candidates: Candidates, rows: Ints, rank: Floats, actions: ActionColumns) -> Ints:
    return np.lexsort(
        (
            candidates.subject[rows],
            candidates.action[rows],
            -actions.priority[candidates.action[rows]],
            -rank[rows],
            candidates.contact[rows],
        )
    )


def lever_cost(
    candidates: Candidates, winner: Ints, actions: ActionColumns, group: Ints, keys: Keys
) -> Floats:
    """What the levers cost each contact's decision: worth given up, as it is without levers, (n,).

    `candidates` are those that came into arbitration, with their scores. 0 where no lever changed
    the choice.
    """
    plain = _without_levers(candidates)
    _, would = arbitrate(plain, actions, group, keys)
    cost = np.zeros(len(group))
    changed = np.flatnonzero((would != winner) & is_judged(group))
    best = np.where(would[changed] >= 0, plain.score_cents[would[changed]], 0.0)
    got = np.where(winner[changed] >= 0, plain.score_cents[winner[changed]], 0.0)
    cost[changed] = np.round(best - got, _DECIMALS)
    return cost


def _without_levers(candidates: Candidates) -> Candidates:
    gain = candidates.effect * candidates.value_cents * candidates.context * candidates.capacity
    plain = np.round(gain - candidates.cost_cents - candidates.fatigue_cents, _DECIMALS)
    # what a lever of 0 % had struck as worthless comes back
    revived = (candidates.removed_by == Stage.ARBITRATION) & (candidates.lever != 1.0)
    removed_by = np.where(revived, int(Stage.NONE), candidates.removed_by)
    return replace(candidates, score_cents=plain, removed_by=removed_by)


def pushed(candidates: Candidates) -> Bools:
    """Which rows a lever changed, (m,)."""
    return np.asarray(candidates.lever != 1.0)
