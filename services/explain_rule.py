"""Explain a rule for a contact: each condition with what decided it, then what the policy says."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from math import isnan
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.features.contact import HistoryEvent
from engine.features.evidence import evidence
from engine.features.spec import CONTACT, Feature, Scalar
from engine.ids import TenantId
from rules import reference
from rules.document import Rule
from rules.expression import Expression, Part
from rules.feature_words import feature_value_words, feature_words, threshold_words
from rules.trees import Leaf, leaves
from rules.vocabulary import Vocabulary
from rules.wording import condition_words, event_label, season_words, weekday_words
from services.decide import checked_as_of
from services.decision_rows import decision_rows
from services.evaluate import evaluate
from services.known_contact import KnownContact, known_contact
from services.playbook import Playbook
from services.rule_texts import RuleTexts
from services.rules_on_trial import Trial, playbook_of_rules, trial_of
from services.wiring import Runtime
from store.profiles import get_contact_id

_MOST_EVENTS = 10  # shown of each value; a person looks at the newest


async def explain_rule(  # noqa: PLR0913 - what a request carries
    connection: AsyncConnection,
    runtime: Runtime,
    tenant_id: TenantId,
    rule_id: str,
    contact: str,
    *,
    as_of: datetime | None = None,
    file: RuleTexts | None = None,
) -> dict[str, Any]:
    """Return why a rule does or doesn't propose for a contact at `as_of`, and what comes after it.

    `subjects` has an entry for each open subject that the rule is about, one for the contact if it
    is about contacts. `policy` is what the stages say of the proposal, made or not, if the rule
    were live and had no rival; `decision` is what would be decided now with all rules in force.
    Nothing is stored.

    Raises:
        ContactNotFound, RuleNotFound: there is none.
        InvalidInput: `as_of` lies in the future, or before 1970.
        InvalidRules: the file has faults, or contradicts the other rules in force.
    """
    moment = checked_as_of(as_of, runtime.clock.now())
    contact_id = await get_contact_id(connection, contact)
    trial = await trial_of(connection, tenant_id, moment, file=file, rule_id=rule_id)
    known = await known_contact(connection, trial.playbook, contact_id, moment)
    rule = trial.rule(rule_id)
    expression = next(e for e in trial.playbook.rules.expressions if e.rule_id == rule_id)
    view = _View(rule, expression, trial.rule_set.vocabulary, known)
    shown = list(view.subjects())
    freed = await _freed(connection, tenant_id, trial, rule, moment)
    return {
        "rule": {
            "id": rule.id,
            "title": rule.title,
            "why": rule.why,
            "owner": rule.owner,
            "status": rule.status,
            "about": rule.subject,
            "action": rule.then.action,
            "purpose": rule.then.purpose,
            "source": trial.source,
        },
        "contact_id": str(contact_id),
        "as_of": moment.isoformat(),
        "time_zone": known.zone.key,
        "proposes": any(each["proposes"] for each in shown),
        "subjects": shown,
        "policy": _policy(freed, rule, known),
        "decision": _decision(trial.playbook, rule, known),
    }


# -------------------------------------------------------------------------------- conditions


@dataclass(frozen=True)
class _View:
    """One rule, and the contact that it is looked at for."""

    rule: Rule
    expression: Expression
    vocabulary: Vocabulary
    known: KnownContact

    def subjects(self) -> Iterator[dict[str, Any]]:
        for subject, row in self.known.rows(self.rule.subject):
            yield {
                "subject": subject,
                "proposes": reference.matches(self.expression, row),
                "conditions": [
                    *(self._condition(p, row, subject, "when") for p in self.expression.when),
                    *(self._condition(p, row, subject, "unless") for p in self.expression.unless),
                ],
            }

    def _condition(
        self, part: Part, row: Mapping[str, Scalar], subject: str | None, under: str
    ) -> dict[str, Any]:
        held = reference.holds(part.tree, row)
        compared = list(dict.fromkeys(leaves(part.tree)))
        return {
            "under": under,
            "label": part.label,
            "words": part_words(part, self.rule, self.vocabulary),
            "because": part.because,
            "held": held,
            "in_the_way": held == (under == "unless"),
            "values": [self._value(leaf, row) for leaf in compared],
            **self._evidence(dict.fromkeys(leaf.feature for leaf in compared), subject),
        }

    def _value(self, leaf: Leaf, row: Mapping[str, Scalar]) -> dict[str, Any]:
        spec, value = self._specs[leaf.feature], row.get(leaf.feature)
        return {
            "feature": leaf.feature,
            "label": feature_words(spec, self.vocabulary),
            "value": value,
            "value_words": feature_value_words(value, spec, self.vocabulary),
            "threshold": leaf.value,
            "threshold_words": threshold_words(leaf, spec, self.vocabulary),
            "held": reference.holds(leaf, row),
        }

    def _evidence(self, features: Iterable[str], subject: str | None) -> dict[str, Any]:
        """The events that the values rest on, the newest of them, and how many there are."""
        known = self.known
        found = {
            event
            for spec in (self._specs[name] for name in features)
            for event in evidence(
                known.events_of(spec, subject), spec, as_of=known.as_of, zone=known.zone
            )
        }
        newest = sorted(found, key=lambda e: (e.occurred_at, e.type, e.subject or ""), reverse=True)
        return {
            "events_counted": len(newest),
            "events": [self._event(event) for event in newest[:_MOST_EVENTS]],
        }

    def _event(self, event: HistoryEvent) -> dict[str, Any]:
        zone = self.known.zone
        return {
            "type": event.type,
            "label": event_label(event.type, self.vocabulary),
            "at": event.occurred_at.astimezone(zone).isoformat(),
            "amount_cents": event.amount_cents,
            "value": event.value,
            "subject": event.subject,
            "starts_at": event.starts_at and event.starts_at.astimezone(zone).isoformat(),
        }

    @property
    def _specs(self) -> dict[str, Feature]:
        return {spec.name: spec for spec in self.expression.features}


def part_words(part: Part, rule: Rule, vocabulary: Vocabulary) -> str:
    """One condition of a rule, as written or of its calendar, as a person says it."""
    if part.condition is not None:
        return condition_words(part.condition, vocabulary)
    if part.label == "season" and rule.season is not None:
        return f"the season {season_words(rule.season)}"
    if part.label == "on_days":
        return f"on {weekday_words(rule.on_days)}"
    return part.words


# ------------------------------------------------------------------------------------ policy


async def _freed(
    connection: AsyncConnection, tenant_id: TenantId, trial: Trial, rule: Rule, as_of: datetime
) -> Playbook:
    """A playbook of this rule alone, live and without its conditions: the policy alone speaks."""
    freed = replace(
        rule,
        status="live",
        when=(),
        unless=(),
        season=None,
        on_days=(),
        quiet_on_holidays=False,
        choice=None,
        subject=CONTACT,
    )
    alone = replace(trial.rule_set, rules=(freed,), choices=())
    return await playbook_of_rules(connection, tenant_id, as_of, alone)


def _policy(freed: Playbook, rule: Rule, known: KnownContact) -> dict[str, Any]:
    recorded = decision_rows(
        freed,
        evaluate(freed, [known.profile], None, as_of=known.as_of),
        as_of=known.as_of,
        trigger="explain",
        run_id=None,
    )[0]
    candidate = next(each for each in recorded.candidates if each["rule"] == rule.id)
    last = _last_contact_days(known, rule)
    held = recorded.row["experiment_group"] == "holdout"
    return {
        "allowed": candidate["removed_by"] is None and not held,
        "removed_by": candidate["removed_by"],
        "reason": candidate["reason"],
        "channels": [_channel(each) for each in candidate["channels"].split()],
        "cooldown_days": rule.cooldown_days,
        "last_contact_days": last,
        "caps": [
            {**asdict(cap), "sent": sent}
            for cap, sent in zip(freed.policy.caps, known.profile.sends, strict=True)
            if cap.purpose in {"any", rule.then.purpose}
        ],
        "holdout": held,
        "needs_approval": rule.then.needs_approval,
        "channel": recorded.row["channel"],
        "send_at": recorded.row["send_at"],
        "score_cents": candidate["score_cents"],
    }


def _last_contact_days(known: KnownContact, rule: Rule) -> float | None:
    """Days since the rule last contacted them, about whatever it was; None if never."""
    subjects = [subject or CONTACT for subject, _ in known.rows(rule.subject)]
    days = [known.profile.days_since(rule.id, subject) for subject in subjects]
    return min((each for each in days if not isnan(each)), default=None)


def _channel(told: str) -> dict[str, Any]:
    channel, _, reason = told.partition(":")
    return {
        "channel": channel,
        "allowed": reason == "ok",
        "reason": None if reason == "ok" else reason,
    }


def _decision(playbook: Playbook, rule: Rule, known: KnownContact) -> dict[str, Any]:
    """What is decided with all rules, and what becomes of this rule's candidate in it."""
    recorded = decision_rows(
        playbook,
        evaluate(playbook, [known.profile], None, as_of=known.as_of),
        as_of=known.as_of,
        trigger="explain",
        run_id=None,
    )[0]
    mine = [each for each in recorded.candidates if each["rule"] == rule.id]
    return {
        "action": recorded.row["action"],
        "rule": recorded.row["rule"],
        "reason": recorded.row["reason"],
        "score_cents": recorded.row["score_cents"],
        "candidates_of_this_rule": [
            {
                name: each[name]
                for name in ("subject", "removed_by", "reason", "channels", "score_cents")
            }
            for each in mine
        ],
    }
