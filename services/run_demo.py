"""The demo: a synthetic practice through every stage, from its appointments to a delivered message.

It runs on a clock that shows the last working day, ten in the morning at the practice: at night and
on Sundays nothing may be sent, and a demo that shows nothing helps nobody.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import TooFewData
from engine.ids import TenantId
from gateways.debug_smtp import DebugSmtp, Received
from services.decide import decide_tenant
from services.decision_document import decision_document
from services.deliver_all import deliver_all_due
from services.import_crm import ImportOrder, import_file
from services.import_mapping import load_mapping
from services.score_health import score_health
from services.senders import make_channels
from services.train_churn import train_churn
from services.wiring import Runtime
from simulate.practice import appointments
from store.database import Database
from store.health_scores import list_at_risk
from store.profiles import list_names
from store.tenants import find_tenant_id

ZONE = ZoneInfo("America/New_York")
PATIENTS = 1500
SEED = 20260301
# from ten in the morning to half past three: most slots of a day have opened by then
WORKING_HOURS = timedelta(hours=5, minutes=30)

STAGES = ("Import", "Training", "Health", "Decisions", "Delivery")

# name of a stage, what came out of it
Tell = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo shows.

    Attributes:
        slug: of the practice.
        as_of: the moment it decided for.
        health: summary of the scores.
        at_risk: contacts with the lowest health, with reasons.
        decisions: documents, the most valuable first.
        names: contact id -> name.
        letters: as they arrived.
    """

    slug: str
    as_of: datetime
    health: dict[str, Any]
    at_risk: list[dict[str, Any]]
    decisions: list[dict[str, Any]]
    names: dict[str, str]
    letters: list[Received]


def demo_moment(now: datetime) -> datetime:
    """Return the last working day's 10:00 at the practice that lies before `now`; UTC."""
    local = now.astimezone(ZONE)
    for days in range(8):
        day = local.date() - timedelta(days=days)
        morning = datetime.combine(day, time(10), tzinfo=ZONE)
        if day.weekday() < 5 and morning <= now:
            return morning.astimezone(UTC)
    raise AssertionError  # pragma: no cover - a week has five working days


async def run_demo(runtime: Runtime, tell: Tell) -> DemoResult:
    """Run every stage on a synthetic practice of its own; deliver to a local SMTP receiver.

    Raises:
        KeepwellError: of the stage that failed.
    """
    as_of = runtime.clock.now()
    slug = await _free_slug(runtime)
    history = appointments(patients=PATIENTS, until=as_of, seed=SEED)
    tenant_id = await _imported(runtime, history, slug, tell)
    async with runtime.database.transaction(tenant_id) as connection:
        tell("Training", await _trained(connection, runtime, tenant_id))
    async with runtime.database.transaction(tenant_id) as connection:
        health = await score_health(connection, runtime, tenant_id, as_of=as_of)
        tell("Health", f"{health['contacts']} scored by the {health['tier']}: {health['levels']}")
        at_risk = await list_at_risk(connection, as_of, limit=8)
    async with runtime.database.transaction(tenant_id) as connection:
        _, recorded, promises = await decide_tenant(connection, runtime, tenant_id, as_of=as_of)
    documents = [
        decision_document(each.row, each.candidates, promises.get(each.row["id"]))
        for each in recorded
    ]
    acted = [d for d in documents if d["action"]]
    told = f"{len(documents)} patients, {len(acted)} get something, the rest are left alone"
    tell("Decisions", told)
    letters = await _delivered(runtime, tell)
    async with runtime.database.transaction(tenant_id) as connection:
        names = await list_names(connection)
    documents.sort(key=lambda d: -d["score_cents"])
    return DemoResult(slug, as_of, health, at_risk, documents, names, letters)


async def _imported(runtime: Runtime, history: pl.DataFrame, slug: str, tell: Tell) -> TenantId:
    """Through the same import that a customer's file goes through."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "appointments.csv"
        history.write_csv(file)
        order = ImportOrder(
            file=file,
            mapping=load_mapping("demo_practice"),
            tenant=slug,
            rejects=Path(folder) / "rejects.csv",
        )
        summary = await import_file(runtime.database, order, lambda _done, _total: None)
        told = f"{summary.rows_read:,} appointments in {summary.seconds:.1f} s, tenant '{slug}'"
    tell("Import", told)
    return summary.tenant_id


async def _trained(connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId) -> str:
    try:
        model = await train_churn(connection, runtime, tenant_id, by="keepwell demo")
    except TooFewData as error:
        return f"scorecard: {error.message}"
    told = model["out_of_time"]["all"]["90"]
    return (
        f"model {model['digest'][:12]}, tested on {told['n']} patients it had not seen: "
        f"AUC {told['auc']:.2f}, {told['base_rate']:.0%} left within 90 days"
    )


async def _delivered(runtime: Runtime, tell: Tell) -> list[Received]:
    """What is due until the afternoon, on the same clock some hours later."""
    later = Database(
        runtime.database_url, clock_offset=runtime.clock.offset + WORKING_HOURS, pool_size=2
    )
    try:
        async with DebugSmtp() as receiver:
            settings = runtime.settings.model_copy(update={"smtp_url": receiver.url})
            channels = make_channels(settings)
            try:
                summary = await deliver_all_due(later, channels)
            finally:
                await channels.close()
            letters = list(receiver.messages)
    finally:
        await later.close()
    tell("Delivery", f"{len(letters)} e-mails arrived, {summary.sent - len(letters)} call tasks")
    return letters


async def _free_slug(runtime: Runtime) -> str:
    """'demo', or with the next number: each run has a practice of its own."""
    async with runtime.database.without_tenant() as connection:
        for number in count(1):
            slug = "demo" if number == 1 else f"demo-{number}"
            if await find_tenant_id(connection, slug) is None:
                return slug
    raise AssertionError  # pragma: no cover - numbers don't end
