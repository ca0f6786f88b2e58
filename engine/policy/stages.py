"""The policy's stages: each takes the candidates, adds verdicts with reasons, drops no row."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from engine.actions import PURPOSES, ActionColumns
from engine.candidates import (
    CONSENT_FLAGGED,
    CONSENT_GRANTED,
    CONSENT_REVOKED,
    Candidates,
    Contacts,
    remove,
    strike_channels,
)
from engine.chance import salt, uniform
from engine.columns import Bools, Ints
from engine.policy.quiet_hours import next_open, place
from engine.policy.settings import Cap, Capacity, LoweredCaps, PolicyData
from engine.policy.terms import Terms
from engine.reasons import Reason, Stage
from engine.slots import SLOTS

ROLLOUT_SALT = "rollout"


def eligibility(candidates: Candidates, contacts: Contacts, actions: ActionColumns) -> Candidates:
    """May we at all: the rule is live, and a channel that is set up has an address."""
    kept = remove(
        candidates, actions.shadow[candidates.action], Stage.ELIGIBILITY, Reason.SHADOW_RULE
    )
    unreachable = ~contacts.reachable[candidates.contact]
    return strike_channels(kept, unreachable, Reason.NO_REACHABLE_CHANNEL, Stage.ELIGIBILITY)


def suitability(candidates: Candidates, contacts: Contacts, actions: ActionColumns) -> Candidates:
    """Is it good for them: while a complaint is open, only treatment messages are."""
    asked_for_something = actions.purpose[candidates.action] != 0
    rows = contacts.open_complaint[candidates.contact] & asked_for_something
    return remove(candidates, rows, Stage.SUITABILITY, Reason.OPEN_COMPLAINT)


def consent(candidates: Candidates, contacts: Contacts, actions: ActionColumns) -> Candidates:
    """Did they agree, for this purpose, on this channel: no record means no."""
    m = np.arange(len(candidates.contact))
    held = contacts.consent[candidates.contact][m, :, actions.purpose[candidates.action]]
    return strike_channels(
        candidates, held != CONSENT_GRANTED, _REASON_OF_CONSENT[held], Stage.CONSENT
    )


# by CONSENT_ code; granted strikes nothing
_REASON_OF_CONSENT = np.full(4, int(Reason.NO_CONSENT), dtype=np.int64)
_REASON_OF_CONSENT[CONSENT_FLAGGED] = int(Reason.DO_NOT_CONTACT_FLAG)
_REASON_OF_CONSENT[CONSENT_REVOKED] = int(Reason.CONSENT_REVOKED)


def frequency_cap(
    candidates: Candidates, contacts: Contacts, actions: ActionColumns, policy: PolicyData
) -> Candidates:
    """Would one more message exceed a cap, counted over all flows and channels of the person.

    Caps shrink for a contact who leaves messages unanswered.
    """
    exceeded = np.zeros(len(candidates.contact), dtype=np.bool_)
    purpose = actions.purpose[candidates.action]
    tired = _tired(contacts, policy)
    for position, cap in enumerate(policy.caps):
        most = np.where(tired, lowered_count(cap, policy.lowered), cap.max_count)
        full = (contacts.sends[:, position] >= most)[candidates.contact]
        exceeded |= full & (purpose == PURPOSES.index(cap.purpose))
    return remove(candidates, exceeded, Stage.FREQUENCY_CAP, Reason.FREQUENCY_CAP)


def _tired(contacts: Contacts, policy: PolicyData) -> Bools:
    if policy.lowered is None:
        return np.zeros(len(contacts.ids), dtype=np.bool_)
    return np.asarray(contacts.unanswered >= policy.lowered.unanswered)


def lowered_count(cap: Cap, lowered: LoweredCaps | None) -> int:
    """Return how many messages the cap allows to who does not answer."""
    if lowered is None or cap.purpose not in lowered.purposes or cap.max_count <= 1:
        return cap.max_count
    return max(1, int(cap.max_count * lowered.share))


def suppression(
    candidates: Candidates, contacts: Contacts, actions: ActionColumns, policy: PolicyData
) -> Candidates:
    """Is it time to be quiet: the rule's cooldown, a rest after silence, an event to get over."""
    with np.errstate(invalid="ignore"):
        cooling = candidates.days_since_same < actions.cooldown_days[candidates.action]
    kept = remove(candidates, cooling, Stage.SUPPRESSION, Reason.COOLDOWN)
    purpose = actions.purpose[candidates.action]
    if policy.rest is not None:
        resting = (contacts.rest_days > 0)[candidates.contact]
        concerned = _purposes(policy.rest.purposes)[purpose]
        kept = remove(kept, resting & concerned, Stage.SUPPRESSION, Reason.RESTING)
    for each in policy.cool_off:
        with np.errstate(invalid="ignore"):
            recent = contacts.since[:, policy.events.index(each.after)] < each.rest_days
        rows = recent[candidates.contact] & _purposes(each.purposes)[purpose]
        kept = remove(kept, rows, Stage.SUPPRESSION, Reason.COOL_OFF)
    return kept


def _purposes(named: Sequence[str]) -> Bools:
    return np.array([purpose in named for purpose in PURPOSES], dtype=np.bool_)


def household(candidates: Candidates, carried: Bools | None) -> Candidates:
    """Does another contact of the household carry the same message already."""
    if carried is None:
        return candidates
    return remove(candidates, carried, Stage.HOUSEHOLD, Reason.HOUSEHOLD_MESSAGE)


def capacity(
    candidates: Candidates, terms: Terms, policy: PolicyData, as_of: datetime
) -> Candidates:
    """Is there room for what the action aims at; little room scales its value."""
    if not policy.capacity:
        return candidates
    room = np.array([*(_room(each, policy, as_of) for each in policy.capacity), 1.0])
    factor = room[terms.capacity[candidates.action]]  # -1: the 1.0 at the end
    marked = replace(candidates, capacity=factor)
    return remove(marked, np.asarray(factor <= 0.0), Stage.CAPACITY, Reason.NO_CAPACITY)


def _room(told: Capacity, policy: PolicyData, as_of: datetime) -> float:
    if is_over(told.until, as_of):
        return 1.0
    free = told.free / told.places if told.places > 0 else 0.0
    if policy.full_value_from <= 0.0:
        return 1.0 if free > 0.0 else 0.0
    return min(1.0, max(0.0, free / policy.full_value_from))


def is_over(until: str, as_of: datetime) -> bool:
    """Tell whether the last day (ISO date, UTC; '' for none) has passed."""
    return bool(until) and as_of.astimezone(UTC).date().isoformat() > until


def budget(candidates: Candidates, contacts: Contacts, terms: Terms) -> Candidates:
    """Is enough left of what may be given away."""
    if not contacts.budget_left.shape[1]:
        return candidates
    pays = terms.budget[candidates.action]
    left = contacts.budget_left[candidates.contact, np.maximum(pays, 0)]
    short = (pays >= 0) & (left < terms.gives_cents[candidates.action])
    return remove(candidates, np.asarray(short), Stage.BUDGET, Reason.BUDGET_EXHAUSTED)


def rollout(
    candidates: Candidates,
    contacts: Contacts,
    actions: ActionColumns,
    terms: Terms,
    tenant: str,
) -> Candidates:
    """Is the contact among those who get the action yet: by hash, growing with the share."""
    if (terms.rollout >= 1.0).all():
        return candidates
    late = np.zeros(len(candidates.contact), dtype=np.bool_)
    for action in np.flatnonzero(terms.rollout < 1.0):
        drawn = uniform(contacts.keys, salt(ROLLOUT_SALT, tenant, actions.actions[action].rule))
        beyond = (drawn >= terms.rollout[action])[candidates.contact]
        late |= (candidates.action == action) & beyond
    return remove(candidates, late, Stage.ROLLOUT, Reason.NOT_ROLLED_OUT)


def approval(
    candidates: Candidates, contacts: Contacts, terms: Terms, policy: PolicyData
) -> Candidates:
    """Mark what a person has to approve: large gifts, contacts about to leave, rules that say so.

    Nothing is removed: it is decided, and waits.
    """
    asked = candidates.needs_approval
    bounds = policy.approval
    if bounds.give_above_cents is not None:
        asked = asked | (terms.gives_cents[candidates.action] > bounds.give_above_cents)
    if bounds.hazard_90d_above is not None:
        with np.errstate(invalid="ignore"):
            critical = contacts.hazard_90d > bounds.hazard_90d_above
        asked = asked | critical[candidates.contact]
    return replace(candidates, needs_approval=np.asarray(asked))


@dataclass(frozen=True, slots=True)
class SlotTimes:
    """When each slot is open next; microseconds since 1970 UTC, (spans, zones, slots).

    Attributes:
        opens: -1 where the slot never meets the legal window.
        closes: the first moment that is too late, -1 as above.
    """

    opens: Ints
    closes: Ints


def quiet_hours(
    candidates: Candidates,
    actions: ActionColumns,
    times: SlotTimes,
    contacts: Contacts,
    as_of_us: int,
) -> Candidates:
    """Which slots are legal and still in time; without any the row is removed.

    `times` is `slot_times(...)`.
    """
    at = times.opens[actions.span[candidates.action], contacts.zone[candidates.contact]]
    too_late_us = as_of_us + actions.send_within_hours[candidates.action] * 3_600_000_000
    allowed = (at >= 0) & (at <= too_late_us[:, None])
    marked = replace(candidates, slot_allowed=allowed)
    return remove(marked, np.asarray(~allowed.any(axis=1)), Stage.QUIET_HOURS, Reason.NO_LEGAL_SLOT)


def slot_times(
    zones: Sequence[str],
    spans: Sequence[tuple[int, int]],
    policy: PolicyData,
    as_of: datetime,
) -> SlotTimes:
    """Return when each slot is open next in each place, not before `as_of`.

    `spans` are the parts of the day, minutes after midnight, that the actions' authors ask for.
    """
    times = np.full((2, len(spans), len(zones), len(SLOTS)), -1, dtype=np.int64)
    for row, name in enumerate(zones):
        where = place(name)
        for layer, (start, end) in enumerate(spans):
            for column, slot in enumerate(SLOTS):
                part = (max(slot.start, start), min(slot.end, end))
                span = next_open(as_of, where, policy, slot=part)
                if span is not None:
                    times[:, layer, row, column] = to_us(span[0]), to_us(span[1])
    return SlotTimes(times[0], times[1])


def to_us(at: datetime) -> int:
    """Return whole microseconds since 1970 UTC of an aware moment."""
    return (at - _EPOCH) // timedelta(microseconds=1)


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def holdout(candidates: Candidates, held: Bools) -> Candidates:
    """Remove what would have gone to a contact in the holdout."""
    return remove(candidates, held[candidates.contact], Stage.HOLDOUT, Reason.HOLDOUT)
