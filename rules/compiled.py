"""A rule set made ready to match: for one contact, for a frame of contacts, and explained.

A rule about a subject kind is asked for rows of that kind alone: one row per open subject, with
the features of its contact beside its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.features.spec import CONTACT, Feature, Scalar, SubjectKind
from rules import reference
from rules.document import Rule, RuleSet
from rules.durable import DurableMatcher
from rules.expression import Expression, Leaf, Part, expression_of, leaves
from rules.frame import rule_columns
from rules.merged import merge_rule_sets

__all__ = ["CompiledRules", "Verdict", "compile_rules", "merge_rule_sets", "verdicts"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One condition of one rule for one contact.

    Attributes:
        rule_id: the rule.
        label: how a test names it, e.g. 'count appointment.no_show'.
        text: the whole condition on one line.
        value: the contact's value that decided (the first that failed, else the first).
        feature: the feature of that value.
        held: whether the condition held; for an unless condition, holding keeps the rule quiet.
        unless: whether it stands under unless.
        because: for staff, why an unless keeps the rule quiet.
    """

    rule_id: str
    label: str
    text: str
    value: Scalar
    feature: str
    held: bool
    unless: bool
    because: str


@dataclass(frozen=True)
class CompiledRules:
    """The live and shadow rules of a rule set. A row maps feature names to values.

    Attributes:
        rule_set: what was compiled.
        rules: the rules that match, in file order.
        expressions: their trees, aligned with rules.
        features: every feature that a row needs, of every scope, attributes included, each once.
        kinds: the subject kinds that rules are about, without contact, sorted.
        subject_kinds: the same as the feature layer takes them.
    """

    rule_set: RuleSet
    rules: tuple[Rule, ...]
    expressions: tuple[Expression, ...]
    features: tuple[Feature, ...]
    kinds: tuple[str, ...]
    subject_kinds: tuple[SubjectKind, ...]
    _matchers: Mapping[str, DurableMatcher] = field(repr=False, compare=False)

    @property
    def version(self) -> str:
        """The version of the rule set, for the decision's record."""
        return self.rule_set.version

    @property
    def rule_ids(self) -> tuple[str, ...]:
        """Ids in file order; the columns of `match_frame`."""
        return tuple(rule.id for rule in self.rules)

    @property
    def shadow(self) -> tuple[bool, ...]:
        """Aligned with rule_ids: decides and records, contacts nobody."""
        return tuple(rule.status == "shadow" for rule in self.rules)

    def match_one(
        self, row: Mapping[str, Scalar], trigger: str | None = None, kind: str = CONTACT
    ) -> frozenset[str]:
        """Ids of the rules about `kind` that propose for this row, by durable_rules.

        `trigger` is as in `Rule.checked_on` and leaves out rules not checked on it. A feature
        that the row lacks is unknown. Raises MatcherFailed.
        """
        matcher = self._matchers.get(kind)
        found = matcher.matches(row) if matcher is not None else frozenset()
        if trigger is None or not found:
            return found
        return frozenset(r.id for r in self.rules if r.id in found and r.checked_on(trigger))

    def match_frame(
        self, frame: pl.DataFrame, trigger: str | None = None, kind: str = CONTACT
    ) -> NDArray[np.bool_]:
        """The same for every row of a frame with a column per feature.

        Shape (rows, rules), bool, over all rules; those about another kind are False.
        """
        asked = [
            position
            for position, rule in enumerate(self.rules)
            if rule.subject == kind and rule.checked_on(trigger)
        ]
        # Column by column in memory: rules are filled in one by one, ten times as fast.
        matched = np.zeros((frame.height, len(self.rules)), dtype=np.bool_, order="F")
        columns = rule_columns(frame, [self.expressions[position] for position in asked])
        columns = columns.cast(pl.UInt8)  # bytes, as numpy has them: it reads bits one by one
        for number, position in enumerate(asked):
            matched[:, position] = columns[str(number)].to_numpy()
        return matched

    def reference(self, row: Mapping[str, Scalar], kind: str = CONTACT) -> frozenset[str]:
        """The same by the plain judge, for tests and samples."""
        return frozenset(
            e.rule_id for e in self.expressions if e.kind == kind and reference.matches(e, row)
        )

    def explain_one(
        self, row: Mapping[str, Scalar], rule_id: str | None = None, kind: str = CONTACT
    ) -> tuple[Verdict, ...]:
        """Every condition of one rule with the row's value and whether it held.

        Without a rule, of every rule about `kind`.
        """
        return tuple(
            verdict
            for expression in self.expressions
            if (expression.kind == kind if rule_id is None else expression.rule_id == rule_id)
            for verdict in verdicts(expression, row)
        )


def compile_rules(rule_set: RuleSet, *, every_status: bool = False) -> CompiledRules:
    """The matching form of a rule set; draft and retired rules only with `every_status`."""
    rules = tuple(rule for rule in rule_set.rules if rule.acts or every_status)
    expressions = tuple(expression_of(rule, rule_set.vocabulary) for rule in rules)
    features = {spec.name: spec for e in expressions for spec in e.features}
    kinds = sorted({e.kind for e in expressions})
    subjects = tuple(kind for kind in kinds if kind != CONTACT)
    return CompiledRules(
        rule_set=rule_set,
        rules=rules,
        expressions=expressions,
        features=tuple(features.values()),
        kinds=subjects,
        subject_kinds=tuple(rule_set.vocabulary.subjects[kind].kind for kind in subjects),
        _matchers={
            kind: DurableMatcher([e for e in expressions if e.kind == kind]) for kind in kinds
        },
    )


def verdicts(expression: Expression, row: Mapping[str, Scalar]) -> tuple[Verdict, ...]:
    """Every condition of a rule, season first, then when, then unless."""
    when = tuple(_verdict(expression.rule_id, part, row, unless=False) for part in expression.when)
    unless = tuple(
        _verdict(expression.rule_id, part, row, unless=True) for part in expression.unless
    )
    return when + unless


def _verdict(rule_id: str, part: Part, row: Mapping[str, Scalar], *, unless: bool) -> Verdict:
    held = reference.holds(part.tree, row)
    decisive = _decisive(part, row)
    return Verdict(
        rule_id=rule_id,
        label=part.label,
        text=part.words,
        value=None if decisive is None else row.get(decisive.feature),
        feature="" if decisive is None else decisive.feature,
        held=held,
        unless=unless,
        because=part.because,
    )


def _decisive(part: Part, row: Mapping[str, Scalar]) -> Leaf | None:
    """The first leaf that fails, else the first; None for a part that asks for nothing."""
    compared = leaves(part.tree)
    failed = (leaf for leaf in compared if not reference.holds(leaf, row))
    return next(failed, compared[0] if compared else None)
