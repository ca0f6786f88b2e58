"""A tenant's first rule set comes with its first decision, and first decisions come together."""

import asyncio

import pytest
from sqlalchemy import text

from engine.ids import TenantId
from services.default_packs import default_packs
from services.rules_in_force import ensure_rules
from store.database import Database

pytestmark = pytest.mark.integration


async def test_first_decisions_at_the_same_moment_make_one_first_version(
    database: Database, tenant: TenantId
) -> None:
    async def first() -> str:
        async with database.transaction(tenant) as connection:
            return await ensure_rules(connection, tenant, "healthcare")

    digests = await asyncio.gather(*(first() for _ in range(4)))
    assert len(set(digests)) == 1
    async with database.transaction(tenant) as connection:
        rows = await connection.execute(
            text("SELECT name, version, status FROM keepwell.rule_sets ORDER BY name")
        )
        files = sorted(default_packs("healthcare"))
        assert [tuple(row) for row in rows] == [(name, 1, "live") for name in files]
