"""Several rule sets that work for one tenant, as one."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from engine.errors import Finding, InvalidRules
from rules.document import Rule, RuleSet, digest_of
from rules.vocabulary import Vocabulary

T = TypeVar("T")


def merge_rule_sets(sets: Sequence[RuleSet]) -> RuleSet:
    """The rules of all sets in their order, over one vocabulary.

    A name means the same in all of them, so a feature of one name is one feature. Raises
    InvalidRules with every rule id that is used twice and every name that two files say
    differently; ValueError without any set.
    """
    if not sets:
        raise ValueError("there is no rule set to merge")
    if len(sets) == 1:
        return sets[0]
    findings = [*_same_ids(sets), *_differing_names(sets)]
    if findings:
        count = "1 clash" if len(findings) == 1 else f"{len(findings)} clashes"
        raise InvalidRules(f"{count} between rule files", findings, hint="Rename one of the two.")
    files = ", ".join(dict.fromkeys(one.file for one in sets))
    pack = "+".join(dict.fromkeys(one.pack for one in sets))
    vocabulary = Vocabulary(
        ", ".join(dict.fromkeys(one.vocabulary.file for one in sets)),
        _together(one.vocabulary.fields for one in sets),
        _together(one.vocabulary.events for one in sets),
        _together(one.vocabulary.subjects for one in sets),
    )
    rules = tuple(rule for one in sets for rule in one.rules)
    choices = tuple(table for one in sets for table in one.choices)
    digest = digest_of(pack, rules, vocabulary)
    return RuleSet(pack, files, rules, vocabulary, digest, choices)


def _same_ids(sets: Sequence[RuleSet]) -> Iterator[Finding]:
    seen: dict[str, tuple[RuleSet, Rule]] = {}
    for one in sets:
        for rule in one.rules:
            earlier, first = seen.setdefault(rule.id, (one, rule))
            if first is not rule:
                message = f'the id "{rule.id}" is already used in {earlier.file}'
                name = earlier.file.removesuffix(".yaml")
                hint = f"give it another id, or publish the file as '{name}' to replace that one"
                yield Finding("E013", message, one.file, *rule.place, hint=hint)


def _differing_names(sets: Sequence[RuleSet]) -> Iterator[Finding]:
    seen: dict[tuple[str, str], tuple[object, str]] = {}
    for one in sets:
        vocabulary = one.vocabulary
        for what, names in (
            ("field", vocabulary.fields),
            ("event", vocabulary.events),
            ("subject", vocabulary.subjects),
        ):
            for name, value in names.items():
                first, file = seen.setdefault((what, name), (value, vocabulary.file))
                if first != value:
                    message = f'the {what} "{name}" is said differently in {file}'
                    hint = "say it once, in a vocabulary that both include"
                    yield Finding("E142", message, vocabulary.file, 0, 0, hint=hint)


def _together(parts: Iterator[Mapping[str, T]]) -> dict[str, T]:
    return {name: value for part in parts for name, value in part.items()}
