"""What is allowed but hardly meant: findings about the meaning of rules (codes L3)."""

from collections.abc import Iterator

from engine.errors import Finding
from rules.codes import CODES
from rules.conflicts import conflict_findings
from rules.document import Rule, RuleSet


def check(rule_set: RuleSet) -> tuple[Finding, ...]:
    """What to change, in file order; a finding is a warning unless its severity is error.

    Everything of `conflict_findings`, and L305 a live or shadow rule without a test of firing or
    of silence, L306 one without an owner, L330 an `# allow` that gives no reason or names no code.
    A warning that its rule allows is left out.
    """
    own = [finding for rule in rule_set.rules for finding in _of_rule(rule_set.file, rule)]
    found = {(f.line, f.column, f.code, f.message): f for f in (*conflict_findings(rule_set), *own)}
    return tuple(sorted(found.values(), key=lambda f: (f.line, f.code)))


def _of_rule(file: str, rule: Rule) -> Iterator[Finding]:
    allowed = {allowance.code for allowance in rule.allows}
    missing = {"fires", "quiet"} - {test.expect for test in rule.tests}
    if rule.acts and missing and "L305" not in allowed:
        message = f"{rule.id} has no test with expect: {' or '.join(sorted(missing))}"
        yield _finding(file, "L305", message, rule.place)
    if rule.acts and not rule.owner and "L306" not in allowed:
        name = rule.id.partition("/")[0]
        yield _finding(file, "L306", f"{name} has no owner", rule.place, "owner: front-desk")
    for allowance in rule.allows:
        if allowance.code not in CODES:
            message = f"there is no warning {allowance.code}"
            yield _finding(file, "L330", message, allowance.place, "keepwell rules check")
        elif not allowance.reason:
            hint = f"# allow {allowance.code}: two clinics share the rule"
            message = "an allow says why, for whoever reads the rule next"
            yield _finding(file, "L330", message, allowance.place, hint)


def _finding(
    file: str, code: str, message: str, place: tuple[int, int, int], hint: str = ""
) -> Finding:
    return Finding(code, message, file, *place, hint=hint, severity="warning")
