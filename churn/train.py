"""Training: rolling origins, a discrete-time hazard of two members, and a test in time.

    |---- training origins ----|-- calibration origins --|-- ... --| test origin |-- 120 days --|
    first visit                                                    trained_until     last visit

The model answers for the moment `trained_until` and was judged on the 120 days after it. Outcomes
of training origins are followed up to that moment and no further. How much each member counts and
the sigmoid come from a trial: both members, learnt without the calibration origins and followed
only up to the first of them, are told the calibration origins.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import lightgbm as lgb
import numpy as np
import polars as pl

from churn.artifact import Calibration, TrainedModel, library_versions
from churn.calibrate import MIN_EVENTS, fit_sigmoid
from churn.definition import ChurnDefinition, rhythm_features
from churn.features import churn_features, distinct, families, learnable
from churn.hazard_blend import TREE_SHARE, LogisticMember, tree_share
from churn.labels import Origins
from churn.model import HazardModel
from churn.person_rows import (
    Rows,
    arrivals_of,
    departed,
    history_of,
    is_closed,
    measures_of,
    origins_of,
    rows_of,
    span_of,
    usual_of,
)
from churn.snapshots import History, Snapshot, snapshot
from churn.valuation import valuation
from engine.errors import TooFewData
from engine.features.spec import Feature

# 90 days to see something, 120 for an origin to close, 120 more to test: 330 days, and a few
# origins to learn from.
MIN_HISTORY_DAYS = 350
MIN_CONTACTS = 200
MIN_CHURNED = 50
# A year of origins, less one step of them: every season has been seen once.
SEASONS = timedelta(days=335)


@dataclass(frozen=True, slots=True)
class BoosterSettings:
    """How the booster learns; the same settings and data give the same model text.

    Small trees and many: under some 20,000 rows they beat LightGBM's defaults, and they explain
    nine times faster. Of more than `most_contacts` a sample by the seed is learnt from, which keeps
    the rows of all origins within some 500 MB.
    """

    trees: int = 300
    leaves: int = 8
    learning_rate: float = 0.03
    lambda_l2: float = 10.0
    feature_share: float = 0.5
    row_share: float = 0.8
    min_rows_in_leaf: int = 100
    most_contacts: int = 50_000
    threads: int = 1
    seed: int = 20_251

    def parameters(self, rows: int) -> dict[str, object]:
        """LightGBM's names; leaves may be smaller where there are few rows."""
        return {
            "objective": "binary",
            "num_leaves": self.leaves,
            "learning_rate": self.learning_rate,
            "lambda_l2": self.lambda_l2,
            "feature_fraction": self.feature_share,
            "bagging_fraction": self.row_share,
            "bagging_freq": 1,
            "min_data_in_leaf": min(self.min_rows_in_leaf, max(5, rows // 40)),
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": self.threads,
            "seed": self.seed,
            "verbosity": -1,
        }


def train(
    contacts: pl.DataFrame,
    events: pl.DataFrame,
    definition: ChurnDefinition,
    *,
    as_of: datetime,
    specs: Sequence[Feature] | None = None,
    settings: BoosterSettings | None = None,
) -> TrainedModel:
    """A model of the tenant's churn, tested on the last 120 days before the newest visit.

    Args:
        contacts: contact_id, timezone; attributes are not learnt from.
        events: `EVENT_COLUMNS`; what came after `as_of` is not looked at.
        definition: when a contact counts as churned.
        as_of: aware moment of the training.
        specs: features to learn from, `churn_features(definition)` unless given; the features of
            `definition.rhythm_features` are added.
        settings: of the booster.

    Raises:
        TooFewData: under a year of visits, 200 contacts or 50 that churned in closed windows; the
            scorecard serves until then.
    """
    chosen = (
        churn_features(definition)
        if specs is None
        else distinct([*specs, *rhythm_features(definition)])
    )
    settings = settings or BoosterSettings()
    came = arrivals_of(events, definition, as_of)
    _check_history(came)
    span = span_of(came)
    origins = origins_of(came, definition)
    history = history_of(
        contacts, events, definition, as_of, most=settings.most_contacts, seed=settings.seed
    )
    visits = history.visits
    past = tuple(snapshot(history, origin, definition, chosen) for origin in origins.training)
    _check_churned(past, visits, origins.test)
    study = _Study(
        definition=definition,
        specs=chosen,
        history=history,
        past=past,
        test=snapshot(history, origins.test, definition, chosen),
        visits=visits,
        origins=origins,
        span=span,
    )
    return _fitted(study, settings)


@dataclass(frozen=True, slots=True)
class _Study:
    definition: ChurnDefinition
    specs: tuple[Feature, ...]
    history: History
    past: tuple[Snapshot, ...]
    test: Snapshot
    visits: pl.DataFrame
    origins: Origins
    span: tuple[datetime, datetime]


def _fitted(study: _Study, settings: BoosterSettings) -> TrainedModel:
    """The members from all origins before the test, their shares and the sigmoid from a trial."""
    until = study.origins.test
    rows = rows_of(study.past, study.visits, until)
    booster = booster_of(rows, settings)
    share, calibration = _trial(study, settings)
    learnt = learnable(study.specs)
    model = TrainedModel(
        booster=booster.model_to_string(),
        logistic=LogisticMember.learn(rows.matrix, rows.event),
        tree_share=share,
        usual=usual_of(rows.matrix[:, : len(learnt)]),
        feature_names=tuple(spec.name for spec in learnt),
        families=families(learnt),
        definition=study.definition,
        tenant_median_days=study.test.tenant_median_days,
        calibration=calibration,
        trained_until=until,
        data_from=study.span[0],
        data_until=study.span[1],
        contacts=study.visits.filter(pl.col("occurred_at") <= until)["contact_id"].n_unique(),
        training_rows=len(rows.event),
        training_events=int(rows.event.sum()),
        metrics={},
        libraries=library_versions(),
    )
    scorer = HazardModel(model)
    return replace(
        model,
        metrics=measures_of(scorer, study.test, study.visits, model.data_until),
        value=valuation(
            study.history,
            study.past,
            study.test,
            scorer.predict(study.test.features, study.test.days_to_limit),
            data_until=model.data_until,
            seed=settings.seed,
        ),
    )


def booster_of(rows: Rows, settings: BoosterSettings) -> lgb.Booster:
    """The trees of these rows."""
    return lgb.train(
        settings.parameters(len(rows.event)),
        lgb.Dataset(rows.matrix, label=rows.event),
        num_boost_round=settings.trees,
    )


def _trial(study: _Study, settings: BoosterSettings) -> tuple[float, Calibration]:
    """The booster's share and the sigmoid, from origins that the trial's members have not seen.

    The sigmoid stays as it is where the origins learnt from do not span a year: the difference it
    would measure is then that of a season nobody has seen. On a gift wholesaler's autumn it took
    the calibration error of P(churn within 120 days) from 0.04 to 0.10.
    """
    held_out = study.origins.calibration
    if not held_out:
        return TREE_SHARE, Calibration()
    learning = [seen for seen in study.past if seen.origin < held_out[0]]
    rows = rows_of(learning, study.visits, held_out[0])
    if min(rows.event.sum(), (~rows.event).sum()) < MIN_EVENTS:
        return TREE_SHARE, Calibration()
    told = rows_of(
        [seen for seen in study.past if seen.origin in held_out], study.visits, study.origins.test
    )
    if not told.event.size:
        return TREE_SHARE, Calibration()
    booster = booster_of(rows, settings)
    trees = np.asarray(booster.predict(told.matrix, raw_score=True, num_threads=settings.threads))
    logistic = LogisticMember.learn(rows.matrix, rows.event).log_odds(told.matrix)
    share = tree_share(trees, logistic, told.event)
    if learning[-1].origin - learning[0].origin < SEASONS:
        return share, Calibration()
    return share, fit_sigmoid(share * trees + (1 - share) * logistic, told.event)


def _check_history(visits: pl.DataFrame) -> None:
    contacts = visits["contact_id"].n_unique()
    days = 0
    if visits.height:
        first, last = span_of(visits)
        days = (last - first).days
    if days < MIN_HISTORY_DAYS or contacts < MIN_CONTACTS:
        raise TooFewData(
            f"Too little history to train a churn model: {days:,} days of visits of "
            f"{contacts:,} contacts.",
            hint=f"It takes {MIN_HISTORY_DAYS} days, {MIN_CONTACTS} contacts and {MIN_CHURNED} "
            "that left within closed 120-day windows; until then the scorecard serves.",
        )


def _check_churned(past: Sequence[Snapshot], visits: pl.DataFrame, until: datetime) -> None:
    churned = departed(past, visits, until)
    closed = sum(is_closed(seen, until) for seen in past)
    if len(churned) < MIN_CHURNED:
        raise TooFewData(
            f"Too few departures to train a churn model: {len(churned):,} contacts left within "
            f"{closed:,} closed 120-day windows.",
            hint=f"It takes {MIN_CHURNED}; until then the scorecard serves.",
        )
