"""The schema for editors accepts what the reader accepts and refuses what it refuses."""

import re
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

import rules
from engine.errors import InvalidRules
from rules.condition_schema import field_words
from rules.conditions import WORDS_BY_KIND, WORDS_BY_TYPE
from rules.json_schema import rules_schema
from rules.loader import load_rules
from rules.vocabulary import Vocabulary, load_vocabulary, read_vocabulary
from rules.vocabulary_schema import vocabulary_schema

PACKS = Path(rules.__file__).parent / "packs"
RULE_FILES = sorted(p for p in PACKS.rglob("*.yaml") if not p.name.endswith(".vocab.yaml"))
VOCABULARIES = sorted(PACKS.rglob("*.vocab.yaml"))


class AsEditorsRead(yaml.SafeLoader):
    """YAML 1.2 with its core schema: `yes` and dates are texts, `true` and 1.5 are not."""


AsEditorsRead.yaml_implicit_resolvers = {}
for tag, pattern, first in (
    ("bool", r"true|false", "tf"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)", "-+.0123456789"),
    ("null", r"null|~|", ["n", "~", ""]),
):
    AsEditorsRead.add_implicit_resolver(
        f"tag:yaml.org,2002:{tag}", re.compile(rf"(?:{pattern})\Z"), list(first)
    )


def as_editors_read(text: str) -> object:
    return yaml.load(text, Loader=AsEditorsRead)


def problems(text: str, schema: dict) -> list[str]:
    validator = Draft202012Validator(schema)
    return [
        f"{'/'.join(map(str, e.absolute_path))}: {e.message[:200]}"
        for e in validator.iter_errors(as_editors_read(text))
    ]


def vocabulary_of(path: Path) -> Vocabulary:
    name = as_editors_read(path.read_text())["vocabulary"]
    return read_vocabulary(next(p for p in VOCABULARIES if p.name == name))


@pytest.mark.parametrize("path", RULE_FILES, ids=lambda path: path.stem)
def test_every_shipped_pack_is_valid_for_an_editor(path) -> None:
    assert problems(path.read_text(), rules_schema(vocabulary_of(path))) == []


@pytest.mark.parametrize("path", VOCABULARIES, ids=lambda path: path.name)
def test_every_shipped_vocabulary_is_valid_for_an_editor(path) -> None:
    assert problems(path.read_text(), vocabulary_schema()) == []
    assert problems(path.read_text(), vocabulary_schema(read_vocabulary(path))) == []


VOCABULARY = """\
format: 1
subjects:
  contract: {label: contract, opened_by: [contract.started], closed_by: [contract.ended]}
events:
  contract.started: {label: contract started, about: contract}
  contract.ended: {label: contract ended, about: contract}
  visit.made: {label: visit}
  visit.missed: {label: missed visit}
  visit: {label: visit made or missed, of: [visit.made, visit.missed]}
  survey.answered: {label: survey answered, value: {label: score, from: 0, to: 10}}
fields:
  contact.age: {type: number, unit: years, from: 0, to: 130, label: age}
  contact.plan: {type: text, one_of: [family, single], label: plan}
  contact.city: {type: text, label: city}
  contact.tags: {type: list, label: tags}
  contact.birth_date: {type: date, label: birthday, sensitive: personal}
  consent.email.marketing: {type: flag, label: may get marketing e-mail}
  contract.ends_on: {type: date, about: contract, label: ends on, source: {property: ends_on}}
  visits: {type: number, label: visits, source: {kind: count, types: [visit], in_last: 90 days}}
"""

RULES = """\
format: 1
pack: example
vocabulary: example.vocab.yaml
defaults: {status: live, owner: office, cooldown: 30 days}
choose:
  - id: which
    hit: only
    columns: [contact.plan, count visit in 60 days]
    rows:
      - [family, 2 or more, family]
      - [single, any, single]
rules:
  - id: example.one
    title: Every kind of condition
    why: To have seen it.
    check: [on visit.missed, nightly]
    season: {from: 15 Aug, to: 31 Oct}
    on_days: [Mon, Tue]
    holidays: quiet
    when:
      - field: contact.age
        at_least: 18
      - field: contact.plan
        is_one_of: [family, single]
      - field: contact.city
        is_none_of: [Oslo, Bergen]
      - field: contact.tags
        has: vip
      - field: contact.birth_date
        anniversary_within_next: 7 days
      - field: consent.email.marketing
        is: yes
      - count: visit
        in_last: 60 days
        at_least: 1
      - none: visit.made
        since_last: visit.missed
        for_at_least: 2 weeks
      - last: survey.answered
        at_most_ago: 6 months
        value_at_least: 9
      - first: visit
        at_least_ago: 1 year
      - sum: visit.made
        in_last: 365 days
        more_than: 500.00 USD
      - rate: visit.missed
        of: visit
        in_last: 365 days
        at_most: 0.5
      - any:
          - field: contact.age
            missing: yes
          - count: visit
            in_last: 3 days
            is: 1
    unless:
      - field: contact.plan
        missing: yes
        because: we do not know what to say
    then:
      action: one
      template: common/win-back
      purpose: marketing
      by: [email, sms]
      value: 60.00 USD
      cost: {email: 0.01, sms: 0.02 USD}
      expect: {if_contacted: 0.2, if_left: 0.1, weight: 20}
      goal: visit.made within 30 days
      still: [none visit.made]
      priority: 40
      approval: yes
    send_between: 09:00-18:00
    tests:
      - name: grown up
        today: 2026-03-12 10:00
        contact: {contact.age: 30, contact.tags: [vip], contact.birth_date: 1990-01-01}
        events: [2026-03-01 10:00 survey.answered scored 9 about survey:1]
        expect: quiet
        because: season
  - id: example.two
    title: About a contract
    why: To have seen it.
    for_each: contract
    when:
      - field: contract.ends_on
        within_next: 45 days
    then: {action: two, template: common/win-back, purpose: service, by: [email],
      value: 60.00 USD, cost: {email: 0.01}, goal: visit.made within 30 days,
      expect: {if_contacted: 0.2, if_left: 0.1, weight: 20}}
    tests:
      - name: ends soon
        today: 2026-03-12 10:00
        subject: {contract.ends_on: 2026-04-01}
        events: [2025-04-01 10:00 contract.started about contract:1]
        expect: fires
  - id: example.three
    title: Chooses
    why: To have seen it.
    when:
      - field: contact.age
        present: yes
    then:
      choose: which
      purpose: service
      by: [email]
      value: 60.00 USD
      cost: {email: 0.01}
      expect: {if_contacted: 0.2, if_left: 0.1, weight: 20}
      goal: visit.made within 30 days
      offers:
        family: {action: family, template: common/win-back}
        single: {action: single, template: common/win-back, priority: 20}
    tests:
      - name: alone
        today: 2026-03-12 10:00
        contact: {contact.age: 40, contact.plan: single}
        offer: single
        expect: fires
"""

MUTATIONS = {
    "a format of the future": ("format: 1", "format: 2"),
    "a misspelt setting": ("    title: Every", "    titel: Every"),
    "no reason for the rule": ("    why: To have seen it.\n    check", "    check"),
    "an unknown status": ("status: live", "status: on"),
    "an unknown event": ("on visit.missed", "on visit.mised"),
    "a day that is none": ("15 Aug", "15 August"),
    "an unknown weekday": ("[Mon, Tue]", "[Monday]"),
    "holidays said loudly": ("holidays: quiet", "holidays: loud"),
    "an unknown field": ("age\n        at_least", "aeg\n        at_least"),
    "an age beyond its range": ("at_least: 18", "at_least: 180"),
    "a text for a number": ("at_least: 18", "at_least: many"),
    "a word for another type": ("at_least: 18", "has: 18"),
    "a value that is not allowed": ("[family, single]\n      - field: contact.city",
                                    "[family, double]\n      - field: contact.city"),
    "a flag with a number": ("is: yes\n", "is: 3\n"),
    "a number as a length": ("in_last: 60 days", "in_last: 60"),
    "months where days are counted": ("in_last: 60 days", "in_last: 2 months"),
    "a count without a period": ("        in_last: 60 days\n        at_least: 1\n",
                                 "        at_least: 1\n"),
    "a count of less than none": ("        at_least: 1\n", "        at_least: -1\n"),
    "a group of events as an anchor": ("since_last: visit.missed", "since_last: visit"),
    "since what is not said": ("        since_last: visit.missed\n", "        in_last: 9 days\n"),
    "a score of an event without one": ("last: survey.answered", "last: visit.made"),
    "money without a currency": ("500.00 USD", "500.00"),
    "a rate above one": ("at_most: 0.5", "at_most: 5"),
    "a rate of nothing": ("        of: visit\n", ""),
    "any inside any": ("          - field: contact.age\n            missing: yes\n",
                       "          - any: []\n"),
    "missing said with no": ("            missing: yes", "            missing: no"),
    "an unless without a reason": ("        because: we do not know what to say\n", ""),
    "an unknown purpose": ("purpose: marketing", "purpose: fun"),
    "an unknown channel": ("by: [email, sms]", "by: [pigeon]"),
    "a share above one": ("if_left: 0.1", "if_left: 1.1"),
    "a goal without a time": ("goal: visit.made within 30 days\n", "goal: visit.made\n"),
    "a fact that is no fact": ("[none visit.made]", "[some visit.made]"),
    "a time that is none": ("09:00-18:00", "9 to 5"),
    "an unknown kind of subject": ("for_each: contract", "for_each: boat"),
    "a test that expects nothing": ("        expect: fires\n", ""),
    "an event without a time": ("2025-04-01 10:00", "2025-04-01"),
    "a field of the subject under contact": ("subject: {", "contact: {"),
    "an unknown way of choosing": ("hit: only", "hit: best"),
    "a choice without offers": ("      offers:\n", "      offer:\n"),
    "an offer with an unknown setting": ("priority: 20}", "prio: 20}"),
    "a proposal without a price": ("cost: {email: 0.01}, ", ""),
}  # fmt: skip


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return load_vocabulary(VOCABULARY, "example.vocab.yaml")


def test_the_schemas_are_themselves_valid(vocabulary) -> None:
    for schema in (rules_schema(vocabulary), vocabulary_schema(vocabulary), vocabulary_schema()):
        Draft202012Validator.check_schema(schema)


def test_every_construct_is_valid_for_reader_and_editor(vocabulary) -> None:
    load_rules(RULES, "example.yaml", vocabulary)
    assert problems(RULES, rules_schema(vocabulary)) == []
    assert problems(VOCABULARY, vocabulary_schema(vocabulary)) == []


@pytest.mark.parametrize("name", MUTATIONS)
def test_what_the_reader_refuses_the_editor_refuses(vocabulary, name) -> None:
    old, new = MUTATIONS[name]
    text = RULES.replace(old, new, 1)
    assert text != RULES
    with pytest.raises(InvalidRules):
        load_rules(text, "example.yaml", vocabulary)
    assert problems(text, rules_schema(vocabulary)) != []


VOCABULARY_MUTATIONS = {
    "an unknown type": ("{type: flag", "{type: bool"),
    "a field without a label": ("{type: text, label: city}", "{type: text}"),
    "a range of a text": ("{type: text, label: city}", "{type: text, from: 1, label: city}"),
    "allowed values of a number": ("{type: number, unit: years", "{type: number, one_of: [a]"),
    "an unknown sensitivity": ("sensitive: personal", "sensitive: secret"),
    "an unknown computation": ("kind: count", "kind: guess"),
    "a setting of another computation": (
        "in_last: 90 days",
        "closed_by: [visit.made]",
    ),
    "an unknown event": ("types: [visit]", "types: [vist]"),
    "a name with capitals": ("contact.city:", "Contact.City:"),
    "a subject that nothing opens": ("opened_by: [contract.started], ", ""),
}


@pytest.mark.parametrize("name", VOCABULARY_MUTATIONS)
def test_what_the_vocabulary_reader_refuses_the_editor_refuses(vocabulary, name) -> None:
    old, new = VOCABULARY_MUTATIONS[name]
    text = VOCABULARY.replace(old, new, 1)
    assert text != VOCABULARY
    with pytest.raises(InvalidRules):
        load_vocabulary(text, "example.vocab.yaml")
    assert problems(text, vocabulary_schema(vocabulary)) != []


def test_the_editor_offers_the_words_that_the_reader_knows(vocabulary) -> None:
    for field in vocabulary.fields.values():
        assert set(field_words(field)) == set(WORDS_BY_TYPE[field.type])
    offered: dict[str, set[str]] = {}
    for branch in rules_schema(vocabulary)["$defs"]["when"]["items"]["anyOf"]:
        kind = branch["required"][0]
        offered.setdefault(kind, set()).update(branch["properties"].keys() - {kind})
    for kind, words in WORDS_BY_KIND.items():
        assert offered[kind] == set(words)


def test_an_editor_is_told_what_a_name_means(vocabulary) -> None:
    schema = rules_schema(vocabulary)
    offered = [
        name
        for branch in schema["$defs"]["when"]["items"]["anyOf"]
        for name in branch["properties"].get("field", {}).get("anyOf", ())
    ]
    assert {"const": "contact.age", "description": "age (years)"} in offered
    assert len(offered) == len(vocabulary.fields)
