"""A decision as the document that API, command line and explanation share."""

from collections.abc import Mapping, Sequence
from typing import Any

from services.promise_send import Promise

_VERSIONS = (
    "rule_set_digest",
    "model_digest",
    "policy_state_version",
    "policy_data_digest",
    "profile_digest",
    "decision_digest",
    "seed",
    "libraries",
)
_OUTCOME = (
    "id",
    "contact_id",
    "as_of",
    "trigger",
    "action",
    "rule",
    "purpose",
    "subject",
    "reason",
    "channel",
    "slot",
    "variant",
    "send_at",
    "selection_probability",
    "score_cents",
    "experiment_group",
    "lever_cost_cents",
    "needs_approval",
    "treatment",
)
_HIDDEN = frozenset({"tenant_id", "decision_id", "position"})


def decision_document(
    row: Mapping[str, Any],
    candidates: Sequence[Mapping[str, Any]],
    promise: Promise | None = None,
    *,
    with_profile: bool = False,
) -> dict[str, Any]:
    """Return the decision as plain values; `promise` adds what became of its message."""
    document: dict[str, Any] = {name: row[name] for name in _OUTCOME}
    document["health"] = {
        "score": row["health_score"],
        "hazard_30d": row["hazard_30d"],
        "hazard_60d": row["hazard_60d"],
        "hazard_90d": row["hazard_90d"],
        "tier": row["health_tier"],
    }
    document["candidates"] = [
        {name: value for name, value in candidate.items() if name not in _HIDDEN}
        for candidate in candidates
    ]
    document["versions"] = {name: row[name] for name in _VERSIONS}
    if promise is not None:
        document["send"] = {
            "status": promise.status,
            "id": None if promise.send_id is None else str(promise.send_id),
            "detail": promise.detail,
        }
        document["content"] = promise.content
        document["dry_run"] = promise.status == "dry_run"
    if with_profile:
        document["profile"] = row["profile"]
    return document
