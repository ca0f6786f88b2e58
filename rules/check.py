"""What is allowed but hardly meant: findings about the meaning of rules (codes L3)."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from engine.errors import Finding
from engine.features.spec import Scalar
from rules.document import Condition, Rule, RuleSet
from rules.expression import All, Expression, Leaf, Tree, expression_of
from rules.reference import holds


def check(rule_set: RuleSet) -> tuple[Finding, ...]:
    """Warnings in file order; none blocks, each names what to change.

    L301 a rule that can never apply, L302 two rules with the same conditions, L304 a cooldown
    shorter than the counting window, L305 a live rule without a test of firing or of silence,
    L306 a live rule without an owner.
    """
    expressions = {r.id: expression_of(r, rule_set.vocabulary) for r in rule_set.rules}
    found = [
        *_same(rule_set, expressions),
        *(f for rule in rule_set.rules for f in _of_rule(rule_set, rule, expressions[rule.id])),
    ]
    return tuple(sorted(found, key=lambda f: (f.line, f.code)))


def _finding(rule_set: RuleSet, rule: Rule, code: str, message: str, hint: str = "") -> Finding:
    line, column, width = rule.place
    return Finding(code, message, rule_set.file, line, column, width, hint=hint, severity="warning")


def _of_rule(rule_set: RuleSet, rule: Rule, expression: Expression) -> Iterator[Finding]:
    impossible = _impossible(_leaves_of_all(expression))
    if impossible:
        message = f"{rule.id} can never apply: no value of {impossible} fits all its conditions"
        yield _finding(rule_set, rule, "L301", message)
    window = max((_counted_days(c) for c in rule.when), default=0)
    if rule.cooldown_days < window:
        message = f"{rule.id} counts over {window} days but rests only {rule.cooldown_days}"
        hint = f"cooldown: {window} days, or the same events fire it twice"
        yield _finding(rule_set, rule, "L304", message, hint)
    if rule.acts:
        missing = {"fires", "quiet"} - {test.expect for test in rule.tests}
        if missing:
            message = f"{rule.id} has no test with expect: {' or '.join(sorted(missing))}"
            yield _finding(rule_set, rule, "L305", message)
        if not rule.owner:
            yield _finding(rule_set, rule, "L306", f"{rule.id} has no owner", "owner: front-desk")


def _counted_days(condition: Condition) -> int:
    """The window of a count that events can satisfy twice; absence can't fire twice."""
    wants_some = any(
        comparison.word in {"at_least", "is"} and comparison.value
        for comparison in condition.comparisons
    )
    counts = condition.kind == "count" and wants_some and condition.in_last_days is not None
    return condition.in_last_days or 0 if counts else 0


def _same(rule_set: RuleSet, expressions: dict[str, Expression]) -> Iterator[Finding]:
    seen: dict[object, str] = {}
    for rule in rule_set.rules:
        expression = expressions[rule.id]
        meaning = (expression.applies, expression.blocked, rule.then.action)
        earlier = seen.setdefault(meaning, rule.id)
        if earlier != rule.id:
            message = f"{rule.id} has the same conditions and action as {earlier}"
            yield _finding(rule_set, rule, "L302", message, "delete one of them")


def _leaves_of_all(expression: Expression) -> list[Leaf]:
    """Leaves that hold in every match: those outside any any."""
    found: list[Leaf] = []
    trees: list[Tree] = [part.tree for part in expression.when]
    while trees:
        tree = trees.pop()
        if isinstance(tree, Leaf):
            found.append(tree)
        elif isinstance(tree, All):
            trees.extend(tree.parts)
    return found


def _impossible(leaves: Sequence[Leaf]) -> str:
    """A feature whose leaves contradict each other; empty if none does."""
    for feature in sorted({leaf.feature for leaf in leaves}):
        if _contradict([leaf for leaf in leaves if leaf.feature == feature]):
            return feature
    return ""


def _contradict(leaves: Sequence[Leaf]) -> bool:
    """Whether no value of the one feature makes all leaves hold: tries one of every kind."""
    feature = leaves[0].feature
    return not any(
        all(holds(leaf, {feature: value}) for leaf in leaves) for value in _one_of_each(leaves)
    )


def _one_of_each(leaves: Sequence[Leaf]) -> Iterator[Scalar]:
    """Unknown, every constant, and something between and beyond the constants."""
    yield None
    yield from (True, False)
    constants: list[Scalar] = []
    for leaf in leaves:
        constants += leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)
    texts = [value for value in constants if isinstance(value, str)]
    yield from (*texts, "\N{REPLACEMENT CHARACTER}")
    numbers = sorted({float(value) for value in constants if isinstance(value, int | float)})
    yield from numbers
    yield from ((low + high) / 2 for low, high in pairwise(numbers))
    yield from (float("-inf"), float("inf"))
