"""The lines of a CSV file, for csv.reader and past it."""

import csv
import io
import zlib
from collections import deque
from itertools import islice

LONGEST_LINE = 1 << 20  # characters; of longer lines only the beginning is kept, to be told
UNREADABLE = (OSError, EOFError, zlib.error)


class Lines:
    """Lines for csv.reader; remembers those of the record being read and can take them back."""

    def __init__(self, file: io.TextIOBase) -> None:
        self._file = file
        self._again: deque[str] = deque()
        self._broken: Exception | None = None
        self.taken: list[str] = []
        self.number = 0

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else self._read()
        if not line:
            raise StopIteration
        self.number += 1
        self.taken.append(line)
        return line

    def _read(self) -> str:
        if self._broken is not None:
            raise self._broken
        line = part = self._file.readline(LONGEST_LINE)
        while len(part) == LONGEST_LINE and part[-1] not in "\r\n":
            part = self._file.readline(LONGEST_LINE)  # the rest would pass for a row of its own
        return line

    def plain(self, most: int) -> list[str]:
        """Take the next lines if each is a record and its text is sound; else take none."""
        try:
            while len(self._again) < most and (line := self._read()):
                self._again.append(line)
        except UNREADABLE as error:
            self._broken = error  # told when the lines before it are done
        block = list(islice(self._again, most))
        text = "".join(block)
        if (
            '"' in text
            or text_fault(text)
            or any(len(line) > csv.field_size_limit() or not line.strip("\r\n") for line in block)
        ):
            return []
        for _ in block:
            self._again.popleft()
        self.number += len(block)
        return block

    def take_back(self, keep: int) -> None:
        """Give back all lines of this record but the first `keep`."""
        self.give_back(self.taken[keep:])
        del self.taken[keep:]

    def give_back(self, lines: list[str]) -> None:
        """Let the lines taken last be read again."""
        self._again.extendleft(reversed(lines))
        self.number -= len(lines)


def text_fault(text: str) -> str:
    """What keeps a text out of the database; empty if nothing does."""
    if "\x00" in text:
        return "holds a NUL character"
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            return "holds bytes that are not UTF-8"
    return ""
