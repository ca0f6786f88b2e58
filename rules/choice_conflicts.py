"""Rows of choice tables that can't be reached, and contacts for whom a table has no row."""

from collections.abc import Iterator

from engine.errors import Finding
from engine.features.spec import Scalar
from rules.boxes import Box, TooManySteps
from rules.condition_trees import ConditionTrees
from rules.document import ChoiceTable, Place, Rule, RuleSet
from rules.expression import Expression, Part
from rules.regions import Region, Regions
from rules.vocabulary import Vocabulary


def choice_findings(rule_set: RuleSet) -> Iterator[Finding]:
    """L311 a row that earlier rows leave nothing for, L312 contacts of a rule without a row.

    Each row and each rule is reported once, however many offers the rule has; warnings that the
    rule allows are left out.
    """
    seen: set[object] = set()
    for rule in rule_set.rules:
        base = rule.id.partition("/")[0]
        if rule.choice is None or rule.status == "retired" or base in seen:
            continue
        seen.add(base)
        allowed = {allowance.code for allowance in rule.allows}
        for finding in _of_rule(rule_set, rule, rule.choice.table):
            place = (finding.code, finding.line, finding.column)
            if finding.code not in allowed and place not in seen:
                seen.add(place)
                yield finding


def _of_rule(rule_set: RuleSet, rule: Rule, table: ChoiceTable) -> Iterator[Finding]:
    base, rows = _expressions(rule, table, rule_set.vocabulary)
    regions = Regions([(each, rule_set.vocabulary) for each in (base, *rows)])
    earlier: list[Box] = []
    exact = True
    for number, (expression, row) in enumerate(zip(rows, table.rows, strict=True), start=1):
        region = regions.region(expression)
        taken = Region(tuple(earlier), exact)
        if regions.contains(taken, region):
            reason = (
                "can never hold" if not region.boxes else "comes after rows that take all of it"
            )
            message = f"row {number} of {table.id} ({', '.join(row.cells)}) {reason}"
            yield _finding(rule_set, "L311", message, row.place, "delete it or move it up")
        earlier += region.boxes
        exact = exact and region.exact
    gap = _gap(regions, regions.region(base), earlier)
    if gap:
        message = f"{table.id} has no row for some contacts of {rule.id.partition('/')[0]}: {gap}"
        hint = "a last row of any cells, or a condition under when that leaves them out"
        yield _finding(rule_set, "L312", message, table.place, hint)


def _expressions(
    rule: Rule, table: ChoiceTable, vocabulary: Vocabulary
) -> tuple[Expression, list[Expression]]:
    """The rule without its choice, and each row of the table."""
    trees = ConditionTrees(vocabulary)
    when = tuple(Part(c.label, c.words, trees.tree(c)) for c in rule.when)
    unless = tuple(Part(c.label, c.words, trees.tree(c)) for c in rule.unless)
    base = Expression(rule.id, when, unless, tuple(trees.features.values()), rule.subject)
    rows = []
    for row in table.rows:
        own = ConditionTrees(vocabulary)
        part = Part(table.id, table.id, own.row(row))
        rows.append(Expression(rule.id, (part,), (), tuple(own.features.values()), rule.subject))
    return base, rows


def _gap(regions: Regions, base: Region, rows: list[Box]) -> str:
    """A contact that no row fits, in words; empty if there is none or it is not certain."""
    if not base.exact:
        return ""
    for box in base.boxes:
        try:
            left = regions.space.uncovered(box, rows)
        except TooManySteps:
            return ""
        if left is not None:
            values = regions.space.example(left)
            told = (f"{axis.feature.name} is {_shown(value)}" for axis, value in values.items())
            return "for example where " + " and ".join(told)
    return ""


def _shown(value: Scalar) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return (
            value
            if value.isprintable() and "\N{REPLACEMENT CHARACTER}" not in value
            else "another text"
        )
    return "unknown" if value is None else f"{value:g}"


def _finding(rule_set: RuleSet, code: str, message: str, place: Place, hint: str) -> Finding:
    line, column, width = place
    return Finding(code, message, rule_set.file, line, column, width, hint=hint, severity="warning")
