"""Rows that were not imported, and the file that tells which and why."""

import csv
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from engine.errors import InvalidInput

HEADER = ("line", "column", "reason", "value", "row")
_LONGEST_TEXT = 4_000  # characters kept of a row or value that nobody will want to read whole


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that stayed out, with its first fault.

    Attributes:
        line: line of the file on which the row starts, from 1; for Parquet the row, from 1.
        column: where the fault is, '' if it is the row as a whole.
        value: what stands there.
        row: the row as it stands in the file.
    """

    line: int
    column: str
    reason: str
    value: str
    row: str


class RejectsFile:
    """Written only once there is something to write; made to agree with the committed chunks.

    Raises:
        InvalidInput: `path` is a file of another kind; it is left as it is.
    """

    def __init__(self, path: Path, *, keep: int) -> None:
        self.path = path
        self._open: TextIO | None = None
        self._adopt(keep)

    def write(self, rejects: Iterable[Reject]) -> None:
        """Append rejects and bring them to the disk, before their chunk is committed."""
        rows = [
            (r.line, r.column, r.reason, r.value[:_LONGEST_TEXT], r.row[:_LONGEST_TEXT])
            for r in rejects
        ]
        if not rows:
            return
        if self._open is None:
            self._open = self._create()
        csv.writer(self._open, lineterminator="\n").writerows(_printable(row) for row in rows)
        self._open.flush()
        os.fsync(self._open.fileno())

    def close(self) -> None:
        if self._open is not None:
            self._open.close()

    def _create(self) -> TextIO:
        fresh = not self.path.exists()
        try:
            file = self.path.open("a", encoding="utf-8", newline="")
        except OSError as error:
            raise InvalidInput(
                f"The rejects file {self.path} can't be written: {error.strerror}.",
                hint="Name another one with --rejects.",
            ) from error
        if fresh:
            csv.writer(file, lineterminator="\n").writerow(HEADER)
        return file

    def _adopt(self, keep: int) -> None:
        """Keep the first `keep` rejects of an earlier run that broke off; drop what came after."""
        if not self.path.exists():
            return
        with self.path.open(encoding="utf-8", errors="replace", newline="") as file:
            rows = csv.reader(file)
            if tuple(next(rows, ())) != HEADER:
                raise InvalidInput(
                    f"{self.path} is not a rejects file; it is left as it is.",
                    hint="Name another one with --rejects.",
                )
            kept = [row for _, row in zip(range(keep), rows, strict=False)]
        if not kept:
            self.path.unlink()
            return
        beside = self.path.with_name(self.path.name + ".new")
        with beside.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([HEADER, *kept])
        beside.replace(self.path)


def _printable(row: tuple[object, ...]) -> list[str]:
    # bytes that are no UTF-8 were read as lone surrogates; NUL would end the line for many readers
    return [
        str(cell).encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")
        for cell in row
    ]
