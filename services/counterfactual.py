"""What would have to be different for another choice: found by deciding again, never by guessing.

A world is all that one decision is made of. A step changes one thing in it, and the decision core
itself says what is chosen then. So whatever stages the policy has, what is told here is what would
happen.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np

from engine.actions import ActionColumns
from engine.candidates import CONSENT_GRANTED
from engine.columns import Bools
from engine.profile import COMPLAINT_OPENED, COMPLAINT_RESOLVED, Profile, cooldown_key
from services.decision_rows import Recorded, decision_rows
from services.evaluate import evaluate
from services.playbook import Playbook
from services.reason_words import money

_MOST_STEPS = 6
_CENT = 0.01  # more than the rival's worth, not as much
_LONG_HOURS = 24.0 * 15  # as far ahead as legal hours are looked for


@dataclass(frozen=True, slots=True)
class World:
    """What one contact's decision is made of."""

    playbook: Playbook
    profile: Profile
    as_of: datetime
    trigger: str | None = None

    def decided(self) -> Recorded:
        """Return the decision in this world; nothing is stored."""
        evaluated = evaluate(
            self.playbook, [self.profile], None, as_of=self.as_of, trigger=self.trigger
        )
        return decision_rows(
            self.playbook, evaluated, as_of=self.as_of, trigger="explain", run_id=None
        )[0]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that would be different.

    Attributes:
        kind: the reason code it lifts, or 'fact' for something known of the contact.
        words: what would be different, for people.
        size: in (0, 1]: how much of a change it is, 1 where there is no measure.
        apply: the world with it.
    """

    kind: str
    words: str
    size: float
    apply: Callable[[World], World]


@dataclass(frozen=True, slots=True)
class Path:
    """Steps that, taken together, change what is chosen.

    Attributes:
        then: the action chosen then, None for nothing.
        subject: what it is about.
    """

    steps: tuple[Step, ...]
    then: str | None
    subject: str | None

    @property
    def size(self) -> tuple[int, float]:
        """Fewer steps first, then smaller ones."""
        return len(self.steps), sum(step.size for step in self.steps)

    def as_document(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "steps": [{"kind": step.kind, "words": step.words} for step in self.steps],
            "then": self.then,
            "subject": self.subject,
        }


def path_to(
    world: World, candidate: Mapping[str, Any], first: tuple[Step, ...] = ()
) -> Path | None:
    """Return the shortest way found for a candidate to be the one that is chosen.

    `first` are steps already taken in `world`. None if something stands in its way that no change
    of one thing lifts.
    """
    found = [
        path
        for channel in channels_of(candidate) or {"": ""}
        if (path := _path(world, candidate, channel, first)) is not None
    ]
    return min(found, key=lambda path: path.size, default=None)


def channels_of(candidate: Mapping[str, Any]) -> dict[str, str]:
    """Return what struck each channel of a candidate, 'ok' for none: {'email': 'no_consent'}."""
    pairs = (told.partition(":") for told in str(candidate["channels"] or "").split())
    return {channel: reason for channel, _, reason in pairs}


def _path(
    world: World, candidate: Mapping[str, Any], channel: str, steps: tuple[Step, ...]
) -> Path | None:
    own = (candidate["rule"], candidate["subject"])
    for _ in range(_MOST_STEPS + 1):
        recorded = world.decided()
        row = recorded.row
        if (row["rule"], row["subject"]) == own:
            return Path(steps, row["action"], row["subject"])
        now = next((c for c in recorded.candidates if (c["rule"], c["subject"]) == own), None)
        step = None if now is None else _lift(world, now, channel, recorded)
        if step is None or len(steps) == _MOST_STEPS:
            return None
        steps, world = (*steps, step), step.apply(world)
    return None


def _lift(
    world: World, candidate: Mapping[str, Any], channel: str, recorded: Recorded
) -> Step | None:
    """What would have to be different for the candidate to pass what removed it."""
    reason = candidate["reason"]
    struck = channels_of(candidate).get(channel, "ok")
    if reason in _OF_CHANNEL or (reason == "not_worth_it" and struck in _OF_CHANNEL):
        lift = _OF_CHANNEL.get(struck)
        return None if lift is None else lift(candidate, channel)
    if reason in {"not_worth_it", "lower_value"}:
        return _worth(candidate, recorded)
    lift_row = _OF_ROW.get(str(reason))
    return None if lift_row is None else lift_row(world, candidate)


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
    """Each cap that is full has room for one more."""
    caps, sends = world.playbook.policy.caps, list(world.profile.sends)
    told = []
    for place, cap in enumerate(caps):
        if cap.purpose not in {"any", candidate["purpose"]} or sends[place] < cap.max_count:
            continue
        over = sends[place] - cap.max_count + 1
        kind = "" if cap.purpose == "any" else f"{cap.purpose} "
        told.append(f"{over} fewer {kind}message{'s' * (over > 1)} in the last {cap.window_days} d")
        sends[place] = max(0, cap.max_count - 1)

    def apply(before: World) -> World:
        return replace(before, profile=replace(before.profile, sends=tuple(sends)))

    return Step("frequency_cap", " and ".join(told), 1.0, apply)


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


def _not_held(_world: World, _candidate: Mapping[str, Any]) -> Step:
    def apply(world: World) -> World:
        policy = replace(world.playbook.policy, holdout_share=0.0)
        return replace(world, playbook=replace(world.playbook, policy=policy))

    return Step("holdout", "the contact is not in the holdout group", 1.0, apply)


_OF_ROW: Mapping[str, Callable[[World, Mapping[str, Any]], Step]] = {
    "shadow_rule": _live,
    "open_complaint": _resolved,
    "frequency_cap": _room,
    "cooldown": _rested,
    "no_legal_slot": _patient,
    "holdout": _not_held,
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
