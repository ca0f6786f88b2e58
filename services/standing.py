"""What the policy reads of a contact beside its history: place, silence, budgets, household."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from engine.features.spec import Scalar
from engine.policy.rest import rest_days, unanswered
from engine.policy.settings import PolicyData
from engine.policy.stages import to_us
from engine.policy.whereabouts import Told, place_name
from engine.profile import ANSWERED, Standing
from rules.us_regions import atlas
from services.playbook import Playbook
from services.policy_numbers import period_start

_DAY_US = 86_400_000_000

# one earlier send: purpose, microseconds since 1970 UTC
Earlier = tuple[str, int]
# one earlier send to another contact of the account: action, purpose, contact, microseconds
HouseholdSend = tuple[str, str, str, int]


@dataclass(frozen=True, slots=True)
class Around:
    """What concerns a contact without being about it.

    Attributes:
        household_sends: to contacts of its account.
        budgets_used: (budget, first day of the period, ISO) -> cents given or promised.
    """

    household_sends: Sequence[HouseholdSend] = ()
    budgets_used: Mapping[tuple[str, str], int] = field(default_factory=dict)


def standing_of(
    playbook: Playbook,
    row: Mapping[str, Any],
    features: Mapping[str, Scalar],
    sends: Sequence[Earlier],
    around: Around,
    *,
    as_of: datetime,
) -> Standing:
    """Return the standing of the contact of a row of `store.profiles` at `as_of`."""
    policy, as_of_us = playbook.policy, to_us(as_of)
    answered = features.get(ANSWERED)
    answered_days = None if answered is None or isinstance(answered, str) else float(answered)
    silent, resting = 0, 0.0
    if sends and policy.lowered is not None:
        days = _days_ago(sends, policy.lowered.purposes, as_of_us)
        silent = unanswered(days, answered_days, policy.lowered.within_days)
    if sends and policy.rest is not None:
        days = _days_ago(sends, policy.rest.purposes, as_of_us)
        resting = rest_days(days, answered_days, policy.rest)
    return Standing(
        place=place_of(row, playbook.settings.time_zone),
        unanswered=silent,
        rest_days=resting,
        budget_left=_budget_left(playbook, around, as_of),
        household=_household(policy, str(row["contact_id"]), around, as_of_us),
        drawn=row.get("drawn") or 0.0,
    )


def place_of(row: Mapping[str, Any], time_zone: str | None) -> str:
    """Return the contact's place; see `engine.policy.whereabouts.place_name`."""
    phone, account = row.get("mobile_phone") or row.get("phone"), row.get("account")
    state = orjson.loads(account)["state"] if account else None
    return place_name(Told(row["timezone"], state, phone), time_zone, atlas())


def _days_ago(sends: Sequence[Earlier], purposes: Sequence[str], as_of_us: int) -> list[float]:
    # a message that is still to leave has not been ignored
    return [(as_of_us - at) / _DAY_US for p, at in sends if p in purposes and at <= as_of_us]


def _budget_left(playbook: Playbook, around: Around, as_of: datetime) -> dict[str, int]:
    left = {}
    for budget in playbook.policy.budgets:
        start = period_start(budget, as_of, playbook.settings.time_zone)
        used = around.budgets_used.get((budget.name, start.isoformat()), 0)
        left[budget.name] = max(0, budget.limit_cents - used)
    return left


def _household(
    policy: PolicyData, contact_id: str, around: Around, as_of_us: int
) -> dict[str, str]:
    """Which of the household's messages another contact of it has had."""
    since = as_of_us - policy.household.within_days * _DAY_US
    return {
        action: other
        for action, purpose, other, at in sorted(around.household_sends, key=lambda s: s[3])
        if other != contact_id and at > since and purpose in policy.household.purposes
    }
