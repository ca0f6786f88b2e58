"""What the simulated business has in its CRM: events, with the errors that CRMs have."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import polars as pl

from engine.columns import Bools, Floats, Ints
from simulate.assumptions import Assumptions

TYPES = (
    "appointment.booked",
    "appointment.kept",
    "appointment.no_show",
    "appointment.cancelled",
    "hygiene.done",
    "job.completed",
    "meeting.held",
    "milestone.completed",
    "invoice.issued",
    "contract.started",
    "contract.renewed",
    "contract.ended",
    "complaint.opened",
    "complaint.resolved",
    "message.sent",
    "message.opened",
    "message.clicked",
    "message.replied",
    "message.complained",
)
CODE = {name: code for code, name in enumerate(TYPES)}
_KINDS = ("", "appointment", "contract", "complaint", "message")
KIND = {name: code for code, name in enumerate(_KINDS)}
MINUTES = 1440
_INTS = ("code", "contact", "minute", "known", "amount", "kind", "subject", "starts")
# entered by people; what machines record of messages has no such errors
_BY_HAND = CODE["message.sent"]


class Record:
    """Events in the order in which they became known.

    Args:
        assumptions: how often the CRM errs.
        start: aware; the first midnight of the record.
        seed: of the errors.
    """

    def __init__(self, assumptions: Assumptions, start: datetime, seed: int) -> None:
        self.start = start
        self._errors = assumptions.people["errors"]
        self._seed = seed
        self._rows: dict[str, list[Ints]] = {name: [] for name in _INTS}
        self._number = 0
        self._day: list[tuple[int, Ints]] = []

    def begin_day(self) -> None:
        """Forget what happened yesterday."""
        self._day = []

    def happened(self, name: str) -> Ints:
        """Return who a thing of this type happened to today, as it truly was."""
        code = CODE[name]
        found = [contact for each, contact in self._day if each == code]
        return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)

    def add(
        self,
        name: str,
        contact: Ints,
        minute: Ints,
        *,
        amount: Floats | None = None,
        about: tuple[str, Ints] | None = None,
        starts: Ints | None = None,
    ) -> None:
        """Enter what happened to some people.

        Args:
            name: one of TYPES.
            contact: positions, (m,).
            minute: since the start, (m,).
            amount: money in cents.
            about: kind and numbers of the subjects.
            starts: minute at which what was booked takes place.
        """
        m = len(contact)
        if not m:
            return
        code = CODE[name]
        self._day.append((code, contact))
        self._number += 1
        rows, delay = self._entered(code, m)
        nothing = np.full(m, -1, dtype=np.int64)
        columns = {
            "code": np.full(m, code, dtype=np.int64),
            "contact": contact,
            "minute": minute,
            "known": minute + delay,
            "amount": nothing if amount is None else np.round(amount).astype(np.int64),
            "kind": np.full(m, KIND[about[0]] if about else 0, dtype=np.int64),
            "subject": nothing if about is None else about[1],
            "starts": nothing if starts is None else starts,
        }
        for key, column in columns.items():
            self._rows[key].append(np.asarray(column[rows], dtype=np.int64))

    def _entered(self, code: int, m: int) -> tuple[Ints, Ints]:
        """Which rows are entered, and how many minutes late each of the m is."""
        every, on_time = np.arange(m), np.zeros(m, dtype=np.int64)
        if code >= _BY_HAND:
            return every, on_time
        rng = np.random.default_rng([self._seed, 3, self._number])
        drawn, late = rng.random(m), rng.random(m) < self._errors["late"]
        kept = every[drawn >= self._errors["lost"]]
        again = every[drawn > 1.0 - self._errors["twice"]]
        days = rng.integers(1, self._errors["late_days"] + 1, m)
        return np.concatenate([kept, again]), np.where(late, days * MINUTES, 0)

    def frame(self, ids: pl.Series, *, after: int = 0, until: int | None = None) -> pl.DataFrame:
        """Return what is known at minute `until` of what happened after minute `after`.

        Columns as `engine.features.spec.EVENT_COLUMNS`; times UTC.
        """
        rows = {
            name: np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
            for name, parts in self._rows.items()
        }
        keep: Bools = rows["minute"] > after
        if until is not None:
            keep &= rows["known"] <= until
        return self._framed({name: column[keep] for name, column in rows.items()}, ids)

    def _framed(self, rows: dict[str, Ints], ids: pl.Series) -> pl.DataFrame:
        table = pl.DataFrame({k: v for k, v in rows.items() if k != "code"})
        types = pl.Series(TYPES).gather(pl.Series(rows["code"]))
        kinds = pl.Series(_KINDS).gather(pl.Series(rows["kind"]))
        return table.select(
            ids.gather(table["contact"]).alias("contact_id"),
            types.alias("type"),
            self._at("minute").alias("occurred_at"),
            pl.when(pl.col("amount") >= 0).then(pl.col("amount")).alias("amount_cents"),
            pl.when(pl.col("subject") >= 0)
            .then(pl.concat_str(kinds, pl.lit(":"), pl.col("subject").cast(pl.String)))
            .alias("subject"),
            pl.when(pl.col("starts") >= 0).then(self._at("starts")).alias("starts_at"),
        )

    def _at(self, column: str) -> pl.Expr:
        minutes = pl.duration(minutes=pl.col(column), time_unit="us")
        return (pl.lit(self.start).cast(pl.Datetime("us", "UTC")) + minutes).alias(column)

    def counts(self, names: Sequence[str]) -> dict[str, int]:
        """Return how many events of each type were entered."""
        codes = np.concatenate(self._rows["code"]) if self._rows["code"] else np.zeros(0, int)
        return {name: int((codes == CODE[name]).sum()) for name in names}
