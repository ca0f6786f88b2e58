"""The shipped mappings on the real files they are made for."""

import polars as pl
import pytest

from services.import_crm import ImportOrder, import_file
from services.import_mapping import load_mapping
from tests.factories.imports import ImportingTenant

pytestmark = pytest.mark.integration


@pytest.fixture
def practice(database, tmp_path):
    return ImportingTenant(database, tmp_path)


async def test_the_clinic_comes_in_whole_but_for_six_rows(practice, real_data):
    file = real_data / "medical_noshow_kagglev2_2016.csv.gz"
    order = ImportOrder(file, load_mapping("clinic"), practice.slug, practice.rejects_file)
    summary = await import_file(practice.database, order)
    counts = summary.counts.as_dict()
    assert (summary.rows_read, summary.rows_rejected) == (110_527, 6)
    # one patient has no other appointment than the rejected one with age -1
    assert counts["contact"]["inserted"] == 62_298
    assert counts["appointment.booked"]["inserted"] == 110_521
    assert counts["appointment.no_show"]["inserted"] == 22_314
    reasons = [reason for _, _, reason in practice.rejects()]
    assert sorted(reasons) == ["appointment before it was booked"] * 5 + ["is below 0"]


async def test_the_shop_comes_in_with_every_cent(practice, real_data):
    file = real_data / "online_retail_ii_invoices.csv.gz"
    order = ImportOrder(file, load_mapping("shop"), practice.slug, practice.rejects_file)
    summary = await import_file(practice.database, order)
    counts = summary.counts.as_dict()
    assert counts["contact"]["inserted"] == 5_942
    assert counts["invoice.issued"]["inserted"] + counts["invoice.credited"]["inserted"] == 44_751
    ((net,),) = await practice.query(
        "SELECT sum(amount_cents * CASE type WHEN 'invoice.issued' THEN 1 ELSE -1 END)::bigint "
        "FROM keepwell.events"
    )
    amounts = pl.read_csv(file)["amount"]
    assert net == round(amounts.sum() * 100)


async def test_every_invoice_line_comes_in_with_or_without_a_customer(practice, real_data):
    file = real_data / "online_retail_ii_2009_2010.parquet"
    lines = practice.folder / "lines.parquet"
    pl.read_parquet(file).gather_every(20).write_parquet(lines)
    order = ImportOrder(lines, load_mapping("shop_lines"), practice.slug, practice.rejects_file)
    summary = await import_file(practice.database, order)
    ((events, anonymous),) = await practice.query(
        "SELECT count(*), count(*) FILTER (WHERE contact_id IS NULL) FROM keepwell.events"
    )
    expected = pl.read_parquet(lines)
    assert (summary.rows_read, summary.rows_rejected) == (expected.height, 0)
    assert (events, anonymous) == (expected.height, expected["Customer ID"].null_count())
    ((customers,),) = await practice.query("SELECT count(*) FROM crm_contacts")
    assert customers == expected["Customer ID"].drop_nulls().n_unique()
