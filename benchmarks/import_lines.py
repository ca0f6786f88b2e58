"""Import of invoice lines against a bare COPY of the same rows."""

import os
import statistics
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from sqlalchemy import text

from benchmarks.figures import Figure, Measured
from benchmarks.practice import SEED, World
from services.import_crm import ImportOrder, import_file
from services.import_mapping import load_mapping
from services.wiring import Runtime
from store.bulk import copy_in

LINES = 525_461
REQUIRED = 20_000.0  # rows per second
REAL = "online_retail_ii_2009_2010.parquet"
_COPIES = 3


def measure(world: World) -> Measured:
    """Import the whole file once through the shipped mapping, and copy its rows around it."""
    with tempfile.TemporaryDirectory() as folder:
        real = _real_file()
        file = real or _synthetic_file(Path(folder))
        seconds, rows, copied = world.run(lambda runtime: _imported(runtime, file, Path(folder)))
    ours, bare = rows / seconds, statistics.median(copied)
    name = f"{rows:,} invoice lines"
    kind = "real invoice lines" if real else "synthetic lines of the real file's shape"
    return Measured(
        (
            Figure("import", name, ours, "rows/s", bare, "COPY into a table without indexes"),
            Figure("import", name, ours, "rows/s", REQUIRED, "the required speed", bar=1.0),
        ),
        (f"import: {kind}; read, checked, each row once, contacts and consents made.",),
    )


async def _imported(runtime: Runtime, file: Path, folder: Path) -> tuple[float, int, list[float]]:
    copied = [await _copied(runtime, file) for _ in range(_COPIES - 1)]
    order = ImportOrder(
        file=file,
        mapping=load_mapping("shop_lines"),
        tenant="lines",
        rejects=folder / "rejects.csv",
    )
    began = time.perf_counter()
    summary = await import_file(runtime.database, order)
    seconds = time.perf_counter() - began
    copied.append(await _copied(runtime, file))
    return seconds, summary.rows_read, copied


async def _copied(runtime: Runtime, file: Path) -> float:
    """Rows a second of COPY, the file already in memory."""
    frame = pl.read_parquet(file).select(pl.all().cast(pl.String))
    columns = ", ".join(f'"{name}" text' for name in frame.columns)
    async with runtime.database.without_tenant() as connection:
        await connection.execute(text(f"CREATE TEMP TABLE bare ({columns}) ON COMMIT DROP"))
        began = time.perf_counter()
        await copy_in(connection, "bare", frame)
        return frame.height / (time.perf_counter() - began)


def _real_file() -> Path | None:
    named = os.environ.get("KEEPWELL_TEST_DATA")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    return folder / REAL if (folder / REAL).exists() else None


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
