"""Which rules hold for one contact, by durable_rules: the real-time matcher.

Only a small part of durable_rules is sound: one flat fact, one session, rules that are one flat
`and` of comparisons of a field with a constant, a guard field in each, at most 48 in a ruleset,
facts of at most 250 fields.
Joins, timers, windows, arithmetic, actions and several sessions crash, hang or mix up contacts.
Its own reading of numbers and texts is inexact too, so no value of a contact enters it: each is
replaced by its rank among the constants it is compared with, a small integer that gives the same
answer to every comparison. A ruleset is asked only about a contact for whom the rarest condition of
one of its rules holds, and told only the values that a condition of it holds for.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count, product
from threading import Lock
from typing import cast

import durable_rules_engine as native

from engine.errors import KeepwellError
from engine.features.spec import Scalar
from rules.expression import Expression
from rules.ranks import Ranks
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


_Key = tuple[str, LeafType]
_Rule = tuple[str, tuple[Leaf, ...]]
_ByKey = dict[_Key, set[Leaf]]
# Which rulesets a value opens (bits), and its part of the fact of each that it tells anything.
_Told = tuple[int, tuple[tuple[int, str], ...]]


@dataclass(frozen=True, slots=True)
class _Chunk:
    """What one ruleset holds: alternatives as 'tree.number', what is rarest in each first."""

    rules: tuple[_Rule, ...]

    @property
    def trees(self) -> frozenset[str]:
        return frozenset(name.partition(".")[0] for name, _ in self.rules)

    @property
    def always(self) -> bool:
        """Whether a contact of whom nothing is known may have to be asked about."""
        return any(all(leaf.op == "missing" for leaf in leaves[:1]) for _, leaves in self.rules)

    def compared(self) -> tuple[_ByKey, _ByKey]:
        """The leaves by what they read: those that rules begin with, and all."""
        return (
            _by_key(leaf for _, leaves in self.rules for leaf in leaves[:1]),
            _by_key(leaf for _, leaves in self.rules for leaf in leaves),
        )


class DurableMatcher:
    """The rules of one version, compiled; safe to share between threads."""

    def __init__(self, expressions: Sequence[Expression]) -> None:
        """Compile; raises MatcherFailed if a tree exceeds `MOST_ALTERNATIVES` or `MOST_FIELDS`."""
        # Rules share conditions, above all under unless: each tree enters the engine once.
        when: dict[Tree, str] = {}
        unless: dict[Tree, str] = {}
        self._rules: dict[str, list[tuple[str, frozenset[str]]]] = {}
        for expression in expressions:
            name = when.setdefault(expression.applies, f"w{len(when)}")
            blocking = frozenset(
                unless.setdefault(part.tree, f"u{len(unless)}") for part in expression.unless
            )
            self._rules.setdefault(name, []).append((expression.rule_id, blocking))
        self._ranks = _ranks_of((*when, *unless))
        # An unless has a guard of its own, so that those that nobody asks for do not fire.
        names = _names(len(self._ranks) + len(unless))[len(self._ranks) :]
        self._guards = dict(zip(unless.values(), names, strict=True))
        whens = _chunks(when, self._ranks)
        self._chunks = (*whens, *_chunks(unless, self._ranks))
        self._whens = range(len(whens))
        self._unlesses = range(len(whens), len(self._chunks))
        self._trees = tuple(chunk.trees for chunk in self._chunks)
        self._always = sum(chunk.always << n for n, chunk in enumerate(self._chunks))
        compared = [chunk.compared() for chunk in self._chunks]
        self._reads = tuple(
            (ranks.feature, ranks.of, _told(ranks, key, compared))
            for key, ranks in self._ranks.items()
        )
        self._lock = Lock()
        self._handles: list[int] | None = None
        with self._lock:
            self._build()

    def matches(self, row: Mapping[str, Scalar]) -> frozenset[str]:
        """Ids of the rules whose when holds and no unless of which does.

        Raises MatcherFailed if the engine reports an error; the next call starts afresh.
        """
        facts: list[list[str]] = [[] for _ in self._chunks]
        opened = self._always
        for feature, rank, told in self._reads:
            value = row.get(feature)
            if value is not None:
                opens, parts = told[rank(value)]
                opened |= opens
                for number, part in parts:
                    facts[number].append(part)
        with self._lock:
            handles = self._handles if self._handles is not None else self._build()
            # Forgotten until the answer is complete: an interrupted evaluation leaves its session
            # locked for a minute, and a late answer would belong to the wrong contact.
            self._handles = None
            try:
                found = self._applying(handles, facts, opened)
            except native.error as fault:
                raise MatcherFailed(f"durable_rules failed on a fact: {fault}") from fault
            self._handles = handles
        return found

    def _applying(
        self, handles: Sequence[int], facts: Sequence[list[str]], opened: int
    ) -> frozenset[str]:
        """Asks for every when, then for the unless of those that hold."""
        held: set[str] = set()
        for number in self._whens:
            if opened >> number & 1:
                held.update(self._held(handles[number], facts[number]))
        applying = [rule for tree in held for rule in self._rules[tree]]
        asked = frozenset[str]().union(*[unless for _, unless in applying])
        if not asked:
            return frozenset([rule_id for rule_id, _ in applying])
        blocking: set[str] = set()
        for number in self._unlesses:
            here = asked & self._trees[number]
            if here and opened >> number & 1:
                guards = [f',"{self._guards[tree]}":1' for tree in here]
                blocking.update(self._held(handles[number], guards + facts[number]))
        return frozenset([rule_id for rule_id, unless in applying if blocking.isdisjoint(unless)])

    @staticmethod
    def _held(handle: int, told: Sequence[str]) -> Collection[str]:
        """The trees of a ruleset that hold; under unless, of those with a guard."""
        code, state = native.assert_fact(handle, f"{_FACT}{''.join(told)}}}")
        if code == _NOTHING:  # nothing matched, and nothing was stored
            return ()
        if code != _MATCHED:
            raise MatcherFailed(f"durable_rules answered {code} to a fact.")
        found: set[str] = set()  # a set: two alternatives of one tree may both fire
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


def _ranks_of(trees: Iterable[Tree]) -> dict[tuple[str, LeafType], Ranks]:
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
        key: Ranks(name, *key, tuple(sorted(values)))  # type: ignore[type-var] # of one type
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


def _chunks(trees: Mapping[Tree, str], ranks: Mapping[_Key, Ranks]) -> list[_Chunk]:
    """Every alternative as a rule 'tree.number', in groups that the engine can hold."""
    rules = [rule for tree, name in trees.items() for rule in _named(tree, name, ranks)]
    # Alternatives over the same features stand together: a ruleset is told few of them.
    rules.sort(key=lambda rule: [leaf.feature for leaf in rule[1]])
    chunks: list[_Chunk] = []
    held: list[_Rule] = []
    fields: set[_Key] = set()
    for rule in rules:
        own = {(leaf.feature, leaf.type) for leaf in rule[1]}
        if len(own) > MOST_FIELDS:
            raise MatcherFailed(f"A rule compares {len(own)} features at once, at most 200 go.")
        if len(held) == MOST_ALTERNATIVES or len(fields | own) > MOST_FIELDS:
            chunks.append(_Chunk(tuple(held)))
            held, fields = [], set()
        held.append(rule)
        fields |= own
    if held:
        chunks.append(_Chunk(tuple(held)))
    return chunks


def _named(tree: Tree, name: str, ranks: Mapping[_Key, Ranks]) -> list[_Rule]:
    """The alternatives of a tree, what is rarest in each first: most contacts end there."""
    size = alternatives(tree)
    if size > MOST_ALTERNATIVES:
        hint = "Split the rule into several."
        raise MatcherFailed(f"A rule has {size} alternatives, more than 48.", hint=hint)

    def share(leaf: Leaf) -> float:
        return ranks[leaf.feature, leaf.type].share(leaf)

    return [
        (f"{name}.{number}", tuple(sorted(alternative, key=share)))
        for number, alternative in enumerate(_alternatives(tree))
    ]


def _by_key(leaves: Iterable[Leaf]) -> _ByKey:
    found: _ByKey = {}
    for leaf in leaves:
        found.setdefault((leaf.feature, leaf.type), set()).add(leaf)
    return found


def _told(ranks: Ranks, key: _Key, compared: Sequence[tuple[_ByKey, _ByKey]]) -> tuple[_Told, ...]:
    """What each rank of a feature tells the rulesets; the last one is also that of -1."""
    here = [
        (number, firsts.get(key, ()), every[key])
        for number, (firsts, every) in enumerate(compared)
        if key in every
    ]

    def told(rank: int) -> _Told:
        opens = sum(
            any(ranks.holds(leaf, rank) for leaf in firsts) << number for number, firsts, _ in here
        )
        parts = ((number, ranks.part(rank, every)) for number, _, every in here)
        return opens, tuple((number, part) for number, part in parts if part)

    return (*map(told, ranks.all), (0, ()))
