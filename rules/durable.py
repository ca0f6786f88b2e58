"""Which rules hold for one contact, by durable_rules: the real-time matcher.

Only a small part of durable_rules is sound: one flat fact, one session, rules that are one flat
`and` of comparisons of a field with a constant, a guard field in each, at most 48 in a ruleset.
Joins, timers, windows, arithmetic, actions and several sessions crash, hang or mix up contacts.
Its own reading of numbers and texts is inexact too, so no value of a contact enters it: each is
replaced by its rank among the constants it is compared with, a small integer that gives the same
answer to every comparison.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count, product
from threading import Lock
from typing import cast

import durable_rules_engine as native

from engine.errors import KeepwellError
from engine.features.spec import Scalar
from rules.expression import (
    MOST_ALTERNATIVES,
    Any,
    Expression,
    Leaf,
    LeafType,
    Tree,
    alternatives,
    leaves,
)

_COMPARE = {
    "!=": "$neq",
    "<": "$lt",
    "<=": "$lte",
    ">": "$gt",
    ">=": "$gte",
    "missing": "$nex",
    "present": "$ex",
}
_MATCHED, _NOTHING = 0, 1
_FACT = '{"$k":1,"id":"f"'
_RETRACT = '{"id":"f"}'
_ruleset_numbers = count()


class MatcherFailed(KeepwellError):
    """durable_rules reported an error; the matcher has been discarded and is built anew."""

    code = "matcher_failed"


@dataclass(frozen=True, slots=True)
class _Ranks:
    """How one feature's values enter the engine, as field `name`.

    Ranks of numbers: 2 * i + 1 for the i-th constant, 2 * i for what lies just below it. Ranks
    of texts and flags: the constant's position, 0 for any other value.
    """

    name: str
    feature: str
    type: LeafType
    constants: tuple[Scalar, ...]

    def of(self, value: Scalar) -> int | None:
        """The rank; None for an unknown value."""
        if isinstance(value, bool):
            return self._position(value) if self.type == "flag" else None
        if isinstance(value, str):
            return self._position(value) if self.type == "text" else None
        if value is None or self.type != "number" or value != value:  # noqa: PLR0124 - NaN
            return None
        position = bisect_left(self.constants, value)  # type: ignore[type-var] # all numbers
        met = position < len(self.constants) and self.constants[position] == value
        return 2 * position + met

    def _position(self, value: Scalar) -> int:
        return self.constants.index(value) + 1 if value in self.constants else 0


class DurableMatcher:
    """The rules of one version, compiled; safe to share between threads."""

    def __init__(self, expressions: Sequence[Expression]) -> None:
        """Compile; raises MatcherFailed if a tree exceeds `MOST_ALTERNATIVES`."""
        self._ids = tuple(expression.rule_id for expression in expressions)
        trees = [(f"w{n}", e.applies) for n, e in enumerate(expressions)]
        trees += [(f"u{n}", e.blocked) for n, e in enumerate(expressions) if e.blocked is not None]
        self._ranks = _ranks_of(tree for _, tree in trees)
        self._chunks = _chunks(trees)
        self._lock = Lock()
        self._handles: list[int] | None = None
        with self._lock:
            self._build()

    def matches(self, row: Mapping[str, Scalar]) -> frozenset[str]:
        """Ids of the rules whose when holds and whose unless does not.

        Raises MatcherFailed if the engine reports an error; the next call starts afresh.
        """
        fact = self._fact(row)
        with self._lock:
            handles = self._handles if self._handles is not None else self._build()
            # Forgotten until the answer is complete: an interrupted evaluation leaves its session
            # locked for a minute, and a late answer would belong to the wrong contact.
            self._handles = None
            try:
                found = self._found(handles, fact)
            except native.error as fault:
                raise MatcherFailed(f"durable_rules failed on a fact: {fault}") from fault
            self._handles = handles
        return frozenset(
            self._ids[int(name[1:])]
            for name in found
            if name[0] == "w" and f"u{name[1:]}" not in found
        )

    def _fact(self, row: Mapping[str, Scalar]) -> str:
        parts = [_FACT]
        for ranks in self._ranks.values():
            rank = ranks.of(row.get(ranks.feature))
            if rank is not None:
                parts.append(f'"{ranks.name}":{rank}')
        return ",".join(parts) + "}"

    @staticmethod
    def _found(handles: Sequence[int], fact: str) -> set[str]:
        found: set[str] = set()  # a set: two alternatives of one tree may both fire
        for handle in handles:
            code, state = native.assert_fact(handle, fact)
            if code == _NOTHING:  # nothing matched, and nothing was stored
                continue
            if code != _MATCHED:
                raise MatcherFailed(f"durable_rules answered {code} to a fact.")
            started = native.start_action_for_state(handle, state)
            fired = started[1] if started else None
            while fired:
                found.add(fired[2 : fired.index(".", 2)])
                fired = native.complete_and_start_action(handle, state)
            native.retract_fact(handle, _RETRACT)
        return found

    def _build(self) -> list[int]:
        """New rulesets. Old ones are never deleted: deleting can crash the process."""
        handles = []
        for chunk in self._chunks:
            rules = ",".join(f'"{name}":{self._rule(leaves)}' for name, leaves in chunk)
            name = f"keepwell-{next(_ruleset_numbers)}"
            handles.append(native.create_ruleset(name, "{" + rules + "}"))
        self._handles = handles
        return handles

    def _rule(self, alternative: Sequence[Leaf]) -> str:
        # The guard keeps rules away from the engine's own messages, which have no $k.
        tests = ",".join(('{"$k":1}', *map(self._test, alternative)))
        return '{"all":[{"m":{"$and":[' + tests + "]}}]}"

    def _test(self, leaf: Leaf) -> str:
        ranks = self._ranks[leaf.feature, leaf.type]
        if leaf.op in {"missing", "present"}:
            return f'{{"{_COMPARE[leaf.op]}":{{"{ranks.name}":1}}}}'
        rank = ranks.of(cast("Scalar", leaf.value))
        comparison = f'{{"{ranks.name}":{rank}}}'
        return comparison if leaf.op == "==" else f'{{"{_COMPARE[leaf.op]}":{comparison}}}'


def _ranks_of(trees: Iterable[Tree]) -> dict[tuple[str, LeafType], _Ranks]:
    constants: dict[tuple[str, LeafType], set[Scalar]] = {}
    for tree in trees:
        for leaf in leaves(tree):
            values = leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)
            known = constants.setdefault((leaf.feature, leaf.type), set())
            known.update(value for value in values if value is not None)
    names = _names(len(constants))
    return {
        key: _Ranks(name, *key, tuple(sorted(values)))  # type: ignore[type-var] # of one type
        for (key, values), name in zip(constants.items(), names, strict=True)
    }


def _names(how_many: int) -> list[str]:
    """Field names with different hashes: the engine tells names apart by 32 bits alone."""
    taken = {_hash(name) for name in ("sid", "id", "$k", "$s")}
    names: list[str] = []
    for number in count():
        if len(names) == how_many:
            break
        name = f"v{number}"
        if _hash(name) not in taken:
            taken.add(_hash(name))
            names.append(name)
    return names


def _hash(name: str) -> int:
    """FNV-1a over the name's bytes, as the engine computes it."""
    value = 0x811C9DC5
    for byte in name.encode():
        value = (value ^ byte) * 0x01000193 % 2**32
    return value


def _alternatives(tree: Tree) -> list[tuple[Leaf, ...]]:
    """The and-only alternatives of a tree; it holds when all leaves of one of them hold.

    Only flat ands enter the engine: it refuses rules with more than fifteen nested groups.
    """
    if isinstance(tree, Leaf):
        if isinstance(tree.value, tuple):
            return [(Leaf(tree.feature, tree.type, "==", value),) for value in tree.value]
        return [(tree,)]
    parts = [_alternatives(part) for part in tree.parts]
    if isinstance(tree, Any):
        return [alternative for part in parts for alternative in part]
    return [tuple(chain.from_iterable(choice)) for choice in product(*parts)]


def _chunks(trees: Iterable[tuple[str, Tree]]) -> list[list[tuple[str, tuple[Leaf, ...]]]]:
    """Every alternative as a rule 'tree.number', in groups of at most `MOST_ALTERNATIVES`."""
    rules: list[tuple[str, tuple[Leaf, ...]]] = []
    for name, tree in trees:
        size = alternatives(tree)
        if size > MOST_ALTERNATIVES:
            hint = "Split the rule into several."
            raise MatcherFailed(f"A rule has {size} alternatives, more than 48.", hint=hint)
        rules += [(f"{name}.{n}", leaves) for n, leaves in enumerate(_alternatives(tree))]
    return [
        rules[start : start + MOST_ALTERNATIVES]
        for start in range(0, len(rules), MOST_ALTERNATIVES)
    ]
