"""An explanation of one decision: stages, conditions, terms, runner-up, and what would flip it."""

from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any

from engine.features.spec import Scalar
from engine.reasons import Stage, stage_code
from rules import reference
from rules.document import Rule
from rules.expression import Expression, Leaf, Part, leaves
from rules.feature_words import feature_value_words, feature_words, threshold_words
from rules.vocabulary import Vocabulary
from services.counterfactual import World
from services.decision_rows import Recorded
from services.evaluate import columns_of, health_columns, score_before
from services.explain_rule import part_words
from services.flips import flips
from services.health_estimate import estimate_health
from services.reason_words import money, name_of, reason_words, stage_words

_MOST_FLIPS = 5
LOST = frozenset({"lower_value", "lower_priority", "not_drawn", "not_worth_it"})


def explanation(
    world: World, recorded: Recorded, candidates: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return why this was decided, and what would have to be different for something else.

    `recorded` is the decision in `world`; `candidates` is its trace, as recorded or as stored.
    """
    row = rule_row(world)
    outcome = recorded.row
    paths = flips(world, recorded, row)
    told = [_candidate(each, world, row) for each in candidates]
    chosen = outcome["action"] is not None
    return {
        "outcome": reason_words(outcome["reason"]),
        "candidates": told,
        "runner_up": _runner_up(outcome, candidates),
        "why_nothing": None if chosen else _why_nothing(outcome, candidates),
        "smallest_change": paths[0].as_document() if paths else None,
        "other_changes": [path.as_document() for path in paths[1:_MOST_FLIPS]],
    }


def rule_row(world: World) -> dict[str, Scalar]:
    """Return what rules read of the contact in this world, estimates of health among it."""
    estimate = estimate_health(world.playbook, columns_of([world.profile], world.playbook))
    columns = health_columns(estimate, score_before([world.profile.row]))
    health = {name: float(values[0]) for name, values in columns.items()}
    known = {name: value for name, value in health.items() if not isnan(value)}
    return {**world.profile.row, **known}


def _candidate(
    candidate: Mapping[str, Any], world: World, row: Mapping[str, Scalar]
) -> dict[str, Any]:
    told = {
        "name": name_of(candidate),
        "action": candidate["action"],
        "rule": candidate["rule"],
        "subject": candidate["subject"],
        "removed_by": candidate["removed_by"],
        "reason": candidate["reason"],
        "words": reason_words(candidate["reason"] or "highest_value"),
        "stages": _stages(candidate["removed_by"]),
    }
    if candidate["action"] is None:
        return told | {"conditions": [], "terms": None}
    return told | {
        "conditions": _conditions(str(candidate["rule"]), world, _about(world, candidate, row)),
        "terms": _terms(candidate),
    }


def _about(
    world: World, candidate: Mapping[str, Any], row: Mapping[str, Scalar]
) -> Mapping[str, Scalar]:
    """What the rule read: of the contact, and of the subject if it is about one."""
    subject = next((s for s in world.profile.subjects if s.subject == candidate["subject"]), None)
    return row if subject is None else {**row, **subject.row}


def _stages(removed_by: str | None) -> list[dict[str, str]]:
    """Each stage in order, with its verdict on a candidate."""
    told, verdict = [], "passed"
    for stage in sorted(Stage):
        name = stage_code(int(stage))
        if not name:
            continue
        if name == removed_by:
            told.append({"stage": name, "asks": stage_words(name), "verdict": "removed"})
            verdict = "not_reached"
            continue
        told.append({"stage": name, "asks": stage_words(name), "verdict": verdict})
    return told


def _terms(candidate: Mapping[str, Any]) -> dict[str, Any]:
    """Each term of the score; intervals are 95 %, money in cents."""
    capacity = 1.0 if candidate.get("capacity") is None else candidate["capacity"]
    scale = candidate["value_cents"] * candidate["context"] * candidate["lever"] * capacity
    spent = candidate["cost_cents"] + candidate["fatigue_cents"]
    low, high = candidate["effect_low"], candidate["effect_high"]
    return {
        "if_contacted": candidate["propensity"],
        "if_left": candidate["if_left"],
        "effect": {"value": candidate["effect"], "low": low, "high": high},
        "value_cents": candidate["value_cents"],
        "context": candidate["context"],
        "lever": candidate["lever"],
        "capacity": capacity,
        "cost_cents": candidate["cost_cents"],
        "fatigue_cents": candidate["fatigue_cents"],
        "score_cents": {
            "value": candidate["score_cents"],
            "low": None if low is None else round(low * scale - spent, 6),
            "high": None if high is None else round(high * scale - spent, 6),
        },
    }


def _conditions(rule_id: str, world: World, row: Mapping[str, Scalar]) -> list[dict[str, Any]]:
    rules = world.playbook.rules
    for rule, expression in zip(rules.rules, rules.expressions, strict=True):
        if rule.id == rule_id:
            vocabulary = rules.rule_set.vocabulary
            return [
                _condition(part, rule, expression, vocabulary, row, under=under)
                for under, parts in (("when", expression.when), ("unless", expression.unless))
                for part in parts
            ]
    return []


def _condition(
    part: Part,
    rule: Rule,
    expression: Expression,
    vocabulary: Vocabulary,
    row: Mapping[str, Scalar],
    *,
    under: str,
) -> dict[str, Any]:
    specs = {spec.name: spec for spec in expression.features}
    compared: list[Leaf] = list(dict.fromkeys(leaves(part.tree)))
    return {
        "under": under,
        "words": part_words(part, rule, vocabulary),
        "held": reference.holds(part.tree, row),
        "values": [
            {
                "feature": leaf.feature,
                "label": feature_words(specs[leaf.feature], vocabulary),
                "value": row.get(leaf.feature),
                "value_words": feature_value_words(
                    row.get(leaf.feature), specs[leaf.feature], vocabulary
                ),
                "asked": threshold_words(leaf, specs[leaf.feature], vocabulary),
                "held": reference.holds(leaf, row),
            }
            for leaf in compared
        ],
    }


def _runner_up(
    outcome: Mapping[str, Any], candidates: Sequence[Mapping[str, Any]]
) -> dict[str, Any] | None:
    """The best of what came as far as arbitration and lost there; 'do nothing' is one of them."""
    lost = [c for c in candidates if c["reason"] in LOST]
    if outcome["action"] is None:
        lost = [c for c in lost if c["action"] is not None]
    best = max(lost, key=lambda c: c["score_cents"], default=None)
    if best is None:
        return None
    winner = next((c["score_cents"] for c in candidates if c["removed_by"] is None), 0.0)
    return {
        "name": name_of(best),
        "action": best["action"],
        "rule": best["rule"],
        "subject": best["subject"],
        "score_cents": best["score_cents"],
        "behind_cents": round(winner - best["score_cents"], 6),
    }


def _why_nothing(outcome: Mapping[str, Any], candidates: Sequence[Mapping[str, Any]]) -> str:
    wanted = [c for c in candidates if c["action"] is not None]
    if not wanted:
        return reason_words("no_rule_applies")
    if outcome["reason"] == "holdout":
        return reason_words("holdout")
    words = [
        f"{name_of(c)} ({money(c['score_cents'])}): {reason_words(c['reason'])}" for c in wanted
    ]
    return "; ".join(words)
