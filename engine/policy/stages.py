"""The policy's stages: each takes the candidates, adds verdicts with reasons, drops no row."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

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
from engine.policy.quiet_hours import next_span, zone_or_utc
from engine.policy.settings import PolicyData
from engine.reasons import Reason, Stage
from engine.slots import SLOTS

HOLDOUT_SALT = "holdout"


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
    """Would one more message exceed a cap, counted over all flows and channels of the person."""
    exceeded = np.zeros(len(candidates.contact), dtype=np.bool_)
    for position, cap in enumerate(policy.caps):
        full = contacts.sends[candidates.contact, position] >= cap.max_count
        exceeded |= full & _concerns(cap.purpose, candidates, actions)
    return remove(candidates, exceeded, Stage.FREQUENCY_CAP, Reason.FREQUENCY_CAP)


def _concerns(purpose: str, candidates: Candidates, actions: ActionColumns) -> Bools:
    if purpose == "any":
        return np.ones(len(candidates.contact), dtype=np.bool_)
    return np.asarray(actions.purpose[candidates.action] == PURPOSES.index(purpose))


def suppression(candidates: Candidates, actions: ActionColumns) -> Candidates:
    """Does the rule still rest for this contact (its cooldown)."""
    with np.errstate(invalid="ignore"):
        resting = candidates.days_since_same < actions.cooldown_days[candidates.action]
    return remove(candidates, resting, Stage.SUPPRESSION, Reason.COOLDOWN)


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
    """Return when each slot is open next in each zone, not before `as_of`.

    `spans` are the parts of the day, minutes after midnight, that the actions' authors ask for.
    """
    times = np.full((2, len(spans), len(zones), len(SLOTS)), -1, dtype=np.int64)
    for row, name in enumerate(zones):
        zone = zone_or_utc(name)
        for layer, (start, end) in enumerate(spans):
            for column, slot in enumerate(SLOTS):
                part = (max(slot.start, start), min(slot.end, end))
                span = next_span(as_of, zone, policy.windows, slot=part)
                if span is not None:
                    times[:, layer, row, column] = to_us(span[0]), to_us(span[1])
    return SlotTimes(times[0], times[1])


def to_us(at: datetime) -> int:
    """Return whole microseconds since 1970 UTC of an aware moment."""
    return (at - _EPOCH) // timedelta(microseconds=1)


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def in_holdout(contacts: Contacts, policy: PolicyData, tenant: str) -> Bools:
    """Which contacts are never contacted: by hash, permanent, growing with the share, (n,)."""
    return uniform(contacts.keys, salt(HOLDOUT_SALT, tenant)) < policy.holdout_share


def holdout(candidates: Candidates, held: Bools) -> Candidates:
    """Remove what would have gone to a contact in the holdout."""
    return remove(candidates, held[candidates.contact], Stage.HOLDOUT, Reason.HOLDOUT)
