"""Reason codes and stages as a person says them."""

from collections.abc import Mapping
from typing import Any

_REASONS = {
    "no_reachable_channel": "no channel of this action is set up and has an address",
    "shadow_rule": "its rule is in shadow: it decides, but contacts nobody",
    "open_complaint": "a complaint is open, and nobody who complains is asked for something",
    "do_not_contact_flag": "the CRM says not to contact them on this channel",
    "no_consent": "there is no consent for this purpose on this channel",
    "consent_revoked": "they took back their consent for this purpose on this channel",
    "frequency_cap": "they have had as many messages as they may",
    "cooldown": "its rule rests, because it contacted them not long ago",
    "held_by_person": "a person holds it back for now",
    "struck_by_person": "a person has struck it from the plan",
    "no_legal_slot": "no hour in which it may leave comes in time",
    "not_worth_it": "it would cost more than it is expected to bring",
    "lower_value": "something else is worth more",
    "holdout": "they are in the holdout group, which is left alone to measure what messages do",
    "highest_value": "it is worth the most of what is allowed",
    "no_rule_applies": "no rule proposes anything for them",
}
_STAGES = {
    "eligibility": "may we at all",
    "suitability": "is it good for them",
    "consent": "did they agree",
    "frequency_cap": "have they had enough",
    "suppression": "does it rest",
    "quiet_hours": "is there a legal hour in time",
    "rollout": "is it rolled out to them",
    "arbitration": "is it worth the most",
    "holdout": "are they left alone to measure",
}


def reason_words(code: str | None) -> str:
    """Return what a reason code says, e.g. 'there is no consent …'; its own words if unknown."""
    return "" if code is None else _REASONS.get(code, code.replace("_", " "))


def stage_words(code: str) -> str:
    """Return the question that a stage of the policy asks."""
    return _STAGES.get(code, code.replace("_", " "))


def name_of(candidate: Mapping[str, Any]) -> str:
    """Return what a person calls a candidate: its action, with the subject if it is about one."""
    if candidate["action"] is None:
        return "do nothing"
    subject = candidate["subject"]
    about = "" if subject in {None, "contact"} else f" ({subject})"
    return f"{candidate['action']}{about}"


def money(cents: float) -> str:
    """Return an amount of cents with two decimals of the whole unit.

    >>> money(-1250.0)
    '-12.50'
    """
    return f"{cents / 100:.2f}"
