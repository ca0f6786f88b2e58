"""For whom a campaign of the CRM is, and which event starts it, as conditions of a rule."""

from collections.abc import Mapping
from typing import Any

from churn.health_policy import HealthPolicy
from store.campaigns import Campaign, Trigger

_RISEN, _JOURNEY, _JOINED = "risk.raised", "journey.changed", "campaign.joined"
_ANSWERED, _RATED = "survey.answered", "message.rated"
_MOST_POINTS = 100
# words of target_audience that are a field of the contact or its account
_FIELDS = {
    "lead_status": "contact.lead_status",
    "preferred_contact_method": "contact.preferred_contact_method",
    "country": "contact.country",
    "state": "account.state",
    "industry": "account.industry",
}
_AUDIENCE = {*_FIELDS, "tags", "members", "when", "unless"}
_ANYWHERE = {"purpose", "value", "goal", "expect", "cost", "cooldown", "approval", "still"}

Condition = dict[str, Any]


class UnknownWord(ValueError):
    """A campaign says something that can't be run; the text says what."""


def conditions_of(
    campaign: Campaign, audience: Mapping[str, Any], health: HealthPolicy
) -> tuple[list[Condition], list[Condition], list[str]]:
    """Return conditions that have to hold, those that may not, and the events that start it.

    An audience of nothing and no trigger is the campaign's members, never everybody.
    """
    unknown = sorted(audience.keys() - _AUDIENCE - _ANYWHERE)
    if unknown:
        raise UnknownWord(f"target_audience: nobody knows {unknown}; words: {sorted(_AUDIENCE)}")
    when = [_field(_FIELDS[name], audience[name]) for name in _FIELDS if name in audience]
    if "tags" in audience:
        tags = audience["tags"]
        word = "has" if isinstance(tags, str) else "has_one_of"
        when.append({"field": "contact.tags", word: tags})
    when += _listed(audience, "when", "target_audience")
    unless = _listed(audience, "unless", "target_audience")
    occasions: list[str] = []
    trigger = campaign.trigger
    if trigger is not None:
        more, never, occasions = _triggered(trigger, health)
        when, unless = when + more, unless + never
    if audience.get("members") in {True, "yes", "true"} or not when:
        if trigger is not None and not when:
            raise UnknownWord("the trigger has no condition: it would hold for everybody")
        when.insert(0, {"field": "contact.campaigns", "has": str(campaign.id)})
        occasions = [*occasions, _JOINED]
    return when, unless, occasions


def _field(name: str, value: object) -> Condition:
    if isinstance(value, list):
        return {"field": name, "is_one_of": [str(each) for each in value]}
    return {"field": name, "is": str(value)}


def _listed(said: Mapping[str, Any], name: str, where: str) -> list[Condition]:
    found = said.get(name, [])
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise UnknownWord(f"{where}: '{name}' is a list of conditions, as rules write them")
    return list(found)


def _triggered(
    trigger: Trigger, health: HealthPolicy
) -> tuple[list[Condition], list[Condition], list[str]]:
    said = trigger.conditions if trigger.conditions is not None else {}
    if not isinstance(said, dict):
        raise UnknownWord("trigger_conditions is no object of settings")
    read = {
        "churn_risk": _churn_risk,
        "lifecycle_stage": _lifecycle_stage,
        "satisfaction_drop": _satisfaction_drop,
        "behavior": _behaviour,
        "behavioral_pattern": _behaviour,
    }.get(trigger.kind)
    if read is None:
        raise UnknownWord(f"nobody knows the trigger type '{trigger.kind}'")
    when, occasions, words = read(said, health)
    unknown = sorted(said.keys() - words - _ANYWHERE - {"when", "unless"})
    if unknown:
        raise UnknownWord(f"trigger_conditions: nobody knows {unknown}; words: {sorted(words)}")
    where = "trigger_conditions"
    when += [*_scores(trigger), *_listed(said, "when", where)]
    return when, _listed(said, "unless", where), occasions


def _scores(trigger: Trigger) -> list[Condition]:
    if trigger.scores is None:
        return []
    low, after = trigger.scores  # canonical: [low, after)
    condition: Condition = {"field": "health.score"}
    if low is not None:
        condition["at_least"] = low
    if after is not None:
        condition["at_most"] = after - 1
    return [condition] if len(condition) > 1 else []


_Read = tuple[list[Condition], list[str], set[str]]


def _churn_risk(said: Mapping[str, Any], health: HealthPolicy) -> _Read:
    """P(leaving in 90 days) from a level's beginning on; looked at whenever a level rises."""
    words = {"risk_level", "min_churn_probability"}
    begins = (health.medium_from, health.high_from, health.critical_above)
    bounds = dict(zip(("medium", "high", "critical"), begins, strict=True))
    condition: Condition = {"field": "health.hazard_90d"}
    if "risk_level" in said:
        level = said["risk_level"]
        names = [level] if isinstance(level, str) else list(level)
        if not names or not set(names) <= bounds.keys():
            raise UnknownWord(f"trigger_conditions: risk_level is of {sorted(bounds)}")
        condition["at_least"] = round(min(bounds[name] for name in names), 6)
        tops = [v for k, v in bounds.items() if v > max(bounds[n] for n in names)]
        if tops and not isinstance(level, str):
            condition["less_than"] = round(min(tops), 6)
    if "min_churn_probability" in said:
        condition["at_least"] = said["min_churn_probability"]
    if len(condition) == 1:
        condition["at_least"] = round(bounds["high"], 6)
    return [condition], [_RISEN], words


def _lifecycle_stage(said: Mapping[str, Any], _: HealthPolicy) -> _Read:
    words = {"stage", "stages", "entered_within_days"}
    stages = said.get("stages", said.get("stage"))
    if not stages:
        raise UnknownWord('trigger_conditions: no stage is named: {"stage": "at_risk"}')
    when = [_field("journey.stage", stages)]
    if "entered_within_days" in said:
        days = f"{said['entered_within_days']} days"
        when.append({"last": _JOURNEY, "at_most_ago": days})
    return when, [_JOURNEY], words


def _satisfaction_drop(said: Mapping[str, Any], _: HealthPolicy) -> _Read:
    """The newest answer, or the tone of the newest text, against the one before."""
    words = {"min_drop", "below", "within_days", "measure"}
    tone = said.get("measure", "survey") == "tone"
    name, event = ("tone", _RATED) if tone else ("satisfaction", _ANSWERED)
    drop = float(said.get("min_drop", 1.0 if tone else 2.0))
    if not 0 < drop <= _MOST_POINTS:
        raise UnknownWord("trigger_conditions: min_drop is the points lost, above 0")
    when: list[Condition] = [{"field": f"{name}.change", "at_most": -drop}]
    if "below" in said:
        when.append({"field": f"{name}.last", "less_than": said["below"]})
    when.append({"last": event, "at_most_ago": f"{said.get('within_days', 30)} days"})
    return when, [event], words


def _behaviour(said: Mapping[str, Any], _: HealthPolicy) -> _Read:
    """So many events of a kind within so many days."""
    words = {"event", "at_least", "at_most", "in_last_days"}
    if "event" not in said:
        raise UnknownWord(
            "trigger_conditions: a pattern names its event: "
            '{"event": "appointment.no_show", "at_least": 2, "in_last_days": 60}'
        )
    condition: Condition = {"count": said["event"]}
    condition["in_last"] = f"{said.get('in_last_days', 90)} days"
    bounds = {name: said[name] for name in ("at_least", "at_most") if name in said}
    return [condition | (bounds or {"at_least": 1})], [str(said["event"])], words
