"""A live CRM takes us in: nothing of it changes, and everything works for both."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from engine.errors import ContactNotFound
from engine.ids import TenantId
from services.clock import Clock
from services.decide import decide_contact
from services.deliver import Channels, deliver_due
from services.record_event import NewEvent, record_event
from services.score_health import score_health
from services.wiring import Runtime
from store.catalogue import SPECIFIED_TABLES
from store.crm_contract import CRM_TABLES
from store.database import Database
from store.due import list_tenants_with_due_sends
from store.tenants import find_tenant_id
from store.upgrade import upgrade
from tests.factories.outbox import WORKING_HOURS
from tests.integration.store.host_crm import (
    ANN_OF_NORTH,
    NORTH,
    SOUTH,
    Place,
    dumped_objects,
    dumped_rows,
)

pytestmark = pytest.mark.integration

TENANT = TenantId(NORTH)
ADA = f"SELECT id FROM crm_contacts WHERE tenant_id = '{NORTH}' AND first_name = 'Ada1'"
HISTORY = (
    ("appointment.kept", 400),
    ("appointment.kept", 200),
    ("appointment.no_show", 30),
    ("appointment.no_show", 1),
)
OURS = (
    "keepwell",
    "customer_health_scores",
    "customer_journey_",
    "retention_campaigns",
    "communication_insights",
)


@dataclass(frozen=True)
class Live:
    """We at work in an adopted CRM."""

    place: Place
    runtime: Runtime

    @property
    def database(self) -> Database:
        return self.runtime.database

    def ada(self) -> UUID:
        [(contact,)] = self.place.rows(ADA)
        return UUID(str(contact))

    async def decide(self) -> dict[str, Any]:
        """Record Ada's history and decide for her."""
        now = self.runtime.clock.now()
        async with self.database.transaction(TENANT) as connection:
            for number, (kind, days) in enumerate(HISTORY):
                event = NewEvent(
                    id=f"e{number}",
                    type=kind,
                    contact=str(self.ada()),
                    occurred_at=now - timedelta(days=days),
                )
                await record_event(connection, TENANT, event, now=now)
        async with self.database.transaction(TENANT) as connection:
            return await decide_contact(connection, self.runtime, TENANT, str(self.ada()))

    async def score(self) -> dict[str, Any]:
        async with self.database.transaction(TENANT) as connection:
            return await score_health(connection, self.runtime, TENANT)

    async def deliver(self) -> int:
        """Deliver as if the promised moment had come."""
        async with self.database.transaction(TENANT) as connection:
            await connection.execute(
                text("UPDATE keepwell.sends SET next_at = keepwell.clock() - interval '1 s'")
            )
        return (await deliver_due(self.database, Channels({}), TENANT)).sent


@pytest.fixture
async def live(adopted: Place, runtime: Runtime) -> AsyncIterator[Live]:
    clock = Clock.starting_at(WORKING_HOURS)
    database = Database(adopted.url("keepwell"), clock_offset=clock.offset)
    yield Live(adopted, replace(runtime, clock=clock, database=database))
    await database.close()


# ------------------------------------------------------------------------ nothing of it changes


def test_no_object_of_the_crm_changes(host: Place) -> None:
    before, rows = dumped_objects(host), dumped_rows(host)
    upgrade(host.url("crm_owner"))
    after = dumped_objects(host)

    for name, statements in before.items():
        assert after.get(name, set()) >= statements, name
        added = after[name] - statements
        if added:
            assert name.endswith("Type: ACL"), name
            grants = {each for each in added if "SESSION AUTHORIZATION" not in each}
            assert all(each.endswith(" TO keepwell_app") for each in grants), (name, grants)
    assert dumped_rows(host) == rows


def test_what_we_add_is_ours_by_name_or_a_policy_of_our_role(host: Place) -> None:
    before = dumped_objects(host)
    upgrade(host.url("crm_owner"))
    after = dumped_objects(host)
    strange = {name for name in after.keys() - before.keys() if not any(o in name for o in OURS)}
    acls = {name for name in strange if name.endswith("Type: ACL")}
    assert strange == acls
    for name in acls:
        assert all(each.endswith((" TO keepwell_app",)) for each in after[name]), name

    policies = {
        f"public {table} {policy}; Type: POLICY"
        for table in CRM_TABLES
        for policy in ("keepwell_tenant", "keepwell_only")
    }
    assert policies <= after.keys()
    for name in policies:
        assert all(" TO keepwell_app " in each for each in after[name])


def test_what_we_do_not_need_and_the_crm_does_not_protect_stays_closed(adopted: Place) -> None:
    open_to_us = {
        table
        for (table,) in adopted.rows(
            "SELECT relname FROM pg_class WHERE relkind = 'r' "
            "AND relnamespace IN ('public'::regnamespace, 'auth'::regnamespace) "
            "AND has_any_column_privilege('keepwell', oid, 'SELECT')"
        )
    }
    unprotected = {"crm_pipeline_stages", "crm_field_definitions", "crm_lead_sources"}
    assert open_to_us == (CRM_TABLES.keys() - unprotected) | set(SPECIFIED_TABLES)


def test_a_second_upgrade_changes_nothing(adopted: Place) -> None:
    before = dumped_objects(adopted)
    assert upgrade(adopted.url("crm_owner")) == []
    assert dumped_objects(adopted) == before


async def test_two_upgrades_at_once_both_succeed(host: Place) -> None:
    url = host.url("crm_owner")
    applied = await asyncio.gather(*(asyncio.to_thread(upgrade, url) for _ in range(2)))
    nothing, everything = sorted(applied, key=len)
    assert nothing == []
    assert everything[0] == "0001"


# -------------------------------------------------------------------------------- our own work


async def test_a_decision_is_made_recorded_and_delivered(live: Live) -> None:
    decision = await live.decide()
    assert decision["action"] == "repeat-no-show-call"
    assert decision["send"]["status"] == "promised"
    assert await live.decide() != {}

    [(before,)] = live.place.rows(
        f"SELECT total_interactions FROM crm_contacts WHERE id = '{live.ada()}'"
    )
    assert await live.deliver() == 1
    [(tenant, contact, kind, at)] = live.place.rows(
        "SELECT tenant_id, contact_id, activity_type, created_at FROM crm_activities "
        "WHERE integration_source = 'keepwell'"
    )
    assert (tenant, contact, kind) == (NORTH, live.ada(), "task")
    [(after, last)] = live.place.rows(
        f"SELECT total_interactions, last_contacted_at FROM crm_contacts WHERE id = '{live.ada()}'"
    )
    assert after == before + 1, "the CRM's own trigger counts"
    assert last == at
    assert isinstance(at, datetime)
    assert abs(at.replace(tzinfo=WORKING_HOURS.tzinfo) - WORKING_HOURS) < timedelta(hours=1)
    logged = live.place.rows(
        f"SELECT user_id FROM audit_log WHERE record_id = '{live.ada()}' AND action = 'UPDATE' "
        "AND new_values->>'last_contact_method' = 'task'"
    )
    assert logged == [(None,)], "the CRM's audit trail sees it, by no user of the CRM"


async def test_health_is_scored_for_the_tenants_contacts_alone(live: Live) -> None:
    await live.decide()
    scored = await live.score()
    assert scored["contacts"] == 3
    [(tenants, rows, known)] = live.place.rows(
        "SELECT array_agg(DISTINCT tenant_id), count(*), count(hazard_90d) "
        "FROM customer_health_scores"
    )
    assert (tenants, rows, known) == ([NORTH], 3, 1)


async def test_policies_of_the_crm_that_allow_more_do_not_widen_what_we_see(live: Live) -> None:
    # 'Sign-in page finds tenants' lets everybody read every active tenant
    async with live.database.transaction(TENANT) as connection:
        seen = await connection.execute(text("SELECT id FROM tenants"))
        assert [row[0] for row in seen] == [NORTH]
        other = await connection.execute(
            text("UPDATE tenants SET name = 'ours' WHERE id = :id"), {"id": SOUTH}
        )
        assert other.rowcount == 0
    async with live.database.without_tenant() as connection:
        for table in ("tenants", "tenant_users", "crm_contacts", "crm_activities", "crm_deals"):
            assert await connection.scalar(text(f"SELECT count(*) FROM {table}")) == 0


async def test_row_level_security_that_the_crm_switched_off_is_made_up_for(live: Live) -> None:
    live.place.run("ALTER TABLE crm_contacts DISABLE ROW LEVEL SECURITY")
    live.place.run("ALTER TABLE tenants DISABLE ROW LEVEL SECURITY")
    assert (await live.score())["contacts"] == 3
    [(foreign,)] = live.place.rows(
        f"SELECT id FROM crm_contacts WHERE tenant_id = '{SOUTH}' LIMIT 1"
    )
    async with live.database.transaction(TENANT) as connection:
        with pytest.raises(ContactNotFound):
            await decide_contact(connection, live.runtime, TENANT, str(foreign))


# -------------------------------------------------------------------------- the CRM's own work


@pytest.fixture
async def used(live: Live) -> Live:
    """A CRM in which every table of ours refers to Ada and her tenant."""
    await live.decide()
    await live.score()
    assert await live.deliver() == 1
    live.place.run(
        f"""
        INSERT INTO communication_insights (tenant_id, contact_id) VALUES ('{NORTH}', ({ADA}));
        INSERT INTO customer_journey_stages (tenant_id, stage_name, stage_order)
          VALUES ('{NORTH}', 'new', 1);
        INSERT INTO customer_journey_progress (tenant_id, contact_id, account_id, journey_stage_id)
          SELECT c.tenant_id, c.id, c.account_id, s.id
            FROM crm_contacts c JOIN customer_journey_stages s USING (tenant_id);
        INSERT INTO retention_campaigns (tenant_id, base_campaign_id, trigger_type)
          SELECT tenant_id, id, 'churn_risk' FROM crm_campaigns;
        UPDATE customer_health_scores h SET account_id = c.account_id
          FROM crm_contacts c WHERE c.id = h.contact_id;
        """
    )
    return live


CRM_QUERIES = f"""
  INSERT INTO crm_accounts (tenant_id, name) VALUES ('{NORTH}', 'New household');
  INSERT INTO crm_contacts (tenant_id, first_name, email)
    VALUES ('{NORTH}', 'Eve', 'eve@north.example');
  INSERT INTO crm_deals (tenant_id, name) VALUES ('{NORTH}', 'Braces');
  INSERT INTO crm_activities (tenant_id, contact_id, activity_type)
    SELECT tenant_id, id, 'call' FROM crm_contacts WHERE email = 'eve@north.example';
  UPDATE crm_contacts SET lead_status = 'customer' WHERE tenant_id = '{NORTH}';
  UPDATE crm_accounts SET city = 'Northtown' WHERE tenant_id = '{NORTH}';
  UPDATE crm_deals SET stage = 'won' WHERE tenant_id = '{NORTH}';
  UPDATE crm_activities SET is_completed = true WHERE tenant_id = '{NORTH}';
  DELETE FROM crm_activities WHERE tenant_id = '{NORTH}' AND activity_type = 'call';
  DELETE FROM crm_deals WHERE tenant_id = '{NORTH}';
  DELETE FROM crm_campaigns WHERE tenant_id = '{NORTH}';
  DELETE FROM crm_accounts WHERE tenant_id = '{NORTH}';
  DELETE FROM crm_contacts WHERE tenant_id = '{NORTH}' AND first_name = 'Ada1';
  DELETE FROM tenants WHERE id = '{NORTH}';
"""


@pytest.mark.parametrize("who", ["owner", "user"])
def test_the_crms_own_statements_keep_working(used: Live, who: str) -> None:
    place = used.place
    statements = [each.strip() for each in CRM_QUERIES.split(";") if each.strip()]
    with place.signed_in(ANN_OF_NORTH) if who == "user" else place.connect("crm_owner") as crm:
        for statement in statements:
            # one by one, so that a failure names its statement
            assert crm.execute(statement).rowcount > 0, statement  # type: ignore[arg-type]
    assert place.rows(f"SELECT FROM crm_contacts WHERE tenant_id = '{NORTH}'") == []
    for table in ("customer_health_scores", "customer_journey_progress", "communication_insights"):
        assert place.rows(f"SELECT FROM {table} WHERE tenant_id = '{NORTH}'") == [], table
    [(south,)] = place.rows(f"SELECT count(*) FROM crm_contacts WHERE tenant_id = '{SOUTH}'")
    assert south == 3
    [(kept,)] = place.rows("SELECT count(*) FROM keepwell.decisions")
    assert kept > 0, "the history of what was decided outlives the CRM's rows"


def test_a_deleted_account_or_campaign_leaves_our_rows_without_it(used: Live) -> None:
    used.place.run(f"DELETE FROM crm_accounts WHERE tenant_id = '{NORTH}'", role="crm_owner")
    used.place.run(f"DELETE FROM crm_campaigns WHERE tenant_id = '{NORTH}'", role="crm_owner")
    assert used.place.rows("SELECT count(*), count(account_id) FROM customer_health_scores") == [
        (3, 0)
    ]
    assert used.place.rows(
        "SELECT count(*), count(base_campaign_id) FROM retention_campaigns "
        f"WHERE tenant_id = '{NORTH}'"
    ) == [(1, 0)]


def test_a_signed_in_user_sees_and_changes_what_was_theirs_before(used: Live) -> None:
    with used.place.signed_in(ANN_OF_NORTH) as ann:
        assert ann.execute("SELECT count(*) FROM crm_contacts").fetchall() == [(3,)]
        assert ann.execute("SELECT DISTINCT tenant_id FROM crm_activities").fetchall() == [(NORTH,)]
        moved = ann.execute(f"UPDATE crm_contacts SET lead_score = 1 WHERE tenant_id = '{SOUTH}'")
        assert moved.rowcount == 0


async def test_a_deleted_tenant_has_nothing_due_any_more(live: Live) -> None:
    assert (await live.decide())["send"]["status"] == "promised"
    live.place.run("UPDATE keepwell.sends SET next_at = '2026-01-01'")
    async with live.database.without_tenant() as connection:
        assert await list_tenants_with_due_sends(connection) == [NORTH]
    live.place.run(f"DELETE FROM tenants WHERE id = '{NORTH}'", role="crm_owner")
    async with live.database.without_tenant() as connection:
        assert await list_tenants_with_due_sends(connection) == []
        assert await find_tenant_id(connection, "north") is None
        assert await find_tenant_id(connection, "south") == SOUTH


def test_a_restored_backup_still_lets_the_crm_delete(used: Live, make_place: Any) -> None:
    restored = make_place("crm_owner")
    dump = used.place.tool("pg_dump")
    restored.tool("psql", "--quiet", "--set=ON_ERROR_STOP=1", stdin=dump)
    assert restored.rows("SELECT count(*) FROM customer_health_scores") == [(3,)]
    restored.run(f"DELETE FROM crm_contacts WHERE tenant_id = '{NORTH}'", role="crm_owner")
    restored.run(f"DELETE FROM tenants WHERE id = '{NORTH}'", role="crm_owner")
    assert restored.rows("SELECT count(*) FROM customer_health_scores") == [(0,)]
