"""Rules that contradict themselves or get in each other's way: exact, by boxes.

A condition compares one feature with one constant, so a rule is a union of boxes and its meaning
can be compared, not only its words. What the analysis calls impossible, contained or the same is
so for every contact; 'may' means that nothing known excludes it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from engine.errors import Finding
from rules.choice_conflicts import choice_findings
from rules.document import Condition, Place, Rule, RuleSet
from rules.expression import Expression, Part, expression_of
from rules.regions import Region, Regions
from rules.timing_conflicts import timing_findings

_MOST_NAMED = 3
_EVERYTHING = Region(({},))

Matrix = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Case:
    """A rule with its tree and the rows for which it proposes."""

    rule_set: RuleSet
    rule: Rule
    expression: Expression
    region: Region

    @property
    def base(self) -> tuple[str, str]:
        """The same for all offers of one rule."""
        return self.rule_set.file, self.rule.id.partition("/")[0]


def conflict_findings(rule_set: RuleSet) -> list[Finding]:
    """What a check of one file says about the meaning of its rules, in file order.

    L301 a rule that can never apply, L302 two rules that mean and propose the same, L303 a rule
    within another of the same channel, purpose and priority, L304 a cooldown shorter than the
    counting window, L307 a rule that always applies, L308 a rule set off by its own messages (an
    error), L310 a season in which the weekdays may not occur, L311 and L312 rows of a choice table
    out of reach and contacts without a row, L314 an unless that changes nothing.
    Warnings silenced beside a rule are left out.
    """
    return _findings([rule_set], overlaps=False)


def conflicts(rule_sets: Sequence[RuleSet]) -> list[Finding]:
    """The same over several files that work for one tenant, and across them.

    Also L309, rules that may reach for one channel at the same time with the same priority. One
    finding a rule names all earlier rules that it meets.
    """
    return _findings(rule_sets, overlaps=True)


def _findings(rule_sets: Sequence[RuleSet], *, overlaps: bool) -> list[Finding]:
    pairs = [(s, rule) for s in rule_sets for rule in s.rules if rule.status != "retired"]
    expressions = [(expression_of(rule, s.vocabulary), s.vocabulary) for s, rule in pairs]
    regions = Regions(expressions)
    cases = [
        _Case(rule_set, rule, expression, regions.region(expression))
        for (rule_set, rule), (expression, _) in zip(pairs, expressions, strict=True)
    ]
    alive = {case.base for case in cases if case.region.boxes}
    found = [f for case in cases for f in _alone(regions, case, alive)]
    found += [f for case in cases for f in timing_findings(case.rule_set.file, case.rule)]
    found += [f for rule_set in rule_sets for f in choice_findings(rule_set)]
    found += _together(regions, [case for case in cases if case.region.boxes], overlaps=overlaps)
    order = {rule_set.file: position for position, rule_set in enumerate(rule_sets)}
    return sorted(dict.fromkeys(found), key=lambda f: (order[f.file], f.line, f.code))


def _finding(
    case: _Case, code: str, message: str, hint: str = "", at: Place | None = None
) -> Finding:
    line, column, width = at or case.rule.place
    file = case.rule_set.file
    return Finding(code, message, file, line, column, width, hint=hint, severity="warning")


def _allowed(code: str, *cases: _Case) -> bool:
    return any(allowance.code == code for case in cases for allowance in case.rule.allows)


def _alone(regions: Regions, case: _Case, alive: set[tuple[str, str]]) -> Iterator[Finding]:
    """Findings about one rule; `alive` are the rules of which some offer applies."""
    rule, region = case.rule, case.region
    if not region.boxes:
        # an offer out of reach is reported with the row of its table
        if case.base not in alive and not _allowed("L301", case):
            reason, place = _why_never(regions, case)
            yield _finding(case, "L301", f"{rule.id} can never apply: {reason}", at=place)
        return
    if regions.contains(region, _EVERYTHING) and not _allowed("L307", case):
        hint = "say under when for whom it is meant"
        yield _finding(case, "L307", f"{rule.id} applies to every contact, always", hint)
    if rule.choice is None and not _allowed("L314", case):
        yield from _idle(regions, case)


def _why_never(regions: Regions, case: _Case) -> tuple[str, Place]:
    """The first condition, or pair of conditions, that leaves nothing."""
    expression = case.expression
    parts = [(part, False) for part in expression.when]
    parts += [(part, True) for part in expression.unless]
    several = [
        (part, unless, regions.part(expression, part.tree, negated=unless))
        for part, unless in parts
    ]
    for part, unless, region in several:
        if not region.boxes:
            says = "always holds" if unless else "never holds"
            return f'"{part.words}" {says}', _place(case.rule, part)
    for (part, unless, region), (other, also, another) in combinations(several, 2):
        if not regions.meet(region, another):
            words = _quoted(part, unless), _quoted(other, also)
            return f"{words[0]} and {words[1]} exclude each other", _place(case.rule, other)
    return "its conditions exclude each other", case.rule.place


def _quoted(part: Part, unless: bool) -> str:
    return f'unless "{part.words}"' if unless else f'"{part.words}"'


def _idle(regions: Regions, case: _Case) -> Iterator[Finding]:
    """Unless conditions that never hold where the rule's when does."""
    expression = case.expression
    applies = regions.when(expression)
    for part in expression.unless:
        if not regions.meet(applies, regions.part(expression, part.tree)):
            message = f'{case.rule.id}: unless "{part.words}" never holds when the rule applies'
            yield _finding(case, "L314", message, "delete it", _place(case.rule, part))


def _place(rule: Rule, part: Part) -> Place:
    """Where the condition of a part stands; the rule's start for its season and days."""
    conditions: Iterable[Condition] = (*rule.when, *rule.unless)
    return next((c.place for c in conditions if c.words == part.words), rule.place)


def _together(regions: Regions, cases: Sequence[_Case], *, overlaps: bool) -> Iterator[Finding]:
    if not cases:
        return
    comparable = _comparable(cases)
    inside = _inside(regions, cases, comparable & _alike([c.rule.then.purpose for c in cases]))
    for second, first in np.argwhere(np.tril(inside | inside.T, -1)).tolist():
        yield from _nested(
            cases[first], cases[second], inside[second, first], inside[first, second]
        )
    if overlaps:
        tied = comparable & _alike([case.rule.then.priority for case in cases])
        meeting = np.tril(tied & ~inside & ~inside.T, -1)
        if meeting.any():
            meeting &= regions.overlapping([case.region for case in cases])
        yield from _overlapping(cases, meeting)


def _comparable(cases: Sequence[_Case]) -> Matrix:
    """Pairs that share a channel and a kind of subject, and are not offers of one rule."""
    names = sorted({channel for case in cases for channel in case.rule.then.channels})
    uses = np.array([[name in case.rule.then.channels for name in names] for case in cases])
    shared = (uses.astype(np.uint8) @ uses.T.astype(np.uint8)) > 0
    siblings = _alike([case.base for case in cases])
    result: Matrix = shared & _alike([case.rule.subject for case in cases]) & ~siblings
    return result


def _alike(keys: Sequence[object]) -> Matrix:
    number = {key: position for position, key in enumerate(dict.fromkeys(keys))}
    numbers = np.array([number[key] for key in keys], dtype=np.intp)
    result: Matrix = numbers[:, None] == numbers[None, :]
    return result


def _inside(regions: Regions, cases: Sequence[_Case], wanted: Matrix) -> Matrix:
    """For wanted pairs whether the first lies in the second."""
    inside = np.zeros_like(wanted)
    if wanted.any():
        possible = wanted & regions.candidates([case.region for case in cases])
        for inner, outer in np.argwhere(possible).tolist():
            inside[inner, outer] = regions.contains(cases[outer].region, cases[inner].region)
    return inside


def _nested(
    first: _Case, second: _Case, second_inside: bool, first_inside: bool
) -> Iterator[Finding]:
    one, two = first.rule, second.rule
    if second_inside and first_inside and one.then.action == two.then.action:
        if not _allowed("L302", first, second):
            message = f"{two.id} means the same as {one.id} and proposes the same action"
            yield _finding(second, "L302", message, "delete one of them")
        return
    if one.then.priority != two.then.priority or _allowed("L303", first, second):
        return
    if second_inside and first_inside:
        message = f"{two.id} applies to exactly the same contacts as {one.id}"
    else:
        inner, outer = (two, one) if second_inside else (one, two)
        message = f"{inner.id} applies only where {outer.id} applies too"
    channels = ", ".join(c for c in two.then.channels if c in one.then.channels)
    hint = "give the one that should win a higher priority, or keep the other quiet with unless"
    yield _finding(second, "L303", f"{message} ({channels}, {two.then.purpose})", hint)


def _overlapping(cases: Sequence[_Case], meeting: Matrix) -> Iterator[Finding]:
    for position, case in enumerate(cases):
        others = [cases[other] for other in np.flatnonzero(meeting[position]).tolist()]
        others = [other for other in others if not _allowed("L309", case, other)]
        if not others:
            continue
        named = ", ".join(other.rule.id for other in others[:_MOST_NAMED])
        more = f" and {len(others) - _MOST_NAMED} more" if len(others) > _MOST_NAMED else ""
        message = (
            f"{case.rule.id} may apply at the same time as {named}{more}, "
            f"with the same priority {case.rule.then.priority}"
        )
        hint = "give the one that should win a tie a higher priority"
        yield _finding(case, "L309", message, hint)
