"""How sure a prediction is: evidence, calibration, and whether the model's members agree.

    confidence = history x familiar x calibrated x agreed,   each a share

A product, so that one weak leg is enough to make it low; `confidence_reason` names the legs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from churn.feature_rows import Array
from churn.hazards import Factor, Hazards

_HISTORY = ((1, 0.6), (2, 0.75), (3, 0.9), (6, 1.0))
# Two in a hundred values of a training row lie outside by construction; one in ten is odd.
_FAMILIAR_SHARE = 0.9
_LEAST_FAMILIAR = 0.5
# Points that nobody has fitted; a model that nobody could test here yet; the worst test.
_SCORECARD, _UNTESTED, _LEAST_CALIBRATED = 0.5, 0.7, 0.7
_LEAST_AGREED = 0.75


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a model or the scorecard said about n contacts.

    Attributes:
        tier: who said it, see `tiers.NAMES`.
        model_version: digest of the model, or the version of the scorecard.
        hazards: (n,) each.
        factors: per contact what moved its risk; None where it was not asked.
        familiar: share of the contact's known features inside what the model has usually seen;
            None of the scorecard.
        spread: how far apart the model's members are about 90 days; None of the scorecard.
        calibration_error: of P(churn within 90 days) in a time the model had not seen; None where
            it has not been tested.
        money: of twelve months with its interval; None: spend of a year while the contact stays.
        money_method: see `valuation`.
    """

    tier: str
    model_version: str
    hazards: Hazards
    factors: Sequence[Sequence[Factor] | None]
    familiar: Array | None = None
    spread: Array | None = None
    calibration_error: float | None = None
    money: tuple[Array, Array, Array] | None = None
    money_method: str = "survival"


def confidence_of(visits: Array, judged: Judgement) -> tuple[pl.Series, pl.Series]:
    """The confidence of each contact with so many visits, 2 decimals, and why, in words."""
    history = np.zeros(len(visits))
    for at_least, share in _HISTORY:
        history = np.where(visits >= at_least, share, history)
    familiar = np.ones(len(visits)) if judged.familiar is None else judged.familiar
    known = np.clip(familiar / _FAMILIAR_SHARE, _LEAST_FAMILIAR, 1.0)
    spread = np.zeros(len(visits)) if judged.spread is None else np.nan_to_num(judged.spread)
    agreed = np.maximum(1.0 - spread, _LEAST_AGREED)
    calibrated, source = _calibrated(judged)
    reasons = [
        f"{source}; {count:.0f} {'visit' if count == 1 else 'visits'} of history"
        + (f"; {1 - share:.0%} of the facts are unlike any it learnt from" if trust < 1 else "")
        + (f"; its two members differ by {apart:.0%}" if apart >= 0.05 else "")
        for count, share, trust, apart in zip(visits, familiar, known, spread, strict=True)
    ]
    level = pl.Series(calibrated * history * known * agreed).round(2)
    return level, pl.Series(reasons, dtype=pl.String)


def _calibrated(judged: Judgement) -> tuple[float, str]:
    """Trust in the probabilities as such, and whose they are in words."""
    if judged.tier == "scorecard":
        return _SCORECARD, "the scorecard, no model yet"
    whose = {
        "model": "a model of this business",
        "shared": "a model of other businesses",
    }.get(judged.tier, "a model of other businesses, adapted to this one")
    if judged.calibration_error is None:
        return _UNTESTED, f"{whose}, not yet tested here"
    trust = max(1.0 - 2 * judged.calibration_error, _LEAST_CALIBRATED)
    return trust, f"{whose}, off by {judged.calibration_error:.1%} where tested"
