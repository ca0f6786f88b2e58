"""Adds a test to a rule in a file's text and leaves every other character as it is."""

from collections.abc import Sequence

from engine.errors import InvalidInput
from rules.commented import Piece, read_commented
from rules.source import parse

_FMT = "Lay the file out first: keepwell rules fmt FILE"


def with_test(text: str, rule_id: str, lines: Sequence[str], file: str) -> str:
    """The text with one more test at the end of a rule's tests.

    `lines` are the test's, from '- name: …' on, without indentation. A rule that was expanded by a
    choice table is found by the id in the file or by that of one of its offers.

    Raises:
        InvalidRules: the text can't be read.
        InvalidInput: it has no such rule, or the tests stand in brackets.
    """
    parse(text, file)
    ends = "\r\n" if "\r\n" in text else "\n"
    plain = text.replace("\r\n", "\n").removeprefix("\ufeff")
    rule = _rule(read_commented(plain), rule_id, file)
    tests = rule.get("tests")
    if rule.in_brackets or (tests is not None and tests.in_brackets and tests.entries):
        raise InvalidInput(f"The tests of {rule_id} stand in brackets.", hint=_FMT)
    if tests is None or not tests.entries:
        if tests is not None:
            raise InvalidInput(f"The tests of {rule_id} are an empty list.", hint=_FMT)
        column, head = rule.column + 2, [" " * rule.column + "tests:"]
        last = rule.entries[-1].end
    else:
        column, head, last = tests.column, [], tests.entries[-1].end
    at = plain.find("\n", max(last - 1, 0))
    at = len(plain) if at < 0 else at
    added = "\n".join([*head, *(" " * column + line for line in lines)])
    return f"{plain[:at]}\n{added}{plain[at:] or chr(10)}".replace("\n", ends)


def _rule(top: Piece, rule_id: str, file: str) -> Piece:
    rules = top.get("rules")
    for entry in rules.entries if rules is not None else ():
        name = entry.value.get("id")
        if name is not None and name.text in {rule_id, rule_id.partition("/")[0]}:
            return entry.value
    raise InvalidInput(f"{file} has no rule '{rule_id}'.")
