"""What goes into PostgreSQL by COPY comes out the same."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from sqlalchemy import text

from engine.ids import TenantId
from store.bulk import copy_in, insert_frame, microseconds, read_frame, utc
from store.database import Database

pytestmark = pytest.mark.integration

SCHEMA: dict[str, Any] = {
    "word": pl.String,
    "whole": pl.Int64,
    "real": pl.Float64,
    "flag": pl.Boolean,
    "at": pl.Datetime("us", "UTC"),
}
# what CSV, COPY or a shell could take for something else
AWKWARD = ("", "\\.", "\\N", "NULL", '"', "a\nb", "a\r\nb", ",", "'", "\t", " ", "é😀", "{x}", "%s")
WORDS = st.one_of(
    st.sampled_from(AWKWARD),
    st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), max_size=12),
)
MOMENTS = st.datetimes(datetime(1971, 1, 1), datetime(2199, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
ROWS = st.lists(
    st.tuples(
        st.none() | WORDS,
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.floats(allow_subnormal=False),
        st.none() | st.booleans(),
        st.none() | MOMENTS,
    ),
    min_size=1,
    max_size=8,
)


@given(rows=ROWS)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_every_value_survives(
    database: Database, tenant: TenantId, rows: Sequence[tuple[Any, ...]]
) -> None:
    frame = pl.DataFrame(list(rows), schema=SCHEMA, orient="row").with_row_index("n")
    async with database.transaction(tenant) as connection:
        await connection.execute(
            text(
                "CREATE TEMP TABLE bulk (n bigint, word text, whole bigint, real float8, "
                "flag boolean, at timestamptz) ON COMMIT DROP"
            )
        )
        await copy_in(connection, "bulk", frame)
        read = await read_frame(
            connection,
            f"SELECT n, word, whole, real, flag::text, {microseconds('at')} FROM bulk ORDER BY n",
            {"n": pl.UInt32} | SCHEMA | {"flag": pl.String, "at": pl.Int64},
        )
    back = read.with_columns(pl.col("flag") == "true", utc("at"))
    assert_frame_equal(back, frame, check_exact=True)


async def test_a_lone_column_of_empty_and_missing_words_survives(
    database: Database, tenant: TenantId
) -> None:
    frame = pl.DataFrame({"word": ["", None, "\\.", "after"]})
    async with database.transaction(tenant) as connection:
        await connection.execute(text("CREATE TEMP TABLE bulk (word text) ON COMMIT DROP"))
        await copy_in(connection, "bulk", frame)
        read = await read_frame(connection, "SELECT word FROM bulk", {"word": pl.String})
    assert read["word"].to_list() == ["", None, "\\.", "after"]


async def test_values_are_quoted_and_never_run(database: Database, tenant: TenantId) -> None:
    nasty = "x'); DROP TABLE keepwell.events; --"
    async with database.transaction(tenant) as connection:
        read = await read_frame(
            connection, "SELECT {given} AS word", {"word": pl.String}, given=nasty
        )
        assert read["word"].to_list() == [nasty]
        assert await connection.scalar(text("SELECT count(*) FROM keepwell.events")) == 0


async def test_no_rows_are_an_empty_frame_of_the_schema(
    database: Database, tenant: TenantId
) -> None:
    async with database.transaction(tenant) as connection:
        read = await read_frame(connection, "SELECT 1 AS whole WHERE false", {"whole": pl.Int64})
        assert read.is_empty()
        assert read.schema == {"whole": pl.Int64}
        assert await insert_frame(connection, "keepwell.external_ids", read) == 0


async def test_frames_are_inserted_under_the_tenants_policy(
    database: Database, tenant: TenantId, other_tenant: TenantId
) -> None:
    frame = pl.DataFrame(
        {
            "tenant_id": [str(tenant)] * 2,
            "entity": ["contact"] * 2,
            "external_id": ["a", "b"],
            "internal_id": [str(tenant)] * 2,
        }
    )
    conflict = "ON CONFLICT DO NOTHING"
    async with database.transaction(tenant) as connection:
        assert await insert_frame(connection, "keepwell.external_ids", frame) == 2
        again = await insert_frame(connection, "keepwell.external_ids", frame, conflict=conflict)
        assert again == 0
    with pytest.raises(Exception, match="row-level security"):
        async with database.transaction(other_tenant) as connection:
            await insert_frame(connection, "keepwell.external_ids", frame)
