"""Why nothing, or not that: all rules for one contact, the nearest to proposing first."""

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.features.spec import CONTACT
from engine.ids import TenantId
from rules import reference
from rules.document import Rule
from rules.due import Situation, next_check_at
from rules.expression import Expression
from rules.feature_words import change_words
from rules.nearest import Nearest, changed, nearest
from rules.vocabulary import Vocabulary
from rules.wording import subject_label
from services.decide import checked_as_of
from services.decision_rows import Recorded, decision_rows
from services.evaluate import evaluate
from services.explain_rule import part_words
from services.known_contact import KnownContact, known_contact
from services.rule_texts import RuleTexts
from services.rules_on_trial import trial_of
from services.wiring import Runtime
from store.profiles import get_contact_id


async def why_not(
    connection: AsyncConnection,
    runtime: Runtime,
    tenant_id: TenantId,
    contact: str,
    *,
    as_of: datetime | None = None,
    file: RuleTexts | None = None,
) -> dict[str, Any]:
    """Return every rule that acts, ordered by how near it is to proposing for a contact.

    First those that propose, with the stage of the policy that stops them; then the others by how
    many things would have to be different. `changes` tells the least of it, `proposes_from` when
    the rule will propose by itself if nothing happens (UTC; null: not within 400 days). A rule
    about subjects is told for the nearest of them. Nothing is stored.

    Raises:
        ContactNotFound: unknown, or another tenant's.
        InvalidInput: `as_of` lies in the future, or before 1970.
        InvalidRules: the file has faults, or contradicts the other rules in force.
    """
    moment = checked_as_of(as_of, runtime.clock.now())
    contact_id = await get_contact_id(connection, contact)
    trial = await trial_of(connection, tenant_id, moment, file=file)
    known = await known_contact(connection, trial.playbook, contact_id, moment)
    decided = decision_rows(
        trial.playbook,
        evaluate(trial.playbook, [known.profile], None, as_of=moment),
        as_of=moment,
        trigger="explain",
        run_id=None,
    )[0]
    rules = trial.playbook.rules
    listed = [
        _told(rule, expression, known, rules.rule_set.vocabulary, decided)
        for rule, expression in zip(rules.rules, rules.expressions, strict=True)
    ]
    listed.sort(key=_nearness)
    return {
        "contact_id": str(contact_id),
        "as_of": moment.isoformat(),
        "time_zone": known.zone.key,
        "source": trial.source,
        "decision": {
            name: decided.row[name] for name in ("action", "rule", "reason", "score_cents")
        },
        "rules": listed,
    }


def _told(
    rule: Rule,
    expression: Expression,
    known: KnownContact,
    vocabulary: Vocabulary,
    decided: Recorded,
) -> dict[str, Any]:
    looked = [
        (subject, row, nearest(expression, row, vocabulary))
        for subject, row in known.rows(rule.subject)
    ]
    told: dict[str, Any] = {
        "rule": rule.id,
        "title": rule.title,
        "status": rule.status,
        "subject": None,
        "proposes": False,
        "missing": [],
        "changes": None,
        "distance": None,
        "proposes_from": None,
        "stopped_by": None,
        "reason": None,
    }
    if not looked:
        label = subject_label(rule.subject, vocabulary)
        return {**told, "missing": [f"an open {label}"]}
    subject, row, near = min(looked, key=lambda each: _order(each[2]))
    told |= {"subject": subject, "distance": near.distance}
    if reference.matches(expression, row):
        stopped = _candidate(decided, rule.id, subject)
        return told | {
            "proposes": True,
            "changes": [],
            "stopped_by": stopped.get("removed_by"),
            "reason": stopped.get("reason"),
        }
    return told | {
        "missing": [
            ("unless " if part in expression.unless else "") + part_words(part, rule, vocabulary)
            for part in near.missing
        ],
        "changes": _changes(near, expression, row, vocabulary),
        "proposes_from": _by_itself(expression, known),
    }


def _candidate(decided: Recorded, rule_id: str, subject: str | None) -> dict[str, Any]:
    """What became of the rule's proposal about this subject; empty where it made none."""
    about = subject or CONTACT
    mine = (c for c in decided.candidates if c["rule"] == rule_id and c["subject"] == about)
    return next(mine, {})


def _changes(
    near: Nearest, expression: Expression, row: dict[str, Any], vocabulary: Vocabulary
) -> list[str] | None:
    """The least change in words, once the judge has confirmed it; None if there is none."""
    if near.changes is None or not reference.matches(expression, changed(row, near.changes)):
        return None
    specs = {spec.name: spec for spec in expression.features}
    return [change_words(change, specs[change.feature], vocabulary) for change in near.changes]


def _by_itself(expression: Expression, known: KnownContact) -> str | None:
    """When time alone makes the rule propose, for whichever of its subjects."""
    kinds = [kind for kind in known.kinds if kind.name == expression.kind]
    found = next_check_at([expression], Situation(known.outlook, known.as_of, kinds))
    return None if found is None else found.isoformat()


def _order(near: Nearest) -> tuple[int, float]:
    return (near.changes is None, near.distance)


def _nearness(told: dict[str, Any]) -> tuple[bool, bool, int, str, float, str]:
    """Those that propose, then fewer changes first, then what time alone brings soonest."""
    changes = told["changes"]
    return (
        not told["proposes"],
        changes is None,
        len(changes or ()),
        told["proposes_from"] or "9",
        told["distance"] or 0.0,
        told["rule"],
    )
