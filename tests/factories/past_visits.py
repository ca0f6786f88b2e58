"""A practice's history, from a business that was made up."""

from uuid import NAMESPACE_OID, UUID, uuid5

from tests.factories.practice import Practice
from tests.unit.churn.small_business import Business


async def store_visits(practice: Practice, business: Business) -> dict[str, UUID]:
    """Store its contacts and events under ids of this tenant; return them by the business's own."""
    tenant = practice.tenant_id
    ids = {c: uuid5(NAMESPACE_OID, f"{tenant}{c}") for c in business.contacts["contact_id"]}
    async with practice.transaction() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
        async with raw.cursor() as cursor:
            await cursor.executemany(
                "INSERT INTO crm_contacts (id, tenant_id, last_name, email, timezone, created_at) "
                "VALUES (%s, %s, %s, %s, 'Europe/London', '2023-01-01')",
                [(i, tenant, c, f"{i.hex}@example.com") for c, i in ids.items()],
            )
            await cursor.executemany(
                "INSERT INTO keepwell.events (tenant_id, source, external_id, contact_id, type, "
                "occurred_at, known_at, amount_cents) VALUES (%s, 'test', %s, %s, %s, %s, %s, %s)",
                [
                    (tenant, str(n), ids[who], kind, at, at, amount)
                    for n, (who, kind, at, amount, *_) in enumerate(business.events.iter_rows())
                ],
            )
    return ids
