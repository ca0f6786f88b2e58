"""What changed between two rule sets, in words: meaning, not text."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from rules.condition_changes import condition_changes
from rules.document import NIGHTLY, Place, Rule, RuleSet, Season
from rules.expression import expression_of
from rules.proposal_changes import changed, clock, listed, proposal_changes
from rules.reading import MONTHS, WEEKDAYS
from rules.regions import Regions
from rules.vocabulary_changes import vocabulary_changes

Reach = Literal["same", "narrower", "wider", "other"]
Kind = Literal["added", "removed", "renamed", "changed"]

_REACH_WORDS: dict[Reach, str] = {
    "same": "applies to the same contacts as before",
    "narrower": "applies only to some of the contacts as before",
    "wider": "applies to the contacts as before and to more",
    "other": "applies to other contacts than before",
}


@dataclass(frozen=True, slots=True)
class RuleDifference:
    """What became of one rule.

    Attributes:
        kind: added, removed, renamed (another id, else the same) or changed.
        rule_id: its id, the new one if it was renamed.
        old_id: the id before; the same unless it was renamed, empty if it was added.
        place: in the new file; in the old one if it was removed.
        changes: in words, one a line; empty unless it changed.
        reach: for whom it now applies, as far as that can be proven, other where it can't; None
            if its conditions are as they were.
        acts_differently: whether any contact may be treated differently; texts and tests alone
            don't.
    """

    kind: Kind
    rule_id: str
    old_id: str
    place: Place
    changes: tuple[str, ...] = ()
    reach: Reach | None = None
    acts_differently: bool = True

    @property
    def lines(self) -> list[str]:
        """The difference as text, first the rule, then each change."""
        name = f"{self.old_id} → {self.rule_id}" if self.kind == "renamed" else self.rule_id
        reach = [] if self.reach is None else [_REACH_WORDS[self.reach]]
        return [f"{self.kind} {name}", *(f"  {words}" for words in (*self.changes, *reach))]


@dataclass(frozen=True, slots=True)
class Differences:
    """What changed from one rule set to another: new order, then what was removed."""

    old_file: str
    new_file: str
    rules: tuple[RuleDifference, ...]

    @property
    def lines(self) -> list[str]:
        """All of it as text; one line if nothing changed."""
        if not self.rules:
            return ["no rule changed its meaning, words or tests"]
        return [line for rule in self.rules for line in rule.lines]


def differences(old: RuleSet, new: RuleSet) -> Differences:
    """Rules added, removed, renamed and changed, by id; layout and order don't count.

    A rule counts as renamed if another id proposes the same, at the same times, for exactly the
    same contacts; conditions may be written differently.
    """
    before = {rule.id: rule for rule in old.rules}
    after = {rule.id: rule for rule in new.rules}
    compare = _Comparison(old, new)
    gone = [rule for rule in old.rules if rule.id not in after]
    found = []
    for rule in new.rules:
        if rule.id in before:
            changed_rule = _changed(compare, before[rule.id], rule)
            found += [] if changed_rule is None else [changed_rule]
            continue
        twin = next((other for other in gone if compare.same(other, rule)), None)
        if twin is None:
            found.append(RuleDifference("added", rule.id, "", rule.place))
        else:
            gone.remove(twin)
            found.append(
                RuleDifference("renamed", rule.id, twin.id, rule.place, acts_differently=False)
            )
    found += [RuleDifference("removed", rule.id, rule.id, rule.place) for rule in gone]
    return Differences(old.file, new.file, tuple(found))


class _Comparison:
    """The rules of both sets in one space."""

    def __init__(self, old: RuleSet, new: RuleSet) -> None:
        self.old, self.new = old.vocabulary, new.vocabulary

    def reach(self, old: Rule, new: Rule) -> Reach:
        """How the contacts of the new rule lie to those of the old one."""
        one, other = expression_of(old, self.old), expression_of(new, self.new)
        if old.subject != new.subject:
            return "other"
        regions = Regions([(one, self.old), (other, self.new)])
        before, after = regions.region(one), regions.region(other)
        wider = regions.contains(after, before)
        narrower = regions.contains(before, after)
        if wider and narrower:
            return "same"
        return "wider" if wider else "narrower" if narrower else "other"

    def same(self, old: Rule, new: Rule) -> bool:
        """Whether both propose the same at the same times for the same contacts."""
        return (
            _rest(old) == _rest(new)
            and not list(vocabulary_changes(old, new, self.old, self.new))
            and self.reach(old, new) == "same"
        )


def _rest(rule: Rule) -> Rule:
    """The rule without its conditions and without what has no meaning."""
    return replace(
        rule,
        id="",
        title="",
        why="",
        owner="",
        when=(),
        unless=(),
        season=None,
        on_days=(),
        quiet_on_holidays=False,
        choice=None,
        tests=(),
        allows=(),
        place=Place(0, 0),
    )


def _changed(compare: _Comparison, old: Rule, new: Rule) -> RuleDifference | None:
    acting = [*_timing(old, new), *proposal_changes(old.then, new.then)]
    defined = list(vocabulary_changes(old, new, compare.old, compare.new))
    conditions = [*_calendar(old, new), *condition_changes(old, new)]
    texts = [*_texts(old, new), *_tests(old, new)]
    if not (acting or defined or conditions or texts):
        return None
    reach = compare.reach(old, new) if defined or conditions else None
    return RuleDifference(
        kind="changed",
        rule_id=new.id,
        old_id=old.id,
        place=new.place,
        changes=(*conditions, *defined, *acting, *texts),
        reach=reach,
        acts_differently=bool(acting or defined) or reach not in {None, "same"},
    )


def _timing(old: Rule, new: Rule) -> Iterator[str]:
    yield from changed("status", old.status, new.status)
    yield from changed("for each", old.subject, new.subject)
    yield from listed("check", _checks(old), _checks(new))
    cooldowns = (f"{rule.cooldown_days} days" for rule in (old, new))
    yield from changed("cooldown", *cooldowns)
    yield from changed("send between", clock(old.send_between), clock(new.send_between))


def _calendar(old: Rule, new: Rule) -> Iterator[str]:
    yield from changed("season", _season(old.season), _season(new.season))
    yield from changed("on days", _days(old.on_days), _days(new.on_days))
    holidays = ("quiet" if rule.quiet_on_holidays else "as other days" for rule in (old, new))
    yield from changed("holidays", *holidays)


def _texts(old: Rule, new: Rule) -> Iterator[str]:
    yield from changed("title", old.title, new.title)
    yield from changed("why", old.why, new.why)
    yield from changed("owner", old.owner or "nobody", new.owner or "nobody")


def _tests(old: Rule, new: Rule) -> Iterator[str]:
    before = {test.name: replace(test, place=Place(0, 0)) for test in old.tests}
    after = {test.name: replace(test, place=Place(0, 0)) for test in new.tests}
    yield from (f'test added: "{name}"' for name in after if name not in before)
    yield from (f'test removed: "{name}"' for name in before if name not in after)
    for name, test in after.items():
        if test != before.get(name, test):
            expected = before[name].expect, test.expect
            what = f" (expect: {' → '.join(expected)})" if len(set(expected)) > 1 else ""
            yield f'test changed: "{name}"{what}'


def _checks(rule: Rule) -> list[str]:
    return [*(f"on {event}" for event in rule.check_on), *([NIGHTLY] if rule.nightly else [])]


def _season(season: Season | None) -> str:
    if season is None:
        return "all year"
    days = (f"{day % 100} {MONTHS[day // 100 - 1]}" for day in (season.first, season.last))
    return " to ".join(days)


def _days(days: Iterable[int]) -> str:
    return ", ".join(WEEKDAYS[day - 1] for day in days) or "all days"
