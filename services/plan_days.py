"""The plan: who would get what on the days ahead, and what is on its way already."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import InvalidInput
from engine.ids import TenantId
from engine.policy.quiet_hours import zone_or_utc
from services.day_by_day import Day, day_by_day
from services.decision_rows import Recorded
from services.explanation import LOST
from services.playbook import Playbook, playbook_at
from services.reason_words import reason_words
from services.wiring import Runtime
from store.contact_cards import list_contact_names
from store.plan_marks import APPROVED, list_marks_in_force
from store.planned import Queued, list_queued, list_waiting
from store.profiles import list_contact_ids

LONGEST_DAYS = 31
PLANNED, QUEUED, WAITING = "planned", "queued", "waits_for_approval"


@dataclass(frozen=True, slots=True)
class PlanFilter:
    """Which rows are shown; None for all. The counts by day are of all rows."""

    rule: str | None = None
    channel: str | None = None
    contact_id: str | None = None
    day: str | None = None

    def wants(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row of the plan is asked for."""
        return (
            self.rule in {None, row["rule"]}
            and self.channel in {None, row["channel"]}
            and self.contact_id in {None, row["contact_id"]}
            and self.day in {None, row["day"]}
        )


async def plan_days(
    connection: AsyncConnection,
    runtime: Runtime,
    tenant_id: TenantId,
    *,
    days: int,
    only: PlanFilter | None = None,
    most_contact_days: int | None = None,
) -> dict[str, Any]:
    """Return what the runs of the next `days` would choose if nothing else happened.

    A dry run at this time of each day, caps and cooldowns counted as if what was planned before had
    gone out; what is in the outbox or waits for a person is listed beside it. `status` of a row:
    planned, approved (a person has agreed in advance), waits_for_approval, queued. Times are UTC;
    `day` is the contact's local day of the message.

    Raises:
        InvalidInput: not 1 to 31 days, or contacts × days above `most_contact_days`.
    """
    if not 1 <= days <= LONGEST_DAYS:
        raise InvalidInput(
            f"A plan of {days} days was asked for.", hint=f"Ask for 1 to {LONGEST_DAYS} days."
        )
    now = runtime.clock.now()
    await refuse_too_many(connection, now, days, most_contact_days)
    playbook = await playbook_at(connection, tenant_id, now)
    marks = await list_marks_in_force(connection, now)
    until = now + timedelta(days=days)
    rows = [_queued_row(each, QUEUED) for each in await list_queued(connection, until=until)]
    rows += [_queued_row(each, WAITING) for each in await list_waiting(connection)]
    moments = [now + timedelta(days=number) for number in range(days)]
    by_day = []
    async for day in day_by_day(connection, playbook, moments):
        rows += [_planned_row(each, playbook, marks, day.as_of) for each in day.recorded]
        by_day.append(_day(day))
    rows.sort(key=lambda row: (row["send_at"], row["contact_id"]))
    shown = [row for row in rows if (only or PlanFilter()).wants(row)]
    names = await list_contact_names(connection, [UUID(row["contact_id"]) for row in shown])
    return {
        "as_of": now.isoformat(),
        "days": days,
        "planned": sum(day["planned"] for day in by_day),
        "queued": sum(row["status"] == QUEUED for row in rows),
        "waiting": sum(row["status"] == WAITING for row in rows),
        "by_day": by_day,
        "rows": [row | {"contact": names.get(UUID(row["contact_id"]))} for row in shown],
        "not_wanted": [
            {"contact_id": contact, "rule": rule, "subject": subject, "verdict": verdict}
            for (contact, rule, subject), verdict in sorted(marks.items())
            if verdict != APPROVED
        ],
    }


async def refuse_too_many(
    connection: AsyncConnection, now: datetime, days: int, most: int | None
) -> None:
    if most is None:
        return
    contacts = (await list_contact_ids(connection, now)).height
    if contacts * days > most:
        raise InvalidInput(
            f"A plan of {days} days for {contacts:,} contacts is too much for one request.",
            hint="Ask for fewer days, or run 'keepwell plan' beside the database.",
        )


def _planned_row(
    decided: Recorded,
    playbook: Playbook,
    marks: Mapping[tuple[str, str, str], str],
    as_of: datetime,
) -> dict[str, Any]:
    row, action = decided.row, decided.action
    assert action is not None  # noqa: S101 - only decisions with one are kept
    named = (str(row["contact_id"]), str(row["rule"]), str(row["subject"]))
    approved = marks.get(named) == APPROVED
    rule = next(each for each in playbook.rules.rules if each.id == row["rule"])
    send_at = datetime.fromisoformat(str(row["send_at"]))
    zone = zone_or_utc(str(row["profile"]["zone"]))
    return {
        "status": APPROVED if approved else PLANNED,
        "day": send_at.astimezone(zone).date().isoformat(),
        "decided_at": as_of.isoformat(),
        "send_at": send_at.isoformat(),
        "contact_id": row["contact_id"],
        "action": row["action"],
        "rule": row["rule"],
        "subject": row["subject"],
        "purpose": row["purpose"],
        "channel": row["channel"],
        "score_cents": row["score_cents"],
        "needs_approval": action.needs_approval and not approved,
        "why": f"{rule.title}: {rule.why}" if rule.why else rule.title,
        "runner_up": _runner_up(decided),
    }


def _runner_up(decided: Recorded) -> str | None:
    lost = [c for c in decided.candidates if c["reason"] in LOST and c["action"]]
    return str(lost[0]["action"]) if lost else None


def _queued_row(queued: Queued, status: str) -> dict[str, Any]:
    zone = zone_or_utc(queued.timezone)
    return {
        "status": status,
        "day": queued.send_at.astimezone(zone).date().isoformat(),
        "decided_at": queued.decided_at.isoformat(),
        "send_at": queued.send_at.isoformat(),
        "contact_id": str(queued.contact_id),
        "action": queued.action,
        "rule": queued.rule,
        "subject": queued.subject,
        "purpose": queued.purpose,
        "channel": queued.channel,
        "score_cents": queued.score_cents,
        "needs_approval": status == WAITING,
        "why": "decided already",
        "runner_up": None,
    }


def _day(day: Day) -> dict[str, Any]:
    return {
        "as_of": day.as_of.isoformat(),
        "planned": len(day.recorded),
        "worth_cents": sum(each.row["score_cents"] for each in day.recorded),
        "by_action": dict(sorted(_counts(day.recorded, "action").items())),
        "by_channel": dict(sorted(_counts(day.recorded, "channel").items())),
        "nothing": [
            {"reason": reason, "words": reason_words(reason), "contacts": contacts}
            for reason, contacts in day.nothing.most_common()
        ],
    }


def _counts(recorded: Sequence[Recorded], name: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for each in recorded:
        counts[str(each.row[name])] = counts.get(str(each.row[name]), 0) + 1
    return counts
