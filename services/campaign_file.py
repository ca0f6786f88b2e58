"""A campaign in a file: the columns of the CRM's tables, by their names, in YAML."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from engine.errors import InvalidInput
from rules.policy_data import policy_values
from services.set_campaign import NewCampaign

_SETTINGS = (
    "name",
    "campaign_type",
    "content_template",
    "description",
    "target_audience",
    "scheduled_start",
    "scheduled_end",
    "trigger",
)
_NEEDED = _SETTINGS[:3]


def campaign_in(text: str, file: str) -> NewCampaign:
    """Return the campaign that a file says.

    Raises:
        InvalidInput: a setting is missing or unknown, or is no moment.
        InvalidRules: the file can't be read.
    """
    return campaign_of(policy_values(text, file), file)


def campaign_of(values: Mapping[str, Any], where: str) -> NewCampaign:
    """Return the campaign of these values; errors as `campaign_in`."""
    unknown = sorted(values.keys() - set(_SETTINGS))
    missing = [name for name in _NEEDED if not values.get(name)]
    if unknown or missing:
        what = f"nobody knows {unknown}" if unknown else f"{missing} are missing"
        raise InvalidInput(f"{where}: {what}.", hint=f"Settings: {', '.join(_SETTINGS)}.")
    for name in ("content_template", "target_audience", "trigger"):
        if values.get(name) is not None and not isinstance(values[name], dict):
            raise InvalidInput(f"{where}: {name} is no map of settings.")
    moments = {name: _moment(values.get(name), name) for name in _SETTINGS if "scheduled" in name}
    return NewCampaign(
        name=str(values["name"]),
        campaign_type=str(values["campaign_type"]),
        content_template=values["content_template"],
        description=str(values.get("description") or ""),
        target_audience=values.get("target_audience"),
        trigger=_trigger(values.get("trigger")),
        **moments,
    )


def _trigger(given: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The trigger with numbers and yes or no, which a file gives as text."""
    if given is None:
        return None
    found = dict(given)
    scores, learns = found.get("target_health_score_range"), found.get("ai_optimization_enabled")
    if isinstance(scores, list) and all(str(each).isdigit() for each in scores):
        found["target_health_score_range"] = [int(each) for each in scores]
    if isinstance(learns, str):
        found["ai_optimization_enabled"] = learns.lower() in {"yes", "true"}
    return found


def _moment(value: object, name: str) -> datetime | None:
    if value is None:
        return None
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        raise InvalidInput(
            f"{name} is '{value}', which is no moment.", hint="2026-12-01T09:00:00Z"
        ) from None
