"""The decision, from proposals to one treatment per contact. One contact is a batch of one.

Read from top to bottom: each line is a stage of the policy.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from engine.actions import ActionColumns
from engine.arbitration import arbitrate, lever_cost, pushed, score, weigh
from engine.candidates import Candidates, Contacts, Proposals, candidates_of
from engine.chance import mixed, salt, uniform
from engine.columns import Bools, Floats, Ints, Keys
from engine.policy import stages
from engine.policy.groups import Group, groups_of
from engine.policy.marks import marks
from engine.policy.settings import PolicyData
from engine.policy.terms import terms_of
from engine.reasons import Reason
from engine.slots import SLOTS
from engine.treatment import (
    Offered,
    TreatmentPolicy,
    TreatmentRequest,
    Treatments,
    drawn_evenly,
    merged,
    plain,
)

# messages of one slot spread over this long, or what is left of it, so that a practice's telephone
# does not ring at once
SPREAD_SECONDS = 2700.0


@dataclass(frozen=True, slots=True)
class Decisions:
    """One row per contact.

    Attributes:
        candidates: the whole trace.
        winner: row of the candidates, -1 for 'do nothing', (n,).
        chosen: the contacts that get something, (w,), in the order of `treatments`.
        treatments: channel, slot and variant of each of `chosen`.
        send_at_us: microseconds since 1970 UTC, (w,).
        cost_cents: of the channel drawn, (w,).
        score_cents: of the winner by the channel drawn, 0 for nothing, (n,).
        reason: Reason of the outcome, (n,).
        group: Group of the experiment, (n,).
        lever_cost_cents: worth that levers gave up, 0 where they changed nothing, (n,).
    """

    candidates: Candidates
    winner: Ints
    chosen: Ints
    treatments: Treatments
    send_at_us: Ints
    cost_cents: Floats
    score_cents: Floats
    reason: Ints
    group: Ints
    lever_cost_cents: Floats

    @property
    def held(self) -> Bools:
        """In the holdout, (n,)."""
        return np.asarray(self.group == Group.HOLDOUT)


@dataclass(frozen=True, slots=True)
class Moment:
    """When and for whom a run decides.

    Attributes:
        tenant: the tenant's id as text; salts the holdout and every draw.
        as_of: aware; nothing later is known.
        seed: salts the treatment's draws; stored with each decision.
    """

    tenant: str
    as_of: datetime
    seed: int


def decide(
    contacts: Contacts,
    proposals: Proposals,
    actions: ActionColumns,
    policy: PolicyData,
    moment: Moment,
    choose: TreatmentPolicy,
) -> Decisions:
    """Decide for each contact what is worth doing now, doing nothing included."""
    group = groups_of(contacts, policy, moment.tenant)
    if not len(proposals.contact):
        return _nothing_proposed(contacts, proposals, actions, group)
    as_of_us = stages.to_us(moment.as_of)
    times = stages.slot_times(contacts.zones, actions.spans, policy, moment.as_of)
    terms = terms_of(policy, actions)
    keys = mixed(contacts.keys, salt(moment.tenant, moment.as_of.astimezone(UTC).isoformat()))

    candidates = candidates_of(proposals, actions, len(SLOTS))
    candidates = stages.eligibility(candidates, contacts, actions)
    candidates = stages.suitability(candidates, contacts, actions)
    candidates = stages.consent(candidates, contacts, actions)
    candidates = stages.frequency_cap(candidates, contacts, actions, policy)
    candidates = stages.suppression(candidates, contacts, actions, policy)
    candidates = marks(candidates, proposals.marked)
    candidates = stages.quiet_hours(candidates, actions, times, contacts, as_of_us)
    candidates = stages.household(candidates, proposals.carried)
    candidates = stages.capacity(candidates, terms, policy, moment.as_of)
    candidates = stages.budget(candidates, contacts, terms)
    candidates = stages.rollout(candidates, contacts, actions, terms, moment.tenant)
    candidates = stages.approval(candidates, contacts, terms, policy)
    candidates = weigh(candidates, contacts, terms, policy, moment.as_of)
    scored = score(candidates, contacts, actions, terms, policy, group)
    candidates, winner = arbitrate(scored, actions, group, keys)
    reason = _reasons(candidates, winner, group)
    levers = _lever_cost(scored, winner, actions, group, keys)
    held = np.asarray(group == Group.HOLDOUT)
    candidates = stages.holdout(candidates, held)
    winner = np.where(held, -1, winner)

    chosen = np.flatnonzero(winner >= 0)
    rows = winner[chosen]
    request = TreatmentRequest(
        action=candidates.action[rows],
        channels=candidates.channels_left()[rows],
        slots=candidates.slot_allowed[rows],
        context=contacts.context[chosen],
        keys=mixed(keys[chosen], moment.seed),
    )
    where = (actions.span[request.action], contacts.zone[chosen])
    treatments = _treatments(request, choose, Offered(actions, times.opens[where]), group[chosen])
    given = terms.gives_cents[request.action] * candidates.propensity[rows]
    cost = actions.cost_cents[request.action, treatments.channel] + given
    opens = times.opens[(*where, treatments.slot)]
    left_us = times.closes[(*where, treatments.slot)] - opens
    spread = uniform(keys[chosen], salt("spread")) * np.minimum(left_us / 1e6, SPREAD_SECONDS)
    return Decisions(
        candidates=candidates,
        winner=winner,
        chosen=chosen,
        treatments=treatments,
        send_at_us=opens + spread.astype(np.int64) * 1_000_000,
        cost_cents=cost,
        score_cents=_net_worth(candidates, rows, chosen, cost, len(contacts.ids)),
        reason=reason,
        group=group,
        lever_cost_cents=np.where(held, 0.0, levers),
    )


def _treatments(
    request: TreatmentRequest, choose: TreatmentPolicy, offered: Offered, group: Ints
) -> Treatments:
    """Each group by its own policy; the bandits are not asked about who refused them."""
    learnt = choose(request)
    for members, way in (
        ((Group.USUAL, Group.PLAIN), plain),
        ((Group.RANDOM,), drawn_evenly),
    ):
        rows = np.flatnonzero(np.isin(group, members))
        if len(rows):
            learnt = merged(learnt, rows, way(request.only(rows), offered.only(rows)))
    return learnt


def _lever_cost(
    scored: Candidates, winner: Ints, actions: ActionColumns, group: Ints, keys: Keys
) -> Floats:
    if not pushed(scored).any():
        return np.zeros(len(group))
    return lever_cost(scored, winner, actions, group, keys)


def _nothing_proposed(
    contacts: Contacts, proposals: Proposals, actions: ActionColumns, group: Ints
) -> Decisions:
    """What the stages would say where no rule proposed anything, as for most single contacts."""
    n = len(contacts.ids)
    nobody, certain = np.zeros(0, dtype=np.int64), np.ones(0)
    return Decisions(
        candidates=candidates_of(proposals, actions, len(SLOTS)),
        winner=np.full(n, -1, dtype=np.int64),
        chosen=nobody,
        treatments=Treatments(nobody, nobody, (), certain, certain, certain, certain),
        send_at_us=nobody,
        cost_cents=np.zeros(0),
        score_cents=np.zeros(n),
        reason=np.full(n, int(Reason.NO_RULE_APPLIES), dtype=np.int64),
        group=group,
        lever_cost_cents=np.zeros(n),
    )


def _net_worth(
    candidates: Candidates, rows: Ints, chosen: Ints, cost: Floats, contacts: int
) -> Floats:
    """What each decision is worth once the channel is known; the rank knew the cheapest only."""
    worth = np.zeros(contacts)
    worth[chosen] = np.round(candidates.score_cents[rows] + candidates.cost_cents[rows] - cost, 6)
    return worth


# by Group
_WHY_CHOSEN = np.array(
    [
        Reason.HIGHEST_VALUE,
        Reason.BUSINESS_AS_USUAL,
        Reason.RANDOM_CHOICE,
        Reason.HOLDOUT,
        Reason.PLAIN_RULES,
    ],
    dtype=np.int64,
)


def _reasons(candidates: Candidates, winner: Ints, group: Ints) -> Ints:
    """Why each contact gets what it gets: for nothing, the candidate that came furthest tells."""
    reason = np.full(len(winner), int(Reason.NO_RULE_APPLIES), dtype=np.int64)
    order = np.lexsort((-candidates.score_cents, -candidates.removed_by, candidates.contact))
    who = candidates.contact[order]
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = who[1:] != who[:-1]
    reason[who[first]] = candidates.reason[order[first]]
    return np.where(winner >= 0, _WHY_CHOSEN[group], reason)
