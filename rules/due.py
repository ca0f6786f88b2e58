"""When a rule will begin to hold for a contact though nothing happens: time alone may do it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from heapq import heapify, heappop, heappush
from itertools import count
from math import isfinite

from engine.features.flips import flips
from engine.features.outlook import Outlook
from engine.features.spec import CONTACT, Feature, Scalar, SubjectKind
from engine.features.subjects import subjects_of
from engine.features.wall_clock import instant_us
from rules import reference
from rules.expression import Expression
from rules.trees import All, Leaf, Tree, leaves


@dataclass(frozen=True, slots=True)
class Situation:
    """A contact as it is known at a moment.

    Attributes:
        outlook: its attributes, history, zone and holidays.
        kinds: the subject kinds that rules are about.
        elsewhere: features that history does not give, such as health scores. They may be
            anything later, so a condition on one never keeps a check from being made.
    """

    outlook: Outlook
    as_of: datetime
    kinds: Sequence[SubjectKind] = ()
    elsewhere: frozenset[str] = frozenset()


def next_check_at(expressions: Sequence[Expression], situation: Situation) -> datetime | None:
    """The next moment (UTC) at which one of the rules begins to hold, if nothing happens.

    Exact for what the contact's history and attributes decide; a rule that ends and one that
    goes on holding ask for no check. None if none begins within `flips.HORIZON_DAYS`. An event
    that lies ahead is a reason to look by itself.
    """
    outlook, as_of = situation.outlook, situation.as_of
    ahead = [d.event.occurred_at for d in outlook.events if d.event.occurred_at > as_of]
    best = min(ahead, default=None)
    for kind, scene in _scenes(situation):
        for expression in expressions:
            if expression.kind == kind:
                best = _earlier(best, scene.begins(expression, before=best))
    return best


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    return other if one is None else one if other is None else min(one, other)


def _scenes(situation: Situation) -> Iterator[tuple[str, "_Scene"]]:
    outlook = situation.outlook
    contact = _Scene(situation, {CONTACT: outlook})
    yield CONTACT, contact
    own = [dated.event for dated in outlook.events]
    opened = subjects_of(own, situation.kinds, (), as_of=situation.as_of, zone=outlook.zone)
    for found in opened:
        views = {CONTACT: outlook, found.kind: outlook.about(found.subject)}
        yield found.kind, _Scene(situation, views, contact)


class _Turns:
    """The moments at which one leaf turns, found as far as somebody has asked."""

    def __init__(self, leaf: Leaf, spec: Feature, outlook: Outlook, as_of: datetime) -> None:
        holds = partial(_holds, leaf)
        self.holds = holds(outlook.value(spec, instant_us(as_of)))
        self._coming = flips(outlook, spec, holds, _bounds(leaf), as_of=as_of)
        self._found: list[datetime] = []

    def at(self, number: int) -> datetime | None:
        while len(self._found) <= number:
            turn = next(self._coming, None)
            if turn is None:
                return None
            self._found.append(turn)
        return self._found[number]


class _Scene:
    """A contact, or one subject of it beside the contact: what the conditions of a rule look at."""

    def __init__(
        self,
        situation: Situation,
        views: Mapping[str, Outlook],
        contact: "_Scene | None" = None,
    ) -> None:
        self._situation = situation
        self._views = views
        self._contact = contact
        self._turns: dict[Leaf, _Turns] = {}

    def begins(self, expression: Expression, before: datetime | None) -> datetime | None:
        """When the rule turns from quiet to proposing, if earlier than `before`."""
        specs = {spec.name: spec for spec in expression.features}
        turns = {
            leaf: self._of(leaf, specs[leaf.feature])
            for leaf in leaves(expression.everything)
            if leaf.feature not in self._situation.elsewhere
        }
        held = {leaf: turn.holds for leaf, turn in turns.items()}
        turning = {leaf for leaf, turn in turns.items() if turn.at(0) is not None}
        if not _proposes(expression, {k: v for k, v in held.items() if k not in turning}):
            return None  # what stays as it is keeps the rule quiet
        proposed = _proposes(expression, held)
        for moment, turned in _merged({leaf: turns[leaf] for leaf in turning}):
            if before is not None and moment >= before:
                return None
            for leaf in turned:
                held[leaf] = not held[leaf]
            proposes = _proposes(expression, held)
            if proposes and not proposed:
                return moment
            proposed = proposes
        return None

    def _of(self, leaf: Leaf, spec: Feature) -> _Turns:
        if spec.scope == CONTACT and self._contact is not None:
            return self._contact._of(leaf, spec)  # noqa: SLF001 - a scene of the same contact
        found = self._turns.get(leaf)
        if found is None:
            found = _Turns(leaf, spec, self._views[spec.scope], self._situation.as_of)
            self._turns[leaf] = found
        return found


def _merged(turns: Mapping[Leaf, _Turns]) -> Iterator[tuple[datetime, list[Leaf]]]:
    """Moments in order, each with all leaves that turn at it."""
    order = count()
    heap = [(at, next(order), leaf, 0) for leaf, t in turns.items() if (at := t.at(0)) is not None]
    heapify(heap)
    while heap:
        moment, turned = heap[0][0], []
        while heap and heap[0][0] == moment:
            _, _, leaf, number = heappop(heap)
            turned.append(leaf)
            following = turns[leaf].at(number + 1)
            if following is not None:
                heappush(heap, (following, next(order), leaf, number + 1))
        yield moment, turned


def _proposes(expression: Expression, held: Mapping[Leaf, bool]) -> bool:
    """Whether the rule may propose where the leaves are so; one that is not named may be either."""
    blocked = expression.blocked
    return _tree(expression.applies, held, unnamed=True) and not (
        blocked is not None and _tree(blocked, held, unnamed=False)
    )


def _tree(tree: Tree, held: Mapping[Leaf, bool], *, unnamed: bool) -> bool:
    if isinstance(tree, Leaf):
        return held.get(tree, unnamed)
    every = all if isinstance(tree, All) else any
    return every(_tree(part, held, unnamed=unnamed) for part in tree.parts)


def _holds(leaf: Leaf, value: Scalar) -> bool:
    return reference.holds(leaf, {leaf.feature: value})


def _bounds(leaf: Leaf) -> list[float]:
    constants = leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)
    return [
        float(value)
        for value in constants
        if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    ]
