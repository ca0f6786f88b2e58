"""All rules in plain sentences, for the owner of the business: what `keepwell rules docs` shows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from engine.features.spec import CONTACT
from rules.document import ActionProposal, Rule, RuleSet, RuleTest
from rules.vocabulary import Vocabulary
from rules.wording import (
    clock_words,
    condition_words,
    counted,
    event_label,
    field_value_words,
    moment_words,
    money_words,
    number_words,
    past_event_words,
    season_words,
    subject_label,
    weekday_words,
)

STATUS_WORDS = {
    "live": "Live: contacts people.",
    "shadow": "Shadow: decides and records, contacts nobody.",
    "draft": "Draft: does nothing yet.",
    "retired": "Retired: kept for the record, does nothing.",
}
CHANNEL_WORDS = {"email": "e-mail", "sms": "text message", "call_task": "a call by a person"}
_EXPECTED = {"fires": "acts", "quiet": "stays quiet", "todo": "known gap"}


@dataclass(frozen=True, slots=True)
class Example:
    """An in-file test as a story: when, what is known, what happened, and the outcome."""

    name: str
    today: str
    known: tuple[str, ...]
    happened: tuple[str, ...]
    outcome: str


@dataclass(frozen=True, slots=True)
class OfferTable:
    """Which offer is made: column heads, then rows of cells with the offer last."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is proposed: (what, words) pairs; `offer` is empty where there is one proposal."""

    offer: str
    says: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class RulePage:
    """One rule for people.

    Attributes:
        about: the kind of subject in words; empty if it is about the contact.
        when: sentences that all have to hold.
        unless: (sentence, reason) pairs, none of which may hold.
        timing: when it is asked and when it may speak.
    """

    id: str
    title: str
    why: str
    owner: str
    status: str
    about: str
    when: tuple[str, ...]
    unless: tuple[tuple[str, str], ...]
    offers: OfferTable | None
    proposals: tuple[Proposal, ...]
    timing: tuple[str, ...]
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class Chapter:
    """The rules of one file."""

    file: str
    pack: str
    rules: tuple[RulePage, ...]


def handbook(rule_sets: Iterable[RuleSet]) -> tuple[Chapter, ...]:
    """A chapter a file, a page a rule, in file order; offers of one rule share its page."""
    return tuple(
        Chapter(each.file, each.pack, tuple(_pages(each.rules, each.vocabulary)))
        for each in rule_sets
    )


def _pages(rules: Sequence[Rule], vocabulary: Vocabulary) -> Iterable[RulePage]:
    for rule_id, same in groupby(rules, key=_written_id):
        yield _page(rule_id, tuple(same), vocabulary)


def _written_id(rule: Rule) -> str:
    """The id in the file, without the offer."""
    return rule.id.removesuffix(f"/{rule.choice.offer}") if rule.choice else rule.id


def _page(rule_id: str, rules: tuple[Rule, ...], vocabulary: Vocabulary) -> RulePage:
    rule = rules[0]
    tests = {(test.place, test.name): test for each in rules for test in each.tests}
    return RulePage(
        id=rule_id,
        title=rule.title,
        why=rule.why,
        owner=rule.owner,
        status=rule.status,
        about="" if rule.subject == CONTACT else subject_label(rule.subject, vocabulary),
        when=tuple(condition_words(c, vocabulary) for c in rule.when),
        unless=tuple((condition_words(c, vocabulary), c.because) for c in rule.unless),
        offers=_offers(rule, vocabulary),
        proposals=tuple(_proposal(each, vocabulary) for each in rules),
        timing=tuple(_timing(rule, vocabulary)),
        examples=tuple(_example(tests[key], rule, vocabulary) for key in sorted(tests)),
    )


def _offers(rule: Rule, vocabulary: Vocabulary) -> OfferTable | None:
    if rule.choice is None:
        return None
    table = rule.choice.table
    heads = tuple(_column(column, vocabulary) for column in table.columns)
    return OfferTable((*heads, "offer"), tuple((*row.cells, row.offer) for row in table.rows))


def _column(column: str, vocabulary: Vocabulary) -> str:
    known = vocabulary.fields.get(column)
    if known is not None:
        return known.label
    word, _, rest = column.partition(" ")
    event, _, period = rest.partition(" in ")
    is_count = word == "count" and bool(period)
    return f"{event_label(event, vocabulary)} in {period}" if is_count else column


def _proposal(rule: Rule, vocabulary: Vocabulary) -> Proposal:
    then = rule.then
    costs = dict(then.cost_cents)
    channels = (
        f"{CHANNEL_WORDS.get(c, c)} ({money_words(costs.get(c, 0), then.currency)})"
        for c in then.channels
    )
    says = [
        ("Action", then.action.replace("-", " ")),
        ("By", ", else ".join(channels)),
        ("Purpose", then.purpose),
        ("Success", _goal(then, vocabulary)),
        ("Worth", f"{money_words(then.value_cents, then.currency)} for each success"),
        ("Expected", _expected(then)),
    ]
    if then.still:
        facts = ", ".join(f"no {event_label(fact.event, vocabulary)}" for fact in then.still)
        says.append(("Only if still", facts))
    if then.needs_approval:
        says.append(("Approval", "a person agrees to each message first"))
    return Proposal(rule.choice.offer if rule.choice else "", tuple(says))


def _goal(then: ActionProposal, vocabulary: Vocabulary) -> str:
    days = counted(then.goal.within_days, "day")
    return f"{event_label(then.goal.event, vocabulary)} within {days}"


def _expected(then: ActionProposal) -> str:
    contacted = number_words(then.expect.if_contacted, "share")
    left = number_words(then.expect.if_left, "share")
    return f"{contacted} succeed when contacted, {left} when left alone"


def _timing(rule: Rule, vocabulary: Vocabulary) -> Iterable[str]:
    triggers = [f"after each {event_label(event, vocabulary)}" for event in rule.check_on]
    triggers += ["every night"] if rule.nightly else []
    yield f"Asked {' and '.join(triggers)}."
    if rule.season is not None:
        yield f"Only {season_words(rule.season)}."
    if rule.on_days:
        yield f"Only on {weekday_words(rule.on_days)}."
    if rule.quiet_on_holidays:
        yield "Never on public holidays."
    if rule.cooldown_days:
        again = " about the same subject" if rule.subject != CONTACT else ""
        yield f"Not again{again} within {counted(rule.cooldown_days, 'day')}."
    if rule.send_between is not None:
        yield f"Sent {clock_words(rule.send_between)}, where the contact lives."


def _example(test: RuleTest, rule: Rule, vocabulary: Vocabulary) -> Example:
    known = [
        f"{vocabulary.fields[name].label}: {field_value_words(value, vocabulary.fields[name])}"
        for name, value in (*test.contact, *test.subject)
        if name in vocabulary.fields
    ]
    known += ["today is a public holiday"] if test.holiday else []
    outcome = _EXPECTED[test.expect]
    if test.because:
        outcome += f", because of: {_reason(test.because, rule, vocabulary)}"
    return Example(
        name=test.name,
        today=moment_words(test.today),
        known=tuple(known),
        happened=tuple(past_event_words(event, vocabulary) for event in test.events),
        outcome=outcome,
    )


def _reason(because: str, rule: Rule, vocabulary: Vocabulary) -> str:
    """What a test's `because` names, in words; as it is where it names no condition."""
    for condition in rule.when:
        if condition.label == because:
            return condition_words(condition, vocabulary)
    for condition in rule.unless:
        if because == f"unless {condition.about or 'any'}":
            return condition.because
    return because
