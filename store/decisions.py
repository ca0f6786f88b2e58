"""Decisions and their candidates: written once, never changed."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import orjson
import polars as pl
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import DecisionNotFound
from engine.ids import TenantId
from store.bulk import copy_in
from store.direct import find_row


@cache
def _add_statement(columns: tuple[str, ...]) -> str:
    """One statement, one round trip; the candidates are written only if the decision is new."""
    named = ", ".join(columns)  # what is not given keeps the table's default
    return f"""
      WITH decided AS (
        INSERT INTO keepwell.decisions ({named})
        SELECT {named}
          FROM json_populate_record(NULL::keepwell.decisions, cast(:decision AS json))
        ON CONFLICT (tenant_id, id) DO NOTHING RETURNING id
      ), traced AS (
        INSERT INTO keepwell.candidates
        SELECT r.* FROM json_populate_recordset(NULL::keepwell.candidates, cast(:rows AS json)) r
         WHERE EXISTS (SELECT FROM decided)
      )
      SELECT count(*) FROM decided
    """


async def add_decision(
    connection: AsyncConnection,
    decision: Mapping[str, Any],
    candidates: Sequence[Mapping[str, Any]],
) -> bool:
    """Write a decision with its trace; return False if the very same one is stored already.

    Keys are the tables' columns.
    """
    added = await find_row(
        connection,
        _add_statement(tuple(decision)),
        {
            "decision": orjson.dumps(decision).decode(),
            "rows": orjson.dumps(candidates).decode(),
        },
    )
    return bool(added and added[0])


async def add_decisions(
    connection: AsyncConnection, decisions: pl.DataFrame, candidates: pl.DataFrame
) -> int:
    """Write many decisions with their traces; return how many are new.

    Frames have the tables' columns; jsonb columns hold JSON text. Where no rule proposed anything
    `candidates` is empty and may lack its columns.
    """
    if decisions.is_empty():
        return 0
    columns = ", ".join(decisions.columns)
    for name, table, key, unsorted in (
        ("new_decisions", "decisions", "id", decisions),
        ("new_candidates", "candidates", "decision_id", candidates),
    ):
        if unsorted.is_empty():
            continue
        # in the order of ids the pages of the index are visited once each
        frame = unsorted.sort(key)
        await connection.execute(text(f"DROP TABLE IF EXISTS pg_temp.{name}"))
        await connection.execute(
            text(
                f"CREATE TEMP TABLE {name} ON COMMIT DROP AS "
                f"SELECT {', '.join(frame.columns)} FROM keepwell.{table} WITH NO DATA"
            )
        )
        await copy_in(connection, name, frame)
    # a decision that is stored already keeps its trace; one that another run is just storing is
    # the same to the last candidate, since its id is made of all that it was decided from
    await connection.execute(
        text(
            "DELETE FROM new_decisions n USING keepwell.decisions d "
            "WHERE d.tenant_id = n.tenant_id AND d.id = n.id"
        )
    )
    added = await connection.execute(
        text(
            f"INSERT INTO keepwell.decisions ({columns}) SELECT {columns} FROM new_decisions "
            "ON CONFLICT DO NOTHING"
        )
    )
    if candidates.is_empty():
        return added.rowcount
    traced = ", ".join(candidates.columns)
    await connection.execute(
        text(
            f"INSERT INTO keepwell.candidates ({traced}) SELECT {traced} FROM new_candidates c "
            "WHERE EXISTS (SELECT FROM new_decisions n WHERE n.id = c.decision_id) "
            "ON CONFLICT DO NOTHING"
        )
    )
    return added.rowcount


async def get_decision(
    connection: AsyncConnection, decision_id: UUID
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return a decision's row and its candidates in order, as plain values.

    Raises:
        DecisionNotFound: unknown, or another tenant's.
    """
    found = await connection.scalar(
        text("SELECT row_to_json(d)::text FROM keepwell.decisions d WHERE d.id = :id"),
        {"id": decision_id},
    )
    if found is None:
        raise DecisionNotFound(
            f"There is no decision '{decision_id}'.",
            hint="Use the id that a next-best-action call or 'keepwell decide' returned.",
        )
    rows = await connection.execute(
        text(
            "SELECT row_to_json(c)::text FROM keepwell.candidates c "
            "WHERE c.decision_id = :id ORDER BY position"
        ),
        {"id": decision_id},
    )
    return orjson.loads(found), [orjson.loads(row[0]) for row in rows]


async def start_run(
    connection: AsyncConnection, tenant_id: TenantId, run_id: UUID, kind: str, as_of: object
) -> None:
    """Note that a run began; the same run again changes nothing."""
    await connection.execute(
        text(
            "INSERT INTO keepwell.runs (tenant_id, id, kind, as_of) "
            "VALUES (:tenant, :id, :kind, :as_of) ON CONFLICT DO NOTHING"
        ),
        {"tenant": tenant_id, "id": run_id, "kind": kind, "as_of": as_of},
    )


async def finish_run(connection: AsyncConnection, run_id: UUID, counts: Mapping[str, int]) -> None:
    """Note that a run ended, and what it counted."""
    await connection.execute(
        text(
            "UPDATE keepwell.runs SET finished_at = keepwell.clock(), "
            "counts = cast(:counts AS jsonb) WHERE id = :id"
        ),
        {"id": run_id, "counts": orjson.dumps(counts).decode()},
    )


async def find_send_of(connection: AsyncConnection, decision_id: UUID) -> dict[str, Any] | None:
    """Return what became of a decision's message, None if none was promised; no address in it."""
    found = await connection.scalar(
        text(
            "SELECT json_build_object('id', id, 'state', state, 'channel', channel, 'reason', "
            "reason, 'attempts', attempts, 'next_at', next_at, 'sent_at', sent_at, 'checks', "
            "checks, 'content_source', content_source, 'subject', content->'subject', 'text', "
            "content->'text')::text FROM keepwell.sends WHERE decision_id = :id"
        ),
        {"id": decision_id},
    )
    return None if found is None else dict(orjson.loads(found))


async def list_outcomes(connection: AsyncConnection, decision_id: UUID) -> list[dict[str, Any]]:
    """Return the outcomes attributed to a decision, oldest first."""
    rows = await connection.execute(
        text(
            "SELECT json_build_object('kind', kind, 'reward', reward, 'occurred_at', occurred_at, "
            "'event', external_id)::text FROM keepwell.outcomes WHERE decision_id = :id "
            "ORDER BY occurred_at, external_id"
        ),
        {"id": decision_id},
    )
    return [orjson.loads(row[0]) for row in rows]


async def list_decision_ids(
    connection: AsyncConnection, *, since: datetime, limit: int, after: UUID | None = None
) -> list[UUID]:
    """Return ids of decisions made for moments from `since` on, by id, after the one given."""
    rows = await connection.execute(
        text(
            "SELECT id FROM keepwell.decisions WHERE as_of >= :since "
            "AND (cast(:after AS uuid) IS NULL OR id > :after) ORDER BY id LIMIT :limit"
        ),
        {"since": since, "after": after, "limit": limit},
    )
    return [row[0] for row in rows]


async def has_decision(connection: AsyncConnection, decision_id: UUID) -> bool:
    """Tell whether the tenant of this transaction has the decision."""
    found = await connection.scalar(
        text("SELECT true FROM keepwell.decisions WHERE id = :id"), {"id": decision_id}
    )
    return bool(found)
