"""Models of small businesses begun on others', only with everybody's leave."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import text

from embedded.servers import EmbeddedServers
from engine.errors import InvalidInput, TooFewData
from services.model_registry import show_model
from services.pool_churn import set_pooling, show_pooling
from services.refuse_machines import refuse_machines
from services.score_health import score_health
from services.show_at_risk import AtRiskAsked, show_at_risk
from services.show_health import MachinesRefused, explain_health, show_health
from services.train_churn import train_churn
from services.wiring import Runtime
from tests.factories.past_visits import store_visits
from tests.factories.practice import Practice, forget_playbooks, open_practice
from tests.unit.churn.small_business import make_business

pytestmark = pytest.mark.integration

DAY = timedelta(days=1)


@pytest.fixture
async def practices(servers: EmbeddedServers, runtime: Runtime) -> AsyncIterator[list[Practice]]:
    """A practice of 50 patients and three of 120, of an industry that no other test has."""
    opened = []
    for number, patients in enumerate((50, 120, 120, 120)):
        business = make_business(contacts=patients, seed=40 + number)
        first = await open_practice(runtime, servers.socket_dir)
        practice = first.at(business.until + DAY)
        await first.database.close()
        await store_visits(practice, business)
        async with practice.transaction() as connection:
            await connection.execute(text("UPDATE tenants SET industry = 'pooling'"))
        opened.append(practice)
    yield opened
    for practice in opened:
        await switch(practice, on=False)
        await practice.database.close()


async def switch(practice: Practice, *, on: bool) -> dict:
    async with practice.transaction() as connection:
        told = await set_pooling(connection, practice.runtime, practice.tenant_id, on=on, by="ada")
    forget_playbooks()
    return told.as_dict()


async def trained(practice: Practice) -> dict:
    async with practice.transaction() as connection:
        return await train_churn(connection, practice.runtime, practice.tenant_id)


async def test_fifty_patients_get_a_model_once_they_and_three_others_agree(practices):
    small, *others = practices
    with pytest.raises(TooFewData):
        await trained(small)
    assert await switch(small, on=True) == {
        "on": True, "industry": "pooling", "others": 0, "enough": False,
    }  # fmt: skip
    for other in others[:2]:
        await switch(other, on=True)
    with pytest.raises(TooFewData):
        await trained(small)  # two could be told apart
    await switch(others[2], on=True)

    model = await trained(small)
    assert model["tier"] in {"shared", "adjusted"}
    assert (model["lenders"], model["status"]) == (3, "champion")
    async with small.transaction() as connection:
        found = await score_health(connection, small.runtime, small.tenant_id)
        stored = await show_model(connection, model["digest"])
    assert found["tier"] == model["tier"]
    assert "begun on 3 other businesses" in found["note"]
    assert not [name for name in stored["features"] if "cents" in name]
    rows = await small.rows(
        "SELECT DISTINCT health_tier, model_version FROM customer_health_scores"
    )
    assert [(r["health_tier"], r["model_version"]) for r in rows] == [
        (model["tier"], model["digest"])
    ]

    # a lender that withdraws lends nothing to the next training
    await switch(others[0], on=False)
    async with small.transaction() as connection:
        pooling = await show_pooling(connection, small.runtime, small.tenant_id)
    assert pooling.others == 2
    with pytest.raises(TooFewData):
        await trained(small)


async def test_a_business_without_an_industry_has_nobody_to_pool_with(practices):
    alone = practices[0]
    async with alone.transaction() as connection:
        await connection.execute(text("UPDATE tenants SET industry = NULL"))
    with pytest.raises(InvalidInput, match="nobody to pool with"):
        await switch(alone, on=True)
    async with alone.transaction() as connection:
        await connection.execute(text("UPDATE tenants SET industry = 'pooling'"))


async def test_who_refuses_machines_is_scored_no_more_and_shown_no_more(practices):
    practice = practices[0]
    async with practice.transaction() as connection:
        before = await score_health(connection, practice.runtime, practice.tenant_id)
        page = await show_at_risk(connection, AtRiskAsked(limit=50))
        who = str(page["contacts"][0]["contact_id"])
        await refuse_machines(
            connection, practice.tenant_id, who, refused=True, by="ada", source="test"
        )
        again = await show_at_risk(connection, AtRiskAsked(limit=50))
        assert who not in {str(each["contact_id"]) for each in again["contacts"]}
        shown = await show_health(connection, practice.tenant_id, who)
        assert (shown["latest"], shown["refused_machines"]) == (None, True)
        with pytest.raises(MachinesRefused):
            await explain_health(connection, practice.runtime, practice.tenant_id, who)
    later = practice.at(practice.now() + DAY)
    async with later.transaction() as connection:
        after = await score_health(connection, later.runtime, later.tenant_id)
        await refuse_machines(
            connection, later.tenant_id, who, refused=False, by="ada", source="test"
        )
        shown = await show_health(connection, later.tenant_id, who)
    await later.database.close()
    assert (before["refused_machines"], after["refused_machines"]) == (0, 1)
    assert after["contacts"] == before["contacts"] - 1
    assert shown["latest"] is not None
    assert len(shown["history"]) == 1
