"""Every code of a finding: what it means, a piece of a file that has it, and the piece mended.

`where` says what the pieces are: a whole file, settings at its top, a list of conditions, settings
of a rule, of its `then`, of a test of it, or a vocabulary.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Where = Literal["file", "top", "rule", "when", "then", "test", "vocabulary"]


@dataclass(frozen=True, slots=True)
class Code:
    """One code, e.g. E102.

    Attributes:
        title: the fault in general.
        wrong, right: pieces of a file.
        where: what they are pieces of.
    """

    title: str
    wrong: str
    right: str
    where: Where = "rule"


_FILE = "format: 1\npack: my-rules\nvocabulary: my.vocab.yaml\nrules: []\n"
_FIELDS = "fields:\n  contact.age: {type: number, label: age}\n"

CODES: Mapping[str, Code] = {
    # ------------------------------------------------------------- the file as text
    "E001": Code("The file can't be read.", "# a file of more than 256 KB", _FILE, "file"),
    "E002": Code("A tab; lines are indented with spaces.", "title:\tBack soon", "title: Back soon"),
    "E003": Code(
        "An invisible character, often pasted from a web page.",
        "title: Back\u200b soon",
        "title: Back soon",
    ),
    "E004": Code(
        "The layout can't be read: a colon, quote, bracket or indentation is out of place.",
        "title: Note: back soon",
        'title: "Note: back soon"',
    ),
    "E005": Code(
        "A part of YAML that is not used here: anchors, references, tags, a second document.",
        "title: &name Back soon",
        "title: Back soon",
    ),
    "E006": Code(
        "The same setting twice.",
        "title: Back soon\ntitle: Come back",
        "title: Back soon",
    ),
    "E007": Code(
        "The file is too large or nested too deeply.",
        "title: " + "[" * 20 + "]" * 20,
        "title: Back soon",
    ),
    "E008": Code("The file says nothing.", "# only a comment", _FILE, "file"),
    # ------------------------------------------------------------- its settings
    "E010": Code("A setting that is not known here.", "titel: Back soon", "title: Back soon"),
    "E011": Code(
        "A setting that is needed is not there.",
        "unless:\n  - {field: contact.vip, is: yes}",
        "unless:\n  - {field: contact.vip, is: yes, because: the owner calls}",
    ),
    "E012": Code(
        "A text, a list or a group of settings stands where another of them belongs.",
        "title: [Back soon]",
        "title: Back soon",
    ),
    "E013": Code(
        "Two things share a name.",
        _FILE.replace("[]", "\n- {id: back}\n- {id: back}"),
        _FILE,
        "file",
    ),
    "E014": Code("This can't be a name.", "id: Back Soon!", "id: clinic.back-soon"),
    # ------------------------------------------------------------- conditions
    "E101": Code(
        "A condition starts with field, count, none, last, first, sum or rate.",
        "- contact.age: 5",
        "- field: contact.age\n  at_least: 5",
        "when",
    ),
    "E102": Code(
        "The vocabulary does not have this name.",
        "- field: contact.agee\n  at_least: 5",
        "- field: contact.age\n  at_least: 5",
        "when",
    ),
    "E103": Code(
        "Two words that do not go together.",
        "- field: contact.age\n  within_next: 5 days",
        "- field: contact.age\n  at_least: 5",
        "when",
    ),
    "E104": Code(
        'An "any" inside an "any".',
        "- any:\n    - any: [{field: contact.age, is: 5}]\n    - {field: contact.age, is: 6}",
        "- any:\n    - {field: contact.age, is: 5}\n    - {field: contact.age, is: 6}",
        "when",
    ),
    "E105": Code(
        "A word that needs another one beside it.",
        "- count: appointment.no_show\n  at_least: 2",
        "- count: appointment.no_show\n  in_last: 60 days\n  at_least: 2",
        "when",
    ),
    "E106": Code(
        "This says nothing.",
        "- field: contact.age",
        "- field: contact.age\n  at_least: 5",
        "when",
    ),
    "E107": Code(
        "One event is asked for, this name stands for several.",
        "- none: appointment.booked\n  since_last: visit",
        "- none: appointment.booked\n  since_last: appointment.kept",
        "when",
    ),
    "E108": Code(
        "This is about another kind of thing than the rule.",
        "- field: contract.ends_on\n  within_next: 30 days",
        "- count: contract.renewed\n  in_last: 30 days\n  at_least: 1",
        "when",
    ),
    # ------------------------------------------------------------- values
    "E110": Code(
        "Not a number.",
        "- field: contact.age\n  at_least: five",
        "- field: contact.age\n  at_least: 5",
        "when",
    ),
    "E111": Code(
        "Outside the range.",
        "- field: contact.age\n  at_least: 500",
        "- field: contact.age\n  at_least: 50",
        "when",
    ),
    "E112": Code("Not one of the words that fit here.", "status: alive", "status: live"),
    "E113": Code(
        "Yes or no is meant.",
        "- field: contact.vip\n  is: perhaps",
        "- field: contact.vip\n  is: yes",
        "when",
    ),
    "E114": Code(
        "Not a date.",
        "today: 2026-03-10 10:00\ncontact: {contact.birth_date: 10 March 1980}",
        "today: 2026-03-10 10:00\ncontact: {contact.birth_date: 1980-03-10}",
        "test",
    ),
    "E115": Code(
        "A number larger or finer than can be told apart.",
        "- field: visits\n  at_least: 0.00000000001",
        "- field: visits\n  at_least: 0.001",
        "when",
    ),
    "E120": Code("Not a length of time.", "cooldown: a month", "cooldown: 30 days"),
    "E121": Code("Days are counted here, not months.", "cooldown: 1 month", "cooldown: 30 days"),
    "E122": Code(
        "Not a day of the year.",
        "season: {from: 31 Feb, to: 31 Oct}",
        "season: {from: 28 Feb, to: 31 Oct}",
    ),
    "E123": Code("Not an amount of money.", "value: 120", "value: 120.00 USD", "then"),
    "E124": Code("Not a time of day.", "send_between: 10-18", "send_between: 10:00-18:00"),
    "E125": Code(
        "A goal is an event and a time.",
        "goal: appointment.booked soon",
        "goal: appointment.booked within 14 days",
        "then",
    ),
    "E126": Code(
        'A fact to check again is "none" and an event.',
        "still: [no appointment.booked]",
        "still: [none appointment.booked]",
        "then",
    ),
    "E130": Code(
        "A rule with more than 48 alternatives: split it into several.",
        f"- field: contact.note\n  is_one_of: [{', '.join(f'n{n}' for n in range(49))}]",
        "- field: contact.note\n  is_one_of: [n1, n2]",
        "when",
    ),
    # ------------------------------------------------------------- files and tables together
    "E141": Code(
        "A file or a group that contains itself.",
        "events:\n  visit: {label: visit, of: [visit]}\n" + _FIELDS,
        "events:\n  kept: {label: kept}\n  visit: {label: visit, of: [kept]}\n" + _FIELDS,
        "vocabulary",
    ),
    "E142": Code(
        "Two files say one name differently.",
        "include: [common.vocab.yaml]\nfields:\n  contact.age: {type: text, label: years}\n",
        "include: [common.vocab.yaml]\nfields:\n  contact.years: {type: text, label: years}\n",
        "vocabulary",
    ),
    "E143": Code(
        "A file to include is not there.",
        "include: [comon.vocab.yaml]\n" + _FIELDS,
        "include: [common.vocab.yaml]\n",
        "vocabulary",
    ),
    "E144": Code(
        "Two rows of a table with hit: only can both hold.",
        "choose:\n  - id: offer\n    hit: only\n    columns: [contact.age]\n"
        "    rows:\n      - [20 or more, big]\n      - [at most 20, small]",
        "choose:\n  - id: offer\n    hit: only\n    columns: [contact.age]\n"
        "    rows:\n      - [21 or more, big]\n      - [at most 20, small]",
        "top",
    ),
    "E145": Code(
        "A row or a cell of a table can't be read.",
        "choose:\n  - id: offer\n    columns: [contact.age]\n    rows:\n      - [big]",
        "choose:\n  - id: offer\n    columns: [contact.age]\n    rows:\n      - [any, big]",
        "top",
    ),
    "E146": Code(
        "The offers of a rule and the rows of its table do not match.",
        "choose: which-offer\noffers: {family: {}}",
        "choose: which-offer\noffers: {family: {}, single: {}}",
        "then",
    ),
    # ------------------------------------------------------------- tests in the file
    "E201": Code("Not a moment.", "today: 2026-03-10", "today: 2026-03-10 10:00", "test"),
    "E202": Code(
        "Not an event of a test.",
        "events: [appointment.kept last week]",
        "events: [2026-03-03 10:00 appointment.kept]",
        "test",
    ),
    "E204": Code(
        "A reason for being quiet in a test that fires.",
        "expect: fires\nbecause: field contact.age",
        "expect: quiet\nbecause: field contact.age",
        "test",
    ),
    "E205": Code(
        "The test of a rule with offers names one of them; another test names none.",
        "offer: family",
        "expect: quiet",
        "test",
    ),
    "E206": Code(
        "A field of the contact under subject, or the other way round.",
        "contact: {contract.ends_on: 2026-10-01}",
        "contact: {contact.age: 40}",
        "test",
    ),
    # ------------------------------------------------------------- meaning
    "L301": Code(
        "The rule can never apply.",
        "- field: contact.age\n  more_than: 60\n  less_than: 50",
        "- field: contact.age\n  more_than: 50\n  less_than: 60",
        "when",
    ),
    "L302": Code(
        "Two rules mean and propose the same.",
        "- id: first-rule\n- id: the-same-again",
        "- id: first-rule",
        "file",
    ),
    "L303": Code(
        "A rule applies only where another one of the same channel, purpose and priority does.",
        "priority: 50",
        "priority: 60",
        "then",
    ),
    "L304": Code(
        "The rule rests for less long than it counts: the same events fire it twice.",
        "cooldown: 30 days\nwhen:\n  - count: appointment.no_show\n"
        "    in_last: 60 days\n    at_least: 2",
        "cooldown: 60 days\nwhen:\n  - count: appointment.no_show\n"
        "    in_last: 60 days\n    at_least: 2",
    ),
    "L305": Code(
        "A live or shadow rule without a test that fires, or without one that is quiet.",
        "tests: []",
        "tests:\n  - {name: adult, today: 2026-03-10 10:00, contact: {contact.age: 40},"
        " expect: fires}\n  - {name: child, today: 2026-03-10 10:00,"
        " contact: {contact.age: 4}, expect: quiet}",
    ),
    "L306": Code(
        "A live or shadow rule without an owner.",
        "status: live",
        "status: live\nowner: front-desk",
    ),
    "L307": Code(
        "The rule applies to every contact, always.",
        "- count: appointment.no_show\n  in_last: 60 days\n  at_least: 0",
        "- count: appointment.no_show\n  in_last: 60 days\n  at_least: 1",
        "when",
    ),
    "L308": Code(
        "The rule sets itself off: it is checked on an event that its own message brings about.",
        "check: [on message.sent]",
        "check: [nightly]",
    ),
    "L309": Code(
        "Two rules may reach for the same channel at the same time with the same priority.",
        "priority: 50",
        "priority: 60",
        "then",
    ),
    "L310": Code(
        "In some years no day of the season is one of the rule's weekdays.",
        "season: {from: 1 May, to: 3 May}\non_days: [Mon]",
        "season: {from: 1 May, to: 31 May}\non_days: [Mon]",
    ),
    "L311": Code(
        "A row of a choice table that is never reached.",
        "- [any, single]\n- [family, family]",
        "- [family, family]\n- [any, single]",
        "file",
    ),
    "L312": Code(
        "Contacts of the rule for whom no row of its choice table holds.",
        "- [family, family]",
        "- [family, family]\n- [any, single]",
        "file",
    ),
    "L314": Code(
        "An unless that never holds when the rule applies.",
        "when:\n  - {field: contact.age, at_least: 60}\nunless:\n"
        "  - {field: contact.age, less_than: 18, because: parents are asked}",
        "when:\n  - {field: contact.age, at_least: 60}\nunless:\n"
        "  - {field: contact.vip, is: yes, because: the owner calls}",
    ),
    "L320": Code(
        "A condition that no test has seen hold, or not hold.",
        "tests: []",
        "tests: one where it holds and one where it does not",
    ),
    "L322": Code(
        "A boundary that no test comes near on one side.",
        "tests: []",
        "tests: one just inside the boundary and one just outside",
    ),
    "L330": Code(
        "An allow without a reason, or of a warning that does not exist.",
        "# allow L304",
        "# allow L304: two clinics share the rule",
    ),
    # ------------------------------------------------------------- the tenant's data
    "D401": Code(
        "A field that has no value for anybody.",
        "- {field: contact.age, at_least: 60}",
        "- {field: contact.age, missing: yes}",
        "when",
    ),
    "D402": Code(
        "An event that has never been seen.",
        "- {count: visit, in_last: 30 days, at_least: 1}",
        "- {count: appointment.kept, in_last: 30 days, at_least: 1}",
        "when",
    ),
    "D403": Code(
        "A value that the rule asks for and nobody has.",
        "- {field: contact.status, is: moved}",
        "- {field: contact.status, is: lapsed}",
        "when",
    ),
    "D404": Code(
        "A value that contacts have and the vocabulary does not list.",
        "contact.status: {type: text, one_of: [active], label: status}",
        "contact.status: {type: text, one_of: [active, Active], label: status}",
        "vocabulary",
    ),
    "D405": Code(
        "The rule would begin with a large part of all contacts at once.",
        "- {last: visit, at_least_ago: 30 days}",
        "- {last: visit, at_least_ago: 30 days, at_most_ago: 60 days}",
        "when",
    ),
}
