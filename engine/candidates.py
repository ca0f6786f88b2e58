"""The two frames a decision works on: contacts, and candidates (contact × action × subject)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.actions import ActionColumns
from engine.columns import Bools, Floats, Ints, Keys
from engine.features.spec import CONTACT
from engine.reasons import Reason, Stage

# consent as the ledger and the CRM's flags give it, per contact × channel × purpose
CONSENT_NONE, CONSENT_GRANTED, CONSENT_REVOKED, CONSENT_FLAGGED = 0, 1, 2, 3


@dataclass(frozen=True, slots=True)
class Contacts:
    """What the policy reads of each contact; one row per contact.

    Attributes:
        ids: UUID text, (n,).
        keys: 64 bits per contact for every draw that concerns it, (n,).
        zone: index into `zones`, (n,).
        zones: the places that occur, texts for `quiet_hours.place`.
        reachable: (n, channels), the channel is set up and the contact has an address for it.
        consent: (n, channels, purposes), one of the CONSENT_ codes.
        sends: (n, caps), messages within each cap's window, in the order of PolicyData.caps.
        recent_sends: messages in the last seven days, (n,).
        open_complaint: a complaint is open: nobody is asked for anything, (n,).
        context: what the treatment policy reads, (n, d).
        unanswered: newest messages in a row that nothing came back on, (n,).
        rest_days: days left of the rest after ignored messages, 0 for none, (n,).
        since: days since the newest of each of PolicyData.events, NaN if never, (n, events).
        no_ai: refused to be decided about by a machine that learns, (n,).
        budget_left: cents that may still be given away, per PolicyData.budgets, (n, budgets).
        hazard_90d: P(churn within 90 days), NaN where it is not known, (n,).
        drawn: stored number of the experiment's groups, NaN without, (n,); None: nobody has one.
    """

    ids: Sequence[str]
    keys: Keys
    zone: Ints
    zones: tuple[str, ...]
    reachable: Bools
    consent: Ints
    sends: Ints
    recent_sends: Ints
    open_complaint: Bools
    context: Floats
    unanswered: Ints
    rest_days: Floats
    since: Floats
    no_ai: Bools
    budget_left: Ints
    hazard_90d: Floats
    drawn: Floats | None = None


@dataclass(frozen=True, slots=True)
class Proposals:
    """What the rules propose: one row per contact, rule that holds and what it holds for.

    Attributes:
        contact: index into Contacts, (m,).
        action: index into the actions, (m,).
        days_since_same: days since this rule last contacted this contact about this subject; NaN
            if never, (m,).
        subject: index into `subjects`, (m,); None if every row is about the contact.
        subjects: what rows may be about, 'contact' or e.g. 'contract:7', sorted.
        carried: another contact of the household carries this message, (m,); None: of no row.
        marked: Reason that a person gave not to do it now, 0 for none, (m,); None: none at all.
        waited_days: since it was first promised and never left, 0 for new, (m,); None: all new.
    """

    contact: Ints
    action: Ints
    days_since_same: Floats
    subject: Ints | None = None
    subjects: tuple[str, ...] = (CONTACT,)
    carried: Bools | None = None
    marked: Ints | None = None
    waited_days: Floats | None = None


@dataclass(frozen=True, slots=True)
class Candidates:
    """One row per contact × action × subject; stages fill columns and never drop a row.

    Attributes:
        contact, action, days_since_same, subject: as in Proposals, (m,).
        subjects: as in Proposals.
        removed_by: Stage that removed the row, 0 while it is in, (m,).
        reason: Reason of the removal, (m,).
        channel_reason: (m, channels), Reason that struck the channel; 0 while it is allowed.
        slot_allowed: (m, slots).
        effect, propensity, if_left: shares, (m,).
        value_cents, context, lever, capacity, cost_cents, fatigue_cents, score_cents: terms, (m,).
        needs_approval: a person decides before anything is sent, (m,).
    """

    contact: Ints
    action: Ints
    days_since_same: Floats
    subject: Ints
    subjects: tuple[str, ...]
    removed_by: Ints
    reason: Ints
    channel_reason: Ints
    slot_allowed: Bools
    propensity: Floats
    if_left: Floats
    effect: Floats
    value_cents: Floats
    context: Floats
    lever: Floats
    capacity: Floats
    cost_cents: Floats
    fatigue_cents: Floats
    score_cents: Floats
    needs_approval: Bools

    @property
    def in_play(self) -> Bools:
        """Rows that no stage removed, (m,)."""
        return np.asarray(self.removed_by == Stage.NONE)

    def channels_left(self) -> Bools:
        """Channels that no stage struck, (m, channels)."""
        return np.asarray(self.channel_reason == Reason.NONE)


def candidates_of(proposals: Proposals, actions: ActionColumns, slots: int) -> Candidates:
    """Return the candidates before any stage: every channel the author allows, every slot."""
    m = len(proposals.contact)
    allowed = actions.channel[proposals.action]
    zeros = np.zeros(m, dtype=np.float64)
    return Candidates(
        contact=proposals.contact,
        action=proposals.action,
        days_since_same=proposals.days_since_same,
        subject=np.zeros(m, dtype=np.int64) if proposals.subject is None else proposals.subject,
        subjects=proposals.subjects,
        removed_by=np.zeros(m, dtype=np.int64),
        reason=np.zeros(m, dtype=np.int64),
        channel_reason=np.where(allowed, Reason.NONE, Reason.NO_REACHABLE_CHANNEL).astype(np.int64),
        slot_allowed=np.ones((m, slots), dtype=np.bool_),
        propensity=actions.if_contacted[proposals.action],
        if_left=actions.if_left[proposals.action],
        effect=zeros,
        value_cents=_value_left(proposals, actions),
        context=np.ones(m, dtype=np.float64),
        lever=np.ones(m, dtype=np.float64),
        capacity=np.ones(m, dtype=np.float64),
        cost_cents=zeros,
        fatigue_cents=zeros,
        score_cents=zeros,
        needs_approval=actions.needs_approval[proposals.action],
    )


def _value_left(proposals: Proposals, actions: ActionColumns) -> Floats:
    """The value of each row, cents; what was promised and blocked has lost its share of the window.

    Success counts within the goal's window. Of what has waited for half of it, half is left.
    """
    value = actions.value_cents[proposals.action]
    waited = proposals.waited_days
    if waited is None or not waited.any():
        return value
    window = np.array([max(1, action.goal_window_days) for action in actions.actions])
    left = np.clip(1.0 - waited / window[proposals.action], 0.0, 1.0)
    return np.asarray(np.round(value * left))


def remove(candidates: Candidates, rows: Bools, stage: Stage, reason: Reason | Ints) -> Candidates:
    """Return the candidates with `rows` removed by `stage`; a first removal stays."""
    now = rows & candidates.in_play
    if not now.any():
        return candidates
    return replace(
        candidates,
        removed_by=np.where(now, int(stage), candidates.removed_by),
        reason=np.where(now, reason, candidates.reason),
    )


def strike_channels(
    candidates: Candidates, struck: Bools, reason: Reason | Ints, stage: Stage
) -> Candidates:
    """Return the candidates with channels struck; a row without any channel left is removed.

    `struck` and an array `reason` are (m, channels). The removed row carries the reason of the
    first channel that this call struck, in the order of CHANNELS.
    """
    now = struck & candidates.channels_left()
    channel_reason = np.where(now, reason, candidates.channel_reason)
    marked = replace(candidates, channel_reason=channel_reason)
    empty = ~marked.channels_left().any(axis=1)
    first = np.argmax(now, axis=1)
    told = channel_reason[np.arange(len(first)), first] if len(first) else candidates.reason
    why = np.where(now.any(axis=1), told, int(Reason.NO_REACHABLE_CHANNEL))
    return remove(marked, np.asarray(empty), stage, why)
