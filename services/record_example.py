"""Make an in-file test of what a rule says about a real contact."""

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.chance import contact_keys, mixed, salt
from engine.errors import InvalidInput
from engine.features.contact import HistoryEvent
from engine.ids import TenantId
from rules import reference
from rules.compiled import verdicts
from rules.expression import Expression
from rules.recorded import LocalEvent, Seen, recorded_test
from services.decide import checked_as_of
from services.known_contact import KnownContact, known_contact
from services.rule_texts import RuleTexts, flat_texts, parse_texts
from services.rules_on_trial import trial_of
from services.wiring import Runtime
from store.profiles import get_contact_id


async def record_example(  # noqa: PLR0913 - what a request carries
    connection: AsyncConnection,
    runtime: Runtime,
    tenant_id: TenantId,
    texts: RuleTexts,
    rule_id: str,
    contact: str,
    *,
    as_of: datetime | None = None,
) -> dict[str, Any]:
    """Return a test of a rule in these texts from what was known of a contact at `as_of`.

    `test` are its lines, `document` the file's text with it. It passes, decided by the condition
    that decided for the contact; names, other texts and real dates are not in it. A rule about
    subjects is recorded for its first open one.

    Raises:
        ContactNotFound, RuleNotFound: there is none.
        InvalidInput: the contact has no such subject open.
        InvalidRules: the file has faults.
        Conflict: the test can't be made to say what the contact's data say.
    """
    moment = checked_as_of(as_of, runtime.clock.now())
    contact_id = await get_contact_id(connection, contact)
    trial = await trial_of(connection, tenant_id, moment, file=texts, rule_id=rule_id)
    known = await known_contact(connection, trial.playbook, contact_id, moment)
    parsed = parse_texts(flat_texts(texts))
    rule = trial.rule(rule_id)
    expression = next(e for e in trial.playbook.rules.expressions if e.rule_id == rule_id)
    rows = known.rows(rule.subject)
    if not rows:
        raise InvalidInput(
            f"{contact} has no open {rule.subject}.", hint="Choose a contact that has one."
        )
    seen = _seen(known, expression, rows[0])
    document, lines = recorded_test(texts.document, parsed, rule, seen)
    return {
        "rule": rule_id,
        "expect": "fires" if seen.fires else "quiet",
        "because": seen.because,
        "test": lines,
        "document": document,
    }


def _seen(
    known: KnownContact, expression: Expression, looked: tuple[str | None, dict[str, Any]]
) -> Seen:
    subject, row = looked
    deciding = [v for v in verdicts(expression, row) if v.held == v.unless]
    fires = reference.matches(expression, row)
    key = mixed(contact_keys([str(known.contact_id)]), salt("recorded", expression.rule_id))
    return Seen(
        row=row,
        attributes=known.attributes,
        events=[_local(event, known) for event in known.events],
        subject=subject,
        now=_clock(known.as_of, known),
        holiday=row.get("public holiday") is True,
        fires=fires,
        because="" if fires else deciding[0].label,
        key=int(key[0] >> 32),
    )


def _local(event: HistoryEvent, known: KnownContact) -> LocalEvent:
    starts = None if event.starts_at is None else _clock(event.starts_at, known)
    return LocalEvent(event, _clock(event.occurred_at, known), starts)


def _clock(moment: datetime, known: KnownContact) -> datetime:
    return moment.astimezone(known.zone).replace(tzinfo=None)
