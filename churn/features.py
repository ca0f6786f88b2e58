"""The features this package reads, and how they are called when they explain something."""

from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl

from churn.definition import AGE, ENDED, HELD_SINCE, VISITS, ChurnDefinition, rhythm_features
from churn.feature_rows import Array, FeatureRows, has_column
from engine.errors import InvalidInput
from engine.features.catalogue import FEATURES, standard_features
from engine.features.spec import Feature, Kind

# Attributes are known as they are today, not as they were at an origin of the past, so a model
# that learnt from them would have seen the future. The calendar day would tell two years of
# origins apart by name; a season needs more years than that.
_NOT_LEARNT: frozenset[Kind] = frozenset({"attribute", "has", "property", "local_month_day"})
_DATES: frozenset[Kind] = frozenset(
    {"days_until_date", "months_since_date", "months_since_date_up"}
)

_FAMILY_OF_NOUN = {
    "message": "communication",
    "appointment": "appointments",
    "invoice": "payment",
    "payment": "payment",
    "complaint": "satisfaction",
    "ticket": "satisfaction",
    "survey": "satisfaction",
    "review": "satisfaction",
    "activity": "communication",
    "campaign": "communication",
    "contract": "contract",
    "asset": "contract",
    "estimate": "relationship",
    "deal": "relationship",
    "referral": "relationship",
    "household": "relationship",
}
FAMILY_TEXTS = {
    "silence": "time since the last visit, against the usual interval",
    "visits": "how often the contact comes",
    "spend": "what the contact spends",
    "appointments": "missed, cancelled and booked appointments",
    "payment": "credits and payments",
    "communication": "answers to messages",
    "satisfaction": "complaints, tickets, surveys and tone",
    "contract": "contracts and warranties",
    "relationship": "offers, deals, referrals and household",
    "other": "other signs",
}
_LABELS = {entry.feature.name: entry.label for entry in FEATURES} | {VISITS: "visits so far"}
_NULL_MEANS = {entry.feature.name: entry.null_means for entry in FEATURES if entry.null_means}
_CLOCKS = frozenset(
    entry.feature.name
    for entry in FEATURES
    if entry.feature.window_days is None
    and entry.feature.kind in {"count", "days_since_first", "days_since_last", "distinct_count"}
    and entry.feature.name != "days_since_last_visit"
) | {VISITS, AGE, HELD_SINCE, ENDED}
_UNITS = {entry.feature.name: entry.unit for entry in FEATURES}


def churn_features(definition: ChurnDefinition) -> tuple[Feature, ...]:
    """Everything a feature row must hold for model, scorecard and health; names are unique."""
    return distinct([*standard_features(definition.visit_types), *rhythm_features(definition)])


def distinct(specs: Iterable[Feature]) -> tuple[Feature, ...]:
    """The specs, each once, in order; raises InvalidInput where one name means two things."""
    by_name: dict[str, Feature] = {}
    for spec in specs:
        if by_name.setdefault(spec.name, spec) != spec:
            raise InvalidInput(f"Two features are called {spec.name!r} and differ.")
    return tuple(by_name.values())


def learnable(specs: Sequence[Feature]) -> tuple[Feature, ...]:
    """Those a model may learn from: numbers computed from history."""
    return tuple(
        spec
        for spec in specs
        if spec.kind not in _NOT_LEARNT
        # a date on an event is known as it was then, one among the attributes is not
        and not (spec.kind in _DATES and spec.property is None)
    )


def scale_free(specs: Sequence[Feature]) -> tuple[Feature, ...]:
    """Those that mean the same in every business: no money."""
    return tuple(spec for spec in specs if _UNITS.get(spec.name) != "cents")


def families(specs: Sequence[Feature]) -> tuple[str, ...]:
    """The family of each feature, a key of `FAMILY_TEXTS`: contributions are summed by it."""
    visit_types = next((s.types for s in specs if s.name == "days_since_last_visit"), ())
    return tuple(_family(spec, visit_types) for spec in specs)


def _family(spec: Feature, visit_types: tuple[str, ...]) -> str:
    if spec.types and spec.types == visit_types:
        if spec.kind == "sum":
            return "spend"
        rhythmic = spec.kind in {"days_since_last", "interval_ratio", "median_interval_days"}
        return "silence" if rhythmic else "visits"
    if spec.types[:1] == ("message.rated",):
        return "satisfaction"
    noun = spec.types[0].partition(".")[0] if spec.types else ""
    return _FAMILY_OF_NOUN.get(noun, "other")


def is_clock(name: str) -> bool:
    """Whether a feature grows by itself: days since something long ago, counts of a whole life."""
    return name in _CLOCKS


def label(name: str) -> str:
    """Plain words for a feature."""
    return _LABELS.get(name, name.replace("_", " "))


def shown(name: str, value: float | None) -> str:
    """A value of a feature for people: money in units of currency, shares in percent.

    >>> shown("spend_365d_cents", 340239.0), shown("no_show_share_365d", 0.25)
    ('3,402.39', '25%')
    >>> shown("next_booking_in_days", None)
    'nothing is booked'
    """
    if value is None:
        return _NULL_MEANS.get(name, "not known")
    unit = _UNITS.get(name, "")
    if unit == "cents":
        return f"{value / 100:,.2f}"
    if unit == "share":
        return f"{value:.0%}"
    return f"{value:,.1f}".removesuffix(".0")


def matrix_of(features: FeatureRows, names: Sequence[str]) -> Array:
    """The columns `names` as a C-ordered float64 matrix (rows, names); null becomes NaN."""
    missing = [name for name in names if not has_column(features, name)]
    if missing:
        raise InvalidInput(
            f"The feature rows lack {', '.join(missing)}.",
            hint="Compute them with churn.features.churn_features.",
        )
    if not isinstance(features, pl.DataFrame):
        return np.column_stack([features[name] for name in names])
    columns = features.select(pl.col(name).cast(pl.Float64).fill_null(np.nan) for name in names)
    return np.ascontiguousarray(columns.to_numpy())
