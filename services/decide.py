"""Decide for one contact, or for all of a tenant, and record it: one transaction, one promise."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import InvalidInput
from engine.features.tables import FeatureTables
from engine.ids import ContactId, TenantId
from engine.policy.terms import gives_of
from engine.profile import Profile, without_budget
from rules.document import DUE, NIGHTLY
from services.decide_together import decide_together
from services.decision_document import decision_document
from services.decision_rows import (
    Recorded,
    candidate_frame,
    decision_frame,
    decision_rows,
    digest_of,
)
from services.evaluate import evaluate
from services.playbook import Playbook, playbook_at
from services.profiles import Address, Part, decision_inputs, profiles_in_parts
from services.promise_send import Promise, promise_send
from services.queue_send import OUT_OF_BUDGET
from services.redecide import redecide
from services.uncollected import uncollected
from services.wiring import Runtime
from store.decisions import add_decision, add_decisions, finish_run, start_run
from store.profiles import get_contact_id

EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)
# a moment ahead of the clock can't be decided: nothing is known of it yet
_TOLERANCE = timedelta(minutes=5)


async def decide_contact(  # noqa: PLR0913 - what a request carries
    connection: AsyncConnection,
    runtime: Runtime,
    tenant_id: TenantId,
    contact: str,
    *,
    as_of: datetime | None = None,
    trigger: str = "api",
    dry_run: bool = False,
) -> dict[str, Any]:
    """Decide the next best action of one contact and return it as a document.

    `contact` is our id or 'external:<id>'. `as_of` (aware) defaults to now; a past moment is
    decided with what was known then; only the contact's own row (addresses, flags, attributes) has
    no history in the CRM and counts as it is today. Deciding the same moment again gives the same
    decision and stores nothing new. A dry run stores nothing and promises nothing. Where others
    have used up a budget since it was read, the contact is decided for again, without it.

    Raises:
        ContactNotFound: unknown, or another tenant's.
        InvalidInput: `as_of` lies in the future, or before 1970.
    """
    moment = checked_as_of(as_of, runtime.clock.now())
    contact_id = await get_contact_id(connection, contact)
    playbook, profile, address = await decision_inputs(connection, tenant_id, contact_id, moment)

    def decided(known: Profile) -> Recorded:
        evaluated = evaluate(playbook, [known], None, as_of=moment, trigger=rule_trigger(trigger))
        return decision_rows(playbook, evaluated, as_of=moment, trigger=trigger, run_id=None)[0]

    recorded, promise = decided(profile), Promise(status="dry_run")
    while not dry_run:
        promise = await _kept(connection, runtime, playbook, recorded, address)
        gift = None if recorded.action is None else gives_of(playbook.policy, recorded.action)
        if gift is None or promise.status != OUT_OF_BUDGET:
            break
        profile = without_budget(profile, gift[0])
        recorded = decided(profile)  # without another budget each time, so this ends
    return decision_document(recorded.row, recorded.candidates, promise)


async def _kept(
    connection: AsyncConnection,
    runtime: Runtime,
    playbook: Playbook,
    recorded: Recorded,
    address: Address,
) -> Promise:
    """Store a decision and promise its message; neither, if the budget that pays has run out."""
    if recorded.action is None or gives_of(playbook.policy, recorded.action) is None:
        await add_decision(connection, recorded.row, recorded.candidates)
        return await promise_send(connection, runtime, playbook, recorded, address)
    savepoint = await connection.begin_nested()
    await add_decision(connection, recorded.row, recorded.candidates)
    promise = await promise_send(connection, runtime, playbook, recorded, address)
    if promise.status == OUT_OF_BUDGET:
        await savepoint.rollback()
    else:
        await savepoint.commit()
    return promise


async def decide_tenant(
    connection: AsyncConnection,
    runtime: Runtime,
    tenant_id: TenantId,
    *,
    as_of: datetime | None = None,
    dry_run: bool = False,
) -> tuple[Playbook, list[Recorded], dict[str, Promise]]:
    """Decide for every contact known at `as_of`; return the decisions in the order of parts.

    All of it at once and in one transaction: for a tenant that fits into memory; `decide_everybody`
    is for any. The promises are those made, by decision id. Errors as in `decide_contact`.
    """
    moment = checked_as_of(as_of, runtime.clock.now())
    playbook = await playbook_at(connection, tenant_id, moment)
    recorded: list[Recorded] = []
    promises: dict[str, Promise] = {}
    run_id = None if dry_run else run_id_of(tenant_id, moment)
    async for part in profiles_in_parts(connection, playbook, moment):
        if run_id is not None and not recorded:
            await start_run(connection, tenant_id, run_id, "decide", moment)
        made = await decide_part(connection, runtime, playbook, part, as_of=moment, run_id=run_id)
        recorded += made.recorded
        promises |= made.promises
    if run_id is not None and recorded:
        counts = {"decisions": len(recorded), "actions": len(promises)}
        await finish_run(connection, run_id, counts)
    return playbook, recorded, promises


@dataclass(frozen=True, slots=True)
class DecidedPart:
    """What was decided for some contacts, and the promises made, by decision id."""

    recorded: list[Recorded]
    promises: dict[str, Promise]


async def decide_part(
    connection: AsyncConnection,
    runtime: Runtime,
    playbook: Playbook,
    part: Part,
    *,
    as_of: datetime,
    run_id: UUID | None,
) -> DecidedPart:
    """Decide for some contacts and record it as part of a run; without one store nothing."""
    id_told = run_id or run_id_of(playbook.tenant_id, as_of)

    def decided(profiles: Sequence[Profile], tables: FeatureTables) -> list[Recorded]:
        evaluated = evaluate(playbook, profiles, tables, as_of=as_of)
        return decision_rows(playbook, evaluated, as_of=as_of, trigger="run", run_id=id_told)

    with uncollected():
        recorded = decide_together(playbook, part, decided)
        if run_id is None or not recorded:
            return DecidedPart(recorded, {})
        frames = decision_frame(recorded), candidate_frame(recorded)
    await add_decisions(connection, *frames)
    promises = {}
    for each in recorded:
        if each.action is not None:
            address: Address = part.addresses[each.row["contact_id"]]
            promise = await promise_send(connection, runtime, playbook, each, address, draft=False)
            promises[each.row["id"]] = promise
            if promise.status == OUT_OF_BUDGET:  # another partition was faster
                await redecide(
                    connection,
                    playbook.tenant_id,
                    ContactId(UUID(each.row["contact_id"])),
                    at=as_of,
                )
    return DecidedPart(recorded, promises)


def checked_as_of(as_of: datetime | None, now: datetime) -> datetime:
    """Return the moment to decide for, UTC.

    Raises:
        InvalidInput: it has no zone, lies ahead of the clock, or before 1970.
    """
    if as_of is None:
        return now
    if as_of.tzinfo is None:
        raise InvalidInput(
            f"The moment {as_of.isoformat()} has no time zone.", hint="Add one, e.g. a final Z."
        )
    # compared before it is converted: near the years 1 and 9999 a conversion overflows
    if not EARLIEST <= as_of <= now + _TOLERANCE:
        raise InvalidInput(
            f"The moment {as_of.isoformat()} is not between 1970 and now, {now.isoformat()}.",
            hint="Leave as_of out to decide for now.",
        )
    return as_of.astimezone(UTC)


def rule_trigger(trigger: str) -> str | None:
    """Return the trigger that leaves out rules not checked on it; None for requests: all rules.

    'nightly', 'due' and event types are such triggers.
    """
    return trigger if trigger in {NIGHTLY, DUE} or "." in trigger else None


def run_id_of(tenant_id: TenantId, as_of: datetime, kind: str = "decide") -> UUID:
    """Return the id of a run over all contacts: that of the same kind and moment is the same."""
    return UUID(digest_of([str(tenant_id), as_of.isoformat(), kind])[:32])
