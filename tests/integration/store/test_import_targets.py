"""Writing imported frames: what is there already is found, and what comes up meanwhile too."""

from datetime import UTC, datetime
from uuid import uuid4

import polars as pl
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from store import import_targets as targets

pytestmark = pytest.mark.integration


def events(*external_ids, **changes):
    plain = {"source": "m", "type": "order.placed", "occurred_at": datetime(2026, 3, 1, tzinfo=UTC)}
    return pl.DataFrame([{"external_id": each} | plain | changes for each in external_ids])


async def written(connection, column="external_id"):
    found = await connection.execute(
        text(f"SELECT {column} FROM keepwell.events WHERE source = 'm' ORDER BY external_id")
    )
    return [row[0] for row in found]


@pytest.mark.parametrize("expect_new", [True, False])
async def test_only_events_that_are_not_there_are_counted(tenant, database, expect_new):
    async with database.transaction(tenant) as connection:
        first = await targets.add_events(
            connection, tenant, events("1", "2"), expect_new=expect_new
        )
        again = events("1", "2", "3", type="order.returned")
        second = await targets.add_events(connection, tenant, again, expect_new=expect_new)
        assert (first, second) == ({"order.placed": 2}, {"order.returned": 1})
        assert await written(connection, "type") == ["order.placed"] * 2 + ["order.returned"]


async def test_a_fault_other_than_a_known_key_is_not_passed_over(tenant, database):
    with pytest.raises(IntegrityError, match="occurred_at"):
        async with database.transaction(tenant) as connection:
            await targets.add_events(
                connection, tenant, events("1", occurred_at=None), expect_new=True
            )
    async with database.transaction(tenant) as connection:
        assert await written(connection) == []


def contacts(*rows):
    return pl.DataFrame(rows, schema=["external_id", "id", "email"], orient="row")


@pytest.mark.parametrize("expect_new", [True, False])
async def test_contacts_with_one_address_become_one(tenant, database, expect_new):
    first, second, third = (str(uuid4()) for _ in range(3))
    async with database.transaction(tenant) as connection:
        ids = await targets.add_entities(
            connection,
            tenant,
            "contact",
            contacts(("a", first, "a@x.example"), ("b", second, "a@x.example"), ("c", third, None)),
            expect_new=expect_new,
        )
        known = dict(ids.rows())
        assert known["a"] == known["b"]
        assert known["a"] in {first, second}
        assert known["c"] == third
        later = contacts(("d", str(uuid4()), "a@x.example"))
        ids = await targets.add_entities(
            connection, tenant, "contact", later, expect_new=expect_new
        )
        assert ids.rows() == [("d", known["a"])]
        wanted = pl.Series(["d", None, "nobody", "c", "d", 'it\'s, "odd"'])
        found = await targets.find_internal_ids(connection, tenant, "contact", wanted)
        assert dict(found.rows()) == {"c": third, "d": known["a"]}
        none = pl.Series([None], dtype=pl.String)
        assert (await targets.find_internal_ids(connection, tenant, "contact", none)).is_empty()


async def test_external_ids_of_any_text_are_found(tenant, database):
    odd = ['a"b', "back\\slash", "{brace,comma}", "NULL", " ", "ünï", '\\"', "line\nbreak", "plain"]
    frame = contacts(*((key, str(uuid4()), None) for key in odd))
    async with database.transaction(tenant) as connection:
        await targets.add_entities(connection, tenant, "contact", frame, expect_new=True)
        found = await targets.find_internal_ids(
            connection, tenant, "contact", pl.Series([*odd, None, "nobody"])
        )
    assert dict(found.iter_rows()) == dict(frame.select("external_id", "id").iter_rows())
