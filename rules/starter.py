"""A first rule to build on: written from a few answers, or copied from a shipped one."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from engine.errors import Conflict, InvalidInput, NotFound
from rules.commented import Entry, Piece, read_commented
from rules.examples import run_examples
from rules.findings import suggestion
from rules.includes import PACKS
from rules.layout import formatted
from rules.loader import load_rules
from rules.source import parse, read_text
from rules.vocabulary import Vocabulary

PATTERNS = {
    "silent": "the event has not happened for a while",
    "repeated": "the event has happened several times",
    "unanswered": "the event has happened, and the answer to it has not",
}
_TODAY = datetime(2026, 6, 15, 10, 0)  # noqa: DTZ001 - the wall clock of an in-file test
_LEAST_WINDOW_DAYS = 30
_NEW_FILE = """\
format: 1
pack: {pack}
vocabulary: {vocabulary}

rules:
"""
_NAME = re.compile(r"[a-z0-9]+([-._][a-z0-9]+)*\Z")


@dataclass(frozen=True, slots=True)
class Idea:
    """What the author has to say about a new rule.

    Attributes:
        id, title, why, owner: as in a rule.
        pattern: a key of PATTERNS.
        event: the event it is about.
        answer: for unanswered, the event that would be the answer; else empty.
        days: how long silent or unanswered, or the window of the repetitions.
        times: for repeated, how many.
        goal: the event that counts as success.
        channel, purpose, template, value: of the proposal; value like '60.00 USD'.
    """

    id: str
    title: str
    why: str
    owner: str
    pattern: str
    event: str
    goal: str
    answer: str = ""
    days: int = 90
    times: int = 2
    channel: str = "email"
    purpose: str = "service"
    template: str = "common/win-back"
    value: str = "60.00 USD"


def rule_from_idea(idea: Idea, vocabulary: Vocabulary) -> str:
    """A draft rule with a test that fires and one that is quiet, as lines under `rules:`.

    Raises:
        InvalidInput: the pattern is unknown or does not fit the answers.
    """
    _refuse_misfits(idea, vocabulary)
    conditions, fires, quiet, because, rest = _SHAPES[idea.pattern](idea)
    lines = [
        f"  - id: {idea.id}",
        f"    title: {_quoted(idea.title)}",
        f"    why: {_quoted(idea.why)}",
        f"    owner: {_quoted(idea.owner)}",
        "    status: draft # shadow records without contacting anybody; live contacts",
        "    check: [nightly]",
        "    when:",
        *(f"      {line}" for line in conditions),
        "    then:",
        f"      action: {idea.id.split('.')[-1]}",
        f"      template: {idea.template}",
        f"      purpose: {idea.purpose}",
        f"      by: [{idea.channel}]",
        f"      value: {idea.value} # of one success; put your own",
        f"      cost: {{{idea.channel}: {_COSTS.get(idea.channel, '0.01')}}}",
        "      # a guess: the share that reaches the goal when contacted, and when left alone",
        "      expect: {if_contacted: 0.15, if_left: 0.1, weight: 20}",
        f"      goal: {idea.goal} within 30 days",
        f"      still: [none {idea.goal}]",
        f"    cooldown: {rest} days",
        "    tests:",
        *_test("as it is meant", fires, "fires", ""),
        *_test("not quite", quiet, "quiet", because),
    ]
    return "\n".join(lines) + "\n"


_COSTS = {"email": "0.01", "sms": "0.02", "call_task": "4.00"}
Shape = tuple[list[str], list[str], list[str], str, int]


def _silent(idea: Idea) -> Shape:
    when = [
        f"- last: {idea.event}",
        f"  at_least_ago: {idea.days} days",
        f"  at_most_ago: {idea.days * 2} days",
    ]
    fires, quiet = [_event(idea.event, idea.days)], [_event(idea.event, idea.days - 1)]
    return when, fires, quiet, f"last {idea.event}", max(idea.days, _LEAST_WINDOW_DAYS)


def _repeated(idea: Idea) -> Shape:
    when = [
        f"- count: {idea.event}",
        f"  in_last: {idea.days} days",
        f"  at_least: {idea.times}",
    ]
    # spread over the window, the first one exactly at its edge
    fires = [_event(idea.event, idea.days - n * idea.days // idea.times) for n in range(idea.times)]
    quiet = [_event(idea.event, idea.days + 1), *fires[1:]]
    return when, fires, quiet, f"count {idea.event}", idea.days


def _unanswered(idea: Idea) -> Shape:
    window = max(idea.days * 2, _LEAST_WINDOW_DAYS)
    when = [
        f"- count: {idea.event}",
        f"  in_last: {window} days",
        "  at_least: 1",
        f"- none: {idea.answer}",
        f"  since_last: {idea.event}",
        f"  for_at_least: {idea.days} days",
    ]
    fires = [_event(idea.event, idea.days)]
    quiet = [*fires, _event(idea.answer, max(0, idea.days - 1), hour=9)]
    return when, fires, quiet, f"none {idea.answer}", window


_SHAPES = {"silent": _silent, "repeated": _repeated, "unanswered": _unanswered}


def _event(name: str, days_ago: int, hour: int = 10) -> str:
    return f"{_TODAY - timedelta(days=days_ago):%Y-%m-%d} {hour:02}:00 {name}"


def _test(name: str, events: list[str], expect: str, because: str) -> Iterator[str]:
    yield f"      - name: {name}"
    yield f"        today: {_TODAY:%Y-%m-%d %H:%M}"
    yield "        events:"
    yield from (f"          - {event}" for event in sorted(events))
    yield f"        expect: {expect}"
    if because:
        yield f"        because: {because}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _refuse_misfits(idea: Idea, vocabulary: Vocabulary) -> None:
    if idea.pattern not in PATTERNS:
        hint = suggestion(idea.pattern, PATTERNS)
        raise InvalidInput(f"There is no kind of first rule '{idea.pattern}'.", hint=hint)
    named = [idea.event, idea.goal, *([idea.answer] if idea.pattern == "unanswered" else [])]
    for name in named:
        if name not in vocabulary.events:
            hint = suggestion(name, vocabulary.events)
            raise InvalidInput(f"{vocabulary.file} has no event '{name}'.", hint=hint)
    if idea.pattern == "unanswered" and len(vocabulary.types(idea.event)) > 1:
        hint = "Name one of: " + ", ".join(vocabulary.types(idea.event))
        raise InvalidInput(f"'{idea.event}' stands for several events.", hint=hint)
    least = max(1, idea.times) if idea.pattern == "repeated" else 1
    if not least <= idea.days <= 3650 or not 1 <= idea.times <= 100:
        raise InvalidInput(
            f"{idea.times} times in {idea.days} days makes no rule.",
            hint="Use 1 to 3650 days, and at most one time a day.",
        )


def rule_from_shipped(new_id: str, example: str) -> tuple[str, str]:
    """A shipped rule under a new id, as a draft, as lines under `rules:`, and its vocabulary.

    Raises:
        NotFound: no shipped rule has that id.
        InvalidInput: it chooses among offers, so it is more than one rule.
    """
    known: list[str] = []
    for path in sorted(PACKS.rglob("*.yaml")):
        if path.name.endswith(".vocab.yaml"):
            continue
        text = read_text(path)
        parse(text, path.name)
        ids = [_id_in(entry) for entry in _rules_of(read_commented(text))]
        known += ids
        if example in ids:
            laid_out = formatted(text, path.name)
            top = read_commented(laid_out)
            vocabulary = top.get("vocabulary")
            copied = _copied(laid_out, _rules_of(top)[ids.index(example)], new_id)
            return copied, vocabulary.text if vocabulary else ""
    hint = suggestion(example, known)
    raise NotFound(f"There is no shipped rule '{example}'.", hint=hint)


def _id_in(rule: Entry) -> str:
    found = rule.value.get("id")
    return found.text if found is not None else ""


def _copied(text: str, entry: Entry, new_id: str) -> str:
    then = entry.value.get("then")
    if then is not None and then.get("choose") is not None:
        raise InvalidInput(
            "That rule chooses among offers and needs its table.", hint="Copy its file instead."
        )
    begin = text.rindex("\n", 0, entry.start) + 1
    lines = text[begin : entry.end].split("\n")
    changed = [f"  - id: {new_id}"]
    for line in lines[1:]:
        if line.startswith("    status:"):
            continue
        changed.append(line)
        if line.startswith("    why:"):
            changed.append("    status: draft")
    return "\n".join(changed) + "\n"


def _rules_of(top: Piece) -> list[Entry]:
    rules = top.get("rules")
    return rules.entries if rules is not None else []


def with_rule(text: str | None, rule: str, file: str, vocabulary: Vocabulary) -> str:
    """A rule file with one more rule at its end; a new file if `text` is None.

    Nothing else in the text changes. The result is read and the tests of the rule are run.

    Raises:
        InvalidRules: the text has faults, or the rule does not fit in it, with every finding.
        Conflict: the file has a rule of that id, or the rule's own tests fail.
    """
    if text is None:
        stem = re.sub(r"[^a-z0-9]+", "-", Path(file).name.split(".")[0].lower()).strip("-")
        head = _NEW_FILE.format(pack=stem or "my-rules", vocabulary=vocabulary.file)
        result = formatted(head + rule, file)
    else:
        result = _inserted(text, rule, file)
    rule_set = load_rules(result, file, vocabulary)
    rule_id = _id_of(rule)
    failed = [r for r in run_examples(rule_set) if r.rule_id == rule_id and not r.passed]
    if failed:
        raise Conflict(
            f"The new rule does not do what its test says: {failed[0].name}: {failed[0].message}.",
            hint="Nothing was written; answer differently or start from another example.",
        )
    return result


def _id_of(rule: str) -> str:
    return rule.split("\n", 1)[0].partition("id:")[2].strip()


def _inserted(text: str, rule: str, file: str) -> str:
    parse(text, file)
    top = read_commented(text)
    ends = "\r\n" if "\r\n" in text else "\n"
    text = text.replace("\r\n", "\n").removeprefix("\ufeff")
    rules = top.get("rules")
    if rules is None or rules.kind != "list" or rules.in_brackets or not rules.entries:
        raise InvalidInput(
            f"{file} has no list of rules to add to.", hint="Start a new file, or lay it out first."
        )
    new_id = _id_of(rule)
    if new_id in map(_id_in, rules.entries):
        raise Conflict(f"{file} already has a rule '{new_id}'.", hint="Choose another id.")
    end = _end_with_remarks(text, rules)
    shift = " " * rules.column
    lines = [shift + line[2:] if line else "" for line in formatted_rule(rule).split("\n")]
    before = text[:end].rstrip("\n")
    result = f"{before}\n\n" + "\n".join(lines).rstrip("\n") + "\n" + text[end + 1 :]
    return result.replace("\n", ends)


def _end_with_remarks(text: str, rules: Piece) -> int:
    """Where the list ends, with the comments that are indented like its rules or deeper."""
    end = text.find("\n", rules.end)
    while 0 <= end < len(text) - 1:
        following = text.find("\n", end + 1)
        line = text[end + 1 : following if following >= 0 else len(text)]
        indent = len(line) - len(line.lstrip())
        if line.strip() and not (line.lstrip().startswith("#") and indent >= rules.column > 0):
            break
        end = following
    return len(text) if end < 0 else end


def formatted_rule(rule: str) -> str:
    """The lines of a rule in the one layout."""
    laid_out = formatted("format: 1\n\nrules:\n" + rule, "rule")
    return laid_out.partition("rules:\n")[2]


def refuse_id(rule_id: str) -> None:
    """Raise InvalidInput if that can't be the id of a rule."""
    if not _NAME.match(rule_id) or len(rule_id) > 200:
        raise InvalidInput(
            f"'{rule_id}' is no id for a rule.",
            hint="Use small letters, digits, dots and dashes, for example: clinic.no-show-rescue",
        )
