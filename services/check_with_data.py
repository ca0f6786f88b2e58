"""Check rules against a tenant's data: names that nothing fills, values never seen, floods."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import Finding
from engine.ids import TenantId
from rules.document import Condition, Place, Rule, RuleSet
from rules.findings import with_lines
from rules.vocabulary import Vocabulary
from services.decide import checked_as_of
from services.field_fill import Fill, field_fill
from services.rule_texts import RuleTexts, flat_texts, parse_texts
from services.rule_volume import ACTING, Weekly, weekly_contacts
from services.wiring import Runtime

# A rule that reaches so many at once is rarely meant: with more than a hundred people and one in
# twenty of all, an author should have seen the number.
_FLOOD_CONTACTS = 100
_FLOOD_SHARE = 0.05
_MOST_LISTED = 5
# with the word of the file that it is about; '' for the whole rule
_Noted = tuple[Finding, str]
_VALUE_WORDS = frozenset({"is", "is_one_of", "has", "has_one_of"})


async def check_with_data(
    connection: AsyncConnection,
    runtime: Runtime,
    tenant_id: TenantId,
    texts: RuleTexts,
    *,
    as_of: datetime | None = None,
) -> tuple[Finding, ...]:
    """Return warnings about a rules file on a tenant's data, at `as_of`, in the order of the file.

    Retired and draft rules are left out. The codes begin with D4; see `rules/codes.py`.

    Raises:
        InvalidRules: the file itself has faults.
        InvalidInput: `as_of` lies in the future, or before 1970.
    """
    moment = checked_as_of(as_of, runtime.clock.now())
    rules = parse_texts(flat_texts(texts))
    fill = await field_fill(connection, tenant_id, rules.vocabulary, moment)
    weekly = await weekly_contacts(connection, tenant_id, moment, rules, ACTING)
    found = [
        *_findings(rules, fill),
        *(finding for rule in rules.rules for finding in _flood(rules, rule, weekly)),
    ]
    lines = texts.document.split("\n")
    pointed = [_pointed(finding, word, lines) for finding, word in found]
    placed = {
        (f.line, f.column, f.code, f.message): f
        for f in with_lines(pointed, rules.file, texts.document)
    }
    return tuple(sorted(placed.values(), key=lambda f: (f.line, f.column, f.code)))


def _findings(rules: RuleSet, fill: Fill) -> Iterator[_Noted]:
    for rule in rules.rules:
        if rule.acts:
            for condition in _conditions((*rule.when, *rule.unless)):
                yield from _events(rules, condition, fill)
                if condition.kind == "field":
                    yield from _field(rules, condition, fill)


def _conditions(conditions: tuple[Condition, ...]) -> Iterator[Condition]:
    for condition in conditions:
        yield condition
        yield from _conditions(condition.any_of)


def _events(rules: RuleSet, condition: Condition, fill: Fill) -> Iterator[_Noted]:
    named = () if condition.kind in {"field", "any"} else (condition.about,)
    for name in (*named, condition.since_last, condition.of_event):
        if name is not None and name in fill.events and not fill.events[name].events:
            yield _warning(
                rules,
                condition.place,
                "D402",
                f'the event "{name}" has never been seen in the data',
                "keepwell rules fields --tenant ... lists what has",
                word=name,
            )


def _field(rules: RuleSet, condition: Condition, fill: Fill) -> Iterator[_Noted]:
    known = fill.fields.get(condition.about)
    asks_for_nothing = any(c.word == "missing" and c.value is True for c in condition.comparisons)
    if known is None:
        return
    if known.filled == 0 and not asks_for_nothing:
        message = f'the field "{condition.about}" is empty for everybody'
        hint = "see where it should come from"
        yield _warning(rules, condition.place, "D401", message, hint, word=condition.about)
    if known.values:
        yield from _values(rules, condition, known.values)


def _values(rules: RuleSet, condition: Condition, seen: Mapping[str, int]) -> Iterator[_Noted]:
    asked = [
        str(item)
        for comparison in condition.comparisons
        if comparison.word in _VALUE_WORDS
        for item in (
            comparison.value if isinstance(comparison.value, tuple) else (comparison.value,)
        )
    ]
    for value in asked:
        if value not in seen:
            message = f'"{value}" never occurs in {condition.about}'
            hint = "in the data: " + _listed(seen)
            yield _warning(rules, condition.place, "D403", message, hint, word=value)
    allowed = _allowed(rules.vocabulary, condition.about)
    strange = {value: count for value, count in seen.items() if value not in allowed}
    if strange:
        message = f"{condition.about} has values that the vocabulary does not allow"
        hint = f"one_of lacks: {_listed(strange)}"
        yield _warning(rules, condition.place, "D404", message, hint, word=condition.about)


def _allowed(vocabulary: Vocabulary, name: str) -> tuple[str, ...]:
    return vocabulary.fields[name].one_of


def _listed(counts: Mapping[str, int]) -> str:
    shown = [f"{value} ({count:,})" for value, count in list(counts.items())[:_MOST_LISTED]]
    return ", ".join(shown) + (", …" if len(counts) > _MOST_LISTED else "")


def _flood(rules: RuleSet, rule: Rule, weekly: Weekly) -> Iterator[_Noted]:
    counted = len(weekly.by_rule.get(rule.id, ()))
    contacts = round(weekly.scaled(counted))
    if contacts > _FLOOD_CONTACTS and contacts > _FLOOD_SHARE * weekly.total:
        about = "about " if weekly.looked < weekly.total else ""
        message = (
            f"{rule.id} would propose {rule.then.action} for {about}{contacts:,} of "
            f"{weekly.total:,} contacts in the first week"
        )
        yield _warning(rules, rule.place, "D405", message, "keepwell rules backtest shows it")


def _warning(
    rules: RuleSet, place: Place, code: str, message: str, hint: str, *, word: str = ""
) -> _Noted:
    line, column, width = place
    found = Finding(code, message, rules.file, line, column, width, hint=hint, severity="warning")
    return found, word


def _pointed(finding: Finding, word: str, lines: Sequence[str]) -> Finding:
    """The finding at that word of its condition; as it is where the word doesn't stand so."""
    if not word:
        return finding
    pattern = re.compile(rf"(?<![\w.-]){re.escape(word)}(?![\w.-])")
    for number in range(finding.line, len(lines) + 1):
        line = lines[number - 1]
        indent = len(line) - len(line.lstrip())
        if number > finding.line and line.strip() and indent < finding.column - 1:
            break  # the condition has ended
        found = pattern.search(line, finding.column - 1)
        if found is not None:
            column = found.start() + 1
            return replace(finding, line=number, column=column, width=len(word))
    return finding
