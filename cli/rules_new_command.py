"""`keepwell rules new`: a first rule, asked for on a terminal or given by options."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.options import AsJson
from cli.output import console, errors_told, print_json
from cli.rule_files import vocabulary_file
from engine.actions import CHANNELS, PURPOSES
from engine.errors import InvalidInput
from rules.includes import vocabulary_path
from rules.source import parse, read_text
from rules.starter import (
    PATTERNS,
    Idea,
    refuse_id,
    rule_from_idea,
    rule_from_shipped,
    with_rule,
)
from rules.vocabulary import Vocabulary, read_vocabulary
from rules.writing import write_text


def new_command(
    rule_id: Annotated[str, typer.Argument(metavar="ID", help="For example: clinic.win-back.")],
    pack: Annotated[
        Path | None, typer.Option(help="File to add it to; made if it is not there.")
    ] = None,
    example: Annotated[
        str | None, typer.Option("--from", help="Id of a shipped rule to copy.")
    ] = None,
    vocabulary: Annotated[
        str | None, typer.Option(help="For a new file: file or name of the vocabulary.")
    ] = None,
    kind: Annotated[str | None, typer.Option(help=f"One of: {', '.join(PATTERNS)}.")] = None,
    event: Annotated[str | None, typer.Option(help="Event that it is about.")] = None,
    answer: Annotated[str | None, typer.Option(help="For unanswered: the answer.")] = None,
    days: Annotated[int | None, typer.Option(help="Days of silence, or of the window.")] = None,
    times: Annotated[int | None, typer.Option(help="For repeated: how many times.")] = None,
    goal: Annotated[str | None, typer.Option(help="Event that counts as success.")] = None,
    title: Annotated[str | None, typer.Option(help="In a few words.")] = None,
    why: Annotated[str | None, typer.Option(help="Why it helps, in one sentence.")] = None,
    owner: Annotated[str | None, typer.Option(help="Who answers for it.")] = None,
    channel: Annotated[str | None, typer.Option(help=f"One of: {', '.join(CHANNELS)}.")] = None,
    purpose: Annotated[str | None, typer.Option(help=f"One of: {', '.join(PURPOSES)}.")] = None,
    template: Annotated[str | None, typer.Option(help="Folder under content/templates.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write a draft rule with two tests that pass; what is in the file stays as it is."""
    with errors_told():
        refuse_id(rule_id)
        path = pack or Path(f"{rule_id.split('.')[0]}.yaml")
        text = read_text(path) if path.exists() else None
        if example is not None:
            rule, named = rule_from_shipped(rule_id, example)
            known = _vocabulary(path, text, vocabulary or named)
        else:
            known = _vocabulary(path, text, vocabulary)
            ask = _Questions()
            pattern = ask.choice(kind, "What has happened", PATTERNS, "silent")
            about = ask.event(event, "Which event", known)
            reply = ""
            if pattern == "unanswered":
                reply = ask.event(answer, "Which event would be the answer", known)
            success = about if pattern == "silent" else reply
            idea = Idea(
                id=rule_id,
                pattern=pattern,
                event=about,
                answer=reply,
                days=ask.number(days, "How many days", 60 if pattern == "repeated" else 90),
                times=ask.number(times, "How many times", 2) if pattern == "repeated" else 1,
                goal=ask.event(goal, "Which event is a success", known, success),
                title=ask.text(title, "Title", rule_id.split(".")[-1].replace("-", " ")),
                why=ask.text(why, "Why does it help", "To be written."),
                owner=ask.text(owner, "Who answers for it", "owner"),
                channel=ask.choice(channel, "By", dict.fromkeys(CHANNELS, ""), CHANNELS[0]),
                purpose=ask.choice(purpose, "Purpose", dict.fromkeys(PURPOSES, ""), "service"),
                template=ask.text(template, "Template", "common/win-back"),
            )
            rule = rule_from_idea(idea, known)
        write_text(path, with_rule(text, rule, path.name, known))
    if as_json:
        print_json({"rule": rule_id, "file": str(path), "new_file": text is None})
    else:
        console.print(f"{rule_id} is in {path}, as a draft with tests that pass.", markup=False)
        console.print(f"Next: keepwell rules test {path}", markup=False)


def _vocabulary(path: Path, text: str | None, named: str | None) -> Vocabulary:
    """The vocabulary that the file names; for a new file, the one asked for."""
    if text is None:
        return read_vocabulary(vocabulary_file(named))
    top, _ = parse(text, path.name)
    node = top.get("vocabulary")
    if node is None:
        raise InvalidInput(f"{path} names no vocabulary.", hint="vocabulary: common.vocab.yaml")
    return read_vocabulary(vocabulary_path(path, node.text))


class _Questions:
    """Asks on a terminal for what was not given; elsewhere takes the default or says what lacks."""

    def __init__(self) -> None:
        self._person = sys.stdin.isatty()

    def text(self, given: str | None, question: str, default: str) -> str:
        if given is not None or not self._person:
            return given if given is not None else default
        return str(typer.prompt(question, default=default))

    def number(self, given: int | None, question: str, default: int) -> int:
        if given is not None or not self._person:
            return given if given is not None else default
        return int(typer.prompt(question, default=default, type=int))

    def choice(
        self, given: str | None, question: str, allowed: dict[str, str], default: str
    ) -> str:
        if given is None and self._person:
            for name, meaning in allowed.items():
                console.print(f"  {name}  {meaning}".rstrip(), markup=False)
        found = self.text(given, question, default)
        if found not in allowed:
            hint = "Use one of: " + ", ".join(allowed)
            raise InvalidInput(f"'{found}' can't be chosen here.", hint=hint)
        return found

    def event(
        self, given: str | None, question: str, vocabulary: Vocabulary, default: str = ""
    ) -> str:
        if given is not None:
            return given
        if not self._person and default:
            return default
        if not self._person:
            known = ", ".join(list(vocabulary.events)[:8])
            raise InvalidInput(f"{question}? Nothing was said.", hint=f"For example: {known}")
        for name, event in vocabulary.events.items():
            console.print(f"  {name}  {event.label}", markup=False)
        return str(typer.prompt(question, default=default or None))
