"""Decisions as rows: the immutable record of what was decided, with all that replays it."""

import hashlib
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.metadata import version
from typing import Any
from uuid import UUID

import numpy as np
import orjson

from engine.actions import CHANNELS, Action
from engine.policy.groups import group_name
from engine.reasons import Reason, code, stage_code
from engine.slots import SLOT_NAMES
from services.evaluate import Evaluated, health_score
from services.playbook import Playbook

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# what a replay compares; ids, times of writing and the digests that name inputs are not outcomes
OUTCOME_FIELDS = (
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
    "hazard_30d",
    "hazard_60d",
    "hazard_90d",
    "health_score",
    "health_tier",
    "experiment_group",
    "treatment",
)


@dataclass(frozen=True, slots=True)
class Recorded:
    """One decision as rows.

    Attributes:
        row: columns of keepwell.decisions.
        candidates: columns of keepwell.candidates, one mapping per candidate in rank order.
        action: the winning action, None for nothing.
    """

    row: dict[str, Any]
    candidates: list[dict[str, Any]]
    action: Action | None


def digest_of(document: object) -> str:
    """Return the SHA-256 (hex) of a document's canonical JSON."""
    return hashlib.sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).hexdigest()


@cache
def libraries() -> str:
    """Return the versions of what computes a decision, as stored on it."""
    names = ("numpy", "polars", "lightgbm", "mabwiser", "scipy", "durable-rules", "tzdata")
    parts = [f"{name}={version(name)}" for name in names]
    return " ".join(
        [f"keepwell={version('keepwell')}", f"python={platform.python_version()}", *parts]
    )


def decision_rows(
    playbook: Playbook, evaluated: Evaluated, *, as_of: datetime, trigger: str, run_id: UUID | None
) -> list[Recorded]:
    """Return the rows of every decision, in the order of the profiles."""
    shared = {
        "tenant_id": str(playbook.tenant_id),
        "as_of": as_of.astimezone(UTC).isoformat(),
        "trigger": trigger,
        "run_id": None if run_id is None else str(run_id),
        "seed": playbook.seed,
        "rule_set_digest": playbook.rule_set_digest,
        "model_digest": playbook.model_digest,
        "policy_state_version": playbook.state_version,
        "policy_data_digest": playbook.policy.digest,
        "libraries": libraries(),
        "health_tier": "model" if playbook.model is not None else "scorecard",
    }
    by_contact = _candidates_by_contact(playbook, evaluated)
    position = {int(c): w for w, c in enumerate(evaluated.decisions.chosen)}
    scores = health_score(evaluated.hazards.hazard_90d)
    rows = []
    for index, profile in enumerate(evaluated.profiles):
        document = profile.as_document()
        outcome = _outcome(playbook, evaluated, index, position.get(index))
        row = {
            **shared,
            **outcome,
            "contact_id": profile.contact_id,
            "health_score": _whole(scores[index]),
            "lever_cost_cents": float(evaluated.decisions.lever_cost_cents[index]),
            "needs_approval": _waits(evaluated, index),
            "profile": document,
            "profile_digest": digest_of(document),
        }
        row["decision_digest"] = digest_of({name: row[name] for name in OUTCOME_FIELDS})
        row["id"] = str(_decision_id(row))
        candidates = [
            {"tenant_id": row["tenant_id"], "decision_id": row["id"], "position": n, **candidate}
            for n, candidate in enumerate(by_contact.get(index, ()))
        ]
        action = None if outcome["action"] is None else _winner(playbook, evaluated, index)
        if action is not None and row["needs_approval"]:
            action = replace(action, needs_approval=True)
        rows.append(Recorded(row, candidates, action))
    return rows


def _decision_id(row: Mapping[str, Any]) -> UUID:
    """An id made of what was decided from what: the same decision again has the same id.

    UUID version 8 (RFC 9562, section 5.8): custom bits, here the first 122 of a SHA-256.
    """
    named = ("tenant_id", "contact_id", "as_of", "trigger", "profile_digest", "rule_set_digest",
             "model_digest", "policy_state_version", "policy_data_digest",
             "decision_digest")  # fmt: skip
    raw = bytearray(bytes.fromhex(digest_of([row[name] for name in named]))[:16])
    raw[6] = (raw[6] & 0x0F) | 0x80
    raw[8] = (raw[8] & 0x3F) | 0x80
    return UUID(bytes=bytes(raw))


def _outcome(
    playbook: Playbook, evaluated: Evaluated, index: int, chosen: int | None
) -> dict[str, Any]:
    decisions, hazards = evaluated.decisions, evaluated.hazards
    common = {
        "reason": code(int(decisions.reason[index])),
        "score_cents": float(decisions.score_cents[index]),
        "hazard_30d": _known(hazards.hazard_30d[index]),
        "hazard_60d": _known(hazards.hazard_60d[index]),
        "hazard_90d": _known(hazards.hazard_90d[index]),
        "experiment_group": group_name(int(decisions.group[index])),
        "subject": None,
    }
    if chosen is None:
        names = ("action", "rule", "purpose", "channel", "slot", "variant", "send_at",
                 "selection_probability", "treatment")  # fmt: skip
        return {**common, **dict.fromkeys(names)}
    action = _winner(playbook, evaluated, index)
    treatments = decisions.treatments
    send_at = _EPOCH + timedelta(microseconds=int(decisions.send_at_us[chosen]))
    return {
        **common,
        "action": action.id,
        "rule": action.rule,
        "purpose": action.purpose,
        "subject": _subject(evaluated, int(decisions.winner[index])),
        "channel": CHANNELS[treatments.channel[chosen]],
        "slot": SLOT_NAMES[treatments.slot[chosen]],
        "variant": treatments.variant[chosen],
        "send_at": send_at.isoformat(),
        "selection_probability": float(treatments.selection_probability[chosen]),
        "treatment": {
            "context": [float(value) for value in evaluated.context[index]],
            "cost_cents": float(decisions.cost_cents[chosen]),
            "channel_probability": float(treatments.channel_probability[chosen]),
            "slot_probability": float(treatments.slot_probability[chosen]),
            "variant_probability": float(treatments.variant_probability[chosen]),
            "allowed": _allowed(evaluated, index),
        },
    }


def _allowed(evaluated: Evaluated, index: int) -> dict[str, list[str]]:
    """The arms the treatment was chosen among; a variant's follow from action and channel."""
    candidates = evaluated.decisions.candidates
    row = int(evaluated.decisions.winner[index])
    channels, slots = candidates.channels_left()[row], candidates.slot_allowed[row]
    return {
        "channel": [name for name, left in zip(CHANNELS, channels, strict=True) if left],
        "slot": [name for name, left in zip(SLOT_NAMES, slots, strict=True) if left],
    }


def _winner(playbook: Playbook, evaluated: Evaluated, index: int) -> Action:
    row = int(evaluated.decisions.winner[index])
    return playbook.actions.actions[int(evaluated.decisions.candidates.action[row])]


def _subject(evaluated: Evaluated, row: int) -> str:
    found = evaluated.decisions.candidates
    return found.subjects[int(found.subject[row])]


def _waits(evaluated: Evaluated, index: int) -> bool:
    row = int(evaluated.decisions.winner[index])
    return row >= 0 and bool(evaluated.decisions.candidates.needs_approval[row])


def _candidates_by_contact(
    playbook: Playbook, evaluated: Evaluated
) -> dict[int, list[dict[str, Any]]]:
    """Each contact's candidates, best first, 'do nothing' among them."""
    found = evaluated.decisions.candidates
    order = np.lexsort(
        (found.subject, found.action, -found.score_cents, found.removed_by != 0, found.contact)
    )
    grouped: dict[int, list[dict[str, Any]]] = {}
    for row in order:
        grouped.setdefault(int(found.contact[row]), []).append(_candidate(playbook, evaluated, row))
    for index, listed in grouped.items():
        won = evaluated.decisions.winner[index] >= 0
        listed.insert(1 if won else 0, _nothing(lost=bool(won)))
    return grouped


def _candidate(playbook: Playbook, evaluated: Evaluated, row: int) -> dict[str, Any]:
    found = evaluated.decisions.candidates
    action = playbook.actions.actions[int(found.action[row])]
    left = found.channels_left()[row]
    return {
        "action": action.id,
        "rule": action.rule,
        "purpose": action.purpose,
        "subject": _subject(evaluated, row),
        "removed_by": stage_code(int(found.removed_by[row])) or None,
        "reason": code(int(found.reason[row])) or None,
        "channels": _channels_told(action, found.channel_reason[row], left),
        "propensity": float(found.propensity[row]),
        "if_left": float(found.if_left[row]),
        "effect": float(found.effect[row]),
        "effect_low": float(action.effect_low),
        "effect_high": float(action.effect_high),
        "value_cents": int(found.value_cents[row]),
        "context": float(found.context[row]),
        "lever": float(found.lever[row]),
        "capacity": float(found.capacity[row]),
        "carried_by": _carrier(playbook, evaluated, row),
        "cost_cents": float(found.cost_cents[row]),
        "fatigue_cents": float(found.fatigue_cents[row]),
        "score_cents": float(found.score_cents[row]),
    }


def _carrier(playbook: Playbook, evaluated: Evaluated, row: int) -> str | None:
    """The contact of the household who carries this message, if that removed the candidate."""
    found = evaluated.decisions.candidates
    if found.reason[row] != Reason.HOUSEHOLD_MESSAGE:
        return None
    profile = evaluated.profiles[int(found.contact[row])]
    return profile.standing.household[playbook.actions.actions[int(found.action[row])].id]


def _channels_told(action: Action, reasons: Sequence[int], left: Sequence[bool]) -> str:
    """Each channel of the action with what struck it: 'email:ok sms:no_consent'."""
    return " ".join(
        f"{channel}:{'ok' if left[n] else code(int(reasons[n]))}"
        for n, channel in enumerate(CHANNELS)
        if channel in action.channels
    )


def _nothing(*, lost: bool) -> dict[str, Any]:
    terms = ("propensity", "if_left", "effect", "effect_low", "effect_high", "context", "lever",
             "capacity")  # fmt: skip
    return {
        "action": None, "rule": None, "purpose": None, "subject": None,
        "removed_by": "arbitration" if lost else None,
        "reason": code(Reason.LOWER_VALUE) if lost else None,
        "channels": "", **dict.fromkeys(terms), "carried_by": None, "value_cents": 0,
        "cost_cents": 0.0, "fatigue_cents": 0.0, "score_cents": 0.0,
    }  # fmt: skip


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _whole(value: float) -> int | None:
    return None if math.isnan(value) else int(value)
