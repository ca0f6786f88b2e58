"""What a message may say of a contact, of what it is about, and of the contact's household.

Values come from the decision's own profile, so a message says what the decision saw. Fields that
the vocabulary calls sensitive are never among them.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from content.facts import clean_first_name
from engine.actions import Action
from engine.features.spec import CONTACT, Scalar
from engine.policy.quiet_hours import zone_or_utc
from rules.document import Rule
from rules.vocabulary import Field
from services.playbook import Playbook

# fields about a subject -> the fact that says them
_DATES = {
    "contract.ends_on": "contract_end_date",
    "contract.notice_by": "notice_date",
    "asset.warranty_until": "warranty_end_date",
    "invoice.due_on": "invoice_due_date",
}
_NUMBERS = {"contract.visits_used": "visits_used", "contract.faults_found": "faults_found"}
_TEXTS = {"asset.kind": "equipment"}
_MOST_NAMES = 6


def message_facts(
    playbook: Playbook,
    action: Action,
    row: Mapping[str, Any],
    person: Mapping[str, str | None],
    household: Sequence[str] = (),
) -> dict[str, str]:
    """Return the facts of a decision's message, by the names of `content.facts.FACTS`.

    `row` is the decision's, `person` has the facts that address the contact, `household` the names
    of its members that are due.
    """
    rule = next(r for r in playbook.rules.rules if r.id == action.rule)
    zone = zone_or_utc(row["profile"]["zone"])
    local = datetime.fromisoformat(str(row["as_of"])).astimezone(zone).replace(tzinfo=None)
    facts = {name: value for name, value in person.items() if value}
    facts["reason"] = _reason(playbook, rule, str(row["subject"]))
    facts |= _visits(row["profile"]["row"], local)
    if rule.subject != CONTACT:
        facts |= _subject(playbook, row, rule.subject, local.date())
    if household:
        facts["household_names"] = in_words(household)
    return facts


def _reason(playbook: Playbook, rule: Rule, subject: str) -> str:
    """Why, for staff; with what it is about where there may be several."""
    if rule.subject == CONTACT:
        return rule.title
    label = playbook.rules.rule_set.vocabulary.subjects[rule.subject].label
    return f"{rule.title} ({label} {subject.partition(':')[2]})"


def _visits(features: Mapping[str, Scalar], local: datetime) -> dict[str, str]:
    facts = {}
    if (days := _number(features.get("days_since_last_visit"))) is not None:
        facts["last_visit_date"] = _day(local - timedelta(days=days))
    if (days := _number(features.get("next_booking_in_days"))) is not None:
        starts = local + timedelta(days=days, milliseconds=1)
        facts["appointment_date"] = f"{starts:%A}, {starts:%B} {starts.day}"
        facts["appointment_time"] = f"{starts:%I:%M %p}".lstrip("0").lower()
    return facts


def _subject(playbook: Playbook, row: Mapping[str, Any], kind: str, today: date) -> dict[str, str]:
    told = row["profile"].get("subjects", ())
    own: Mapping[str, Scalar] = next(
        (each["row"] for each in told if each["subject"] == row["subject"]), {}
    )
    fields = playbook.rules.rule_set.vocabulary.fields
    facts: dict[str, str] = {}
    for name, field in fields.items():
        value = own.get(field.source.name) if field.about == kind else None
        if value is not None and not field.sensitive:
            facts |= _said(name, field, value, today)
    return facts


def _said(name: str, field: Field, value: Scalar, today: date) -> dict[str, str]:
    number = _number(value)
    if name in _DATES and field.type == "date" and number is not None:
        # a date enters rules as the days until it
        return {_DATES[name]: _day(today + timedelta(days=number))}
    if name in _NUMBERS and number is not None and number > 0:
        return {_NUMBERS[name]: f"{number:g}"}
    if name in _TEXTS and isinstance(value, str):
        return {_TEXTS[name]: value.replace("_", " ")}
    return {}


def _number(value: Scalar) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _day(day: date) -> str:
    return f"{day:%B} {day.day}, {day.year}"


def in_words(names: Sequence[str]) -> str:
    """Return names as people say them; one that is not just a name is 'another of you'.

    >>> in_words(["you", "Ben", "Cleo"])
    'you, Ben and Cleo'
    """
    clean = [clean_first_name(name) or "another of you" for name in names]
    if len(clean) > _MOST_NAMES:
        clean = [*clean[: _MOST_NAMES - 1], f"{len(clean) - _MOST_NAMES + 1} more"]
    return " and ".join([", ".join(clean[:-1]), clean[-1]] if len(clean) > 1 else clean)
