"""Rules as expressions: what has to hold for a proposal, condition by condition, as typed trees."""

from dataclasses import dataclass

from engine.features.spec import CONTACT, Feature
from rules.condition_trees import ConditionTrees
from rules.document import Choice, Condition, Rule, Season
from rules.reading import MONTHS, WEEKDAYS
from rules.trees import (
    MOST_ALTERNATIVES,
    All,
    Any,
    Leaf,
    LeafType,
    Op,
    Tree,
    alternatives,
    joined,
    leaves,
    negated,
)
from rules.vocabulary import Vocabulary

__all__ = [
    "MOST_ALTERNATIVES",
    "All",
    "Any",
    "Expression",
    "Leaf",
    "LeafType",
    "Op",
    "Part",
    "Tree",
    "alternatives",
    "expression_of",
    "leaves",
    "negated",
]

TODAY = Feature("today", "local_month_day")
WEEKDAY = Feature("weekday", "local_weekday")
HOLIDAY = Feature("public holiday", "holiday")


@dataclass(frozen=True, slots=True)
class Part:
    """One condition of a rule (or its season) with its tree.

    Attributes:
        label: how a test's `because` names it, e.g. 'field contact.age', 'unless …', 'season'.
        words: the whole condition on one line.
        tree: what has to hold.
        because: for unless, why the rule then stays quiet.
        condition: what it was written as; None for the calendar and for choice tables.
    """

    label: str
    words: str
    tree: Tree
    because: str = ""
    condition: Condition | None = None


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled rule: it matches a row when all of `when` holds and none of `unless`.

    `kind` is what its rows are about: contact, or a subject kind; then a row holds the contact's
    features and the subject's.
    """

    rule_id: str
    when: tuple[Part, ...]
    unless: tuple[Part, ...]
    features: tuple[Feature, ...]
    kind: str = CONTACT

    @property
    def applies(self) -> Tree:
        return All(tuple(part.tree for part in self.when))

    @property
    def blocked(self) -> Tree | None:
        return Any(tuple(part.tree for part in self.unless)) if self.unless else None

    @property
    def everything(self) -> Tree:
        """Both together, to walk over."""
        return All(tuple(part.tree for part in (*self.when, *self.unless)))


def expression_of(rule: Rule, vocabulary: Vocabulary) -> Expression:
    """The tree of a rule and the features it reads, each once, in order of appearance."""
    trees = ConditionTrees(vocabulary)
    when, unless = _calendar(rule, trees)
    when += [_part(trees, condition) for condition in rule.when]
    unless += [_part(trees, condition, unless=True) for condition in rule.unless]
    if rule.choice is not None:
        chosen, others = _chosen(rule.choice, trees)
        when += chosen
        unless += others
    features = tuple(trees.features.values())
    return Expression(rule.id, tuple(when), tuple(unless), features, rule.subject)


def _part(trees: ConditionTrees, condition: Condition, *, unless: bool = False) -> Part:
    label = f"unless {condition.about or 'any'}" if unless else condition.label
    return Part(label, condition.words, trees.tree(condition), condition.because, condition)


def _calendar(rule: Rule, trees: ConditionTrees) -> tuple[list[Part], list[Part]]:
    when, unless = [], []
    if rule.season is not None:
        when.append(_season(rule.season, trees))
    if rule.on_days:
        tree = Leaf(trees.use(WEEKDAY), "number", "in", rule.on_days)
        words = "on " + ", ".join(WEEKDAYS[day - 1] for day in rule.on_days)
        when.append(Part("on_days", words, tree))
    if rule.quiet_on_holidays:
        tree = Leaf(trees.use(HOLIDAY), "flag", "==", value=True)
        unless.append(Part("unless holidays", "a public holiday", tree, "a public holiday"))
    return when, unless


def _season(season: Season, trees: ConditionTrees) -> Part:
    feature = trees.use(TODAY)
    since = Leaf(feature, "number", ">=", season.first)
    until = Leaf(feature, "number", "<=", season.last)
    both = (since, until)
    tree: Tree = All(both) if season.first <= season.last else Any(both)
    words = f"season from {_day(season.first)} to {_day(season.last)}"
    return Part("season", words, tree)


def _chosen(choice: Choice, trees: ConditionTrees) -> tuple[list[Part], list[Part]]:
    """The rows of the offer, and the rows of other offers that come before all of them.

    A row of another offer that comes between them keeps only the later ones from holding. A row
    that asks for nothing is no condition.
    """
    label = f"choose {choice.table.id}"
    words = f"{choice.table.id} gives {choice.offer}"
    before: list[Part] = []
    between: list[Tree] = []
    rows: list[Tree] = []
    for row in choice.table.rows:
        tree = trees.row(row)
        if row.offer == choice.offer:
            rows.append(joined((tree, *between)) if between else tree)
        elif choice.table.hit == "first" and not rows:
            because = f"{choice.table.id} gives {row.offer}"
            before.append(Part(f"unless {label}", f"{label}: {row.offer}", tree, because))
        elif choice.table.hit == "first":
            between.append(negated(tree))
    if All(()) in rows:
        return [], before
    return [Part(label, words, rows[0] if len(rows) == 1 else Any(tuple(rows)))], before


def _day(month_day: int) -> str:
    return f"{month_day % 100} {MONTHS[month_day // 100 - 1]}"
