"""Writes imported frames into the CRM's tables and the event store, each row at most once.

Every function stages its frame in a temporary table by COPY and inserts from there, since COPY
into a table under row-level security is refused. Only columns present in the frame are written,
so that the others get their defaults.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import polars as pl
from psycopg.errors import UniqueViolation
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import TenantId
from store.bulk import copy_in
from store.direct import driver_of

# entity -> table whose rows external_ids points to
ENTITY_TABLES = {"account": "crm_accounts", "contact": "crm_contacts", "deal": "crm_deals"}

_IDS = {"external_id": pl.String, "internal_id": pl.String}


async def _stage(
    connection: AsyncConnection, table: str, frame: pl.DataFrame, beside: Sequence[str] = ()
) -> list[str]:
    """Fill pg_temp.staging with the frame, typed like `table`; return the columns of `table`.

    `beside` names columns of the frame that the table has not; they are text.
    """
    own = [name for name in frame.columns if name not in beside]
    extra = "".join(f", NULL::text AS {name}" for name in beside)
    listed = ", ".join(own)
    await connection.execute(text("DROP TABLE IF EXISTS pg_temp.staging"))
    await connection.execute(
        text(
            f"CREATE TEMP TABLE staging ON COMMIT DROP AS "
            f"SELECT {listed}{extra} FROM {table} WITH NO DATA"
        )
    )
    await copy_in(connection, "staging", frame.select(*own, *beside))
    return own


def _selected(columns: Sequence[str], *, objects: Sequence[str]) -> str:
    """The columns as they are read from staging; JSON objects lose their nulls."""
    return ", ".join(
        f"jsonb_strip_nulls(coalesce(s.{name}, '{{}}'))" if name in objects else f"s.{name}"
        for name in columns
    )


async def find_internal_ids(
    connection: AsyncConnection, tenant_id: TenantId, entity: str, external_ids: pl.Series
) -> pl.DataFrame:
    """Return external_id and internal_id (both text) of those that are known."""
    wanted = external_ids.drop_nulls().unique().sort()
    # written as PostgreSQL reads arrays: the driver would look at each text by itself
    quoted = wanted.str.replace_all(r"([\\\"])", r"\${1}")
    listed = '{"' + '","'.join(quoted) + '"}' if len(quoted) else "{}"
    cursor = await driver_of(connection).execute(
        # One value for all: a row each would be a message each. One list of keys, planned with its
        # values: while the statistics know nothing of a new tenant, the worst plan then reads the
        # tenant's ids once; as a join, or prepared, it would read them once for each key.
        "SELECT json_object_agg(external_id, internal_id) FROM keepwell.external_ids "
        "WHERE tenant_id = %s AND entity = %s AND external_id = ANY(%s::text[])",
        (tenant_id, entity, listed),
        prepare=False,
    )
    row = await cursor.fetchone()
    found: dict[str, str] = (row and row[0]) or {}
    return pl.DataFrame([list(found), list(found.values())], schema=_IDS)


async def add_entities(
    connection: AsyncConnection,
    tenant_id: TenantId,
    entity: str,
    frame: pl.DataFrame,
    *,
    expect_new: bool,
) -> pl.DataFrame:
    """Insert accounts, contacts or deals with their external ids.

    A contact whose e-mail address another contact of the tenant has is not inserted: its
    external id leads to that contact. A row that exists under the given id stays as it is.

    Args:
        connection: a transaction of the tenant.
        tenant_id: the tenant.
        entity: 'account', 'contact' or 'deal'.
        frame: external_id (new ones, each once), id, and columns of the entity's table.
        expect_new: whether most likely no row has an id or an address that is there; it is about
            speed alone.

    Returns:
        external_id, internal_id, both text, of every row of `frame`.
    """
    table = ENTITY_TABLES[entity]
    columns = await _stage(connection, table, frame, beside=("external_id",))
    tenant = {"tenant": tenant_id, "entity": entity}
    repeats = "email" in columns and frame["email"].drop_nulls().is_duplicated().any()
    added = await _insert_new(
        connection,
        f"INSERT INTO {table} (tenant_id, {', '.join(columns)}) "
        f"SELECT :tenant, {_selected(columns, objects=('custom_fields',))} FROM staging s",
        tenant,
        expect_new=expect_new and not repeats,
    )
    ids = "INSERT INTO keepwell.external_ids (tenant_id, entity, external_id, internal_id) "
    if added.total() == frame.height:
        ids += "SELECT :tenant, :entity, s.external_id, s.id FROM staging s"
        await connection.execute(text(ids), tenant)
        return frame.select("external_id", pl.col("id").alias("internal_id"))
    found, same_email = "own.id", ""
    if entity == "contact" and "email" in columns:
        found = "coalesce(own.id, twin.id)"
        same_email = f"LEFT JOIN {table} twin ON twin.tenant_id = :tenant AND twin.email = s.email"
    ids += (
        f"SELECT :tenant, :entity, s.external_id, {found} FROM staging s "
        f"LEFT JOIN {table} own ON own.id = s.id {same_email}"
    )
    await connection.execute(text(ids), tenant)
    return await find_internal_ids(connection, tenant_id, entity, frame["external_id"])


async def _insert_new(
    connection: AsyncConnection,
    insert: str,
    values: Mapping[str, object],
    *,
    expect_new: bool,
    counted: str = "'rows'",
) -> Counter[str]:
    """Insert the rows of staging that are not there yet; return how many, by `counted`.

    Where all are expected to be new, no row is looked up: ON CONFLICT takes half as long again
    (2.4 s instead of 1.6 s for 221,000 events). If one was there after all, or comes up meanwhile
    from another transaction, that is undone and ON CONFLICT does it. A join that finds the known
    rows would be cheap too, but its plan depends on statistics, and for a new tenant these are
    wrong until the server has gathered them anew.
    """
    returned = f"RETURNING {counted} AS kind) SELECT kind, count(*) FROM added GROUP BY kind"
    if expect_new:
        try:
            async with connection.begin_nested():
                added = await connection.execute(
                    text(f"WITH added AS ({insert} {returned}"), values
                )
        except IntegrityError as error:
            if not isinstance(error.orig, UniqueViolation):
                raise
        else:
            return Counter({row[0]: row[1] for row in added})
    insert += " ON CONFLICT DO NOTHING"
    added = await connection.execute(text(f"WITH added AS ({insert} {returned}"), values)
    return Counter({row[0]: row[1] for row in added})


async def lower_created_at(
    connection: AsyncConnection, tenant_id: TenantId, frame: pl.DataFrame
) -> int:
    """Move contacts' created_at back where an earlier time has come up; return how many.

    `frame`: id, created_at. Ids that are not there are passed over.
    """
    if frame.is_empty():
        return 0
    await _stage(connection, "crm_contacts", frame)
    moved = await connection.execute(
        text(
            "UPDATE crm_contacts c SET created_at = s.created_at FROM staging s "
            "WHERE c.tenant_id = :tenant AND c.id = s.id AND c.created_at > s.created_at"
        ),
        {"tenant": tenant_id},
    )
    return moved.rowcount


async def add_activities(
    connection: AsyncConnection, tenant_id: TenantId, frame: pl.DataFrame
) -> int:
    """Insert activities, oldest first, and return how many were new; the CRM's trigger fires.

    Passed over: those of a known id, and those that the CRM itself took over from the same
    integration_source and external_id. `frame` has columns of crm_activities, id among them.
    """
    columns = await _stage(connection, "crm_activities", frame)
    added = await connection.execute(
        text(
            f"INSERT INTO crm_activities (tenant_id, {', '.join(columns)}) "
            f"SELECT :tenant, {_selected(columns, objects=('integration_data',))} FROM staging s "
            "WHERE NOT EXISTS (SELECT FROM crm_activities a WHERE a.tenant_id = :tenant "
            "AND a.integration_source = s.integration_source AND a.external_id = s.external_id) "
            "ORDER BY s.created_at, s.external_id ON CONFLICT DO NOTHING"
        ),
        {"tenant": tenant_id},
    )
    return added.rowcount


async def add_events(
    connection: AsyncConnection, tenant_id: TenantId, frame: pl.DataFrame, *, expect_new: bool
) -> Counter[str]:
    """Insert events that are not there yet; return how many were new of each type.

    `frame` has columns of keepwell.events and each (source, external_id) once; it is inserted in
    the order given, best that of the primary key. `expect_new` is about speed alone.
    """
    columns = await _stage(connection, "keepwell.events", frame)
    return await _insert_new(
        connection,
        f"INSERT INTO keepwell.events (tenant_id, {', '.join(columns)}) "
        f"SELECT :tenant, {_selected(columns, objects=('properties',))} FROM staging s",
        {"tenant": tenant_id},
        expect_new=expect_new,
        counted="type",
    )


async def add_consents(
    connection: AsyncConnection, tenant_id: TenantId, frame: pl.DataFrame
) -> int:
    """Append consents that are not there yet by source and external_id; return how many."""
    if frame.is_empty():
        return 0
    columns = await _stage(connection, "keepwell.consents", frame)
    listed = ", ".join(columns)
    added = await connection.execute(
        text(
            # the clock is read once: as a default it would be called for each row
            f"INSERT INTO keepwell.consents (tenant_id, {listed}, recorded_at) "
            f"SELECT :tenant, {listed}, clock.at "
            "FROM staging, (SELECT keepwell.clock() AS at OFFSET 0) clock ON CONFLICT DO NOTHING"
        ),
        {"tenant": tenant_id},
    )
    return added.rowcount
