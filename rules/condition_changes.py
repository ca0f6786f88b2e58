"""What changed among the conditions of a rule, in words."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rules.document import ChoiceTable, Condition, Place, Rule

_NOWHERE = Place(0, 0)


def condition_changes(old: Rule, new: Rule) -> Iterator[str]:
    """Each condition added, removed or changed, under when, unless and in the choice table.

    For example 'count appointment.no_show in the last 60 days: at least 2 → at least 3'.
    """
    yield from _listed("", old.when, new.when)
    yield from _listed("unless ", old.unless, new.unless)
    yield from _choices(old, new)


def _listed(prefix: str, old: Sequence[Condition], new: Sequence[Condition]) -> Iterator[str]:
    before = [_without_place(condition) for condition in old]
    after = [_without_place(condition) for condition in new]
    for condition in list(before):
        if condition in after:
            before.remove(condition)
            after.remove(condition)
    for condition in list(after):
        earlier = _counterpart(condition, before)
        if earlier is not None:
            before.remove(earlier)
            after.remove(condition)
            yield from _changed(prefix, earlier, condition)
    yield from (f"condition added: {prefix}{_plain(condition)}" for condition in after)
    yield from (f"condition removed: {prefix}{_plain(condition)}" for condition in before)


def _counterpart(condition: Condition, among: Sequence[Condition]) -> Condition | None:
    """The condition it was before: about the same, with as much of its period as possible."""
    alike = [other for other in among if other.label == condition.label and condition.about]
    same = (other for other in alike if _stem(other) == _stem(condition))
    return next(same, alike[0] if alike else None)


def _changed(prefix: str, old: Condition, new: Condition) -> Iterator[str]:
    one, other = _plain(old), _plain(new)
    if one != other:
        stem = _stem(old) if _stem(old) == _stem(new) else old.label
        says = (words.removeprefix(stem).strip() for words in (one, other))
        yield f"{prefix}{stem}: {' → '.join(says)}"
    if old.because != new.because:
        yield f'{prefix}{old.label}: because "{old.because}" → "{new.because}"'


def _stem(condition: Condition) -> str:
    """The condition without what it compares with."""
    return replace(condition, comparisons=()).words


def _plain(condition: Condition) -> str:
    """The condition on one line; the words of the language without underscores."""
    words = condition.words
    for each in (condition, *condition.any_of):
        for comparison in each.comparisons:
            says = str(comparison)
            plain = says.replace(comparison.word, comparison.word.replace("_", " "), 1)
            words = words.replace(says, plain)
    return words


def _without_place(condition: Condition) -> Condition:
    inner = tuple(_without_place(part) for part in condition.any_of)
    return replace(condition, place=_NOWHERE, any_of=inner)


def _choices(old: Rule, new: Rule) -> Iterator[str]:
    if old.choice is None or new.choice is None:
        if old.choice != new.choice:
            names = (rule.choice.table.id if rule.choice else "none" for rule in (old, new))
            yield f"choose: {' → '.join(names)}"
        return
    one, other = old.choice.table, new.choice.table
    if one.id != other.id:
        yield f"choose: {one.id} → {other.id}"
    if one.hit != other.hit:
        yield f"choose {other.id}: hit {one.hit} → {other.hit}"
    if one.columns != other.columns:
        yield f"choose {other.id}: columns {', '.join(one.columns)} → {', '.join(other.columns)}"
    yield from (f"choose {other.id}: row added: {row}" for row in _rows(other, one))
    yield from (f"choose {other.id}: row removed: {row}" for row in _rows(one, other))
    if _rows(other) != _rows(one) and sorted(_rows(other)) == sorted(_rows(one)):
        yield f"choose {other.id}: the order of its rows"


def _rows(table: ChoiceTable, without: ChoiceTable | None = None) -> list[str]:
    known = _rows(without) if without else []
    rows = [f"{', '.join(row.cells)} → {row.offer}" for row in table.rows]
    return [row for row in rows if row not in known]
