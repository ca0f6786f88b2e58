"""What a campaign of the CRM means as a rule: who, when, what is said, worth, goal. No I/O.

Nothing is guessed in silence: a word that nobody knows is a fault of the campaign, and a campaign
with a fault is not run.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from churn.health_policy import HealthPolicy
from content.own_texts import own_template
from content.render import list_variants, message_template
from engine.errors import KeepwellError
from rules.document import Rule
from services.campaign_triggers import UnknownWord, conditions_of
from store.campaigns import Campaign

FILE = "crm-campaigns"
JOINED = "campaign.joined"
MEMBERS = "contact.campaigns"
_CHANNELS_OF = {
    "email": ("email",),
    "sms": ("sms",),
    "multi_channel": ("email", "sms"),
    "call": ("call_task",),
}
# of what a campaign says about its audience; trigger conditions may say the same
SETTINGS = ("purpose", "value", "goal", "expect", "cost", "cooldown", "approval", "still")
_ONCE = "365 days"
_WEIGHT = 10  # a cautious start: ten contacts of the campaign's own count as much
_NAME = re.compile(r"[^a-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Taken:
    """A campaign as a rule.

    Attributes:
        rule: settings of a rule of a rules file; None where there are faults.
        texts: the campaign's own texts by (channel, variant), under the rule's template.
        faults: what keeps it from running, in words.
    """

    rule: Mapping[str, Any] | None
    texts: Mapping[tuple[str, str], str] = field(default_factory=dict)
    faults: tuple[str, ...] = ()


def rule_id(campaign: Campaign) -> str:
    """Return the id of the campaign's rule; its action has the same with a dash."""
    return f"campaign.{campaign.id.hex}"


def action_id(campaign: Campaign) -> str:
    """Return the id of the campaign's action."""
    return f"campaign-{campaign.id.hex}"


def campaign_rule(
    campaign: Campaign, in_force: Sequence[Rule], health: HealthPolicy, owner: str
) -> Taken:
    """Return the campaign as a rule.

    What it leaves open is taken from the tenant's rules in force: the commonest goal, and of the
    rules with that goal the value in the middle and the smallest effect.
    """
    try:
        return _taken(campaign, in_force, health, owner)
    except UnknownWord as error:
        return Taken(None, faults=(str(error),))
    except KeepwellError as error:
        return Taken(None, faults=(f"{error.message} {error.hint or ''}".strip(),))


def _taken(campaign: Campaign, in_force: Sequence[Rule], health: HealthPolicy, owner: str) -> Taken:
    audience = _object(campaign.audience, "target_audience")
    when, unless, occasions = conditions_of(campaign, audience, health)
    channels, template, texts = _content(campaign, owner)
    said = _settings(campaign, audience)
    rule: dict[str, Any] = {
        "id": rule_id(campaign),
        "title": campaign.name[:200],
        "why": (campaign.description or f"Campaign {campaign.name} of the CRM.")[:900],
        "check": [*(f"on {occasion}" for occasion in occasions), "nightly"],
        "when": when,
        **({"unless": unless} if unless else {}),
        "then": _proposal(campaign, said, channels, template, in_force),
        "cooldown": str(said.get("cooldown", _ONCE)),
        **_timing(campaign),
    }
    return Taken(rule, texts)


def _settings(campaign: Campaign, audience: Mapping[str, Any]) -> dict[str, Any]:
    conditions = campaign.trigger.conditions if campaign.trigger else None
    told = {**audience, **(conditions if isinstance(conditions, dict) else {})}
    return {name: told[name] for name in SETTINGS if name in told}


def _proposal(
    campaign: Campaign,
    said: Mapping[str, Any],
    channels: Sequence[str],
    template: str,
    in_force: Sequence[Rule],
) -> dict[str, Any]:
    goal = str(said.get("goal") or _usual_goal(in_force))
    alike = [r for r in in_force if r.then.goal.event == goal.partition(" ")[0]]
    if not alike and not ("value" in said and "expect" in said):
        raise UnknownWord(
            f"no rule in force aims at '{goal}', so value and expect have to be said: "
            '"value": "120.00 USD", "expect": {"if_contacted": 0.05, "if_left": 0.04, "weight": 10}'
        )
    costs = {c: f"{v / 100:.4f}" for r in in_force for c, v in sorted(r.then.cost_cents)}
    costs |= {c: str(v) for c, v in dict(said.get("cost") or {}).items()}
    unpriced = [channel for channel in channels if channel not in costs]
    if unpriced:
        raise UnknownWord(f'nothing says what {unpriced} cost: "cost": {{"{unpriced[0]}": 0.02}}')
    return {
        "action": action_id(campaign),
        "template": template,
        "purpose": said.get("purpose", "marketing"),
        "by": list(channels),
        "value": str(said.get("value") or _usual_value(alike)),
        "cost": {channel: float(costs[channel]) for channel in channels},
        "expect": said.get("expect") or _cautious(alike),
        "goal": goal,
        **({"approval": "yes"} if said.get("approval") in {True, "yes", "true"} else {}),
        "still": said.get("still") or [f"none {goal.partition(' ')[0]}"],
    }


def _usual_goal(in_force: Sequence[Rule]) -> str:
    counted = Counter(f"{r.then.goal.event} within {r.then.goal.within_days} days"
                      for r in in_force if r.acts and r.then.goal.event)  # fmt: skip
    if not counted:
        raise UnknownWord('the campaign names no goal: "goal": "appointment.booked within 30 days"')
    return min(counted, key=lambda goal: (-counted[goal], goal))


def _usual_value(alike: Sequence[Rule]) -> str:
    """The lower median: a campaign is not worth more than half of what aims at the same."""
    ordered = sorted(alike, key=lambda rule: rule.then.value_cents)
    middle = ordered[(len(ordered) - 1) // 2].then
    return f"{middle.value_cents / 100:.2f} {middle.currency}"


def _cautious(alike: Sequence[Rule]) -> dict[str, Any]:
    """The expectation with the smallest effect of all that aim at the same."""
    least = min(
        (rule.then.expect for rule in alike),
        key=lambda expect: (expect.if_contacted - expect.if_left, expect.if_left),
    )
    shares = {"if_contacted": least.if_contacted, "if_left": least.if_left}
    return {**shares, "weight": _WEIGHT}


def _timing(campaign: Campaign) -> Mapping[str, Any]:
    timing = _object(campaign.trigger.timing if campaign.trigger else None, "timing_optimization")
    unknown = sorted(timing.keys() - {"send_between", "on_days"})
    if unknown:
        raise UnknownWord(f"timing_optimization: nobody knows {unknown}")
    return timing


# -------------------------------------------------------------------------- what is said, and by


def _content(
    campaign: Campaign, owner: str
) -> tuple[tuple[str, ...], str, dict[tuple[str, str], str]]:
    """Channels in their order, the template, and the campaign's own texts if it has any."""
    channels = _channels(campaign)
    content = _object(campaign.content, "content_template")
    if "template" in content:
        template = str(content["template"])
        written = [c for c in channels if list_variants(template, c)]
        if not written:
            raise UnknownWord(f"content_template: there is no template '{template}' for {channels}")
        return tuple(written), template, {}
    texts: dict[tuple[str, str], str] = {}
    for variant, said in _variants(campaign, content):
        for channel in channels:
            source = _source(said, channel)
            if source is not None:
                message_template(source, file=f"{campaign.name}, {variant}", channel=channel)
                texts[channel, variant] = source
    written = [c for c in channels if any(channel == c for channel, _ in texts)]
    if not written:
        raise UnknownWord(
            f"content_template has no text for {list(channels)}: "
            '{"email": {"subject": "…", "text": "…"}, "sms": "…"} or '
            '{"template": "common/win-back"}'
        )
    if campaign.trigger is not None and not campaign.trigger.learns:
        first = min(variant for channel, variant in texts if channel == written[0])
        written = written[:1]
        texts = {(written[0], first): texts[written[0], first]}
    return tuple(written), own_template(owner, texts), texts


def _channels(campaign: Campaign) -> tuple[str, ...]:
    usual = _CHANNELS_OF.get(campaign.campaign_type)
    if usual is None:
        raise UnknownWord(
            f"campaigns of the type '{campaign.campaign_type}' are not run; those are: "
            f"{', '.join(_CHANNELS_OF)}. A drip is one campaign for each of its steps"
        )
    preferred = campaign.trigger.channels if campaign.trigger else None
    if isinstance(preferred, dict):
        preferred = preferred.get("channels")
    if preferred is None:
        return usual
    known = {"email", "sms", "call_task"}
    words = ["call_task" if each in {"phone", "call"} else each for each in preferred]
    if not words or not set(words) <= known:
        raise UnknownWord(f"channel_preferences: {preferred} are not all of {sorted(known)}")
    return tuple(dict.fromkeys(words))


def _variants(
    campaign: Campaign, content: Mapping[str, Any]
) -> list[tuple[str, Mapping[str, Any]]]:
    listed = campaign.trigger.variants if campaign.trigger else None
    if listed is not None and not (
        isinstance(listed, list) and all(isinstance(each, dict) for each in listed)
    ):
        raise UnknownWord('content_variants is no list: [{"name": "warm", "sms": "…"}]')
    named = [
        (_NAME.sub("-", str(each.get("name", f"v{n}")).lower()).strip("-") or f"v{n}", each)
        for n, each in enumerate(listed or (), 1)
    ]
    return [*([("base", content)] if content else []), *named]


def _source(said: Mapping[str, Any], channel: str) -> str | None:
    """The text of a template file; None if nothing is said for the channel."""
    own = said.get(channel)
    if own is None and channel == "email":
        own = {"subject": said.get("subject"), "text": said.get("text", said.get("body"))}
    if own is None:
        return None
    if channel != "email":
        body = own.get("text") if isinstance(own, dict) else own
        return str(body) if body else None
    if not isinstance(own, dict) or not own.get("text", own.get("body")):
        return None
    return f"Subject: {own.get('subject') or ''}\n\n{own.get('text', own.get('body'))}\n"


def _object(value: object, name: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UnknownWord(f"{name} is no object of settings")
    return value
