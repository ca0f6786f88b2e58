"""What would have to be different for a candidate to pass what removed it: one step of a world."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from engine.actions import ActionColumns
from engine.candidates import CONSENT_GRANTED
from engine.columns import Bools
from engine.policy.settings import PolicyData
from engine.profile import (
    COMPLAINT_OPENED,
    COMPLAINT_RESOLVED,
    Standing,
    cooldown_key,
    mark_key,
    since_name,
)
from services.counterfactual import Step, World
from services.decision_rows import Recorded
from services.reason_words import money

_CENT = 0.01  # more than the rival's worth, not as much
_LONG_HOURS = 24.0 * 15  # as far ahead as legal hours are looked for


def lift(
    world: World, candidate: Mapping[str, Any], channel: str, recorded: Recorded
) -> Step | None:
    """Return the step that lets the candidate pass on this channel; None if no one thing does."""
    reason = candidate["reason"]
    struck = channels_of(candidate).get(channel, "ok")
    if reason in _OF_CHANNEL or (reason == "not_worth_it" and struck in _OF_CHANNEL):
        of_channel = _OF_CHANNEL.get(struck)
        return None if of_channel is None else of_channel(candidate, channel)
    if reason in {"not_worth_it", "lower_value"}:
        return _worth(candidate, recorded)
    lift_row = _OF_ROW.get(str(reason))
    return None if lift_row is None else lift_row(world, candidate)


def channels_of(candidate: Mapping[str, Any]) -> dict[str, str]:
    """Return what struck each channel of a candidate, 'ok' for none: {'email': 'no_consent'}."""
    pairs = (told.partition(":") for told in str(candidate["channels"] or "").split())
    return {channel: reason for channel, _, reason in pairs}


# ------------------------------------------------------------------------- what a channel lacks


def _address(_candidate: Mapping[str, Any], channel: str) -> Step:
    def apply(world: World) -> World:
        reach = (*world.profile.reach, channel)
        return replace(world, profile=replace(world.profile, reach=reach))

    words = f"{channel} is set up and the contact has an address for it"
    return Step("no_reachable_channel", words, 1.0, apply)


def _agreed(reason: str) -> Callable[[Mapping[str, Any], str], Step]:
    def lift(candidate: Mapping[str, Any], channel: str) -> Step:
        pair = f"{channel}:{candidate['purpose']}"

        def apply(world: World) -> World:
            consent = {**world.profile.consent, pair: CONSENT_GRANTED}
            return replace(world, profile=replace(world.profile, consent=consent))

        what = f"{candidate['purpose']} messages by {channel}"
        words = {
            "no_consent": f"the contact agrees to {what}",
            "consent_revoked": f"the contact agrees again to {what}",
            "do_not_contact_flag": f"the contact lifts the objection to {what}",
        }[reason]
        return Step(reason, words, 1.0, apply)

    return lift


_OF_CHANNEL: Mapping[str, Callable[[Mapping[str, Any], str], Step]] = {
    "no_reachable_channel": _address,
    "no_consent": _agreed("no_consent"),
    "consent_revoked": _agreed("consent_revoked"),
    "do_not_contact_flag": _agreed("do_not_contact_flag"),
}


# -------------------------------------------------------------------- what removes a whole row


def _live(_world: World, candidate: Mapping[str, Any]) -> Step:
    rule = candidate["rule"]

    def change(actions: ActionColumns) -> ActionColumns:
        return replace(actions, shadow=np.where(_is(actions, rule), False, actions.shadow))

    return Step("shadow_rule", f"the rule {rule} is live", 1.0, _on_actions(change))


def _resolved(_world: World, _candidate: Mapping[str, Any]) -> Step:
    def apply(world: World) -> World:
        gone = (COMPLAINT_OPENED, COMPLAINT_RESOLVED)
        row = {name: value for name, value in world.profile.row.items() if name not in gone}
        return replace(world, profile=replace(world.profile, row=row))

    return Step("open_complaint", "the open complaint is resolved", 1.0, apply)


def _room(world: World, candidate: Mapping[str, Any]) -> Step:
    """Each cap that is full has room for one more; caps are not lowered for a silence."""
    caps, sends = world.playbook.policy.caps, list(world.profile.sends)
    told = []
    for place, cap in enumerate(caps):
        if cap.purpose != candidate["purpose"] or sends[place] < cap.max_count:
            continue
        over = sends[place] - cap.max_count + 1
        told.append(f"{over} fewer message{'s' * (over > 1)} in the last {cap.window_days} d")
        sends[place] = max(0, cap.max_count - 1)
    lowered = world.profile.standing.unanswered
    if not told:
        told.append(f"an answer to one of the last {lowered} messages")

    def apply(before: World) -> World:
        standing = replace(before.profile.standing, unanswered=0)
        profile = replace(before.profile, sends=tuple(sends), standing=standing)
        return replace(before, profile=profile)

    return Step("frequency_cap", " and ".join(told), 1.0, apply)


def _standing(kind: str, words: str, change: Callable[[Standing], Standing]) -> Step:
    def apply(world: World) -> World:
        standing = change(world.profile.standing)
        return replace(world, profile=replace(world.profile, standing=standing))

    return Step(kind, words, 1.0, apply)


def _awake(world: World, _candidate: Mapping[str, Any]) -> Step:
    days = world.profile.standing.rest_days
    words = f"{days:.1f} days later: they rest after ignored messages"
    return _standing("resting", words, lambda standing: replace(standing, rest_days=0.0))


def _cooled(world: World, candidate: Mapping[str, Any]) -> Step:
    concerned = [
        each for each in world.playbook.policy.cool_off if candidate["purpose"] in each.purposes
    ]
    names = {since_name(each.after) for each in concerned}

    def apply(before: World) -> World:
        row = {n: v for n, v in before.profile.row.items() if n not in names}
        return replace(before, profile=replace(before.profile, row=row))

    told = ", ".join(f"{each.rest_days} days after {each.after}" for each in concerned)
    return Step("cool_off", f"the time to cool off is over ({told})", 1.0, apply)


def _unmarked(reason: str) -> Callable[[World, Mapping[str, Any]], Step]:
    def lift_row(_world: World, candidate: Mapping[str, Any]) -> Step:
        key = mark_key(str(candidate["rule"]), str(candidate["subject"]))

        def apply(before: World) -> World:
            marks = {name: said for name, said in before.profile.marks.items() if name != key}
            return replace(before, profile=replace(before.profile, marks=marks))

        return Step(reason, "the person takes back what they said of it in the plan", 1.0, apply)

    return lift_row


def _alone(_world: World, candidate: Mapping[str, Any]) -> Step:
    words = "nobody else of the household carries the same message"
    action = candidate["action"]

    def change(standing: Standing) -> Standing:
        family = {name: who for name, who in standing.household.items() if name != action}
        return replace(standing, household=family)

    return _standing("household_message", words, change)


def _of_policy(
    kind: str, words: str, change: Callable[[PolicyData], PolicyData]
) -> Callable[[World, Mapping[str, Any]], Step]:
    def apply(world: World) -> World:
        policy = change(world.playbook.policy)
        return replace(world, playbook=replace(world.playbook, policy=policy))

    return lambda _world, _candidate: Step(kind, words, 1.0, apply)


def _funded(world: World, _candidate: Mapping[str, Any]) -> Step:
    left = {each.name: each.limit_cents for each in world.playbook.policy.budgets}
    words = "enough is left of the budget that pays for it"
    return _standing(
        "budget_exhausted", words, lambda standing: replace(standing, budget_left=left)
    )


def _rested(world: World, candidate: Mapping[str, Any]) -> Step:
    rule, subject = str(candidate["rule"]), str(candidate["subject"])
    columns = world.playbook.actions
    rest = float(columns.cooldown_days[_is(columns, rule)].max(initial=0.0))
    more = rest - world.profile.days_since(rule, subject)

    def apply(before: World) -> World:
        last = {**before.profile.last_sent_days, cooldown_key(rule, subject): rest}
        return replace(before, profile=replace(before.profile, last_sent_days=last))

    size = more / (more + rest) if rest > 0 else 1.0
    words = f"{more:.1f} more days since {rule} last contacted them"
    return Step("cooldown", words, size, apply)


def _patient(_world: World, candidate: Mapping[str, Any]) -> Step:
    rule = candidate["rule"]

    def change(actions: ActionColumns) -> ActionColumns:
        hours = np.where(_is(actions, rule), _LONG_HOURS, actions.send_within_hours)
        return replace(actions, send_within_hours=hours)

    words = "a legal hour comes while the action still has a point"
    return Step("no_legal_slot", words, 1.0, _on_actions(change))


_OF_ROW: Mapping[str, Callable[[World, Mapping[str, Any]], Step]] = {
    "shadow_rule": _live,
    "open_complaint": _resolved,
    "frequency_cap": _room,
    "cooldown": _rested,
    "resting": _awake,
    "cool_off": _cooled,
    "held_by_person": _unmarked("held_by_person"),
    "struck_by_person": _unmarked("struck_by_person"),
    "no_legal_slot": _patient,
    "household_message": _alone,
    "no_capacity": _of_policy(
        "no_capacity",
        "there is room for what it aims at",
        lambda policy: replace(policy, capacity=()),
    ),
    "budget_exhausted": _funded,
    "not_rolled_out": _of_policy(
        "not_rolled_out",
        "it is rolled out to them",
        lambda policy: replace(policy, rollout=()),
    ),
    "holdout": _of_policy(
        "holdout",
        "the contact is not in the holdout group",
        lambda policy: replace(policy, holdout_share=0.0),
    ),
}


# ------------------------------------------------------------------------------ what it is worth


def _worth(candidate: Mapping[str, Any], recorded: Recorded) -> Step | None:
    """The gain that beats the best rival, told as an effect, as a value and as a lever."""
    own = (candidate["rule"], candidate["subject"])
    rivals = [
        each["score_cents"]
        for each in recorded.candidates
        if each["removed_by"] is None and (each["rule"], each["subject"]) != own
    ]
    against = max([0.0, *rivals])
    needed = against + candidate["cost_cents"] + candidate["fatigue_cents"] + _CENT
    gain = candidate["score_cents"] + candidate["cost_cents"] + candidate["fatigue_cents"]
    if gain <= 0.0:
        return None  # whatever one success were worth: contacting them does not make it likelier
    factor = needed / gain
    effect, value = candidate["effect"] * factor, candidate["value_cents"] * factor
    rule = candidate["rule"]

    def change(actions: ActionColumns) -> ActionColumns:
        scaled = np.where(_is(actions, rule), factor, 1.0)
        return replace(actions, value_cents=actions.value_cents * scaled)

    words = (
        f"{candidate['action']} is worth {money(against + _CENT)} instead of "
        f"{money(candidate['score_cents'])}: an effect of {effect:.1%} instead of "
        f"{candidate['effect']:.1%}{_within(candidate, effect)}, or {money(value)} for a success "
        f"instead of {money(candidate['value_cents'])}, or a lever of {factor - 1:+.0%}"
    )
    size = min(1.0, (factor - 1) / factor) if factor > 1 else _CENT
    return Step(str(candidate["reason"]), words, size, _on_actions(change))


def _within(candidate: Mapping[str, Any], effect: float) -> str:
    high = candidate["effect_high"]
    if high is None:
        return ""
    return (
        " (its interval allows that)" if effect <= high else f" (its interval ends at {high:.1%})"
    )


def _is(actions: ActionColumns, rule: str) -> Bools:
    return np.array([action.rule == rule for action in actions.actions], dtype=np.bool_)


def _on_actions(change: Callable[[ActionColumns], ActionColumns]) -> Callable[[World], World]:
    def apply(world: World) -> World:
        changed = change(world.playbook.actions)
        return replace(world, playbook=replace(world.playbook, actions=changed))

    return apply


# the reasons for which there is a step
LIFTED = frozenset({*_OF_CHANNEL, *_OF_ROW, "not_worth_it", "lower_value"})
