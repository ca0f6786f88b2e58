"""The decision, from proposals to one treatment per contact. One contact is a batch of one.

Read from top to bottom: each line is a stage of the policy.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from engine.actions import ActionColumns
from engine.arbitration import arbitrate, score
from engine.candidates import Candidates, Contacts, Proposals, candidates_of
from engine.chance import mixed, salt, uniform
from engine.columns import Bools, Floats, Ints
from engine.policy import stages
from engine.policy.settings import PolicyData
from engine.reasons import Reason
from engine.slots import SLOTS
from engine.treatment import TreatmentPolicy, TreatmentRequest, Treatments

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
        held: in the holdout, (n,).
    """

    candidates: Candidates
    winner: Ints
    chosen: Ints
    treatments: Treatments
    send_at_us: Ints
    cost_cents: Floats
    score_cents: Floats
    reason: Ints
    held: Bools


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
    if not len(proposals.contact):
        return _nothing_proposed(
            contacts, proposals, actions, stages.in_holdout(contacts, policy, moment.tenant)
        )
    as_of_us = stages.to_us(moment.as_of)
    times = stages.slot_times(contacts.zones, actions.spans, policy, moment.as_of)
    held = stages.in_holdout(contacts, policy, moment.tenant)

    candidates = candidates_of(proposals, actions, len(SLOTS))
    candidates = stages.eligibility(candidates, contacts, actions)
    candidates = stages.suitability(candidates, contacts, actions)
    candidates = stages.consent(candidates, contacts, actions)
    candidates = stages.frequency_cap(candidates, contacts, actions, policy)
    candidates = stages.suppression(candidates, actions)
    candidates = stages.quiet_hours(candidates, actions, times, contacts, as_of_us)
    candidates = score(candidates, contacts, actions, policy)
    candidates, winner = arbitrate(candidates, actions, len(contacts.ids))
    reason = _reasons(candidates, winner, held, len(contacts.ids))
    candidates = stages.holdout(candidates, held)
    winner = np.where(held, -1, winner)

    chosen = np.flatnonzero(winner >= 0)
    rows = winner[chosen]
    keys = mixed(
        contacts.keys[chosen], salt(moment.tenant, moment.as_of.astimezone(UTC).isoformat())
    )
    treatments = choose(
        TreatmentRequest(
            action=candidates.action[rows],
            channels=candidates.channels_left()[rows],
            slots=candidates.slot_allowed[rows],
            context=contacts.context[chosen],
            keys=mixed(keys, moment.seed),
        )
    )
    cost = actions.cost_cents[candidates.action[rows], treatments.channel]
    where = (actions.span[candidates.action[rows]], contacts.zone[chosen], treatments.slot)
    opens, left_us = times.opens[where], times.closes[where] - times.opens[where]
    spread = uniform(keys, salt("spread")) * np.minimum(left_us / 1e6, SPREAD_SECONDS)
    return Decisions(
        candidates=candidates,
        winner=winner,
        chosen=chosen,
        treatments=treatments,
        send_at_us=opens + spread.astype(np.int64) * 1_000_000,
        cost_cents=cost,
        score_cents=_net_worth(candidates, rows, chosen, cost, len(contacts.ids)),
        reason=reason,
        held=held,
    )


def _nothing_proposed(
    contacts: Contacts, proposals: Proposals, actions: ActionColumns, held: Bools
) -> Decisions:
    """What the stages would say where no rule proposed anything, as for most single contacts."""
    n = len(contacts.ids)
    nobody, certain = np.zeros(0, dtype=np.int64), np.ones(0)
    return Decisions(
        candidates=candidates_of(proposals, actions, len(SLOTS)),
        winner=np.full(n, -1, dtype=np.int64),
        chosen=nobody,
        treatments=Treatments(nobody, nobody, (), certain, certain, certain),
        send_at_us=nobody,
        cost_cents=np.zeros(0),
        score_cents=np.zeros(n),
        reason=np.full(n, int(Reason.NO_RULE_APPLIES), dtype=np.int64),
        held=held,
    )


def _net_worth(
    candidates: Candidates, rows: Ints, chosen: Ints, cost: Floats, contacts: int
) -> Floats:
    """What each decision is worth once the channel is known; the rank knew the cheapest only."""
    worth = np.zeros(contacts)
    worth[chosen] = np.round(candidates.score_cents[rows] + candidates.cost_cents[rows] - cost, 6)
    return worth


def _reasons(candidates: Candidates, winner: Ints, held: Bools, contacts: int) -> Ints:
    """Why each contact gets what it gets: for nothing, the candidate that came furthest tells."""
    reason = np.full(contacts, int(Reason.NO_RULE_APPLIES), dtype=np.int64)
    order = np.lexsort((-candidates.score_cents, -candidates.removed_by, candidates.contact))
    who = candidates.contact[order]
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = who[1:] != who[:-1]
    reason[who[first]] = candidates.reason[order[first]]
    reason = np.where(winner >= 0, int(Reason.HIGHEST_VALUE), reason)
    return np.where((winner >= 0) & held, int(Reason.HOLDOUT), reason)
