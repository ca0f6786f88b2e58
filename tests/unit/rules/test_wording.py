"""Conditions read as a person would say them."""

from datetime import datetime

import pytest

from rules.document import PastEvent, Season
from rules.loader import load_rules
from rules.reading import Length, Money
from rules.vocabulary import load_vocabulary
from rules.wording import (
    clock_words,
    condition_words,
    field_value_words,
    length_words,
    money_words,
    number_words,
    past_event_words,
    season_words,
    value_words,
    weekday_words,
)

VOCABULARY = load_vocabulary(
    """\
format: 1
subjects:
  contract: {label: contract, opened_by: [contract.started], closed_by: [contract.ended]}
events:
  contract.started: {label: contract, about: contract}
  contract.ended: {label: contract ended, about: contract}
  contract.visited: {label: maintenance visit, about: contract}
  missed: {label: missed appointment}
  booked: {label: new booking}
  survey: {label: survey answered, value: {label: score, from: 0, to: 10}}
fields:
  contact.age: {type: number, unit: years, label: age}
  due_in: {type: number, unit: days, label: days until the next booking}
  spend: {type: number, unit: cents, label: spend in a year}
  risk: {type: number, unit: share, from: 0, to: 1, label: risk of leaving}
  plan: {type: text, label: plan}
  tags: {type: list, label: tags}
  birthday: {type: date, label: birthday}
  allowed: {type: flag, label: may get marketing e-mail}
  ends_on: {type: date, about: contract, label: contract ends on, source: {property: ends_on}}
""",
    "words.vocab.yaml",
)

CASES = [
    ("- {count: missed, in_last: 60 days, at_least: 2}",
     "missed appointment in the last 60 days: at least 2"),
    ("- {none: booked, since_last: missed, for_at_least: 1 day}",
     "no new booking since the last missed appointment, which is at least 1 day ago"),
    ("- {none: booked, in_last: 30 days}", "no new booking in the last 30 days"),
    ("- {last: missed, at_least_ago: 15 months, at_most_ago: 2 years}",
     "last missed appointment: at least 15 months ago and at most 2 years ago"),
    ("- {last: survey, at_most_ago: 14 days, value_at_least: 9}",
     "last survey answered: at most 14 days ago, score at least 9"),
    ("- {first: booked, at_most_ago: 1 month}", "first new booking: at most 1 month ago"),
    ("- {sum: booked, in_last: 365 days, more_than: 1500.50 USD}",
     "total of new booking in the last 365 days: more than 1,500.50 USD"),
    ("- {rate: missed, of: booked, in_last: 90 days, at_least: 0.125}",
     "missed appointment as a share of new booking in the last 90 days: at least 12.5 %"),
    ("- {field: contact.age, at_least: 1, less_than: 18}",
     "age: at least 1 year and less than 18 years"),
    ("- {field: due_in, at_most: 3}", "days until the next booking: at most 3"),
    ("- {field: spend, at_least: 350000}", "spend in a year: at least 3,500.00"),
    ("- {field: risk, more_than: 0.5}", "risk of leaving: more than 50 %"),
    ("- {field: plan, is_none_of: [basic, trial]}", "plan: none of basic, trial"),
    ("- {field: plan, is: family}", "plan: family"),
    ("- {field: tags, has: vip}", "tags: includes vip"),
    ("- {field: tags, lacks: vip}", "tags: does not include vip"),
    ("- {field: birthday, anniversary_within_next: 7 days}",
     "birthday: anniversary within the next 7 days"),
    ("- {field: birthday, overdue_by_at_least: 30 days}", "birthday: past by at least 30 days"),
    ("- {field: allowed, is: yes}", "may get marketing e-mail: yes"),
    ("- {field: plan, missing: yes}", "plan: not known"),
    ("- any: [{field: plan, is: family}, {field: contact.age, at_least: 65}]",
     "one of these: plan: family; or age: at least 65 years"),
]  # fmt: skip

RULE = """\
format: 1
pack: words
rules:
  - id: words.one
    title: One
    why: Because.
{subject}
    when:
      {condition}
    then: {{action: one, template: common/one, purpose: service, by: [email], value: 1.00 USD,
      cost: {{email: 0.01}}, expect: {{if_contacted: 0.2, if_left: 0.1, weight: 20}},
      goal: booked within 9 days}}
"""


def worded(condition: str, subject: str = "") -> str:
    text = RULE.format(condition=condition, subject=f"    for_each: {subject}" if subject else "")
    (rule,) = load_rules(text, "words.yaml", VOCABULARY).rules
    return condition_words(rule.when[0], VOCABULARY)


@pytest.mark.parametrize(("condition", "words"), CASES)
def test_a_condition_reads_as_a_person_says_it(condition, words) -> None:
    assert worded(condition) == words


def test_a_condition_about_a_subject_says_so() -> None:
    assert (
        worded("- {last: contract.visited, at_least_ago: 1 year}", "contract")
        == "last maintenance visit of this contract: at least 1 year ago"
    )
    assert worded("- {last: contract.started, at_most_ago: 9 days}", "contract") == (
        "last contract: at most 9 days ago"
    )


def test_money_lengths_and_times_in_plain_words() -> None:
    assert money_words(350_000, "USD") == "3,500.00 USD"
    assert money_words(0.5, "USD") == "0.0050 USD"
    assert value_words(Money(1250, "EUR")) == "12.50 EUR"
    assert length_words(Length(24, "month")) == "2 years"
    assert length_words(Length(1, "day")) == "1 day"
    assert number_words(1_000_000) == "1,000,000"
    assert number_words(0.1 + 0.2) == "0.3"
    assert season_words(Season(815, 131)) == "from 15 August to 31 January"
    assert weekday_words((5, 1)) == "Monday, Friday"
    assert clock_words((540, 1440)) == "between 09:00 and 24:00"


def test_what_is_known_of_a_contact_reads_as_a_person_says_it() -> None:
    fields = VOCABULARY.fields
    assert field_value_words("vip\nfamily", fields["tags"]) == "vip, family"
    assert field_value_words("1990-01-31", fields["birthday"]) == "31 January 1990"
    assert field_value_words(None, fields["plan"]) == "not known"
    assert field_value_words(value=False, field=fields["allowed"]) == "no"


def test_an_event_of_a_test_tells_what_it_was_worth_and_about() -> None:
    at = datetime(2026, 3, 9, 10, 0)  # noqa: DTZ001 - an in-file test has no zone
    event = PastEvent(at, "survey", amount_cents=4550, subject="survey:1", value=9)
    assert past_event_words(event, VOCABULARY) == (
        "9 March 2026, 10:00: survey answered, worth 45.50, score 9 (survey 1)"
    )
