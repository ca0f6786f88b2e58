"""Imports of files against a bare COPY of the same rows."""

import statistics
import tempfile
import time
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from sqlalchemy import text

from benchmarks.figures import Figure, Measured
from benchmarks.practice import SEED, World, real_file
from services.import_crm import ImportOrder, import_file
from services.import_mapping import load_mapping
from services.wiring import Runtime
from store.bulk import copy_in

LINES = 525_461
REQUIRED = 20_000.0  # rows per second
INVOICES = "online_retail_ii_2009_2010.parquet"
CLINIC = "medical_noshow_kagglev2_2016.csv.gz"
_COPIES = 3


def measure(world: World) -> Measured:
    """Import whole files through the shipped mappings, and copy the rows of each around it."""
    with tempfile.TemporaryDirectory() as folder:
        lines = real_file(INVOICES)
        kind = "real invoice lines" if lines else "synthetic lines of the real file's shape"
        notes = [f"import: {kind}; read, checked, each row once, contacts and consents made."]
        files = [("invoice lines", "shop_lines", lines or _synthetic_file(Path(folder)))]
        clinic = real_file(CLINIC)
        if clinic:
            files.append(("appointments", "clinic", clinic))
        else:
            notes.append(f"import: without {CLINIC}, appointments are not measured.")
        figures: list[Figure] = []
        for what, mapping, file in files:
            figures += world.run(partial(_figures, what, mapping, file, Path(folder)))
    return Measured(tuple(figures), tuple(notes))


async def _figures(
    what: str, mapping: str, file: Path, folder: Path, runtime: Runtime
) -> list[Figure]:
    copied = [await _copied(runtime, file) for _ in range(_COPIES - 1)]
    order = ImportOrder(
        file=file,
        mapping=load_mapping(mapping),
        tenant=f"import-{mapping.replace('_', '-')}",
        rejects=folder / f"{mapping}.rejects.csv",
    )
    summary = await import_file(runtime.database, order)
    copied.append(await _copied(runtime, file))
    name, ours = f"{summary.rows_read:,} {what}", summary.rows_read / summary.seconds
    bare = statistics.median(copied)
    return [
        Figure("import", name, ours, "rows/s", bare, "COPY into a table without indexes"),
        Figure("import", name, ours, "rows/s", REQUIRED, "the required speed", bar=1.0),
    ]


async def _copied(runtime: Runtime, file: Path) -> float:
    """Rows a second of COPY, the file already in memory."""
    parquet = file.suffix == ".parquet"
    frame = pl.read_parquet(file) if parquet else pl.read_csv(file, infer_schema=False)
    frame = frame.select(pl.all().cast(pl.String))
    columns = ", ".join(f'"{name}" text' for name in frame.columns)
    async with runtime.database.without_tenant() as connection:
        await connection.execute(text(f"CREATE TEMP TABLE bare ({columns}) ON COMMIT DROP"))
        began = time.perf_counter()
        await copy_in(connection, "bare", frame)
        return frame.height / (time.perf_counter() - began)


def _synthetic_file(folder: Path) -> Path:
    """As many lines with the real file's columns: 20 to an invoice, a fifth without a customer."""
    rng = np.random.default_rng(SEED)
    invoice = np.arange(LINES) // 20
    customer = rng.integers(12_000, 18_000, LINES // 20 + 1)[invoice].astype(np.float64)
    start = datetime(2009, 12, 1, 8)  # noqa: DTZ001 - the file's times have no zone
    minutes = np.sort(rng.integers(0, 370 * 1440, LINES // 20 + 1))[invoice]
    frame = pl.DataFrame(
        {
            "Invoice": [str(489_434 + number) for number in invoice],
            "StockCode": [str(code) for code in rng.integers(20_000, 90_000, LINES)],
            "Description": ["CERAMIC MONEY BOX"] * LINES,
            "Quantity": rng.integers(1, 24, LINES),
            "InvoiceDate": [start + timedelta(minutes=int(each)) for each in minutes],
            "Price": np.round(rng.gamma(2.0, 2.0, LINES), 2),
            "Customer ID": pl.Series(
                np.where((invoice % 5 == 0), np.nan, customer), nan_to_null=True
            ),
            "Country": ["United Kingdom"] * LINES,
        }
    )
    file = folder / "lines.parquet"
    frame.write_parquet(file)
    return file
