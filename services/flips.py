"""The smallest changes that would flip a choice: of scores, of the policy, of what is known."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from engine.features.spec import CONTACT, Scalar
from rules import reference
from rules.expression import Expression, Part, negated
from rules.feature_words import change_words
from rules.nearest import Change, changed, nearest
from services.counterfactual import Path, Step, World
from services.decision_rows import Recorded
from services.lifts import channels_of, lift

_NEAREST_RULES = 3  # of those that propose nothing, how many are followed to the end
_MOST_STEPS = 6
_HEALTH = "health."  # an estimate: it follows from the facts and can't be changed by itself


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
        step = None if now is None else lift(world, now, channel, recorded)
        if step is None or len(steps) == _MOST_STEPS:
            return None
        steps, world = (*steps, step), step.apply(world)
    return None


def flips(world: World, recorded: Recorded, row: Mapping[str, Scalar]) -> list[Path]:
    """Return every smallest way found to another choice, the smallest first.

    `row` is what the rules read of the contact, estimates of health among it.
    """
    chosen = (recorded.row["rule"], recorded.row["subject"])
    found = [
        path_to(world, candidate)
        for candidate in recorded.candidates
        if candidate["action"] is not None and (candidate["rule"], candidate["subject"]) != chosen
    ]
    found += _other_rules(world, recorded, row)
    if recorded.row["rule"] is not None:
        found += _away(world, str(recorded.row["rule"]), row, chosen)
    return sorted((path for path in found if path is not None), key=lambda path: path.size)


def _other_rules(
    world: World, recorded: Recorded, row: Mapping[str, Scalar]
) -> Iterator[Path | None]:
    """Rules about contacts that propose nothing, the nearest first, once they did."""
    rules = world.playbook.rules
    proposing = {candidate["rule"] for candidate in recorded.candidates}
    near = []
    for rule, expression in zip(rules.rules, rules.expressions, strict=True):
        if rule.id in proposing or rule.subject != CONTACT or not rule.checked_on(world.trigger):
            continue
        found = nearest(expression, row, rules.rule_set.vocabulary)
        if found.changes and _possible(found.changes, expression, row):
            near.append((found.distance, rule.id, expression, found.changes))
    near.sort(key=lambda each: each[:2])
    for _, rule_id, expression, changes in near[:_NEAREST_RULES]:
        steps = _steps(world, expression, changes)
        there = _taken(world, steps)
        decided = there.decided()
        candidate = next((c for c in decided.candidates if c["rule"] == rule_id), None)
        yield None if candidate is None else path_to(there, candidate, steps)


def _away(
    world: World, rule_id: str, row: Mapping[str, Scalar], chosen: tuple[object, object]
) -> Iterator[Path]:
    """The least change of the contact that keeps the winner's rule quiet, part by part."""
    rules = world.playbook.rules
    expression = next(e for e in rules.expressions if e.rule_id == rule_id)
    if expression.kind != CONTACT:
        return
    for part in _ended_by(expression):
        alone = Expression(rule_id, (part,), (), expression.features, expression.kind)
        found = nearest(alone, row, rules.rule_set.vocabulary)
        if not found.changes or not _possible(found.changes, alone, row):
            continue
        steps = _steps(world, expression, found.changes)
        then = _taken(world, steps).decided().row
        if (then["rule"], then["subject"]) != chosen:
            yield Path(steps, then["action"], then["subject"])


def _ended_by(expression: Expression) -> Iterator[Part]:
    """What would keep the rule quiet: a condition that fails, or an exception that holds."""
    for part in expression.when:
        yield replace(part, tree=negated(part.tree))
    yield from expression.unless


def _possible(changes: Sequence[Change], expression: Expression, row: Mapping[str, Scalar]) -> bool:
    if any(change.feature.startswith(_HEALTH) for change in changes):
        return False
    return reference.matches(expression, changed(row, changes))


def _steps(world: World, expression: Expression, changes: Sequence[Change]) -> tuple[Step, ...]:
    specs = {spec.name: spec for spec in expression.features}
    vocabulary = world.playbook.rules.rule_set.vocabulary
    return tuple(
        Step("fact", change_words(change, specs[change.feature], vocabulary), 0.5, _known(change))
        for change in changes
    )


def _known(change: Change) -> Callable[[World], World]:
    def apply(world: World) -> World:
        row = {**world.profile.row, change.feature: change.to}
        row = {name: value for name, value in row.items() if value is not None}
        return replace(world, profile=replace(world.profile, row=row))

    return apply


def _taken(world: World, steps: Sequence[Step]) -> World:
    for step in steps:
        world = step.apply(world)
    return world
