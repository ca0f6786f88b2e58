"""Contacts, actions and policy numbers as the decision core reads them, with plain defaults."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import numpy as np

from engine.actions import CHANNELS, PURPOSES, Action
from engine.candidates import CONSENT_GRANTED, Contacts, Proposals
from engine.chance import contact_keys, uniform
from engine.policy.settings import Cap, PolicyData
from engine.treatment import TreatmentRequest, Treatments

WEEK = ((600, 1080),) * 5 + ((600, 1020), None)  # weekdays 10-18, Saturday 10-17, Sunday nothing
CAPS = (
    Cap("treatment", 1, 1),
    Cap("marketing", 30, 2),
    Cap("service", 7, 3, ("treatment", "service")),
)


def make_action(id: str = "recall", **changes: object) -> Action:  # noqa: A002 - the field's name
    action = Action(
        id=id,
        rule=f"rule-{id}",
        template="healthcare/recall",
        purpose="service",
        channels=CHANNELS,
        value_cents=12_000,
        cost_cents={"email": 1.0, "sms": 2.0, "call_task": 400.0},
        if_contacted=0.3,
        if_left=0.2,
        effect_low=0.0,
        effect_high=0.2,
        variants=dict.fromkeys(CHANNELS, ("a", "b")),
    )
    return replace(action, **changes)  # type: ignore[arg-type]


def make_policy(**changes: object) -> PolicyData:
    policy = PolicyData(
        windows=WEEK,
        caps=CAPS,
        holdout_share=0.0,
        fatigue_cents=15.0,
        exploration_floor=0.05,
        digest="0",
    )
    return replace(policy, **changes)  # type: ignore[arg-type]


def contact_id(number: int) -> str:
    return str(UUID(int=(number + 1) * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128))


def make_contacts(n: int = 1, *, zones: Sequence[str] = ("UTC",), **columns: object) -> Contacts:
    """Contacts who may be reached on every channel for every purpose; zones in turn."""
    ids = [contact_id(number) for number in range(n)]
    contacts = Contacts(
        ids=ids,
        keys=contact_keys(ids),
        zone=np.arange(n, dtype=np.int64) % len(zones),
        zones=tuple(zones),
        reachable=np.ones((n, len(CHANNELS)), dtype=np.bool_),
        consent=np.full((n, len(CHANNELS), len(PURPOSES)), CONSENT_GRANTED, dtype=np.int64),
        sends=np.zeros((n, len(CAPS)), dtype=np.int64),
        recent_sends=np.zeros(n, dtype=np.int64),
        open_complaint=np.zeros(n, dtype=np.bool_),
        context=np.zeros((n, 4)),
        unanswered=np.zeros(n, dtype=np.int64),
        rest_days=np.zeros(n),
        since=np.zeros((n, 0)),
        no_ai=np.zeros(n, dtype=np.bool_),
        budget_left=np.zeros((n, 0), dtype=np.int64),
        hazard_90d=np.full(n, np.nan),
    )
    return replace(contacts, **columns)  # type: ignore[arg-type]


def everything(n: int, actions: int) -> Proposals:
    """Every action proposed for every contact, none of them used before."""
    contact, action = np.divmod(np.arange(n * actions, dtype=np.int64), max(actions, 1))
    return Proposals(contact, action, np.full(n * actions, np.nan))


def any_allowed(request: TreatmentRequest) -> Treatments:
    """A treatment policy that draws among the allowed arms with equal chances, row by row."""

    def draw(allowed: np.ndarray, word: int) -> tuple[np.ndarray, np.ndarray]:
        count = allowed.sum(axis=1)
        at = (uniform(request.keys, word) * count).astype(np.int64)
        order = np.argsort(~allowed, axis=1, kind="stable")
        return order[np.arange(len(at)), at], 1.0 / count

    channel, channel_probability = draw(request.channels, 1)
    slot, slot_probability = draw(request.slots, 2)
    return Treatments(
        channel=channel,
        slot=slot,
        variant=("a",) * len(channel),
        channel_probability=channel_probability,
        slot_probability=slot_probability,
        variant_probability=np.ones(len(channel)),
        selection_probability=channel_probability * slot_probability,
    )
