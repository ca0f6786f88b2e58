"""Importing chunk by chunk: killed, broken off, beside others, and with two chunks under way."""

import asyncio
import gzip
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import psycopg
import pytest

from engine.errors import Conflict, InvalidInput
from services.import_crm import import_file
from store import imports
from tests.factories.imports import CLINIC, GOOD, ImportingTenant

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[3]


@pytest.fixture
def practice(database, tmp_path):
    return ImportingTenant(database, tmp_path)


async def test_a_household_of_the_chunk_that_is_not_committed_yet_is_found(practice):
    # the second chunk is short: it comes to its contacts while the first inserts its events
    rows = [
        *(f"p{n},h1,a{n}@x.example,40,v{n},2021-07-01 09:30,2021-07-05,came" for n in range(2000)),
        "q1,h1,b@x.example,40,w1,2021-07-01 09:30,2021-07-05,came",
    ]
    summary = await practice.take(rows, chunk_rows=2000)
    counts = summary.counts.as_dict()
    assert counts["contact"] == {"inserted": 2001, "already_there": 0, "linked_by_email": 0}
    assert counts["account"] == {"inserted": 1, "already_there": 2000}
    whose = "SELECT count(*), count(DISTINCT contact_id) FROM keepwell.events"
    assert await practice.query(whose) == [(4002, 2001)]


async def test_a_file_that_breaks_off_keeps_all_rows_before_the_break(practice):
    order = practice.order([GOOD.replace("v1", f"v{n}") for n in range(6)], chunk_rows=3)
    # as many bytes as hold the rows, without the end that tells that nothing is missing
    whole = gzip.compress(order.file.read_bytes())
    broken = order.file.with_suffix(".csv.gz")
    broken.write_bytes(whole[:-8])
    with pytest.raises(InvalidInput, match="breaks off after line"):
        await import_file(practice.database, replace(order, file=broken))
    assert await practice.query("SELECT rows_done, state FROM keepwell.imports") == [(5, "running")]
    assert await practice.query("SELECT count(*) FROM keepwell.events") == [(10,)]


async def test_triggers_of_the_crm_that_lock_a_row_do_not_stop_an_import(practice, servers):
    """A counter that every insert and update of a contact raises: two chunks would wait there."""
    place = f"host={servers.socket_dir} user=postgres dbname=keepwell"
    with psycopg.connect(place, autocommit=True) as owner:
        owner.execute(COUNTED)
        try:
            rows = [f"p{n},,,40,v{n},2021-07-09 09:30,2021-08-05,came" for n in range(2000)]
            # all come again, booked earlier: created_at moves while somebody new is inserted
            rows += [row.replace(",v", ",w").replace("-07-", "-06-") for row in rows]
            rows += ["q,,,40,x,2021-07-09 09:30,2021-08-05,came"]
            async with asyncio.timeout(60):
                summary = await practice.take(rows, mapping=ALONE, chunk_rows=2000)
            assert summary.counts.as_dict()["contact"]["inserted"] == 2001
        finally:
            owner.execute(
                "DROP TRIGGER counted ON crm_contacts; DROP FUNCTION counted; DROP TABLE counter"
            )


ALONE = CLINIC.replace(
    "  - kind: account\n    id: [Household]\n    fields: {name: Household}\n", ""
)
ALONE = ALONE.replace("    account: [Household]\n", "")
COUNTED = """
CREATE TABLE counter AS SELECT 0 AS n;
CREATE FUNCTION counted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
  'BEGIN UPDATE counter SET n = n + 1; RETURN NEW; END';
CREATE TRIGGER counted BEFORE INSERT OR UPDATE ON crm_contacts
  FOR EACH ROW EXECUTE FUNCTION counted();
"""


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from services.import_crm import ImportOrder, import_file
from services.import_mapping import read_mapping
from store.database import Database

def die(done, total):
    os.kill(os.getpid(), signal.SIGKILL)

url, file, mapping, slug, rejects = sys.argv[1:]
order = ImportOrder(
    Path(file), read_mapping(Path(mapping).read_text(), "m.yaml"), slug, Path(rejects), chunk_rows=3
)
asyncio.run(import_file(Database(url), order, die))
"""


async def test_an_import_that_was_killed_goes_on_after_the_last_committed_chunk(
    practice, database, servers
):
    rows = [GOOD.replace("v1", f"v{n}").replace("p1", f"p{n % 4}").replace("a@", f"a{n % 4}@")
            for n in range(10)]  # fmt: skip
    rows[1] = rows[1].replace("40", "-1")
    rows[7] = rows[7].replace("40", "-2")
    order = practice.order(rows, chunk_rows=3)
    mapping = practice.folder / "m.yaml"
    mapping.write_text(CLINIC)
    killed = subprocess.run(  # noqa: ASYNC221 - nothing else is to run meanwhile
        [sys.executable, "-c", dedent(KILLED), servers.app_database_url, str(order.file),
         str(mapping), practice.slug, str(practice.rejects_file)],
        cwd=ROOT, check=False, capture_output=True,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert await practice.query("SELECT rows_done, state FROM keepwell.imports") == [(3, "running")]
    # what was told of a chunk that was never committed is told once in the end
    with practice.rejects_file.open("a") as file:
        file.write("9,Age,is below 0,-2,not committed\n")

    summary = await import_file(database, order)
    assert summary.resumed_after_row == 3
    assert summary.rows_read == 7
    assert [line for line, *_ in practice.rejects()] == [3, 9]
    at_once = ImportingTenant(database, practice.folder)
    at_once.rejects_file = practice.folder / "others.csv"
    await at_once.take(rows)
    shape = "SELECT type, external_id, occurred_at FROM keepwell.events ORDER BY 2"
    assert await practice.query(shape) == await at_once.query(shape)
    assert practice.rejects() == at_once.rejects()


async def test_two_imports_of_one_file_at_once_do_not_both_count(tenant, database):
    async with database.transaction(tenant) as connection:
        begun = await imports.add_import(
            connection,
            tenant,
            mapping="m",
            mapping_digest="1",
            file_name="f",
            file_digest="2",
        )
        await imports.save_progress(connection, tenant, begun, rows=5, rejected=0)
        with pytest.raises(Conflict):
            await imports.save_progress(connection, tenant, begun, rows=5, rejected=0)


async def test_of_two_imports_of_one_file_at_once_the_second_finds_it_done(practice):
    await practice.take([GOOD], name="earlier.csv")
    broken = GOOD.replace("v1", "v9").replace(",40,", ",-1,")
    rows = [broken, *(GOOD.replace("v1", f"v{n}") for n in range(20))]
    order = practice.order(rows, mapping=CLINIC[CLINIC.index("source:") :], chunk_rows=2)
    first, second = sorted(
        await asyncio.gather(*(import_file(practice.database, order) for _ in range(2))),
        key=lambda summary: summary.done_before,
    )
    assert (first.rows_read, second.rows_read) == (21, 0)
    assert second.done_before
    assert [line for line, _, _ in practice.rejects()] == [2]


@pytest.mark.parametrize("chunk_rows", [1, 10])
async def test_of_two_with_one_address_the_first_of_the_file_comes_in(practice, chunk_rows):
    first = GOOD.replace("p1", "p9")
    await practice.take([first, GOOD.replace(",40,", ",50,")], chunk_rows=chunk_rows)
    ((*_, custom),) = (await practice.everything())[1]
    assert '"age": 40' in custom
