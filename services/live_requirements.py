"""What a rule must have shown before it may write to people, all of it named at once."""

from collections.abc import Iterator
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import Finding, InvalidFile
from rules.coverage import coverage, coverage_findings
from rules.document import Rule, RuleSet
from rules.examples import run_examples
from services.release_rules import Signature, same_person
from services.rule_texts import parse_texts
from services.rules_in_force import RulesFile
from store.releases import find_backtest

FAILED_TEST = "P101"
_SEEN_BOTH_WAYS = frozenset({"L305", "L320"})


class NotFitForLive(InvalidFile):
    """Something is missing before the rule may be live; the findings name all of it."""

    code = "not_fit_for_live"


async def check_fit_for_live(
    connection: AsyncConnection,
    file: RulesFile,
    rule_id: str,
    meaning: str,
    signature: Signature,
) -> None:
    """Accept a rule of this file for live, or say what is missing.

    Asked for are: tests that pass; each condition seen to hold and not to hold in them; a backtest
    of this meaning; an approver who neither wrote the file nor promotes the rule.

    Raises:
        NotFitForLive: with a finding for each that is missing.
    """
    rule_set = parse_texts(file.texts)
    rule = next(rule for rule in rule_set.rules if rule.id == rule_id)
    # coverage passes over rules that rest: look at this one as if it acted
    alone = replace(rule_set, rules=(replace(rule, status="shadow"),))
    missing = [*_tests(alone), *_coverage(alone)]
    if await find_backtest(connection, rule_id, meaning) is None:
        message = f"{rule_id} has no backtest as it stands now"
        hint = f"keepwell rules backtest {rule_id} --tenant ... --from ... --to ..."
        missing.append(_finding(rule_set, rule, "P102", message, hint))
    approver = signature.approved_by
    if approver is None or same_person(approver, file.author):
        message = f"{rule_id} needs the approval of somebody other than {signature.by}" + (
            "" if same_person(signature.by, file.author) else f" and {file.author}"
        )
        missing.append(_finding(rule_set, rule, "P103", message, "--approved-by NAME"))
    if missing:
        raise NotFitForLive(f"{rule_id} may not go live yet.", missing)


def _finding(rule_set: RuleSet, rule: Rule, code: str, message: str, hint: str = "") -> Finding:
    line, column, width = rule.place
    return Finding(code, message, rule_set.file, line, column, width, hint=hint)


def _tests(alone: RuleSet) -> Iterator[Finding]:
    for result in run_examples(alone):
        if not result.passed:
            message = f"{result.rule_id}: {result.name}: {result.message}"
            yield Finding(FAILED_TEST, message, alone.file, result.line, 1)


def _coverage(alone: RuleSet) -> Iterator[Finding]:
    """What no test has shown; a boundary that none comes near keeps nobody from going live."""
    for finding in coverage_findings(coverage(alone)):
        if finding.code in _SEEN_BOTH_WAYS:
            yield replace(finding, severity="error")
