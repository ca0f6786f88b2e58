"""Decisions as rows: the immutable record of what was decided, with all that replays it."""

import hashlib
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from importlib.metadata import version
from typing import Any
from uuid import UUID

import orjson
import polars as pl

from engine.actions import CHANNELS, Action
from engine.policy.groups import group_name
from engine.reasons import code
from engine.slots import SLOT_NAMES
from services.candidate_trace import CandidateTrace
from services.evaluate import Evaluated
from services.playbook import Playbook

_JSON_COLUMNS = frozenset({"profile", "treatment"})
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


@dataclass(frozen=True, eq=False)
class Recorded:
    """One decision as rows.

    Attributes:
        row: columns of keepwell.decisions.
        action: the winning action, None for nothing.
        trace: of the decisions that were made together with it.
        place: its place among them.
    """

    row: dict[str, Any]
    action: Action | None
    trace: CandidateTrace = field(repr=False)
    place: int

    def __eq__(self, other: object) -> bool:
        """Equal when both say the same, whatever else was decided together with them."""
        if not isinstance(other, Recorded):
            return NotImplemented
        mine, others = (self.row, self.action), (other.row, other.action)
        return mine == others and self.candidates == other.candidates

    __hash__ = None  # type: ignore[assignment]  # rows are mutable

    @cached_property
    def candidates(self) -> list[dict[str, Any]]:
        """Columns of keepwell.candidates, one mapping per candidate in rank order."""
        named = {"tenant_id": self.row["tenant_id"], "decision_id": self.row["id"]}
        return [
            {**named, "position": position, **candidate}
            for position, candidate in enumerate(self.trace.listed(self.place))
        ]


def decision_frame(recorded: Sequence[Recorded]) -> pl.DataFrame:
    """Return many decisions, at least one, as columns of keepwell.decisions; documents as JSON."""
    return pl.DataFrame(
        {
            name: [
                _text(each.row[name]) if name in _JSON_COLUMNS else each.row[name]
                for each in recorded
            ]
            for name in recorded[0].row
        }
    )


def _text(document: object) -> str | None:
    return None if document is None else orjson.dumps(document).decode()


def candidate_frame(recorded: Sequence[Recorded]) -> pl.DataFrame:
    """Return the candidates of many decisions as columns of keepwell.candidates."""
    together: dict[int, list[Recorded]] = {}
    for each in recorded:
        together.setdefault(id(each.trace), []).append(each)
    frames = [
        group[0].trace.frame([each.place for each in group], [each.row["id"] for each in group])
        for group in together.values()
    ]
    if not frames:
        return pl.DataFrame()
    tenant = pl.lit(recorded[0].row["tenant_id"]).alias("tenant_id")
    return pl.concat(frames).with_columns(tenant)


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
        "health_tier": playbook.health_tier,
    }
    trace = CandidateTrace(playbook, evaluated)
    outcomes = _Outcomes(playbook, evaluated)
    scores = evaluated.health_score.tolist()
    lever_costs = evaluated.decisions.lever_cost_cents.tolist()
    moment = _moment_bytes(as_of)
    rows = []
    for index, profile in enumerate(evaluated.profiles):
        document = profile.as_document()
        action = outcomes.action(index)
        outcome = outcomes.told(index, action)
        row = {
            **shared,
            **outcome,
            "contact_id": profile.contact_id,
            "health_score": _whole(scores[index]),
            "lever_cost_cents": lever_costs[index],
            "needs_approval": outcomes.waits(index),
            "profile": document,
            "profile_digest": digest_of(document),
        }
        row["decision_digest"] = digest_of({name: row[name] for name in OUTCOME_FIELDS})
        row["id"] = str(_decision_id(row, moment))
        if action is not None and row["needs_approval"]:
            action = replace(action, needs_approval=True)
        rows.append(Recorded(row, action, trace, index))
    return rows


def _moment_bytes(as_of: datetime) -> bytes:
    """Whole milliseconds since 1970 in 48 bits, as a UUID of version 7 begins."""
    return ((as_of - _EPOCH) // timedelta(milliseconds=1)).to_bytes(6)


def _decision_id(row: Mapping[str, Any], moment: bytes) -> UUID:
    """An id made of what was decided from what: the same decision again has the same id.

    UUID version 8 (RFC 9562, section 5.8), custom bits: 48 of the moment, 12 of the contact, 62 of
    a SHA-256. Ids of a partition of a run lie together, so that the pages of an index are written
    once each: with hashes alone every partition wrote to every page of all the nights before.
    """
    named = ("tenant_id", "contact_id", "as_of", "trigger", "profile_digest", "rule_set_digest",
             "model_digest", "policy_state_version", "policy_data_digest",
             "decision_digest")  # fmt: skip
    contact = UUID(row["contact_id"]).int >> 116
    raw = bytearray(moment + (0x8000 | contact).to_bytes(2))
    raw += bytes.fromhex(digest_of([row[name] for name in named]))[:8]
    raw[8] = (raw[8] & 0x3F) | 0x80
    return UUID(bytes=bytes(raw))


class _Outcomes:
    """What came out for each contact; arrays are turned into plain values once for all."""

    def __init__(self, playbook: Playbook, evaluated: Evaluated) -> None:
        decisions, hazards = evaluated.decisions, evaluated.hazards
        self._actions = playbook.actions.actions
        self._candidates = decisions.candidates
        self._left = decisions.candidates.channels_left().tolist()
        self._winner = decisions.winner.tolist()
        self._place = {int(c): w for w, c in enumerate(decisions.chosen)}
        self._common = {
            "reason": [code(reason) for reason in decisions.reason.tolist()],
            "score_cents": decisions.score_cents.tolist(),
            "hazard_30d": [_known(value) for value in hazards.hazard_30d.tolist()],
            "hazard_60d": [_known(value) for value in hazards.hazard_60d.tolist()],
            "hazard_90d": [_known(value) for value in hazards.hazard_90d.tolist()],
            "experiment_group": [group_name(group) for group in decisions.group.tolist()],
        }
        treatments = decisions.treatments
        self._send_at = decisions.send_at_us.tolist()
        self._cost = decisions.cost_cents.tolist()
        self._context = evaluated.context
        self._chosen = {
            "channel": [CHANNELS[each] for each in treatments.channel.tolist()],
            "slot": [SLOT_NAMES[each] for each in treatments.slot.tolist()],
            "variant": treatments.variant,
            "selection_probability": treatments.selection_probability.tolist(),
        }
        self._probabilities = {
            "channel_probability": treatments.channel_probability.tolist(),
            "slot_probability": treatments.slot_probability.tolist(),
            "variant_probability": treatments.variant_probability.tolist(),
        }

    def action(self, index: int) -> Action | None:
        """The winning action, None for nothing."""
        row = self._winner[index]
        return self._actions[int(self._candidates.action[row])] if index in self._place else None

    def waits(self, index: int) -> bool:
        """Whether a person decides before it is sent."""
        row = self._winner[index]
        return row >= 0 and bool(self._candidates.needs_approval[row])

    def told(self, index: int, action: Action | None) -> dict[str, Any]:
        """The outcome as columns of keepwell.decisions."""
        common = {name: values[index] for name, values in self._common.items()}
        if action is None:
            return {**common, **_NOTHING}
        place = self._place[index]
        send_at = _EPOCH + timedelta(microseconds=self._send_at[place])
        subject = int(self._candidates.subject[self._winner[index]])
        return {
            **common,
            "action": action.id,
            "rule": action.rule,
            "purpose": action.purpose,
            "subject": self._candidates.subjects[subject],
            **{name: values[place] for name, values in self._chosen.items()},
            "send_at": send_at.isoformat(),
            "treatment": {
                "context": self._context[index].tolist(),
                "cost_cents": self._cost[place],
                **{name: values[place] for name, values in self._probabilities.items()},
                "allowed": self._allowed(self._winner[index]),
            },
        }

    def _allowed(self, row: int) -> dict[str, list[str]]:
        """The arms the treatment was chosen among; a variant's follow from action and channel."""
        slots = self._candidates.slot_allowed[row].tolist()
        return {
            "channel": [name for name, left in zip(CHANNELS, self._left[row], strict=True) if left],
            "slot": [name for name, left in zip(SLOT_NAMES, slots, strict=True) if left],
        }


_NOTHING = dict.fromkeys(
    ("action", "rule", "purpose", "subject", "channel", "slot", "variant", "send_at",
     "selection_probability", "treatment")
)  # fmt: skip


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _whole(value: float) -> int | None:
    return None if math.isnan(value) else int(value)
