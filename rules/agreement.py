"""Do the ways to evaluate a rule agree? One contact and the batch, on three matchers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from engine.features.spec import CONTACT, Scalar
from rules.compiled import CompiledRules
from rules.expression import Expression
from rules.trees import leaves


@dataclass(frozen=True, slots=True)
class Sampled:
    """A contact, or one of its subjects, and the row that the path for one contact makes of it."""

    contact_id: str
    row: Mapping[str, Scalar]
    subject: str | None = None

    @property
    def name(self) -> str:
        """How a message names it."""
        return f"contact {self.contact_id}" + (f", {self.subject}" if self.subject else "")


@dataclass(frozen=True, slots=True)
class Difference:
    """A rule that two ways evaluate differently: the first sampled one, and for how many it is so.

    Attributes:
        what: the first feature, in the order of the rule's conditions, that differs; if all are
            alike, the conditions that a matcher reads otherwise than the judge.
        alone: its value for the contact alone; of a matcher what it says.
        batch: the same in the batch.
        times: contacts or subjects with a difference in this rule.
    """

    rule_id: str
    name: str
    what: str
    alone: str
    batch: str
    times: int = 1

    def __str__(self) -> str:
        more = f"; {self.times} differ" if self.times > 1 else ""
        return (
            f"{self.rule_id}, {self.name}: {self.what} is {self.alone} alone and "
            f"{self.batch} in a batch{more}"
        )


def differences(
    rules: CompiledRules, sample: Sequence[Sampled], frame: pl.DataFrame, kind: str = CONTACT
) -> list[Difference]:
    """One difference per rule about `kind` for which the ways disagree, in the order of rules.

    `frame` has one row per sampled one, in the same order, with the batch's features. A rule
    disagrees where a feature that it reads has two values, or where durable-rules, the frame and
    the judge do not all say the same.
    """
    if not sample:
        return []
    matched = rules.match_frame(frame, kind=kind)
    found: dict[str, Difference] = {}
    for number, (one, batch) in enumerate(zip(sample, frame.iter_rows(named=True), strict=True)):
        durable, judged = rules.match_one(one.row, kind=kind), rules.reference(one.row, kind)
        for position, expression in enumerate(rules.expressions):
            rule_id = expression.rule_id
            if expression.kind != kind:
                continue
            answers = (rule_id in durable, rule_id in judged, bool(matched[number, position]))
            first = next(_told_apart(expression, one.row, batch), None)
            if first is None and len(set(answers)) > 1:
                alone = f"{_said(answers[0])} (judge: {_said(answers[1])})"
                first = ("what its conditions say", alone, _said(answers[2]))
            if first is not None and rule_id in found:
                found[rule_id] = replace(found[rule_id], times=found[rule_id].times + 1)
            elif first is not None:
                found[rule_id] = Difference(rule_id, one.name, *first)
    return [found[rule_id] for rule_id in rules.rule_ids if rule_id in found]


def _told_apart(
    expression: Expression, alone: Mapping[str, Scalar], batch: Mapping[str, Scalar]
) -> Iterator[tuple[str, str, str]]:
    for leaf in leaves(expression.everything):
        one, other = _known(alone.get(leaf.feature)), _known(batch.get(leaf.feature))
        if one != other or isinstance(one, bool) is not isinstance(other, bool):
            yield f"'{leaf.feature}'", _value(one), _value(other)


def _known(value: Scalar) -> Scalar:
    return None if value != value else value  # noqa: PLR0124 - NaN


def _value(value: Scalar) -> str:
    return "unknown" if value is None else repr(value)


def _said(proposes: bool) -> str:
    return "proposes" if proposes else "quiet"
