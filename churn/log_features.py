"""What a transaction log tells of each customer at a moment: point in time, columnar, any moment.

An origin is the end of a day: everything up to and including it is known, nothing after it is
looked at. Counts and sums of any window come from running totals by two look-ups, so that many
origins of a long log cost little more than one.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from churn.bg_nbd import Summary, fit_bg_nbd
from churn.feature_rows import Array
from churn.transaction_log import TransactionLog
from engine.errors import TooFewData

Places = NDArray[np.int64]
WINDOWS_DAYS = (30, 60, 90, 180, 365)
_YEAR_DAYS = 365
_UNITS_OF_MONEY = 10_000


@dataclass(frozen=True)
class LogHistory:
    """A log with its running totals."""

    log: TransactionLog

    @cached_property
    def _keys(self) -> Places:
        """Customer and day in one ascending number."""
        return self.log.customer * self._stride + self.log.day

    @cached_property
    def _return_keys(self) -> Places:
        return self.log.returned_customer * self._stride + self.log.returned_day

    @property
    def _stride(self) -> int:
        return self.log.days + 4000  # windows may reach before day 0 and after the end

    def place(self, customers: Places, day: float) -> Places:
        """Number of visit rows up to and including `day` of each customer, rows before counted."""
        held = min(max(int(np.floor(day)), -1), self.log.days + 1)
        found = np.searchsorted(self._keys, customers * self._stride + held, side="right")
        return np.asarray(found, np.int64)

    def visits(self, customers: Places, after: float, until: float) -> Array:
        """Visit days in (after, until]."""
        return _counted(self.place(customers, until), self.place(customers, after))

    def spend(self, customers: Places, after: float, until: float) -> Array:
        """Money of the visits in (after, until]."""
        total = self._total_spend
        found = total[self.place(customers, until)] - total[self.place(customers, after)]
        return np.asarray(found / _UNITS_OF_MONEY)

    def returns(self, customers: Places, after: float, until: float) -> Array:
        """Number of returns in (after, until]."""
        start, end = self._return_places(customers, after, until)
        return _counted(end, start)

    def net_spend(self, customers: Places, after: float, until: float) -> Array:
        """Money of the visits in (after, until] less what was given back for returns in it."""
        start, end = self._return_places(customers, after, until)
        returned = _running_total(self.log.returned_amount)
        given_back = (returned[end] - returned[start]) / _UNITS_OF_MONEY
        return np.asarray(self.spend(customers, after, until) - given_back)

    def _return_places(
        self, customers: Places, after: float, until: float
    ) -> tuple[Places, Places]:
        start, end = (
            np.searchsorted(self._return_keys, customers * self._stride + held, side="right")
            for held in (max(int(after), -1), max(int(until), -1))
        )
        return np.asarray(start, np.int64), np.asarray(end, np.int64)

    @cached_property
    def starts(self) -> Places:
        """First row of each customer, and one past the last row."""
        found = np.searchsorted(self.log.customer, np.arange(len(self.log.customers) + 1))
        return np.asarray(found, np.int64)

    @cached_property
    def _total_spend(self) -> Places:
        return _running_total(self.log.spend)

    @cached_property
    def gaps(self) -> Array:
        """Days since the customer's visit before; NaN at the first."""
        gaps = np.concatenate([[np.nan], np.diff(self.log.day).astype(np.float64)])
        gaps[self.starts[:-1]] = np.nan
        return gaps


def _running_total(money: Array) -> Places:
    """From 0, in ten-thousandths.

    Whole numbers: with fractions, what others spend later would show in a difference's last digits.
    """
    whole = np.round(money * _UNITS_OF_MONEY).astype(np.int64)
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(whole)])


def _counted(end: Places, start: Places) -> Array:
    return np.asarray(end - start).astype(np.float64)


@dataclass(frozen=True, slots=True)
class View:
    """Customers at an origin who had visited by then; arrays in the order of `customers`.

    Attributes:
        origin: the day, from the log's first.
        customers: places in the log.
        names, features: columns of (n, f).
        visits, recency_days, tenure_days: visit days so far; since the last and first of them.
        median_gap_days: usual interval; NaN with one visit.
    """

    origin: int
    customers: Places
    names: tuple[str, ...]
    features: Array
    visits: Array
    recency_days: Array
    tenure_days: Array
    median_gap_days: Array

    def where(self, kept: NDArray[np.bool_]) -> "View":
        """The same of some of them."""
        return View(
            self.origin,
            self.customers[kept],
            self.names,
            self.features[kept],
            self.visits[kept],
            self.recency_days[kept],
            self.tenure_days[kept],
            self.median_gap_days[kept],
        )

    def of(self, names: tuple[str, ...]) -> "View":
        """The same with these columns only."""
        columns = [self.names.index(name) for name in names]
        return replace(self, names=names, features=self.features[:, columns])


def view(
    history: LogHistory, origin: int, *, within_days: float, window: tuple[float, float]
) -> View:
    """Customers who visited in the last `within_days`, and what is known of them.

    Args:
        history: the log.
        origin: a day of the log.
        within_days: others are not looked at.
        window: days after the origin that will be asked about, (after, until]; only the same days a
            year before, and the visit model's answer for them, are read.
    """
    everyone = np.arange(len(history.log.customers))
    recent = everyone[history.visits(everyone, origin - within_days, origin) > 0]
    first = history.starts[recent]
    last = history.place(recent, origin) - 1
    day = history.log.day
    facts = _Facts(
        history,
        origin,
        recent,
        first,
        last,
        visits=(last - first + 1).astype(np.float64),
        recency=(origin - day[last]).astype(np.float64),
        tenure=(origin - day[first]).astype(np.float64),
    )
    gaps = facts.gaps()
    columns = {
        **facts.levels(),
        **gaps,
        **facts.trends(),
        **facts.season(window),
        **facts.visit_model(window),
    }
    return View(
        origin=origin,
        customers=recent,
        names=tuple(columns),
        features=np.column_stack(list(columns.values())) if recent.size else np.zeros((0, 0)),
        visits=facts.visits,
        recency_days=facts.recency,
        tenure_days=facts.tenure,
        median_gap_days=gaps["gap_median"],
    )


@dataclass(frozen=True)
class _Facts:
    history: LogHistory
    origin: int
    customers: Places
    first: Places
    last: Places
    visits: Array
    recency: Array
    tenure: Array

    def levels(self) -> dict[str, Array]:
        """Recency, tenure, counts and money by window."""
        history, at = self.history, self.origin
        found: dict[str, Array] = {
            "recency": self.recency,
            "tenure": self.tenure,
            "visits": self.visits,
            "visits_per_day": self.visits / np.maximum(self.tenure, 30.0),
        }
        for days in WINDOWS_DAYS:
            found[f"visits_{days}"] = history.visits(self.customers, at - days, at)
            found[f"spend_{days}"] = history.spend(self.customers, at - days, at)
        spend = history.spend(self.customers, -1, at)
        found["spend_per_visit"] = spend / self.visits
        found["spend_last"] = history.log.spend[self.last]
        found["spend_last_share"] = found["spend_last"] / found["spend_per_visit"]
        found["receipts_last"] = history.log.receipts[self.last]
        for days in (90, 365):
            found[f"returns_{days}"] = history.returns(self.customers, at - days, at)
        found["returns_per_visit"] = found["returns_365"] / np.maximum(found["visits_365"], 1.0)
        return found

    def gaps(self) -> dict[str, Array]:
        """The customer's own rhythm and where it stands in it."""
        gaps = self.history.gaps
        count = self.visits - 1
        known = np.nan_to_num(gaps)
        totals = [np.r_[0.0, np.cumsum(known**power)] for power in (1, 2)]
        sums = [total[self.last + 1] - total[self.first] for total in totals]
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(count > 0, sums[0] / count, np.nan)
            spread = np.sqrt(np.maximum(sums[1] / count - mean**2, 0.0))
            spread = np.where(count > 1, spread, np.nan)
            middle, longest = self._order_statistics()
            found = {
                "gap_mean": mean,
                "gap_median": middle,
                "gap_longest": longest,
                "gap_spread": spread,
                "gap_regularity": spread / mean,
                "gap_last": np.where(count > 0, gaps[self.last], np.nan),
                "recency_by_mean": self.recency / mean,
                "recency_by_median": self.recency / np.maximum(middle, 1.0),
                "recency_by_longest": self.recency / longest,
                "recency_z": (self.recency - mean) / np.maximum(spread, 3.0),
            }
            found["gap_last_by_mean"] = found["gap_last"] / mean
            third = np.maximum(self.last - 2, self.first)
            lately = (self.history.log.day[self.last] - self.history.log.day[third]).astype(float)
            steps = self.last - third
            found["gap_lately"] = np.where(steps > 0, lately / np.maximum(steps, 1), np.nan)
            found["gap_lately_by_mean"] = found["gap_lately"] / mean
        return found

    def _order_statistics(self) -> tuple[Array, Array]:
        """Median and longest gap of each customer up to the origin."""
        middle = np.full(self.customers.size, np.nan)
        longest = np.full(self.customers.size, np.nan)
        counts = (self.last - self.first).astype(np.int64)
        owner = np.repeat(np.arange(self.customers.size), counts)
        starts = np.cumsum(counts) - counts
        rows = np.arange(owner.size) - starts[owner] + self.first[owner] + 1
        gaps = self.history.gaps[rows]
        gaps = gaps[np.lexsort((gaps, owner))]
        some = counts > 0
        low, high = starts + (counts - 1) // 2, starts + counts // 2
        middle[some] = (gaps[low[some]] + gaps[high[some]]) / 2
        longest[some] = gaps[(starts + counts - 1)[some]]
        return middle, longest

    def trends(self) -> dict[str, Array]:
        """Lately against before."""
        history, at, who = self.history, self.origin, self.customers
        found: dict[str, Array] = {}
        for days in (30, 90, 180):
            now = history.visits(who, at - days, at)
            before = history.visits(who, at - 2 * days, at - days)
            found[f"visit_trend_{days}"] = np.where(
                self.tenure >= days, (now - before) / np.maximum(now + before, 1.0), np.nan
            )
        spent = history.spend(who, at - 90, at)
        before = history.spend(who, at - 180, at - 90)
        found["spend_trend_90"] = np.where(
            self.tenure >= 90, (spent - before) / np.maximum(spent + before, 1e-9), np.nan
        )
        months = [history.visits(who, at - 30 * (k + 1), at - 30 * k) > 0 for k in range(12)]
        found["active_months"] = np.sum(months, axis=0).astype(np.float64)
        found["active_month_share"] = found["active_months"] / np.clip(
            np.ceil(self.tenure / 30.0), 1.0, 12.0
        )
        return found

    def season(self, window: tuple[float, float]) -> dict[str, Array]:
        """The time of the year, and what the customer did in the same window a year ago."""
        history, at, who = self.history, self.origin, self.customers
        angle = 2 * np.pi * (history.log.first_day_of_year + at) / _YEAR_DAYS
        start, end = (at - _YEAR_DAYS + days for days in window)
        known = self.tenure >= _YEAR_DAYS - window[0]
        last_year = history.visits(who, start, end)
        lead = history.visits(who, at - _YEAR_DAYS - 60, at - _YEAR_DAYS + 30)
        return {
            "season_sin": np.full(who.size, np.sin(angle)),
            "season_cos": np.full(who.size, np.cos(angle)),
            "last_year_window": np.where(known, last_year, np.nan),
            "last_year_now": np.where(known, lead, np.nan),
        }

    def visit_model(self, window: tuple[float, float]) -> dict[str, Array]:
        """What BG/NBD, fitted on everybody's history up to here, says of the window."""
        history = self.history
        everyone = np.arange(len(history.log.customers))
        last = history.place(everyone, self.origin) - 1
        came = last >= history.starts[:-1]
        first = history.starts[:-1][came]
        last = last[came]
        day = history.log.day
        everybody = Summary(
            (last - first).astype(np.float64),
            (day[last] - day[first]).astype(np.float64),
            (self.origin - day[first]).astype(np.float64),
        )
        names = ("alive", "silent_chance", "expected_visits")
        try:
            fitted = fit_bg_nbd(everybody)
        except TooFewData:
            return {name: np.full(self.customers.size, np.nan) for name in names}
        seen = Summary(self.visits - 1, self.tenure - self.recency, self.tenure)
        told = (
            fitted.alive(seen),
            fitted.silent(seen, after_days=window[0], for_days=window[1] - window[0]),
            fitted.visits(seen, days=window[1]),
        )
        return dict(zip(names, told, strict=True))
