"""After an analysis of health: who crossed a level of risk, who is in another stage of life.

Each is an event; contacts are looked at within seconds where a rule waits for such an event.
"""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import TenantId
from rules.journey_stages import journey_stages
from services.playbook import Playbook
from store.due_checks import WAKE_KIND
from store.journeys import (
    StageRow,
    StageTerms,
    ask_checks_of,
    ensure_stages,
    tell_crossings,
    write_stages,
)
from store.sends import notify_wake
from store.tenants import get_industry

EVENTS = ("risk.raised", "risk.lowered", "journey.changed")


async def tell_changes(
    connection: AsyncConnection, tenant_id: TenantId, playbook: Playbook, as_of: datetime
) -> dict[str, int]:
    """Write stages and events of the analysis at `as_of`; return how many crossed and changed."""
    crossed = await tell_crossings(connection, tenant_id, as_of)
    known = journey_stages()
    industry = await get_industry(connection) or "any"
    stages = [StageRow(s.name, s.order, s.typical_days, s.means) for s in known.stages]
    await ensure_stages(connection, tenant_id, industry, stages)
    terms = StageTerms(playbook.definition.visit_types, known.onboarding_days, known.won_back_days)
    changed = await write_stages(connection, tenant_id, industry, terms, as_of)
    waited = [e for e in EVENTS if any(rule.checked_on(e) for rule in playbook.rules.rules)]
    if waited and await ask_checks_of(connection, tenant_id, waited, as_of):
        await notify_wake(connection, tenant_id, WAKE_KIND)
    return {"crossed": crossed, "stages_changed": changed}
