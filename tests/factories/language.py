"""Small rule files over one vocabulary, for tests of the language."""

import pytest

from engine.errors import InvalidRules
from rules.document import RuleSet
from rules.expression import Leaf, expression_of, leaves
from rules.loader import load_rules
from rules.vocabulary import Vocabulary, load_vocabulary

VOCABULARY = """
format: 1
subjects:
  contract: {label: contract, opened_by: [contract.started], closed_by: [contract.ended]}
  asset: {label: asset, opened_by: [asset.installed]}
events:
  visit: {label: visit, of: [appointment.kept, job.done]}
  appointment.kept: {label: kept}
  appointment.booked: {label: booked}
  appointment.no_show: {label: missed}
  job.done: {label: job}
  contract.started: {label: started}
  contract.ended: {label: ended}
  contract.used: {label: used, about: contract}
  asset.installed: {label: installed, about: asset}
  survey.answered: {label: answer, value: {label: score, from: 0, to: 10}}
  message.sent: {label: message}
fields:
  contact.age: {type: number, label: age}
  contact.months: {type: number, label: months}
  contact.plan: {type: text, one_of: [family, solo], label: plan}
  contact.tags: {type: list, label: tags}
  contact.born: {type: date, label: birthday}
  contract.ends_on: {type: date, about: contract, label: end, source: {property: ends_on}}
  contract.tier: {type: text, about: contract, label: tier, source: {property: tier}}
  asset.kind: {type: text, about: asset, label: kind, source: {property: kind}}
  due: {type: date, label: due, source: {kind: recall, types: [visit], every: 6 months}}
"""
THEN = """
      template: healthcare/a
      purpose: service
      by: [email]
      value: 10.00 USD
      cost: {email: 0.01}
      expect: {if_contacted: 0.2, if_left: 0.1, weight: 20}
      goal: visit within 14 days
"""


def vocabulary() -> Vocabulary:
    return load_vocabulary(VOCABULARY, "v.yaml")


def a_rule(when: str, more: str = "", *, name: str = "a.rule", then: str = "action: a") -> str:
    lines = "".join(f"      {line}\n" for line in when.splitlines())
    return (
        f"  - id: {name}\n    title: A rule\n    why: Because.\n    owner: desk\n"
        f"    status: live\n    when:\n{lines}    then:\n      {then}{THEN}{more}"
    )


def load(*rules: str, top: str = "", words: Vocabulary | None = None) -> RuleSet:
    text = f"format: 1\npack: p\n{top}rules:\n" + "".join(rules)
    return load_rules(text, "f.yaml", words or vocabulary())


def codes(*rules: str, top: str = "") -> list[str]:
    with pytest.raises(InvalidRules) as error:
        load(*rules, top=top)
    return [finding.code for finding in error.value.findings]


def asked(when: str, more: str = "") -> list[Leaf]:
    (rule,) = load(a_rule(when, more)).rules
    return list(leaves(expression_of(rule, vocabulary()).everything))
