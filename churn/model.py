"""The hazard model at work: a batch of one and a batch of a million give the same bits."""

from typing import Any

import lightgbm as lgb
import numpy as np

from churn.artifact import TrainedModel, digest, dump
from churn.calibrate import sigmoid
from churn.definition import PERIODS, SILENCE
from churn.design_matrix import PERIOD_COLUMNS, PERIOD_FAMILY, period_rows
from churn.feature_rows import Array
from churn.features import FAMILY_TEXTS, label, shown
from churn.hazards import Factor, Hazards, strongest_of
from churn.labels import reachable
from churn.single_row import SingleRow
from engine.errors import InvalidInput, ModelUnusable

# 16,384 contacts x 4 periods x 40 columns x 8 bytes = 21 MB of rows at a time.
_CHUNK_CONTACTS = 16_384
# Risk level and health are read at 90 days, so contributions are averaged over three periods.
_EXPLAINED_PERIODS = 3


class HazardModel:
    """Scores contacts with a trained model. Safe to share between threads.

    Args:
        trained: from `train` or `artifact.load`.
        threads: of LightGBM for chunks; results don't depend on it. Keep 1 for single contacts:
            starting threads costs more than it saves.

    Attributes:
        trained: as given.
        digest: of its document, the name to record with each score.

    Raises ModelUnusable where LightGBM can't read the booster or its columns don't fit.
    """

    def __init__(self, trained: TrainedModel, *, threads: int = 1) -> None:
        self.trained = trained
        self._threads = threads
        self._silence = trained.feature_names.index(SILENCE)
        self._booster = _booster(trained)
        self._single = SingleRow(self._booster)
        self._extension = _extension(trained, self._booster)
        self.digest = digest(dump(trained))

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Columns of the matrix, in order."""
        return self.trained.feature_names

    def predict(self, matrix: Array, days_to_limit: Array) -> Hazards:
        """P(churn) within 30, 60, 90, 120 days of each row, each (n,), rounded to 12 decimals.

        Args:
            matrix: (n, f) in the order of `feature_names`, NaN = not known; see
                `features.matrix_of`.
            days_to_limit: (n,), from `definition.rhythm` with the definition and the
                `tenant_median_days` of this model. NaN: never visited, result NaN. Not positive:
                churned already, result 1.
        """
        return self.predict_with_spread(matrix, days_to_limit)[0]

    def predict_with_spread(self, matrix: Array, days_to_limit: Array) -> tuple[Hazards, Array]:
        """As `predict`, and how far apart trees and logistic are about 90 days, (n,) in [0, 1].

        Each member alone, after the same calibration. NaN where nobody has visited.
        """
        self._check(matrix, days_to_limit)
        per_period = np.zeros((3, PERIODS, len(matrix)))
        for start in range(0, len(matrix), _CHUNK_CONTACTS):
            part = slice(start, start + _CHUNK_CONTACTS)
            per_period[:, :, part] = self._period_hazards(matrix[part], days_to_limit[part])
        told, trees, logistic = (
            Hazards.from_period_hazards(each, days_to_limit) for each in per_period
        )
        return told, np.abs(trees.hazard_90d - logistic.hazard_90d)

    def familiar(self, matrix: Array) -> Array:
        """Share of each row's known features that lie where 98 in 100 training rows lay, (n,).

        1 where nothing is known. What the model has hardly seen it can't be sure about.
        """
        inside, known = np.zeros(len(matrix)), np.zeros(len(matrix))
        for column, usual in enumerate(self.trained.usual):
            values = matrix[:, column]
            told = ~np.isnan(values)
            known += told
            if usual is not None:
                inside += told & (values >= usual[0]) & (values <= usual[1])
        return np.where(known > 0, inside / np.maximum(known, 1.0), 1.0)

    def factors(
        self, matrix: Array, days_to_limit: Array, *, most: int = 5
    ) -> tuple[tuple[Factor, ...], ...]:
        """The families of features that move each row's risk most, strongest first.

        Points are log-odds of churn in a 30-day period after calibration, averaged over the
        periods of the next 90 days the limit can fall in (exact tree contributions, Lundberg 2018,
        and the terms of the logistic, each by its share), summed by family; the value shown is that
        of the family's strongest own feature. Arguments as for `predict`; about 0.6 ms a contact.
        """
        self._check(matrix, days_to_limit)
        explained: list[tuple[Factor, ...]] = []
        for start in range(0, len(matrix), _CHUNK_CONTACTS):
            part = slice(start, start + _CHUNK_CONTACTS)
            points = self._contributions(matrix[part], days_to_limit[part])
            explained += [
                self._factors_of(row, values, most)
                for row, values in zip(points, matrix[part], strict=True)
            ]
        return tuple(explained)

    def _check(self, matrix: Array, days_to_limit: Array) -> None:
        columns = len(self.feature_names)
        if matrix.ndim != 2 or matrix.shape[1] != columns or matrix.dtype != np.float64:
            raise InvalidInput(
                f"The model takes a float64 matrix of {columns} columns, not {matrix.dtype} "
                f"{matrix.shape}."
            )
        if days_to_limit.shape != (len(matrix),):
            raise InvalidInput(
                f"One days_to_limit per row: {days_to_limit.shape} for {len(matrix)} rows."
            )

    def _rows(self, matrix: Array, days_to_limit: Array) -> Array:
        return period_rows(matrix, matrix[:, self._silence], days_to_limit)

    def _period_hazards(self, matrix: Array, days_to_limit: Array) -> Array:
        """(3, 4, n): chance to churn in each period for one who enters it.

        By both members, by the trees alone, by the logistic alone.
        """
        hazard = np.zeros((3, PERIODS, len(matrix)))
        asked = reachable(days_to_limit) & (days_to_limit > 0)
        rows = self._rows(matrix, days_to_limit)[asked]
        if len(rows):
            trees, logistic = self._members(rows)
            share = self.trained.tree_share
            fitted, own = self.trained.calibration, self._own(rows)
            for place, log_odds in enumerate(
                (share * trees + (1 - share) * logistic, trees, logistic)
            ):
                hazard[place][asked] = sigmoid(fitted.slope * log_odds + fitted.intercept + own)
        return hazard

    def _own(self, rows: Array) -> Array:
        """What the tenant's own trees add to the calibrated log-odds."""
        if self._extension is None:
            return np.zeros(len(rows))
        told = self._extension.predict(rows, raw_score=True, num_threads=self._threads)
        return np.asarray(told)

    def _log_odds(self, rows: Array) -> Array:
        """Of person-periods by both members, before calibration."""
        trees, logistic = self._members(rows)
        share = self.trained.tree_share
        return np.asarray(share * trees + (1 - share) * logistic)

    def _members(self, rows: Array) -> tuple[Array, Array]:
        """Log-odds of person-periods by the trees and by the logistic, before calibration."""
        if len(rows) <= PERIODS:
            trees = self._single(rows)
        else:
            trees = self._booster.predict(rows, raw_score=True, num_threads=self._threads)
        return np.asarray(trees), self.trained.logistic.log_odds(rows)

    def _contributions(self, matrix: Array, days_to_limit: Array) -> Array:
        """(n, f + 4) log-odds."""
        rows = self._rows(matrix, days_to_limit)[:_EXPLAINED_PERIODS]
        shape = (_EXPLAINED_PERIODS, len(matrix), rows.shape[2])
        flat = rows.reshape(-1, shape[2])
        trees = self._booster.predict(flat, pred_contrib=True, num_threads=self._threads)[:, :-1]
        share = self.trained.tree_share
        logistic = self.trained.logistic.contributions(flat)
        told = self.trained.calibration.slope * (share * trees + (1 - share) * logistic)
        if self._extension is not None:
            own = self._extension.predict(flat, pred_contrib=True, num_threads=self._threads)
            told = told + own[:, :-1]
        told = told.reshape(shape)
        weight = reachable(days_to_limit)[:_EXPLAINED_PERIODS].astype(np.float64)
        weight[-1, weight.sum(axis=0) == 0] = 1.0
        mean = (told * weight[:, :, None]).sum(axis=0) / weight.sum(axis=0)[:, None]
        return np.asarray(mean)

    def _factors_of(self, points: Array, values: Array, most: int) -> tuple[Factor, ...]:
        kinds = (*self.trained.families, *(PERIOD_FAMILY for _ in PERIOD_COLUMNS))
        by_family: dict[str, list[int]] = {}
        for column, family in enumerate(kinds):
            by_family.setdefault(family, []).append(column)
        found = [
            self._factor(family, columns, points, values) for family, columns in by_family.items()
        ]
        return strongest_of(found, most)

    def _factor(self, family: str, columns: list[int], points: Array, values: Array) -> Factor:
        own = [column for column in columns if column < len(values)]
        strongest = max(own, key=lambda column: (abs(points[column]), -column))
        value = None if np.isnan(values[strongest]) else float(values[strongest])
        name = self.feature_names[strongest]
        return Factor(
            factor=family,
            value=value,
            text=f"{FAMILY_TEXTS[family]} ({label(name)}: {shown(name, value)})",
            points=round(float(sum(points[column] for column in columns)), 6),
        )


def _extension(trained: TrainedModel, beside: Any) -> Any | None:  # noqa: ANN401 - no types
    """The tenant's own trees on the same columns; None where there are none."""
    if trained.extension is None:
        return None
    try:
        own = lgb.Booster(model_str=trained.extension)
    except lgb.basic.LightGBMError as error:
        raise ModelUnusable(f"LightGBM can't read the stored extension: {error}.") from error
    if own.num_feature() != beside.num_feature():
        raise ModelUnusable(
            f"The stored extension has {own.num_feature()} columns, the booster "
            f"{beside.num_feature()}.",
            hint="Train again.",
        )
    return own


def _booster(trained: TrainedModel) -> Any:  # noqa: ANN401 - LightGBM has no types
    if SILENCE not in trained.feature_names:
        raise ModelUnusable(f"The stored model does not read {SILENCE}.")
    try:
        booster = lgb.Booster(model_str=trained.booster)
    except lgb.basic.LightGBMError as error:
        raise ModelUnusable(f"LightGBM can't read the stored model: {error}.") from error
    expected = len(trained.feature_names) + len(PERIOD_COLUMNS)
    widths = {booster.num_feature(), len(trained.logistic.normal.knots)}
    if widths != {expected} or len(trained.families) != len(trained.feature_names):
        raise ModelUnusable(
            f"The stored booster has {booster.num_feature()} columns, {expected} were announced.",
            hint="Train again.",
        )
    return booster
