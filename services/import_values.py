"""Turns the columns of a chunk into typed values, and says which rows have which fault."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import polars as pl

from engine.features.wall_clock import zone_of
from services.import_amounts import read_cents
from services.import_kinds import STATUSES, Case, FieldType, Mapping, Value
from services.import_reading import ROW
from services.import_records import template_pieces
from services.import_times import EARLIEST_YEAR, LATEST_YEAR, read_times

LONGEST_TEXT = 20_000  # the search index over a contact's texts ends at a megabyte
LONGEST_ID = 500  # an index entry of PostgreSQL ends at 2,700 bytes
LONGEST_EMAIL = 320  # RFC 3696, erratum 1690

_TRUE = ("true", "t", "yes", "y", "1")
_FALSE = ("false", "f", "no", "n", "0")


@dataclass(frozen=True, slots=True)
class Fault:
    """Rows that break one rule.

    Attributes:
        column: what the rejects file names.
        reason: why.
        mask: true for each faulty row.
        found: what stands there, by row.
    """

    column: str
    reason: str
    mask: pl.Series
    found: pl.Series


class Cells:
    """The values of one chunk; a fault is noted once, however often its column is used."""

    def __init__(self, frame: pl.DataFrame, mapping: Mapping, file_stem: str) -> None:
        self.faults: list[Fault] = []
        self._frame = frame
        self._mapping = mapping
        self._zone = ZoneInfo(mapping.time_zone)
        self._file_stem = file_stem
        self._read: dict[tuple[Value, str], pl.Series] = {}
        self._scope: tuple[str, pl.Series | None] = ("", None)

    @property
    def height(self) -> int:
        """How many rows there are."""
        return self._frame.height

    def fault(self, column: str, reason: str, mask: pl.Series, found: pl.Series) -> None:
        """Note rows that break a rule; null counts as kept."""
        broken = mask.fill_null(value=False)
        if self._scope[1] is not None:
            broken &= self._scope[1]
        if broken.any():
            self.faults.append(Fault(column, reason, broken, found))

    @contextmanager
    def only_where(self, name: str, mask: pl.Series) -> Iterator[None]:
        """Note no faults of values outside of `mask`; `name` tells masks apart."""
        self._scope = (name, mask)
        try:
            yield
        finally:
            self._scope = ("", None)

    def key(self, columns: Sequence[str]) -> pl.Series:
        """The external id of those columns, '|' between; null where any of them is empty."""
        parts = [
            self._special(name) if name.startswith("$") else self.raw(name) for name in columns
        ]
        frame = pl.DataFrame([part.alias(str(n)) for n, part in enumerate(parts)])
        joined = frame.select(
            pl.concat_str(pl.all(), separator="|", ignore_nulls=False)
        ).to_series()
        self.fault(
            columns[0],
            f"the id is longer than {LONGEST_ID} characters",
            joined.str.len_bytes() > LONGEST_ID,
            joined,
        )
        return joined

    def raw(self, column: str) -> pl.Series:
        """A column as text without blanks around it, null where nothing is left."""
        found = self._frame[column]
        if isinstance(found.dtype, pl.Datetime):
            found = found.dt.to_string("%Y-%m-%d %H:%M:%S")
        stripped = found.str.strip_chars()
        return stripped.set(stripped == "", None)

    def value(self, value: Value, key: pl.Series | None = None) -> pl.Series:
        """Read a value for all rows; `key` feeds $two_digits."""
        slot = (value, self._scope[0])
        if slot not in self._read:
            self._read[slot] = self._typed(value, key)
        return self._read[slot]

    def _typed(self, value: Value, key: pl.Series | None) -> pl.Series:
        texts = self._texts(value, key)
        if value.values:
            known = dict(value.values)
            meant = texts.replace_strict(known, default=None, return_dtype=pl.String)
            listed = ", ".join(f"'{text}'" for text in known)
            self.fault(
                value.place, f"is none of {listed}", texts.is_not_null() & meant.is_null(), texts
            )
            texts = meant
        found = self._as_type(value, texts)
        if value.required:
            self.fault(value.place, "is empty", texts.is_null(), texts)
        if value.minimum is not None:
            low = value.minimum
            self.fault(value.place, f"is below {low:g}", found < low, texts)
        if value.maximum is not None:
            high = value.maximum
            self.fault(value.place, f"is above {high:g}", found > high, texts)
        return found

    # ------------------------------------------------------------------------ sources

    def _texts(self, value: Value, key: pl.Series | None) -> pl.Series:
        if value.column is not None:
            times = isinstance(self._frame[value.column].dtype, pl.Datetime)
            if times and value.type in {"time", "date"}:
                return self._frame[value.column]
            return self.raw(value.column)
        if value.constant is not None:
            return self._repeated(value.constant)
        if value.template is not None:
            return self._from_template(value.template, key)
        return self._from_cases(value.cases)

    def _repeated(self, text: str) -> pl.Series:
        return pl.Series([text], dtype=pl.String).new_from_index(0, self._frame.height)

    def _special(self, name: str, key: pl.Series | None = None) -> pl.Series:
        if name == "$row":
            return self._frame[ROW].cast(pl.String)
        if name == "$file":
            return self._repeated(self._file_stem)
        ids = self._frame[ROW].cast(pl.String) if key is None else key
        known = ids.unique()
        digits = {text: two_digits(text or "") for text in known}
        return ids.replace_strict(known, list(digits.values()), return_dtype=pl.String)

    def _from_template(self, template: str, key: pl.Series | None) -> pl.Series:
        pieces = [
            self._repeated(text) if name is None else self._named(name, key)
            for text, name in template_pieces(template)
        ]
        frame = pl.DataFrame([piece.alias(str(n)) for n, piece in enumerate(pieces)])
        return frame.select(pl.concat_str(pl.all(), ignore_nulls=False).alias("text")).to_series()

    def _named(self, name: str, key: pl.Series | None) -> pl.Series:
        return self._special(name, key) if name.startswith("$") else self.raw(name)

    def _from_cases(self, cases: tuple[Case, ...]) -> pl.Series:
        found = pl.Series([None], dtype=pl.String).new_from_index(0, self._frame.height)
        for case in reversed(cases):
            found = self._repeated(case.then).zip_with(self._holds(case), found)
        return found

    def _holds(self, case: Case) -> pl.Series:
        holds = pl.Series([True]).new_from_index(0, self._frame.height)
        if case.column is None:
            return holds
        text = self.raw(case.column)
        if case.starts_with is not None:
            holds &= text.str.starts_with(case.starts_with)
        if case.equals is not None:
            holds &= text == case.equals
        if case.below is not None:
            holds &= text.cast(pl.Float64, strict=False) < case.below
        return holds.fill_null(value=False)

    # -------------------------------------------------------------------------- types

    def _as_type(self, value: Value, texts: pl.Series) -> pl.Series:
        if value.type in {"time", "date"}:
            return self._time(value, texts)
        if value.type in {"cents", "money"}:
            return self._cents(value, texts)
        return _READERS[value.type](self, value, texts)

    def _time(self, value: Value, texts: pl.Series) -> pl.Series:
        column = value.column or ""
        utc = value.type == "date"
        found, outside = read_times(
            texts,
            zone_of("UTC") if utc else self._zone,
            form=self._mapping.formats.get(column),
            clock="00:00" if utc else self._mapping.date_only.get(column),
            ignore_offsets=utc or self._mapping.ignore_offsets,
        )
        shown = texts.cast(pl.String)
        years = f"is not between the years {EARLIEST_YEAR} and {LATEST_YEAR}"
        self.fault(value.place, years, outside, shown)
        unreadable = found.is_null() & texts.is_not_null() & ~outside.fill_null(value=False)
        what = "date" if utc else "time"
        self.fault(value.place, f"is not a {what} that exists", unreadable, shown)
        return found.dt.date() if utc else found

    def _cents(self, value: Value, texts: pl.Series) -> pl.Series:
        times = None
        if value.times is not None:
            factor = Value(type="integer", column=value.times, required=True)
            times = self.value(factor)
        found = read_cents(texts, times)
        readable = texts.is_null() if times is None else texts.is_null() | times.is_null()
        self.fault(
            value.place, "is not an amount (digits with a decimal point)",
            found.is_null() & ~readable, texts,
        )  # fmt: skip
        if value.type == "money":
            too_much = found.abs() >= 10**12
            self.fault(value.place, "is ten billion or more", too_much, texts)
        return found.abs() if value.absolute else found

    def _text(self, value: Value, texts: pl.Series) -> pl.Series:
        longest = LONGEST_EMAIL if value.type == "email" else LONGEST_TEXT
        self.fault(
            value.place,
            f"is longer than {longest:,} bytes",
            texts.str.len_bytes() > longest,
            texts.str.slice(0, 100),
        )
        return texts

    def _email(self, value: Value, texts: pl.Series) -> pl.Series:
        wrong = ~texts.str.contains(r"^[^@\s]+@[^@\s]+$")
        self.fault(value.place, "is not an e-mail address", wrong, texts)
        return self._text(value, texts)

    def _zone_name(self, value: Value, texts: pl.Series) -> pl.Series:
        known = {name: zone_of(name).key == name for name in texts.unique().drop_nulls()}
        wrong = texts.replace_strict(known, default=None, return_dtype=pl.Boolean) == False  # noqa: E712
        self.fault(value.place, "is not a time zone", wrong, texts)
        return texts

    def _event_type(self, value: Value, texts: pl.Series) -> pl.Series:
        wrong = ~texts.str.contains(r"^[a-z][a-z0-9_]{0,49}\.[a-z][a-z0-9_]{0,49}$")
        self.fault(value.place, "is not an event type such as 'order.placed'", wrong, texts)
        return texts

    def _status(self, value: Value, texts: pl.Series) -> pl.Series:
        wrong = ~texts.is_in(list(STATUSES))
        self.fault(value.place, f"is none of {', '.join(STATUSES)}", wrong, texts)
        return texts

    def _boolean(self, value: Value, texts: pl.Series) -> pl.Series:
        known = dict.fromkeys(_TRUE, True) | dict.fromkeys(_FALSE, False)
        lower = texts.str.to_lowercase()
        found = lower.replace_strict(known, default=None, return_dtype=pl.Boolean)
        self.fault(
            value.place, "is neither true nor false", texts.is_not_null() & found.is_null(), texts
        )
        return found

    def _integer(self, value: Value, texts: pl.Series) -> pl.Series:
        digits = texts.str.extract(r"^([+-]?\d{1,18})(?:\.0*)?$")
        found = digits.str.strip_prefix("+").cast(pl.Int64, strict=False)
        wrong = texts.is_not_null() & found.is_null()
        self.fault(value.place, "is not a whole number of at most 18 digits", wrong, texts)
        return found

    def _number(self, value: Value, texts: pl.Series) -> pl.Series:
        found = texts.cast(pl.Float64, strict=False)
        wrong = texts.is_not_null() & ~found.is_finite().fill_null(value=False)
        self.fault(value.place, "is not a finite number", wrong, texts)
        return found.set(wrong, None)


_READERS: dict[FieldType, Callable[[Cells, Value, pl.Series], pl.Series]] = {
    "text": Cells._text,  # noqa: SLF001 - this module's own
    "email": Cells._email,  # noqa: SLF001
    "zone": Cells._zone_name,  # noqa: SLF001
    "event_type": Cells._event_type,  # noqa: SLF001
    "status": Cells._status,  # noqa: SLF001
    "boolean": Cells._boolean,  # noqa: SLF001
    "integer": Cells._integer,  # noqa: SLF001
    "number": Cells._number,  # noqa: SLF001
}


def two_digits(text: str) -> str:
    """Two digits that are always the same for the same text."""
    return f"{int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) % 100:02d}"
