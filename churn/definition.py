"""What 'churned' means: silence longer than the contact's own rhythm allows.

The limit of a contact is W = clip(factor x expected interval, shortest, longest) days, where the
expected interval is the contact's own median interval between visits, shrunk to the tenant's:

    expected = (n x own + weight x tenant) / (n + weight),   n = own intervals

The churn date is last visit + W with no visit before it. Everything is read from the contact's
feature row, so a contact is judged by the same numbers in training and at a decision.
"""

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from churn.feature_rows import Array, FeatureRows, column_of, has_column
from engine.errors import InvalidInput
from engine.features.spec import Feature

PERIOD_DAYS = 30
PERIODS = 4
HORIZON_DAYS = PERIOD_DAYS * PERIODS  # 120: how far ahead the model looks
SILENCE_ALONE, CONTRACT, CONTRACT_OR_SILENCE = "silence", "contract", "contract_or_silence"
JUDGED_BY = (SILENCE_ALONE, CONTRACT, CONTRACT_OR_SILENCE)
HORIZONS = tuple(PERIOD_DAYS * k for k in range(1, PERIODS + 1))
_OF_CONTRACT = frozenset({"judged_by", "holding_types", "ending_types", "term_days", "grace_days"})
_LONGEST_TERM = 3_660.0  # ten years


@dataclass(frozen=True, slots=True)
class ChurnDefinition:
    """When a silent contact counts as lost.

    Attributes:
        visit_types: event types that are a visit (or a purchase).
        interval_factor: how many of its expected intervals a contact may be silent.
        shortest_limit_days, longest_limit_days: bounds of the limit.
        shrinkage_intervals: weight of the tenant's median, in intervals of the contact.
        usual_interval_days: stands for the tenant's median while its history is too short to show
            one, see `tenant_median`.
        min_visits: a contact with fewer visits is not judged: it is a new one to win, not an old
            one to keep.
        judged_by: 'silence'; 'contract': who holds one has left when it is cancelled or not
            renewed, and who never held one is not judged; 'contract_or_silence': who holds none is
            judged by silence.
        holding_types: event types that start or renew a contract.
        ending_types: event types that end the contract of the same subject; empty: only terms end.
        term_days: of a contract whose event says no end; 0: it runs until it is ended.
        grace_days: after its term a contract may still be renewed for so long.
    """

    visit_types: tuple[str, ...]
    interval_factor: float = 2.5
    shortest_limit_days: float = 60.0
    longest_limit_days: float = 180.0
    shrinkage_intervals: float = 3.0
    usual_interval_days: float = 45.0
    min_visits: int = 1
    judged_by: str = SILENCE_ALONE
    holding_types: tuple[str, ...] = ("contract.started", "contract.renewed")
    ending_types: tuple[str, ...] = ("contract.ended", "contract.cancelled")
    term_days: float = 0.0
    grace_days: float = 30.0

    def __post_init__(self) -> None:
        if not self.visit_types:
            raise InvalidInput("A churn definition names no visit type.")
        if not 0 < self.shortest_limit_days <= self.longest_limit_days:
            raise InvalidInput(
                "The shortest limit of a churn definition must be positive and not above the "
                f"longest: {self.shortest_limit_days}, {self.longest_limit_days}."
            )
        if self.interval_factor <= 0 or self.shrinkage_intervals < 0 or self.min_visits < 1:
            raise InvalidInput(
                "A churn definition needs interval_factor > 0, shrinkage_intervals >= 0 and "
                f"min_visits >= 1: {self.interval_factor}, {self.shrinkage_intervals}, "
                f"{self.min_visits}."
            )

        if self.judged_by not in JUDGED_BY:
            raise InvalidInput(
                f"A churn definition judges by {self.judged_by!r}.",
                hint=f"judged_by is one of {', '.join(JUDGED_BY)}.",
            )
        if self.by_contract and not self.holding_types:
            raise InvalidInput("A churn definition by contract names no event that starts one.")
        if self.by_contract and not (self.ending_types or self.term_days > 0):
            raise InvalidInput(
                "A churn definition by contract names neither an event that ends one nor a term.",
                hint="Set ending_types or term_days.",
            )
        if not (0 <= self.term_days <= _LONGEST_TERM and 0 <= self.grace_days <= HORIZON_DAYS):
            raise InvalidInput(
                f"A churn definition needs term_days from 0 to {_LONGEST_TERM:.0f} and grace_days "
                f"from 0 to {HORIZON_DAYS}: {self.term_days}, {self.grace_days}."
            )

    @property
    def by_contract(self) -> bool:
        """Whether contracts are looked at."""
        return self.judged_by != SILENCE_ALONE

    @property
    def days_of_doubt(self) -> float:
        """For so long after a contract has ended it may still be renewed."""
        return self.grace_days if self.by_contract else 0.0

    @property
    def arrival_types(self) -> tuple[str, ...]:
        """Event types that make a contact one to keep: visits, and contracts where they count."""
        return (*self.visit_types, *(self.holding_types if self.by_contract else ()))

    def stored(self) -> dict[str, Any]:
        """As `as_dict`; of contracts only where they are looked at."""
        skipped = frozenset() if self.by_contract else _OF_CONTRACT
        return {name: value for name, value in self.as_dict().items() if name not in skipped}

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for a JSON document."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The definition that `as_dict` wrote."""
        told = dict(values)
        told |= {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        return cls(**told)


# Start values per industry, to be replaced by a tenant's own: the limit should be so long that at
# most 15 % of the contacts silent for that long ever come back.
#   healthcare: recall every 6 months, lost 6 months after the recall is due, never later than the
#     18 months practices use for 'active'.
#   trades: tune-ups every 6 to 12 months.
#   professional_services: monthly to quarterly work.
_INDUSTRIES: dict[str, dict[str, float]] = {
    "healthcare": {
        "interval_factor": 2.0,
        "shortest_limit_days": 120.0,
        "longest_limit_days": 540.0,
        "usual_interval_days": 182.0,
    },
    "trades": {
        "interval_factor": 1.75,
        "shortest_limit_days": 120.0,
        "longest_limit_days": 540.0,
        "usual_interval_days": 240.0,
    },
    "professional_services": {
        "interval_factor": 2.0,
        "shortest_limit_days": 60.0,
        "longest_limit_days": 270.0,
        "usual_interval_days": 60.0,
    },
}


def industry_definition(industry: str, visit_types: tuple[str, ...]) -> ChurnDefinition:
    """The start values of an industry; of general trade where the industry is not known."""
    return ChurnDefinition(visit_types, **_INDUSTRIES.get(industry, {}))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Where each contact stands in its own rhythm; arrays of one length.

    Attributes:
        silence_days: days since the last visit; NaN without a visit.
        limit_days: the limit W; NaN without a visit.
        days_to_limit: limit minus silence; not positive = churned; NaN without a visit.
        at_risk: visited often enough to be judged, and not yet churned.
        tenant_median_days: the tenant's median that was used.
        by_contract: judged by a contract it holds or held. Its limit is then the end of term and
            grace, and never more than 30 days away, since a contract can be cancelled on any day.
    """

    silence_days: Array
    limit_days: Array
    days_to_limit: Array
    at_risk: NDArray[np.bool_]
    tenant_median_days: float
    by_contract: NDArray[np.bool_]


# The columns of the feature row that the definition reads.
VISITS = "visits_total"
SILENCE = "days_since_last_visit"
AGE = "days_since_first_visit"
INTERVAL = "median_visit_interval_days"
HELD = "contracts_held"
HELD_SINCE = "days_since_contract_began"
HELD_UNTIL = "contract_term_ends_in_days"
ENDED = "days_since_contract_ended"


def rhythm_features(definition: ChurnDefinition) -> tuple[Feature, ...]:
    """The features that `rhythm` reads; every feature row handed to this package has them."""
    visits = definition.visit_types
    contracts: tuple[Feature, ...] = ()
    if definition.by_contract:
        held, ended = definition.holding_types, definition.ending_types
        contracts = (
            Feature(HELD_SINCE, "days_since_last", held),
            Feature(HELD_UNTIL, "days_until_date", held, property="ends_on"),
        )
        if ended:
            contracts += (
                Feature(HELD, "open_count", held, closed_by=ended),
                Feature(ENDED, "days_since_last", ended),
            )
    return (
        Feature(VISITS, "count", visits),
        Feature(SILENCE, "days_since_last", visits),
        Feature(AGE, "days_since_first", visits),
        Feature(INTERVAL, "median_interval_days", visits),
        *contracts,
    )


def rhythm(
    features: FeatureRows,
    definition: ChurnDefinition,
    *,
    tenant_median_days: float | None = None,
) -> Rhythm:
    """Where each contact stands, from its feature row.

    Pass the `tenant_median_days` of the model that scores: the limit of a contact must not depend
    on who is scored beside it. Without it `tenant_median` of these rows is taken.
    """
    visits = _column(features, VISITS)
    silence = _column(features, SILENCE)
    own = _column(features, INTERVAL)
    if tenant_median_days is None:
        tenant_median_days = tenant_median(features, definition)
    has_interval = ~np.isnan(own)
    intervals = np.where(has_interval, np.maximum(visits - 1, 0), 0.0)
    weight = definition.shrinkage_intervals
    pooled = intervals * np.where(has_interval, own, 0.0) + weight * tenant_median_days
    with np.errstate(invalid="ignore"):  # weight 0 and no interval: falls back to the tenant
        expected = np.where(intervals + weight > 0, pooled / (intervals + weight), np.nan)
    expected = np.where(np.isnan(expected), tenant_median_days, expected)
    limit = np.clip(
        definition.interval_factor * expected,
        definition.shortest_limit_days,
        definition.longest_limit_days,
    )
    limit = np.where(np.isnan(silence), np.nan, limit)
    days_to_limit = limit - silence
    enough = visits >= definition.min_visits
    by_contract = np.zeros(silence.shape, dtype=np.bool_)
    if definition.by_contract:
        by_contract, left = _by_contract(features, definition)
        days_to_limit = np.where(by_contract, left, days_to_limit)
        enough |= by_contract
        if definition.judged_by == CONTRACT:
            days_to_limit = np.where(by_contract, days_to_limit, np.nan)
        limit = silence + days_to_limit
    return Rhythm(
        silence_days=silence,
        limit_days=limit,
        days_to_limit=days_to_limit,
        at_risk=enough & (days_to_limit > 0),
        tenant_median_days=tenant_median_days,
        by_contract=by_contract,
    )


def _by_contract(
    features: FeatureRows, definition: ChurnDefinition
) -> tuple[NDArray[np.bool_], Array]:
    """Who is judged by a contract, and days to the limit; not positive: it ended that long ago."""
    since, until = _column(features, HELD_SINCE), _column(features, HELD_UNTIL)
    ever = ~np.isnan(since)
    open_end = definition.term_days - since if definition.term_days else np.inf
    left = np.where(np.isnan(until), open_end, until) + definition.grace_days
    left = np.minimum(left, float(PERIOD_DAYS))
    held = ever
    if definition.ending_types:
        held = _column(features, HELD) > 0
        ended = np.nan_to_num(_column(features, ENDED))
        left = np.where(held, left, -ended)
    # who holds none any more may go on coming without
    judged = ever if definition.judged_by == CONTRACT else held & (left > 0)
    return judged, np.where(judged, left, np.nan)


def tenant_median(features: FeatureRows, definition: ChurnDefinition) -> float:
    """Median, in days, of the contacts' own median intervals; all contacts of a tenant at a moment.

    Contacts silent for the longest limit are left out, and so are those without an interval. Where
    none remains, or the oldest visit is younger than two usual intervals, it is the definition's
    usual interval: six weeks of data hold no interval of six months.
    """
    silence, own = _column(features, SILENCE), _column(features, INTERVAL)
    age = _column(features, AGE)
    seen = own[(silence < definition.longest_limit_days) & ~np.isnan(own)]
    history_days = float(np.nanmax(age, initial=0.0))
    if not seen.size or history_days < 2 * definition.usual_interval_days:
        return definition.usual_interval_days
    return float(np.median(seen))


def _column(features: FeatureRows, name: str) -> Array:
    if not has_column(features, name):
        raise InvalidInput(
            f"The feature rows have no column {name!r}.",
            hint="Compute them with the features of churn.definition.rhythm_features as well.",
        )
    return column_of(features, name)
