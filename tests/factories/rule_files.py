"""Rules files as a campaign manager would upload them, small and sound."""

from services.rule_texts import RuleTexts, pack_texts

# conditions on one event alone, so two tests show each of them both ways
RULE = """\
  - id: {id}
    title: Missed an appointment
    why: Whoever does not rebook within days mostly does not come back on their own.
    owner: front-desk
    status: {status}
    when:
      - count: appointment.no_show
        in_last: {days} days
        at_least: 1
    then:
      action: {action}
      template: healthcare/no-show-rescue
      purpose: treatment
      by: [email]
      value: {value} USD
      cost: {{email: 0.01}}
      expect: {{if_contacted: 0.5, if_left: 0.1, weight: 40}}
      goal: appointment.booked within 14 days
    cooldown: {days} days
    tests:
      - name: missed the day before
        today: 2026-03-11 10:00
        events: [2026-03-10 10:00 appointment.no_show]
        expect: {expect}
      - name: missed nothing
        today: 2026-03-11 10:00
        events: []
        expect: quiet
"""


def rule_text(rule_id: str, **changes: object) -> str:
    """One rule that proposes something to whoever has missed an appointment."""
    plain = {
        "status": "live",
        "days": 30,
        "action": rule_id.replace(".", "-"),
        "value": "500.00",
        "expect": "fires",
    }
    return RULE.format(id=rule_id, **(plain | changes))


def rules_file(name: str, *rules: str) -> RuleTexts:
    """A file of these rules on the shipped vocabulary of healthcare."""
    document = f"format: 1\npack: {name}\nvocabulary: healthcare.vocab.yaml\nrules:\n" + "".join(
        rules
    )
    return RuleTexts(name, document, pack_texts("healthcare/retention").vocabulary)
