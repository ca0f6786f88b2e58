"""Runs the tests under the rules: features, three matchers, and which condition decided."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from engine.features.columns import feature_columns
from engine.features.contact import HistoryEvent, features_of
from engine.features.spec import EVENT_COLUMNS, Feature, Scalar
from engine.features.wall_clock import zone_of
from rules.compiled import CompiledRules, Verdict, compile_rules, verdicts
from rules.document import Rule, RuleSet, RuleTest
from rules.vocabulary import Vocabulary

_UTC = zone_of("UTC")
_EVENT_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "contact_id": pl.String,
    "type": pl.String,
    "occurred_at": pl.Datetime("us", "UTC"),
    "amount_cents": pl.Int64,
    "subject": pl.String,
    "starts_at": pl.Datetime("us", "UTC"),
}


@dataclass(frozen=True, slots=True)
class ExampleResult:
    """How one in-file test went.

    Attributes:
        rule_id, name, line: the test and its line in the file.
        expected: fires or quiet.
        got: what the reference says.
        because: label of the condition that kept the rule quiet; empty if it fired.
        message: one sentence on what is wrong; empty if the test passed.
        verdicts: every condition of the rule for this test.
    """

    rule_id: str
    name: str
    line: int
    expected: str
    got: str
    because: str
    message: str
    verdicts: tuple[Verdict, ...]

    @property
    def passed(self) -> bool:
        return not self.message


def run_examples(rule_set: RuleSet) -> tuple[ExampleResult, ...]:
    """Every in-file test of every rule, whatever its status, on all three matchers.

    The features are computed twice, alone and as columns; any difference between interpreters or
    matchers fails the test.
    """
    compiled = compile_rules(rule_set, every_status=True)
    return tuple(_run(compiled, rule, test) for rule in compiled.rules for test in rule.tests)


def row_of(
    test: RuleTest, specs: Sequence[Feature], vocabulary: Vocabulary
) -> tuple[dict[str, Scalar], pl.DataFrame]:
    """The feature row of a test, computed alone, and as a frame of one row.

    The contact's clock is taken as UTC. A value given for a computed field stands in for the
    computation.
    """
    attributes, fixed = _given(test, vocabulary)
    as_of = test.today.replace(tzinfo=UTC)
    history = [
        HistoryEvent(
            e.type, _utc(e.at), e.amount_cents, e.subject, e.starts_at and _utc(e.starts_at)
        )
        for e in test.events
    ]
    row = features_of(attributes, history, specs, as_of=as_of, zone=_UTC) | fixed
    contacts = pl.DataFrame([{"contact_id": "1", "timezone": "UTC", **attributes}])
    events = pl.DataFrame(
        [("1", e.type, e.occurred_at, e.amount_cents, e.subject, e.starts_at) for e in history],
        schema={name: _EVENT_SCHEMA[name] for name in EVENT_COLUMNS},
        orient="row",
    )
    frame = feature_columns(contacts, events, specs, as_of=as_of)
    return row, frame.with_columns(pl.lit(value).alias(name) for name, value in fixed.items())


def _given(test: RuleTest, vocabulary: Vocabulary) -> tuple[dict[str, Scalar], dict[str, Scalar]]:
    attributes: dict[str, Scalar] = {}
    fixed: dict[str, Scalar] = {}
    for name, value in test.contact:
        source = vocabulary.fields[name].source
        if source.attribute is not None:
            attributes[source.attribute] = value
        else:
            fixed[source.name] = value
    return attributes, fixed


def _run(compiled: CompiledRules, rule: Rule, test: RuleTest) -> ExampleResult:
    row, frame = row_of(test, compiled.features, compiled.rule_set.vocabulary)
    position = compiled.rule_ids.index(rule.id)
    fires = rule.id in compiled.reference(row)
    found = verdicts(compiled.expressions[position], row)
    decided = None if fires else _deciding(found)
    disagreement = _disagreement(compiled, row, frame)
    return ExampleResult(
        rule_id=rule.id,
        name=test.name,
        line=test.place.line,
        expected=test.expect,
        got="fires" if fires else "quiet",
        because=decided.label if decided else "",
        message=disagreement or _wrong(test, decided),
        verdicts=found,
    )


def _deciding(found: Sequence[Verdict]) -> Verdict | None:
    """The first condition that failed, else the unless that held."""
    return next((verdict for verdict in found if verdict.held == verdict.unless), None)


def _wrong(test: RuleTest, decided: Verdict | None) -> str:
    if decided is None:
        return "" if test.expect == "fires" else "quiet expected, but every condition holds"
    value = "unknown" if decided.value is None else decided.value
    reason = f'"{decided.text}" {"holds" if decided.held else "does not hold"}'
    where = f"{decided.feature} is {value}"
    if test.expect == "fires":
        return f"fires expected, quiet because {reason} ({where})"
    if test.because and test.because != decided.label:
        return f'quiet as expected, but not because of "{test.because}": {reason} ({where})'
    return ""


def _disagreement(compiled: CompiledRules, row: Mapping[str, Scalar], frame: pl.DataFrame) -> str:
    judge = compiled.reference(row)
    matched = compiled.match_frame(frame)[0]
    batch = {name for name, hit in zip(compiled.rule_ids, matched, strict=True) if hit}
    for matcher, answer in (("durable_rules", compiled.match_one(row)), ("the batch", batch)):
        for name in sorted(judge ^ answer):
            return f"{matcher} and the reference differ on rule {name}; this is a product fault"
    return ""


def _utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC)
