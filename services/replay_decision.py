"""Replay a stored decision to the bit, and say what differs if something does.

Three comparisons: the stored profile against its digest; the decision recomputed from the stored
profile and the named versions against the stored one; and the profile as the sources give it today
for the same moment against the stored one.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import ContactNotFound, KeepwellError, Unavailable
from engine.ids import ContactId, TenantId
from engine.profile import profile_from
from services.decide import rule_trigger
from services.decision_rows import OUTCOME_FIELDS, decision_rows, digest_of, libraries
from services.evaluate import evaluate
from services.playbook import Playbook, playbook_for_replay
from services.profiles import one_profile
from services.wiring import Runtime
from store.decisions import get_decision

_FLOATS = frozenset(
    {"score_cents", "selection_probability", "hazard_30d", "hazard_60d", "hazard_90d"}
)
_SHARED_OUT = ("budget_left", "household")
_TRACE_FIELDS_LEFT_OUT = frozenset({"tenant_id", "decision_id", "position"})


async def replay_decision(
    connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId, decision_id: UUID
) -> dict[str, Any]:
    """Return the verdict and every difference.

    `verdict` is 'identical'; 'inputs_changed' if only what the sources say today about that moment
    differs from the stored profile; else 'differs'. Each difference has `where` (stored, decision,
    candidates, versions, sources), `field`, `stored` and `now`.

    Raises:
        DecisionNotFound: unknown, or another tenant's.
    """
    row, candidates = await get_decision(connection, decision_id)
    differences = _tampering(row)
    as_of = datetime.fromisoformat(row["as_of"]).astimezone(UTC)
    try:
        playbook = await playbook_for_replay(connection, tenant_id, row)
        differences += _versions(row, playbook)
        differences += _recomputed(row, candidates, playbook, as_of)
        changed = await _sources(connection, row, playbook, as_of)
    except Unavailable:
        raise
    except KeepwellError as error:
        differences.append(_difference("versions", error.code, None, error.message))
        changed = []
    verdict = "differs" if differences else "inputs_changed" if changed else "identical"
    return {
        "decision_id": str(decision_id),
        "verdict": verdict,
        "compared_fields": len(OUTCOME_FIELDS) + sum(map(len, candidates)) + len(row["profile"]),
        "differences": differences + changed,
        "replayed_at": runtime.clock.now().isoformat(),
    }


def _tampering(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The record against its own digests: was a stored input or outcome altered."""
    found = []
    for field, document in (
        ("profile_digest", row["profile"]),
        ("decision_digest", {name: _as_written(name, row[name]) for name in OUTCOME_FIELDS}),
    ):
        now = digest_of(document)
        if now != row[field]:
            found.append(_difference("stored", field, row[field], now))
    return found


def _versions(row: Mapping[str, Any], playbook: Playbook) -> list[dict[str, Any]]:
    now = {
        "rule_set_digest": playbook.rule_set_digest,
        "model_digest": _model_told(row, playbook),
        "policy_data_digest": playbook.policy.digest,
        "seed": playbook.seed,
        "libraries": libraries(),
    }
    return [_difference("versions", n, row[n], v) for n, v in now.items() if row[n] != v]


def _model_told(row: Mapping[str, Any], playbook: Playbook) -> str | None:
    """The model's digest, or why the one the decision names does not serve any more."""
    if row["model_digest"] is not None and playbook.model is None:
        return playbook.tier_note
    return playbook.model_digest


def _recomputed(
    row: Mapping[str, Any],
    candidates: list[dict[str, Any]],
    playbook: Playbook,
    as_of: datetime,
) -> list[dict[str, Any]]:
    profile = profile_from(row["profile"])
    trigger = row["trigger"]
    evaluated = evaluate(playbook, [profile], None, as_of=as_of, trigger=rule_trigger(trigger))
    again = decision_rows(playbook, evaluated, as_of=as_of, trigger=trigger, run_id=None)[0]
    found = [
        _difference("decision", name, row[name], again.row[name])
        for name in OUTCOME_FIELDS
        if _as_written(name, row[name]) != again.row[name]
    ]
    if len(candidates) != len(again.candidates):
        found.append(_difference("candidates", "count", len(candidates), len(again.candidates)))
    for before, now in zip(candidates, again.candidates, strict=False):
        found += [
            _difference("candidates", f"{now['position']}.{name}", before[name], value)
            for name, value in now.items()
            if name not in _TRACE_FIELDS_LEFT_OUT and before[name] != value
        ]
    return found


async def _sources(
    connection: AsyncConnection, row: Mapping[str, Any], playbook: Playbook, as_of: datetime
) -> list[dict[str, Any]]:
    contact = ContactId(UUID(row["contact_id"]))
    try:
        profile, _ = await one_profile(connection, playbook, contact, as_of)
    except ContactNotFound:
        return [_difference("sources", "contact_id", row["contact_id"], None)]
    # what was shared out among contacts of a run, or left at that moment, is no source of its own
    now = profile.as_document()
    stored = row["profile"].get("standing", {})
    shared = {name: stored[name] for name in _SHARED_OUT if name in stored}
    own = {name: value for name, value in now["standing"].items() if name not in _SHARED_OUT}
    return _changes("", row["profile"], now | {"standing": own | shared})


def _changes(path: str, stored: object, now: object) -> list[dict[str, Any]]:
    """Every leaf that differs between two documents."""
    if isinstance(stored, dict) and isinstance(now, dict):
        return [
            change
            for key in sorted(stored.keys() | now.keys())
            for change in _changes(f"{path}.{key}".lstrip("."), stored.get(key), now.get(key))
        ]
    return [] if stored == now else [_difference("sources", path, stored, now)]


def _as_written(name: str, value: object) -> object:
    """A value as decision_rows wrote it: PostgreSQL has forms of its own for moments and 5.0."""
    if name == "send_at" and isinstance(value, str):
        return datetime.fromisoformat(value).astimezone(UTC).isoformat()
    return float(value) if name in _FLOATS and isinstance(value, int) else value


def _difference(where: str, field: str, stored: object, now: object) -> dict[str, Any]:
    return {"where": where, "field": field, "stored": stored, "now": now}
