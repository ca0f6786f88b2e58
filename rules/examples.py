"""Runs the tests under the rules: features, three matchers, and which condition decided."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from engine.features.spec import CONTACT, Feature, Scalar
from rules.compiled import CompiledRules, Verdict, compile_rules, verdicts
from rules.document import Rule, RuleSet, RuleTest
from rules.example_rows import Given, given_of
from rules.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class ExampleResult:
    """How one in-file test went.

    Attributes:
        rule_id, name, line: the test and its line in the file.
        expected: fires, quiet or todo (a known gap, which never fails).
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
    def todo(self) -> bool:
        """Whether it names a known gap."""
        return self.expected == "todo"

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
    test: RuleTest,
    specs: Sequence[Feature],
    vocabulary: Vocabulary,
    subject: str = CONTACT,
) -> tuple[dict[str, Scalar], pl.DataFrame]:
    """The feature row of a test, computed alone, and as a frame of one row.

    For a rule about a subject kind the row is that of '<kind>:1', the contact's features in it;
    an empty row and a frame without rows if nothing of the test leaves it open.
    """
    given = given_of(test, vocabulary, subject)
    return given.row(specs), given.frame(specs)


def _run(compiled: CompiledRules, rule: Rule, test: RuleTest) -> ExampleResult:
    vocabulary = compiled.rule_set.vocabulary
    given = given_of(test, vocabulary, rule.subject)
    row, frame = given.row(compiled.features), given.frame(compiled.features)
    position = compiled.rule_ids.index(rule.id)
    found: tuple[Verdict, ...] = ()
    if not given.is_open:
        decided: Verdict | None = _closed(rule)
    else:
        found = verdicts(compiled.expressions[position], row)
        decided = None if rule.id in compiled.reference(row, rule.subject) else _deciding(found)
    disagreement = _disagreement(compiled, rule.subject, given, row, frame)
    return ExampleResult(
        rule_id=rule.id,
        name=test.name,
        line=test.place.line,
        expected=test.expect,
        got="quiet" if decided else "fires",
        because=decided.label if decided else "",
        message=disagreement or _wrong(test, decided),
        verdicts=found,
    )


def _closed(rule: Rule) -> Verdict:
    """The reason why a rule about a subject that is not open stays quiet."""
    label = f"for_each {rule.subject}"
    text = f"for each open {rule.subject}"
    return Verdict(rule.id, label, text, None, f"{rule.subject}:1", False, False, "")


def _deciding(found: Sequence[Verdict]) -> Verdict | None:
    """The first condition that failed, else the unless that held."""
    return next((verdict for verdict in found if verdict.held == verdict.unless), None)


def _wrong(test: RuleTest, decided: Verdict | None) -> str:
    if test.expect == "todo":
        return ""
    if decided is None:
        return "" if test.expect == "fires" else "quiet expected, but every condition holds"
    value = "unknown" if decided.value is None else decided.value
    reason = f'"{decided.text}" {"holds" if decided.held else "does not hold"}'
    where = f"{decided.feature} is {value}" if decided.feature else "no row before gave another"
    if test.expect == "fires":
        return f"fires expected, quiet because {reason} ({where})"
    if test.because and _reason(test.because) != _reason(decided.label):
        return f'quiet as expected, but not because of "{test.because}": {reason} ({where})'
    return ""


def _reason(label: str) -> str:
    """A choice table is one reason, whether the offer's own row or an earlier one decided."""
    table = label.removeprefix("unless ")
    return table if table.startswith("choose ") else label


def _disagreement(
    compiled: CompiledRules, kind: str, given: Given, row: Mapping[str, Scalar], frame: pl.DataFrame
) -> str:
    if (frame.height > 0) != given.is_open:
        return "the columns and the single contact differ on what is open; a product fault"
    if not given.is_open:
        return ""
    judge = compiled.reference(row, kind)
    matched = compiled.match_frame(frame, kind=kind)[0]
    batch = {name for name, hit in zip(compiled.rule_ids, matched, strict=True) if hit}
    for matcher, answer in (
        ("durable_rules", compiled.match_one(row, kind=kind)),
        ("the batch", batch),
    ):
        for name in sorted(judge ^ answer):
            return f"{matcher} and the reference differ on rule {name}; this is a product fault"
    return ""
