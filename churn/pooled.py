"""A model for businesses with little history of their own, begun on what others have seen.

Others lend person-periods: days, counts and ratios at rolling origins and whether the contact left,
no money, no names, nothing that is scaled to one business. They are learnt from and not kept. What
a business then adds is tried in tiers, see `tiers`; each is taken only where it told the business's
last two closed origins better than the one below.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import lightgbm as lgb
import numpy as np
import polars as pl

from churn.artifact import Calibration, TrainedModel, library_versions
from churn.blend import loss_of
from churn.calibrate import fit_sigmoid
from churn.definition import ChurnDefinition
from churn.feature_rows import Array
from churn.features import churn_features, families, learnable, scale_free
from churn.hazard_blend import TREE_SHARE, LogisticMember
from churn.labels import Origins
from churn.model import HazardModel
from churn.person_rows import (
    Rows,
    arrivals_of,
    departed,
    history_of,
    measures_of,
    origins_of,
    rows_of,
    span_of,
    usual_of,
)
from churn.snapshots import History, Snapshot, snapshot
from churn.tiers import LEAST_EVENTS_TO_ADJUST, NAMES, earned, own_trees, permitted_tiers
from churn.train import BoosterSettings, booster_of, train
from churn.valuation import valuation
from engine.errors import TooFewData

# Of fewer, one business could be told from the sum.
LEAST_LENDERS = 3
# Of a lender: so that the largest doesn't drown the others.
MOST_CONTACTS = 1_500
_LEAST_EVENTS = 20
_SHARED, _ADJUSTED, _EXTENDED, _OWN = 1, 2, 3, 4


def lent_rows(
    contacts: pl.DataFrame,
    events: pl.DataFrame,
    definition: ChurnDefinition,
    *,
    until: datetime,
    settings: BoosterSettings | None = None,
) -> Rows | None:
    """What a business lends: its person-periods up to `until`; None where it has seen too little.

    Labels are by the lender's own definition and rhythm.
    """
    settings = settings or BoosterSettings()
    came = arrivals_of(events, definition, until)
    if not came.height:
        return None
    specs = scale_free(churn_features(definition))
    last = span_of(came)[1]
    history = history_of(
        contacts, events, definition, until, most=MOST_CONTACTS, seed=settings.seed
    )
    moments = origins_of(came, definition)
    past = [snapshot(history, at, definition, specs) for at in (*moments.training, moments.test)]
    rows = rows_of(past, history.visits, last)
    return rows if int(rows.event.sum()) >= _LEAST_EVENTS else None


def borrower_until(events: pl.DataFrame, definition: ChurnDefinition, as_of: datetime) -> datetime:
    """The moment up to which a business may learn from others: 120 days before its newest visit.

    Raises TooFewData without any visit.
    """
    came = arrivals_of(events, definition, as_of)
    if not came.height:
        raise TooFewData(
            "Nobody has visited yet: there is nothing to learn from and nobody to score.",
            hint="Import visits first; until then the scorecard serves.",
        )
    return origins_of(came, definition).test


@dataclass(frozen=True, slots=True)
class _Borrower:
    """The business itself: all features; `shared` are the columns that the others lent."""

    definition: ChurnDefinition
    history: History
    past: tuple[Snapshot, ...]
    test: Snapshot
    visits: pl.DataFrame
    origins: Origins
    span: tuple[datetime, datetime]
    shared: list[int]

    def rows(self, past: Sequence[Snapshot], until: datetime) -> Rows:
        return rows_of(past, self.visits, until)

    def lent_columns(self, rows: Array) -> Array:
        """Rows of all features as the shared members take them: period columns stay."""
        if not rows.size:
            return np.zeros((0, len(self.shared)))
        width = self.test.features.shape[1]
        return np.ascontiguousarray(rows[:, [*self.shared, *range(width, rows.shape[1])]])


@dataclass(frozen=True, slots=True)
class _Shared:
    """The members that others' rows gave, and those rows."""

    booster: lgb.Booster
    logistic: LogisticMember
    rows: Rows
    lenders: int

    def log_odds(self, rows: Array) -> Array:
        trees = np.asarray(self.booster.predict(rows, raw_score=True, num_threads=1))
        return np.asarray(TREE_SHARE * trees + (1 - TREE_SHARE) * self.logistic.log_odds(rows))


def train_pooled(
    contacts: pl.DataFrame,
    events: pl.DataFrame,
    definition: ChurnDefinition,
    lent: Sequence[Rows],
    *,
    as_of: datetime,
    settings: BoosterSettings | None = None,
) -> TrainedModel:
    """The model of the highest tier that the business's own past has earned.

    Arguments as for `train.train`; `lent` holds rows of other businesses up to `borrower_until`,
    from `lent_rows`.

    Raises:
        TooFewData: fewer than three lend, or nobody has visited.
    """
    if len(lent) < LEAST_LENDERS:
        raise TooFewData(
            f"{len(lent)} other businesses of the industry lend what they have seen; it takes "
            f"{LEAST_LENDERS}.",
            hint="Until then a model needs a history of its own.",
        )
    settings = settings or BoosterSettings()
    rows = np.concatenate([each.matrix for each in lent])
    event = np.concatenate([each.event for each in lent])
    shared = _Shared(
        booster_of(Rows(rows, event), settings),
        LogisticMember.learn(rows, event),
        Rows(rows, event),
        len(lent),
    )
    own = _borrower(contacts, events, definition, as_of, settings)
    tier = _tier(own, shared, settings)
    if tier == _OWN:
        return train(contacts, events, definition, as_of=as_of, settings=settings)
    return _fitted(own, shared, tier, settings)


def _borrower(
    contacts: pl.DataFrame,
    events: pl.DataFrame,
    definition: ChurnDefinition,
    as_of: datetime,
    settings: BoosterSettings,
) -> _Borrower:
    specs = churn_features(definition)
    came = arrivals_of(events, definition, as_of)
    span, moments = span_of(came), origins_of(came, definition)
    history = history_of(
        contacts, events, definition, as_of, most=settings.most_contacts, seed=settings.seed
    )
    names = [spec.name for spec in learnable(specs)]
    return _Borrower(
        definition=definition,
        history=history,
        past=tuple(snapshot(history, at, definition, specs) for at in moments.training),
        test=snapshot(history, moments.test, definition, specs),
        visits=history.visits,
        origins=moments,
        span=span,
        shared=[names.index(spec.name) for spec in learnable(scale_free(specs))],
    )


def _tier(own: _Borrower, shared: _Shared, settings: BoosterSettings) -> int:
    """Tried on the last two closed origins, learnt without them."""
    held_out = own.origins.calibration
    if not held_out:
        return _SHARED
    known = {name for seen in own.past for name in seen.contacts["contact_id"]}
    left = departed(own.past, own.visits, own.origins.test)
    before = [seen for seen in own.past if seen.origin < held_out[0]]
    learnt = own.rows(before, held_out[0])
    asked = own.rows([s for s in own.past if s.origin in held_out], own.origins.test)
    permitted = permitted_tiers(len(known), len(left))
    if int(learnt.event.sum()) < LEAST_EVENTS_TO_ADJUST or not asked.event.size:
        return _SHARED
    losses = {
        tier: loss_of(_trial(tier, own, shared, learnt, asked.matrix, settings), asked.event)
        for tier in permitted
    }
    return earned(losses)


def _trial(
    tier: int,
    own: _Borrower,
    shared: _Shared,
    learnt: Rows,
    asked: Array,
    settings: BoosterSettings,
) -> Array:
    """Log-odds of the asked rows by this tier, learnt from these rows."""
    if tier == _OWN:
        booster = booster_of(learnt, settings)
        trees = np.asarray(booster.predict(asked, raw_score=True, num_threads=1))
        logistic = LogisticMember.learn(learnt.matrix, learnt.event).log_odds(asked)
        return np.asarray(TREE_SHARE * trees + (1 - TREE_SHARE) * logistic)
    rows = own.lent_columns(asked)
    told = shared.log_odds(rows)
    if tier == _SHARED:
        return told
    past = own.lent_columns(learnt.matrix)
    fitted = fit_sigmoid(shared.log_odds(past), learnt.event)
    told = fitted.slope * told + fitted.intercept
    if tier == _ADJUSTED:
        return told
    start = fitted.slope * shared.log_odds(past) + fitted.intercept
    own_booster = own_trees(past, learnt.event, start, seed=settings.seed)
    return np.asarray(told + own_booster.predict(rows, raw_score=True, num_threads=1))


def _fitted(own: _Borrower, shared: _Shared, tier: int, settings: BoosterSettings) -> TrainedModel:
    lent, definition = shared.rows, own.definition
    until = own.origins.test
    first, last = own.span
    rows = own.rows(own.past, until)
    past = own.lent_columns(rows.matrix)
    calibration, extension = Calibration(), None
    if tier >= _ADJUSTED:
        calibration = fit_sigmoid(shared.log_odds(past), rows.event)
    if tier == _EXTENDED:
        start = calibration.slope * shared.log_odds(past) + calibration.intercept
        trees = own_trees(past, rows.event, start, seed=settings.seed)
        extension = trees.model_to_string()
    learnt = learnable(scale_free(churn_features(definition)))
    test = replace(own.test, features=np.ascontiguousarray(own.test.features[:, own.shared]))
    model = TrainedModel(
        booster=shared.booster.model_to_string(),
        logistic=shared.logistic,
        tree_share=TREE_SHARE,
        usual=usual_of(lent.matrix[:, : len(learnt)]),
        feature_names=tuple(spec.name for spec in learnt),
        families=families(learnt),
        definition=definition,
        tenant_median_days=own.test.tenant_median_days,
        calibration=calibration,
        trained_until=until,
        data_from=first,
        data_until=last,
        contacts=own.visits.filter(pl.col("occurred_at") <= until)["contact_id"].n_unique(),
        training_rows=len(lent.event) + len(rows.event) * (tier >= _ADJUSTED),
        training_events=int(lent.event.sum()) + int(rows.event.sum()) * (tier >= _ADJUSTED),
        metrics={},
        libraries=library_versions(),
        tier=NAMES[tier],
        extension=extension,
        lenders=shared.lenders,
    )
    scorer = HazardModel(model)
    hazards = scorer.predict(test.features, test.days_to_limit)
    return replace(
        model,
        metrics=measures_of(scorer, test, own.visits, last),
        # the columns of a shared model hold no money, so no trees of it
        value=valuation(own.history, (), test, hazards, data_until=last, seed=settings.seed),
    )
