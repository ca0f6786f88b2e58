"""Faults in when a rule is asked and how long it rests: loops, cooldowns, seasons."""

from collections.abc import Iterator

from engine.errors import Finding
from rules.document import Condition, Rule, Season
from rules.domains import DAYS_OF_YEAR

# What delivery itself records about any message or task of any rule. Answers to a message
# (opened, clicked, replied) are the contact's doing and may set off a rule.
SENDING_EVENTS = frozenset(
    {"message.sent", "message.delivered", "message.bounced", "message.failed"}
)
_WEEK = 7
_LEAP_DAY = 229


def timing_findings(file: str, rule: Rule) -> Iterator[Finding]:
    """L304, L308 and L310 of one rule; warnings that it allows are left out."""
    name = rule.id.partition("/")[0]
    allowed = {allowance.code for allowance in rule.allows}
    loops = [event for event in rule.check_on if event in SENDING_EVENTS]
    if loops:
        message = f"{name} is checked on {loops[0]}, which every message of a rule brings about"
        hint = "check it nightly, or on an event that a contact brings about"
        yield _finding(file, rule, "L308", f"{message}: it would set itself off", hint)
    window = max((_counted_days(condition) for condition in rule.when), default=0)
    if rule.cooldown_days < window and "L304" not in allowed:
        message = f"{name} counts over {window} days but rests only {rule.cooldown_days}"
        hint = f"cooldown: {window} days, or the same events fire it twice"
        yield _finding(file, rule, "L304", message, hint)
    if rule.season is not None and "L310" not in allowed:
        years = _empty_years(rule.season, rule.on_days)
        if years:
            message = f"{name} has {years} in which no day of its season is one of its days"
            yield _finding(file, rule, "L310", message, "a longer season, or more of on_days")


def _finding(file: str, rule: Rule, code: str, message: str, hint: str) -> Finding:
    line, column, width = rule.place
    severity = "error" if code == "L308" else "warning"
    return Finding(code, message, file, line, column, width, hint=hint, severity=severity)


def _counted_days(condition: Condition) -> int:
    """The window in which the same events could fire the rule twice; absence can't."""
    wants_some = any(
        comparison.word in {"at_least", "is"} and comparison.value
        for comparison in condition.comparisons
    )
    counts = condition.kind == "count" and wants_some
    return (condition.in_last_days or 0) if counts else 0


def _empty_years(season: Season, on_days: tuple[int, ...]) -> str:
    """In which years the season has no day on the weekdays; empty if in none."""
    if season.first <= season.last:
        days = [day for day in DAYS_OF_YEAR if season.first <= day <= season.last]
    else:
        days = [day for day in DAYS_OF_YEAR if day >= season.first or day <= season.last]
    if days == [_LEAP_DAY]:
        return "three years of four"
    # 29 February is a day of the season only in leap years, so it can't be counted on.
    sure = len([day for day in days if day != _LEAP_DAY])
    wanted = on_days or tuple(range(1, _WEEK + 1))
    for start in range(_WEEK):
        weekdays = {(start + offset) % _WEEK + 1 for offset in range(sure)}
        if not weekdays & set(wanted):
            return "years"
    return ""
