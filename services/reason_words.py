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
    "resting": "they are left alone for a while, having ignored what was sent",
    "cool_off": "something has just happened after which they are left alone for a while",
    "held_by_person": "a person holds it back for now",
    "struck_by_person": "a person has struck it from the plan",
    "no_legal_slot": "no hour in which it may leave comes in time",
    "household_message": "somebody else of the household gets the same message",
    "no_capacity": "there is no room for what it aims at",
    "budget_exhausted": "the budget that pays for what it gives is used up",
    "not_rolled_out": "it is not rolled out to them yet",
    "not_worth_it": "it would cost more than it is expected to bring",
    "lower_value": "something else is worth more",
    "lower_priority": "another rule comes first, and their group goes by the rules alone",
    "not_drawn": "another one was drawn: their group shows what chance is worth",
    "holdout": "they are in the holdout group, which is left alone to measure what messages do",
    "highest_value": "it is worth the most of what is allowed",
    "business_as_usual": "it is what the rules alone would send; their group shows that",
    "random_choice": "it was drawn from what is allowed; their group shows what chance is worth",
    "plain_rules": "it is what plain rules send: they refused to be decided about by a machine",
    "no_rule_applies": "no rule proposes anything for them",
}
_STAGES = {
    "eligibility": "may we at all",
    "suitability": "is it good for them",
    "consent": "did they agree",
    "frequency_cap": "have they had enough",
    "suppression": "does it rest",
    "quiet_hours": "is there a legal hour in time",
    "household": "does somebody else of the household get it",
    "capacity": "is there room for it",
    "budget": "is there money for what it gives",
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
