"""Which rules hold for one contact, by durable_rules: the real-time matcher.

Only a small part of durable_rules is sound: one flat fact, one session, rules that are one flat
`and` of comparisons of a field with a constant, a guard field in each, at most 48 in a ruleset,
facts of at most 250 fields.
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
    Expression,
)
from rules.trees import (
    MOST_ALTERNATIVES,
    MOST_FIELDS,
    Any,
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
_ORDERED = frozenset({"<", "<=", ">", ">="})
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

    def part(self, value: Scalar) -> str:
        """Its part of a fact; empty for an unknown value."""
        rank = None if value is None else self.of(value)
        return "" if rank is None else f',"{self.name}":{rank}'

    def _position(self, value: Scalar) -> int:
        return self.constants.index(value) + 1 if value in self.constants else 0


@dataclass(frozen=True, slots=True)
class _Chunk:
    """What one ruleset holds: alternatives by name of their tree, and the ranks they compare."""

    rules: tuple[tuple[str, tuple[Leaf, ...]], ...]
    fields: tuple[int, ...]

    @property
    def trees(self) -> frozenset[str]:
        return frozenset(name.partition(".")[0] for name, _ in self.rules)


class DurableMatcher:
    """The rules of one version, compiled; safe to share between threads."""

    def __init__(self, expressions: Sequence[Expression]) -> None:
        """Compile; raises MatcherFailed if a tree exceeds `MOST_ALTERNATIVES` or `MOST_FIELDS`."""
        # Rules share conditions, above all under unless: each tree enters the engine once.
        when: dict[Tree, str] = {}
        unless: dict[Tree, str] = {}
        self._rules = tuple(
            (
                expression.rule_id,
                when.setdefault(expression.applies, f"w{len(when)}"),
                frozenset(unless.setdefault(p.tree, f"u{len(unless)}") for p in expression.unless),
            )
            for expression in expressions
        )
        self._ranks = _ranks_of((*when, *unless))
        # An unless has a guard of its own, so that those that nobody asks for do not fire.
        names = _names(len(self._ranks) + len(unless))[len(self._ranks) :]
        self._guards = dict(zip(unless.values(), names, strict=True))
        numbers = {key: number for number, key in enumerate(self._ranks)}
        self._chunks = _chunks(when, numbers)
        self._whens = len(self._chunks)
        self._chunks += _chunks(unless, numbers)
        self._trees = tuple(chunk.trees for chunk in self._chunks)
        self._lock = Lock()
        self._handles: list[int] | None = None
        with self._lock:
            self._build()

    def matches(self, row: Mapping[str, Scalar]) -> frozenset[str]:
        """Ids of the rules whose when holds and no unless of which does.

        Raises MatcherFailed if the engine reports an error; the next call starts afresh.
        """
        parts = [ranks.part(row.get(ranks.feature)) for ranks in self._ranks.values()]
        with self._lock:
            handles = self._handles if self._handles is not None else self._build()
            # Forgotten until the answer is complete: an interrupted evaluation leaves its session
            # locked for a minute, and a late answer would belong to the wrong contact.
            self._handles = None
            try:
                found = self._applying(handles, parts)
            except native.error as fault:
                raise MatcherFailed(f"durable_rules failed on a fact: {fault}") from fault
            self._handles = handles
        return found

    def _applying(self, handles: Sequence[int], parts: Sequence[str]) -> frozenset[str]:
        """Asks for every when, then for the unless of those that hold."""
        held = self._held(handles, parts, range(self._whens))
        applying = [(rule_id, unless) for rule_id, when, unless in self._rules if when in held]
        asked = frozenset[str]().union(*(unless for _, unless in applying))
        blocking: set[str] = set()
        for number in range(self._whens, len(self._chunks)):
            here = asked & self._trees[number]
            if here:
                guards = "".join([f',"{self._guards[tree]}":1' for tree in here])
                blocking |= self._held(handles, parts, range(number, number + 1), guards)
        return frozenset(rule_id for rule_id, unless in applying if blocking.isdisjoint(unless))

    def _held(
        self, handles: Sequence[int], parts: Sequence[str], chunks: range, guards: str = ""
    ) -> set[str]:
        """The trees of some rulesets that hold; under unless, of those with a guard."""
        found: set[str] = set()
        for number in chunks:
            known = "".join([parts[field] for field in self._chunks[number].fields])
            found |= self._fired(handles[number], f"{_FACT}{guards}{known}}}")
        return found

    @staticmethod
    def _fired(handle: int, fact: str) -> set[str]:
        found: set[str] = set()  # a set: two alternatives of one tree may both fire
        code, state = native.assert_fact(handle, fact)
        if code == _NOTHING:  # nothing matched, and nothing was stored
            return found
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
            rules = ",".join(f'"{name}":{self._rule(name, leaves)}' for name, leaves in chunk.rules)
            name = f"keepwell-{next(_ruleset_numbers)}"
            handles.append(native.create_ruleset(name, "{" + rules + "}"))
        self._handles = handles
        return handles

    def _rule(self, name: str, alternative: Sequence[Leaf]) -> str:
        # The guard keeps rules away from the engine's own messages, which have no $k.
        guard = self._guards.get(name.partition(".")[0], "$k")
        tests = ",".join((f'{{"{guard}":1}}', *map(self._test, alternative)))
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
            if leaf.op in _ORDERED and leaf.type != "number":
                raise MatcherFailed(f"A {leaf.type} has no order: {leaf.feature} {leaf.op}.")
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


def _chunks(trees: Mapping[Tree, str], numbers: Mapping[tuple[str, LeafType], int]) -> list[_Chunk]:
    """Every alternative as a rule 'tree.number', in groups that the engine can hold.

    `numbers` are the positions of the ranks.
    """
    chunks: list[_Chunk] = []
    rules: list[tuple[str, tuple[Leaf, ...]]] = []
    fields: dict[int, None] = {}
    # Trees over the same features stand together, so that a ruleset is told few of them.
    alike = sorted(trees.items(), key=lambda item: sorted(leaf.feature for leaf in leaves(item[0])))
    for tree, name in alike:
        size = alternatives(tree)
        if size > MOST_ALTERNATIVES:
            hint = "Split the rule into several."
            raise MatcherFailed(f"A rule has {size} alternatives, more than 48.", hint=hint)
        for number, alternative in enumerate(_alternatives(tree)):
            own = dict.fromkeys(numbers[leaf.feature, leaf.type] for leaf in alternative)
            if len(own) > MOST_FIELDS:
                raise MatcherFailed(f"A rule compares {len(own)} features at once, at most 200 go.")
            if len(rules) == MOST_ALTERNATIVES or len(fields | own) > MOST_FIELDS:
                chunks.append(_Chunk(tuple(rules), tuple(fields)))
                rules, fields = [], {}
            rules.append((f"{name}.{number}", alternative))
            fields |= own
    if rules:
        chunks.append(_Chunk(tuple(rules), tuple(fields)))
    return chunks
