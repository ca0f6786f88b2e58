"""Reads a file in chunks: CSV with exact line numbers, or Parquet; never whole into memory."""

import csv
import gzip
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

import polars as pl

from engine.errors import InvalidInput
from services.import_lines import LONGEST_LINE, UNREADABLE, Lines, text_fault
from services.import_rejects import Reject

LINE = "$line"  # column of a chunk: where the row starts in the file
ROW = "$row"  # column of a chunk: number of the row among the data rows, from 1

_BLOCK_BYTES = 1 << 20
_PLAIN_LINES = 1_000  # looked at together; those with quotes are then read one by one


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows of a file.

    Attributes:
        rows: data rows consumed, malformed ones included.
        frame: the well-formed ones: a column per file column (text; Parquet's own times stay
            times), LINE and ROW.
        raw: the text of each row of `frame`, for the rejects file; empty for Parquet.
        rejects: the malformed ones.
    """

    rows: int
    frame: pl.DataFrame
    raw: list[str]
    rejects: list[Reject]


class Source(Protocol):
    """A file that can be read from any row on."""

    @property
    def columns(self) -> list[str]: ...

    def chunks(self, after_row: int, sizes: Iterator[int]) -> Iterator[Chunk]:
        """Yield the rows after the first `after_row` data rows, so many to a chunk."""
        ...


def open_source(path: Path, delimiter: str) -> Source:
    """Open .csv, .csv.gz (also .tsv, .txt) or .parquet.

    Raises:
        InvalidInput: there is no such file, it has another extension, no header or no content.
    """
    if not path.is_file():
        raise InvalidInput(f"There is no file {path}.", hint="Check the path.")
    name = path.name.lower()
    if name.endswith(".parquet"):
        return _ParquetSource(path)
    if name.removesuffix(".gz").endswith((".csv", ".tsv", ".txt")):
        return _CsvSource(path, delimiter)
    raise InvalidInput(
        f"{path.name} is neither .csv, .csv.gz nor .parquet.",
        hint="Save it as CSV (UTF-8) or Parquet.",
    )


def file_digest(path: Path) -> str:
    """SHA-256 of the file's bytes as hexadecimal text."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


class _CsvSource:
    def __init__(self, path: Path, delimiter: str) -> None:
        self._path = path
        self._delimiter = delimiter
        with self._open() as file:
            self._columns = self._header(Lines(file))

    @property
    def columns(self) -> list[str]:
        return self._columns

    def chunks(self, after_row: int, sizes: Iterator[int]) -> Iterator[Chunk]:
        with self._open() as file:
            lines = Lines(file)
            number = 0  # data rows before this run
            batch, size = _Batch(self._columns), next(sizes)
            try:
                for line, cells, raw in self._runs(lines, len(self._header(lines))):
                    at = max(0, min(after_row - number, len(raw)))
                    while at < len(raw):
                        end = min(at + size - batch.rows, len(raw))
                        if isinstance(cells, str):
                            batch.reject(line, cells, raw[at])
                        else:
                            batch.add(number + at + 1, line + at, cells[at:end], raw[at:end])
                        at = end
                        if batch.rows == size:
                            yield batch.chunk()
                            batch, size = _Batch(self._columns), next(sizes)
                    number += len(raw)
            except InvalidInput:
                if batch.rows:  # the file breaks off here; what stands before is whole
                    yield batch.chunk()
                raise
            if batch.rows:
                yield batch.chunk()

    def _open(self) -> io.TextIOWrapper:
        gzipped = self._path.name.lower().endswith(".gz")
        binary = gzip.open(self._path) if gzipped else self._path.open("rb")  # noqa: SIM115 - the wrapper closes it
        # surrogateescape lets every other row pass when one has bytes that are not UTF-8
        return io.TextIOWrapper(
            binary,
            encoding="utf-8-sig",
            errors="surrogateescape",
            newline="",
        )

    def _header(self, lines: Lines) -> list[str]:
        for _, cells in self._records(lines):
            if isinstance(cells, str):
                raise InvalidInput(f"The header of {self._path.name} {cells}.")
            names = [cell.strip() for cell in cells]
            _check_names(names, self._path)
            return names
        raise InvalidInput(f"{self._path.name} is empty: there is no header.")

    def _runs(
        self, lines: Lines, columns: int
    ) -> Iterator[tuple[int, list[list[str]] | str, list[str]]]:
        """Yield (first line, rows, texts): of many plain rows at once, or of one record.

        Instead of the rows of a record that can't be split comes what is wrong with it.
        """
        records = self._records(lines, columns)
        while True:
            start = lines.number + 1
            if block := lines.plain(_PLAIN_LINES):
                rows = list(csv.reader(block, delimiter=self._delimiter))
                if all(len(cells) == columns for cells in rows):
                    yield start, rows, block
                    continue
                lines.give_back(block)
            ended = True
            for line, cells in islice(records, _PLAIN_LINES):
                ended = False
                yield line, cells if isinstance(cells, str) else [cells], ["".join(lines.taken)]
            if ended:
                return

    def _records(self, lines: Lines, columns: int = 0) -> Iterator[tuple[int, list[str] | str]]:
        """Yield (line, cells) or, of a record that can't be split, (line, what is wrong).

        A quote that is closed only in a later row, or never, would swallow the rows between:
        of such a record only the first line is faulty, the others are read again.
        """
        reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
        while True:
            lines.taken.clear()
            start = lines.number + 1
            cells: list[str] | str
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                lines.take_back(keep=1)
                cells = f"can't be split into columns: {error}"
            except UNREADABLE as error:
                raise InvalidInput(
                    f"{self._path.name} breaks off after line {lines.number:,}: {error}.",
                    hint="The rows before are imported; get the file anew and repeat the import.",
                ) from error
            if columns and len(cells) != columns and len(lines.taken) > 1:
                lines.take_back(keep=1)
                cells = f"opens a quote that is not closed within its {columns} columns"
            if any(len(line) == LONGEST_LINE for line in lines.taken):
                lines.take_back(keep=1)
                cells = f"has a line of {LONGEST_LINE:,} characters or more"
            if cells:
                yield start, cells


class _Batch:
    """Rows of one chunk while they are collected."""

    def __init__(self, columns: list[str]) -> None:
        self._columns = columns
        self._cells: list[list[str]] = []
        self._lines: list[int] = []
        self._numbers: list[int] = []
        self._raw: list[str] = []
        self._rejects: list[Reject] = []
        self.rows = 0

    def reject(self, line: int, fault: str, raw: str) -> None:
        self.rows += 1
        self._rejects.append(Reject(line, "", fault, "", raw.rstrip("\r\n")))

    def add(self, number: int, line: int, rows: list[list[str]], raw: list[str]) -> None:
        """Take rows that stand in the file one after the other, the first at `number`, `line`."""
        if len(rows) == 1:  # only a row that comes alone can have a fault
            fault = text_fault(raw[0])
            if len(rows[0]) != len(self._columns):
                fault = f"has {len(rows[0])} columns, the header has {len(self._columns)}"
            if fault:
                self.reject(line, fault, raw[0])
                return
        self.rows += len(rows)
        self._cells += rows
        self._lines += range(line, line + len(rows))
        self._numbers += range(number, number + len(rows))
        self._raw += raw

    def chunk(self) -> Chunk:
        columns = zip(*self._cells, strict=True) if self._cells else ((),) * len(self._columns)
        frame = pl.DataFrame(
            [
                pl.Series(name, values, dtype=pl.String)
                for name, values in zip(self._columns, columns, strict=True)
            ]
        ).with_columns(
            pl.Series(LINE, self._lines, dtype=pl.Int64),
            pl.Series(ROW, self._numbers, dtype=pl.Int64),
        )
        return Chunk(self.rows, frame, self._raw, self._rejects)


def _check_names(names: list[str], path: Path) -> None:
    fault = text_fault("".join(names))
    if fault:
        raise InvalidInput(f"The header of {path.name} {fault}.", hint="Save the file as UTF-8.")
    for name in names:
        if names.count(name) > 1 or name in {LINE, ROW}:
            raise InvalidInput(
                f"The header of {path.name} has the name '{name}' twice, or it is reserved.",
                hint="Give each column a name of its own.",
            )


class _ParquetSource:
    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._schema = pl.read_parquet_schema(path)
            _check_names(list(self._schema), path)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise self._unreadable(error) from error

    @property
    def columns(self) -> list[str]:
        return list(self._schema)

    def chunks(self, after_row: int, sizes: Iterator[int]) -> Iterator[Chunk]:
        lazy = pl.scan_parquet(self._path)
        done = after_row
        while True:
            try:
                frame = lazy.slice(done, next(sizes)).collect()
            except (pl.exceptions.PolarsError, OSError) as error:
                raise self._unreadable(error) from error
            if frame.is_empty():
                return
            numbers = pl.Series(range(done + 1, done + 1 + frame.height), dtype=pl.Int64)
            texts = frame.select(_as_text(name, dtype) for name, dtype in self._schema.items())
            yield _without_nul(
                texts.with_columns(numbers.alias(LINE), numbers.alias(ROW)), self.columns
            )
            done += frame.height

    def _unreadable(self, error: Exception) -> InvalidInput:
        return InvalidInput(
            f"{self._path.name} can't be read as Parquet: {str(error).splitlines()[0]}.",
            hint="Write it anew and repeat the import.",
        )


def _as_text(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if isinstance(dtype, pl.Datetime):
        return column.cast(pl.Datetime("us", dtype.time_zone))
    if dtype.is_float():
        # 13085.0 is a customer number, stored as a float since some rows have none
        whole = column.is_finite() & (column == column.floor()) & (column.abs() < 2**53)
        return (
            pl.when(whole)
            .then(pl.when(whole).then(column).otherwise(None).cast(pl.Int64).cast(pl.String))
            .otherwise(column.cast(pl.String))
            .alias(name)
        )
    if dtype.is_nested() or dtype in (pl.Binary, pl.Duration):
        return pl.lit(None, pl.String).alias(name)
    return column.cast(pl.String)


def _without_nul(frame: pl.DataFrame, columns: list[str]) -> Chunk:
    texts = [name for name in columns if frame.schema[name] == pl.String]
    bad = frame.select(
        pl.any_horizontal(pl.col(name).str.contains("\x00", literal=True) for name in texts)
        .fill_null(value=False)
        .alias("bad")
        if texts
        else pl.lit(value=False).repeat_by(pl.len()).explode().alias("bad")
    ).to_series()
    if not bad.any():
        return Chunk(frame.height, frame, [], [])
    rejects = [
        Reject(row[LINE], "", "holds a NUL character", "", raw_row(row, columns))
        for row in frame.filter(bad).iter_rows(named=True)
    ]
    return Chunk(frame.height, frame.filter(~bad), [], rejects)


def raw_row(row: dict[str, object], columns: list[str]) -> str:
    """A row of Parquet as a line of CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(row[name] for name in columns)
    return text.getvalue()
