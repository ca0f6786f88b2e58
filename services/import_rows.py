"""Turns a chunk of a file into offers: frames of records, row by row, before any id is known."""

import json
from collections.abc import Mapping as Table
from dataclasses import dataclass, field

import polars as pl

from engine.ids import TenantId
from services.import_ids import internal_ids
from services.import_kinds import KINDS, Mapping, Record
from services.import_reading import LINE, Chunk, raw_row
from services.import_rejects import Reject
from services.import_values import Cells

ROW = "row"  # column of every offer: index of the row within the chunk
KEY = "external_id"
ID = "id"  # what a new record of that external id gets
_WALK_IN = pl.duration(minutes=1)  # comes at once: kept a minute after it was booked
_UTC = pl.Datetime("us", "UTC")


def key_of(entity: str) -> str:
    """Name of the column with the external id of the contact, account or deal referred to."""
    return f"{entity}_key"


@dataclass
class Prepared:
    """A chunk, ready for the database.

    Attributes:
        rows: data rows consumed.
        offers: per kind a frame with ROW, KEY, ID, `<entity>_key` and the fields; the kinds with
            events share 'event' with the columns of keepwell.events, without ID, by KEY.
        consents: contact_key, channel, purpose, basis, granted_at.
        rejects: rows that can't be imported, whatever the database holds.
    """

    rows: int
    offers: dict[str, pl.DataFrame]
    consents: pl.DataFrame | None
    rejects: list[Reject]
    _chunk: Chunk
    _columns: list[str]
    _out: set[int] = field(default_factory=set)

    def reject(self, rows: Table[int, tuple[str, str, str]]) -> None:
        """Take rows out, each with (column, reason, value), in all their records at once."""
        for row, (column, reason, found) in rows.items():
            if row not in self._out:
                self._out.add(row)
                self.rejects.append(
                    Reject(int(self._chunk.frame[LINE][row]), column, reason, found, self._raw(row))
                )
        gone = pl.Series(list(rows), dtype=pl.UInt32)
        self.offers = {
            kind: offer.filter(~pl.col(ROW).is_in(gone.implode()))
            for kind, offer in self.offers.items()
        }
        if self.consents is not None:
            self.consents = self.consents.filter(~pl.col(ROW).is_in(gone.implode()))

    def _raw(self, row: int) -> str:
        if self._chunk.raw:
            return self._chunk.raw[row].rstrip("\r\n")
        return raw_row(self._chunk.frame.row(row, named=True), self._columns)


def prepare(chunk: Chunk, mapping: Mapping, file_stem: str, tenant_id: TenantId) -> Prepared:
    """Read all values of a chunk; rows with a fault are out, with their first fault."""
    cells = Cells(chunk.frame, mapping, file_stem)
    columns = [name for name in chunk.frame.columns if not name.startswith("$")]
    frames: dict[str, list[pl.DataFrame]] = {}
    consents = None
    if chunk.frame.height:
        for record in mapping.records:
            kind, offered = _OFFERS.get(record.kind, _plain)(cells, record, mapping)
            frames.setdefault(kind, []).append(offered)
            if record.consents:
                consents = _consents(cells, record, offered)
    prepared = Prepared(
        rows=chunk.rows,
        offers={kind: _offer(kind, parts, tenant_id) for kind, parts in frames.items()},
        consents=consents,
        rejects=list(chunk.rejects),
        _chunk=chunk,
        _columns=columns,
    )
    first: dict[int, tuple[str, str, str]] = {}
    for fault in cells.faults:
        for row in fault.mask.arg_true():
            first.setdefault(row, (fault.column, fault.reason, str(fault.found[row] or "")))
    if first:
        prepared.reject(first)
    return prepared


def _offer(kind: str, parts: list[pl.DataFrame], tenant_id: TenantId) -> pl.DataFrame:
    frame = pl.concat(parts, how="diagonal")
    if kind == "event":
        # in the order of the primary key: neighbours share its pages
        return frame.sort(KEY, maintain_order=True)
    return frame.with_columns(internal_ids(tenant_id, kind, frame[KEY]).alias(ID))


# ---------------------------------------------------------------------------- per kind


def _base(cells: Cells, record: Record, mapping: Mapping) -> tuple[pl.DataFrame, pl.Series]:
    """ROW, KEY and the keys of what the record refers to; faults of missing ids are noted."""
    key = cells.key(record.id)
    optional = record.kind == "account" or (record.kind == "contact" and mapping.anonymous)
    if not optional:
        cells.fault(record.id[0], "is empty, but names the row", key.is_null(), key)
    columns = [pl.Series(ROW, range(len(key)), dtype=pl.UInt32), key.alias(KEY)]
    for entity, names in record.references.items():
        found = cells.key(names)
        if entity == "contact" and not mapping.anonymous:
            cells.fault(names[0], "is empty, but names the contact", found.is_null(), found)
        columns.append(found.alias(key_of(entity)))
    return pl.DataFrame(columns), key


def _plain(cells: Cells, record: Record, mapping: Mapping) -> tuple[str, pl.DataFrame]:
    frame, key = _base(cells, record, mapping)
    # a row without an account, or without a customer where that is allowed, has no such record
    with cells.only_where(record.kind, key.is_not_null()):
        fields = {name: cells.value(value, key) for name, value in record.fields.items()}
        extra = _extra(cells, record)
    frame = frame.with_columns(series.alias(name) for name, series in fields.items())
    if record.kind == "contact" and "timezone" not in fields:
        frame = frame.with_columns(pl.lit(mapping.home_zone).alias("timezone"))
    frame = frame.with_columns(
        pl.col(name).fill_null(value=False)
        for name, kind in KINDS[record.kind].fields.items()
        if name in fields and kind == "boolean"
    )
    if record.kind == "deal" and "deal_value" in fields:
        # cents as a decimal text: numeric(12,2) takes it without rounding
        cents = pl.col("deal_value").cast(pl.Decimal(20, 0)).cast(pl.Decimal(22, 2))
        frame = frame.with_columns((cents / 100).cast(pl.Decimal(20, 2)))
    frame = frame.with_columns(extra.alias(KINDS[record.kind].extra))
    return record.kind, frame.filter(pl.col(KEY).is_not_null())


def _extra(cells: Cells, record: Record) -> pl.Series:
    """The further values as JSON objects; nulls are dropped by the database."""
    values = [cells.value(value).alias(name) for name, value in record.extra.items()]
    if record.synthetic:
        marks = pl.Series("synthetic", [list(record.synthetic)])
        values.append(marks.new_from_index(0, cells.height))
    if not values:
        return pl.Series(["{}"]).new_from_index(0, cells.height)
    times = [pl.col(pl.Datetime).dt.to_string("%Y-%m-%dT%H:%M:%SZ"), pl.col(pl.Date).cast(str)]
    frame = pl.DataFrame(values).with_columns(*times)
    return frame.select(pl.struct(pl.all()).struct.json_encode().alias("extra")).to_series()


def _events(
    base: pl.DataFrame, extra: pl.Series, columns: Table[str, pl.Series | pl.Expr]
) -> pl.DataFrame:
    """Rows of keepwell.events; the external id is the type with the record's own id."""
    frame = base.with_columns(extra.alias("properties")).with_columns(**columns)
    return frame.with_columns(
        pl.concat_str("type", pl.lit(":"), KEY).alias(KEY),
        # history was known when it happened, unless the file says otherwise
        pl.coalesce("known_at", "occurred_at").alias("known_at")
        if "known_at" in columns
        else pl.col("occurred_at").alias("known_at"),
    )


def _event(cells: Cells, record: Record, mapping: Mapping) -> tuple[str, pl.DataFrame]:
    base, key = _base(cells, record, mapping)
    names = {"amount": "amount_cents"}
    columns: dict[str, pl.Series | pl.Expr] = {
        names.get(name, name): cells.value(value, key) for name, value in record.fields.items()
    }
    return "event", _events(base, _extra(cells, record), columns)


def _invoice(cells: Cells, record: Record, mapping: Mapping) -> tuple[str, pl.DataFrame]:
    base, key = _base(cells, record, mapping)
    fields = {name: cells.value(value, key) for name, value in record.fields.items()}
    amount = fields["amount"]
    credited = fields.get("credited", amount < 0)
    columns: dict[str, pl.Series | pl.Expr] = {
        "type": pl.when(credited).then(pl.lit("invoice.credited")).otherwise(
            pl.lit("invoice.issued")
        ),
        "occurred_at": fields["issued_at"],
        # of a credit note, what was credited: a positive amount
        "amount_cents": amount.abs() if "credited" not in fields else amount.zip_with(
            ~credited.fill_null(value=False), amount.abs()
        ),
        "subject": pl.concat_str(pl.lit("invoice:"), KEY),
    }  # fmt: skip
    if "known_at" in fields:
        columns["known_at"] = fields["known_at"]
    return "event", _events(base, _extra(cells, record), columns)


def _appointment(cells: Cells, record: Record, mapping: Mapping) -> tuple[str, pl.DataFrame]:
    base, key = _base(cells, record, mapping)
    fields = {name: cells.value(value, key) for name, value in record.fields.items()}
    booked, starts = fields["booked_at"], fields["starts_at"]
    day_column = record.fields["starts_at"].column
    if day_column in mapping.date_only:
        starts = _moved_behind(booked, starts, mapping.time_zone)
    shown = starts.dt.to_string("%Y-%m-%d %H:%M:%SZ")
    cells.fault(
        record.fields["starts_at"].place, "appointment before it was booked", starts < booked, shown
    )
    subject = pl.concat_str(pl.lit("appointment:"), KEY)
    extra = _extra(cells, record)
    status = fields.get("status", pl.Series([None], dtype=pl.String).new_from_index(0, len(key)))
    ended = fields.get("ended_at", starts)
    over = status.is_not_null() & (status != "open").fill_null(value=False)
    # what is known of an appointment was not all known when it was booked: it stands on the
    # outcome, and on the booking only while there is none
    early = pl.Series(["{}"]).new_from_index(0, len(key)).zip_with(over, extra)
    bookings = _events(
        base,
        early,
        {
            "type": pl.lit("appointment.booked"),
            "occurred_at": booked,
            "subject": subject,
            "starts_at": starts,
        },
    )
    outcomes = _events(
        base,
        extra,
        {
            "type": pl.concat_str(pl.lit("appointment."), pl.lit(status)),
            "occurred_at": ended.zip_with(ended.is_not_null(), starts),
            "subject": subject,
        },
    ).filter(over)
    return "event", pl.concat([bookings, outcomes], how="diagonal")


def _moved_behind(booked: pl.Series, starts: pl.Series, zone: str) -> pl.Series:
    """Of a day without time: if booked on that same day after the time taken, a minute later."""
    frame = pl.DataFrame({"booked": booked, "starts": starts})
    day = {name: pl.col(name).dt.convert_time_zone(zone).dt.date() for name in ("booked", "starts")}
    late = (day["booked"] == day["starts"]) & (pl.col("booked") >= pl.col("starts"))
    moved = pl.when(late).then(pl.col("booked") + _WALK_IN).otherwise(pl.col("starts"))
    return frame.select(moved.alias("starts")).to_series()


_OFFERS = {"event": _event, "invoice": _invoice, "appointment": _appointment}


def _consents(cells: Cells, record: Record, offered: pl.DataFrame) -> pl.DataFrame:
    """One row per row of `offered` and consent term; granted when first seen if not said."""
    parts = []
    for term in record.consents:
        granted = pl.col("created_at") if "created_at" in offered.columns else pl.lit(None, _UTC)
        frame = offered
        if term.granted_at is not None:
            times = pl.DataFrame({"granted": cells.value(term.granted_at)}).with_columns(
                pl.int_range(pl.len(), dtype=pl.UInt32).alias(ROW)
            )
            frame, granted = offered.join(times, on=ROW, how="left"), pl.col("granted")
        parts.append(
            frame.select(
                pl.col(ROW),
                pl.col(KEY).alias(key_of("contact")),
                pl.lit(term.channel).alias("channel"),
                pl.lit(term.purpose).alias("purpose"),
                pl.lit(term.basis).alias("basis"),
                granted.cast(_UTC).alias("granted_at"),
            )
        )
    return pl.concat(parts)


def evidence(mapping: Mapping, file_name: str) -> str:
    """What a consent's evidence says about its origin, as JSON."""
    return json.dumps({"import": file_name, "mapping": mapping.name})
