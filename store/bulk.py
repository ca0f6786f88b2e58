"""Frames in and out of PostgreSQL by COPY: the fast path for nightly runs and imports."""

import io
from collections.abc import Mapping

import polars as pl
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.direct import driver_of


async def read_frame(
    connection: AsyncConnection,
    query: str,
    schema: Mapping[str, pl.DataType | type[pl.DataType]],
    **values: object,
) -> pl.DataFrame:
    """Read a query's rows as a frame; `{name}` in the query is replaced by the quoted value.

    Timestamps must be cast in the query to microseconds (`store.bulk.MICROSECONDS`), since CSV
    carries no types: `schema` names each column in order with its polars type.
    """
    driver = driver_of(connection)
    literals = {name: sql.Literal(value) for name, value in values.items()}
    composed = sql.SQL("COPY ({}) TO STDOUT (FORMAT csv)").format(sql.SQL(query).format(**literals))
    buffer = io.BytesIO()
    async with driver.cursor() as cursor, cursor.copy(composed) as copy:
        async for block in copy:
            buffer.write(block)
    names = dict(schema)
    if buffer.tell() == 0:
        return pl.DataFrame(schema=names)
    buffer.seek(0)
    return pl.read_csv(buffer, has_header=False, schema=names)


def microseconds(column: str) -> str:
    """SQL for a timestamptz as whole microseconds since 1970 UTC; null stays null."""
    return f"(extract(epoch FROM {column}) * 1000000)::bigint"


def utc(column: str) -> pl.Expr:
    """Turn whole microseconds since 1970 into Datetime('us', 'UTC')."""
    return pl.col(column).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


async def insert_frame(
    connection: AsyncConnection, table: str, frame: pl.DataFrame, *, conflict: str = ""
) -> int:
    """Insert a frame whose columns are named like the table's; return the rows inserted.

    Goes through a temporary table since COPY into a table under row-level security is refused.
    `conflict` is an ON CONFLICT clause. Datetimes are written as ISO 8601 UTC.
    """
    if frame.is_empty():
        return 0
    columns = ", ".join(frame.columns)
    await connection.execute(text("DROP TABLE IF EXISTS pg_temp.staging"))
    await connection.execute(
        text(
            f"CREATE TEMP TABLE staging ON COMMIT DROP AS "
            f"SELECT {columns} FROM {table} WITH NO DATA"
        )
    )
    await copy_in(connection, "staging", frame)
    result = await connection.execute(
        text(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM staging {conflict}")
    )
    await connection.execute(text("DROP TABLE staging"))
    return result.rowcount


async def copy_in(connection: AsyncConnection, table: str, frame: pl.DataFrame) -> None:
    """COPY a frame into a table without row-level security (a temporary one)."""
    driver = driver_of(connection)
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, frame.columns))
    )
    # texts in quotes: '' is no null then, and servers before 18 end the input at a bare '\\.'
    written = frame.write_csv(
        include_header=False,
        datetime_format="%Y-%m-%dT%H:%M:%S%.6fZ",
        null_value="",
        quote_style="non_numeric",
    )
    async with driver.cursor() as cursor, cursor.copy(statement) as copy:
        await copy.write(written.encode())
