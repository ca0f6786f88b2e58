"""Names that a rule uses and that the vocabulary now defines otherwise, in words."""

from collections.abc import Iterable, Iterator
from dataclasses import fields

from engine.features.spec import CONTACT, Feature
from rules.document import Condition, Rule
from rules.vocabulary import Vocabulary


def vocabulary_changes(
    old: Rule, new: Rule, old_vocabulary: Vocabulary, new_vocabulary: Vocabulary
) -> Iterator[str]:
    """What stands behind a name that both rules use, where it changed; labels don't count.

    For example 'visit in the vocabulary: appointment.kept → appointment.kept, walk_in.kept'.
    """
    old_fields, old_events = _names(old)
    new_fields, new_events = _names(new)
    for name in sorted(old_fields & new_fields):
        one, other = old_vocabulary.fields.get(name), new_vocabulary.fields.get(name)
        if one is not None and other is not None:
            yield from _changed(name, "type", one.type, other.type)
            yield from _source_changes(name, one.source, other.source)
    for name in sorted(old_events & new_events):
        yield from _changed(name, "", old_vocabulary.types(name), new_vocabulary.types(name))
    if old.subject == new.subject != CONTACT:
        subjects = old_vocabulary.subjects, new_vocabulary.subjects
        before, after = (known[old.subject] for known in subjects)
        yield from _changed(old.subject, "opened by", before.opened_by, after.opened_by)
        yield from _changed(old.subject, "closed by", before.closed_by, after.closed_by)


def _source_changes(name: str, old: Feature, new: Feature) -> Iterator[str]:
    for each in fields(Feature):
        if each.name != "name":
            word = each.name.replace("_", " ").removesuffix(" days")
            yield from _changed(name, word, getattr(old, each.name), getattr(new, each.name))


def _changed(name: str, what: str, old: object, new: object) -> Iterator[str]:
    if old != new:
        about = f"{what} " if what else ""
        yield f"{name} in the vocabulary: {about}{_shown(old)} → {_shown(new)}"


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(str(item) for item in value) or "none"
    return "none" if value is None else str(value)


def _names(rule: Rule) -> tuple[set[str], set[str]]:
    """Fields and events that a rule names."""
    named: tuple[set[str], set[str]] = (set(), {rule.then.goal.event})
    named[1].update(fact.event for fact in rule.then.still)
    _gather((*rule.when, *rule.unless), named)
    for row in rule.choice.table.rows if rule.choice else ():
        _gather(row.conditions, named)
    return named


def _gather(conditions: Iterable[Condition], into: tuple[set[str], set[str]]) -> None:
    found_fields, found_events = into
    for condition in conditions:
        _gather(condition.any_of, into)
        if condition.kind == "field":
            found_fields.add(condition.about)
        elif condition.about:
            found_events.update({condition.about, condition.of_event or condition.about})
            found_events.update({condition.since_last or condition.about})
