"""Every code of a finding is told with an example that has it and one that has not."""

import re
from pathlib import Path

import pytest

import rules
from engine.errors import Finding, InvalidRules
from rules.check import check
from rules.codes import CODES, Code
from rules.loader import load_rules
from rules.vocabulary import load_vocabulary

SOURCES = Path(rules.__file__).parent
# Told by the analysis of conflicts and coverage, over more than one piece of a rule, and of data.
OF_DATA = {"D401", "D402", "D403", "D404", "D405"}
ELSEWHERE = {"L302", "L303", "L309", "L311", "L312", "L320", "L322", *OF_DATA}

MESSAGES = {
    "E001": "the file is larger than 256 KB",
    "E002": "this line has a tab",
    "E003": "this line has an invisible character (U+200B)",
    "E004": "the layout can't be read here: a colon where none may be; put the text in quotes",
    "E005": "anchors (&name) are not used here",
    "E006": '"title" is already set on line ',
    "E007": "this is nested too deeply",
    "E008": "the file has to start with settings such as: format: 1",
    "E010": 'a rule has no setting "titel"',
    "E011": "an unless needs a because, for staff",
    "E012": "title is a text",
    "E013": 'the id "back" is already used on line 5',
    "E014": '"Back Soon!" is no name for a rule',
    "E101": '"contact.age" does not start a condition',
    "E102": 'the field "contact.agee" is not in the vocabulary',
    "E103": '"within_next" can\'t be used with contact.age, which is a number',
    "E104": '"any" can\'t stand inside "any"',
    "E105": '"count" needs a period',
    "E106": "this condition compares with nothing",
    "E107": '"visit" is several events; name one',
    "E108": "contract.ends_on is about a contract, this rule is not",
    "E110": '"five" is not a number',
    "E111": "500 is outside 0 to 130, the range of contact.age",
    "E112": '"alive" is not allowed for status',
    "E113": '"perhaps" is neither yes nor no',
    "E114": '"10 March 1980" is not a date written like 2026-03-19',
    "E115": '"0.00000000001" is larger or finer than can be told',
    "E120": '"a month" is not a length of time',
    "E121": "this length is counted in days or weeks",
    "E122": '"31 Feb" is not a day of the year',
    "E123": "a value has whole cents and a currency",
    "E124": '"10-18" is not a time of day',
    "E125": '"appointment.booked soon" is not an event and a time',
    "E126": '"no appointment.booked" is no fact to check again',
    "E130": "this rule has 49 alternatives, at most 48 are possible",
    "E141": 'the group "visit" contains itself',
    "E142": 'the field "contact.age" is said differently in common.vocab.yaml',
    "E143": 'there is no file "comon.vocab.yaml"',
    "E144": "rows 1 and 2 can both hold, and hit is only",
    "E145": "this row has 1 cells, not one per column and the offer",
    "E146": 'which-offer gives "single", which is not among the offers',
    "E201": '"2026-03-10" is not a date written like 2026-03-19 10:00',
    "E202": '"appointment.kept last week" is not a time and an event',
    "E204": '"because" names the reason for being quiet',
    "E205": "this rule makes no offers",
    "E206": "contract.ends_on is a field of the contract",
    "L301": "my.rule can never apply",
    "L304": "my.rule counts over 60 days but rests only 30",
    "L305": "my.rule has no test with expect: fires or quiet",
    "L306": "my.rule has no owner",
    "L307": "my.rule applies to every contact, always",
    "L308": "my.rule is checked on message.sent",
    "L310": "my.rule has",
    "L314": "never holds when the rule applies",
    "L330": "an allow says why, for whoever reads the rule next",
}

VOCABULARY = """
format: 1
subjects:
  contract: {label: contract, opened_by: [contract.renewed]}
events:
  appointment.booked: {label: booked}
  appointment.kept: {label: kept}
  appointment.no_show: {label: missed}
  job.done: {label: job done}
  message.sent: {label: message}
  contract.renewed: {label: renewed}
  visit: {label: visit, of: [appointment.kept, job.done]}
fields:
  contact.age: {type: number, from: 0, to: 130, label: age}
  contact.vip: {type: flag, label: vip}
  contact.note: {type: text, label: note}
  contact.plan: {type: text, one_of: [family, solo], label: plan}
  contact.birth_date: {type: date, label: birthday}
  visits: {type: number, label: visits, source: {kind: count, types: [visit]}}
  contract.ends_on: {type: date, about: contract, label: end, source: {property: ends_on}}
"""
TABLE = """choose:
  - id: which-offer
    columns: [contact.plan]
    rows:
      - [family, family]
      - [any, single]
"""
RULE = {
    "id": "id: my.rule",
    "title": "title: A rule",
    "why": "why: It has a reason.",
    "owner": "owner: front-desk",
    "status": "status: live",
    "cooldown": "cooldown: 90 days",
    "when": "when:\n  - {field: contact.age, at_least: 18}",
    "then": "",
    "tests": "",
}
THEN = {
    "action": "action: write",
    "template": "template: healthcare/write",
    "purpose": "purpose: service",
    "by": "by: [email]",
    "value": "value: 10.00 USD",
    "cost": "cost: {email: 0.01}",
    "expect": "expect: {if_contacted: 0.2, if_left: 0.1, weight: 20}",
    "goal": "goal: appointment.booked within 14 days",
}
TEST = {"name": "name: a test", "today": "today: 2026-03-10 10:00", "expect": "expect: fires"}
QUIET = "\n  - {name: quiet, today: 2026-03-10 10:00, expect: quiet}"


def settings(text: str) -> dict[str, str]:
    """The settings of a piece by name; what is indented belongs to the one above."""
    found: dict[str, str] = {}
    for block in re.split(r"\n(?=[^ \n])", text):
        name = re.match(r"#|[^:\n]*", block)[0].strip()
        found[name + " " * (name in found)] = block
    return found


def indented(text: str, by: int) -> str:
    return "\n".join(" " * by + line for line in text.split("\n"))


def a_file(piece: str, where: str) -> str:
    """A file that is right but for the piece."""
    if where == "file":
        return piece
    said = settings(piece) if where in {"rule", "then", "test"} else {}
    rule = RULE | {"then": then_of(said if where == "then" else {})}
    rule["tests"] = examples_of(said if where == "test" else {}, offers="choose:" in rule["then"])
    if where == "when":
        rule["when"] = "when:\n" + indented(piece, 2)
    if where == "rule":
        rule = changed(rule, said)
    body = indented("\n".join(text for text in rule.values() if text), 4)
    comment = f"  {said['#']}\n" if "#" in said else ""
    head = piece + "\n" if where == "top" else TABLE
    top = f"format: 1\npack: my\nvocabulary: v.yaml\n{head}rules:\n{comment}"
    return f"{top}  -{body[3:]}\n"


def then_of(said: dict[str, str]) -> str:
    then = THEN | said
    if "choose" in then:
        del then["action"]
    return "then:\n" + indented("\n".join(then.values()), 2)


def examples_of(said: dict[str, str], *, offers: bool) -> str:
    item = indented("\n".join((TEST | said).values()), 4)
    return "tests: []" if offers else "tests:\n  -" + item[3:] + QUIET


def changed(rule: dict[str, str], said: dict[str, str]) -> dict[str, str]:
    """The rule with the settings said; one that is misspelt or left out is not there."""
    left_out = {"titel": "title", "status": "owner"}
    gone = {left_out[name] for name in said if name in left_out}
    return {n: t for n, t in rule.items() if n not in gone} | {
        n: t for n, t in said.items() if n != "#"
    }


def found_in(code: str, piece: str, where: str) -> list[Finding]:
    try:
        if where == "vocabulary":
            text = "format: 1\n" + piece
            text += "events: {}\n" if "include" in piece and "events" not in piece else ""
            text += "" if "events:" in text else "events: {}\n"
            load_vocabulary(text, "v.yaml")
            return []
        text = a_file(piece, where)
        if code == "E001" and piece == CODES[code].wrong:
            text = "#" * 300_000
        return list(check(load_rules(text, "f.yaml", load_vocabulary(VOCABULARY, "v.yaml"))))
    except InvalidRules as error:
        return list(error.findings)


@pytest.mark.parametrize("code", sorted(MESSAGES))
def test_the_wrong_example_of_a_code_has_it_and_says_so(code) -> None:
    known: Code = CODES[code]
    messages = [f.message for f in found_in(code, known.wrong, known.where) if f.code == code]
    assert messages
    assert any(MESSAGES[code] in message for message in messages), messages


@pytest.mark.parametrize("code", sorted(MESSAGES))
def test_the_right_example_of_a_code_has_it_not(code) -> None:
    known: Code = CODES[code]
    found = found_in(code, known.right, known.where)
    assert code not in [finding.code for finding in found]
    if code not in {"E005", "E002"}:
        errors = [f for f in found if f.severity == "error" and f.code not in {"E205"}]
        assert [f"{f.code} {f.message}" for f in errors] == []


def test_the_table_has_exactly_the_codes_that_are_given() -> None:
    given = {
        code
        for path in SOURCES.glob("*.py")
        if path.name != "codes.py"
        for code in re.findall(r'"([EL]\d{3})"', path.read_text(encoding="utf-8"))
    }
    assert set(CODES) - OF_DATA == given
    assert set(MESSAGES) | ELSEWHERE == set(CODES)


def test_a_title_is_a_sentence() -> None:
    assert [
        c.title for c in CODES.values() if not c.title.endswith(".") or len(c.title) > 100
    ] == []
