"""Champion against challenger on the same contacts at the same moments, with a probability."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from churn.closed_windows import closed_only
from churn.metrics import Scores, scores

JUDGED_DAYS = 90
RESAMPLES = 1_000
PROMOTE_FROM = 0.90  # of the resamples in which the challenger's loss is lower
ECE_MAY_RISE = 0.01
MIN_ROWS, MIN_CHURNED = 100, 20
_SEED = 20_261
_SMALLEST = 1e-15


@dataclass(frozen=True, slots=True)
class Trial:
    """What a comparison found.

    Attributes:
        rows, contacts, churned: judged on.
        challenger, champion: measures at 90 days.
        better: P(challenger's log loss is lower), over contacts drawn anew; None if too few.
        promoted: whether the challenger is to take over.
        reason: why, in words.
    """

    rows: int
    contacts: int
    churned: int
    challenger: Scores | None
    champion: Scores | None
    better: float | None
    promoted: bool
    reason: str


def compare(windows: pl.DataFrame, *, first_model: bool) -> Trial:
    """Judge columns challenger_90 and champion_90 of `closed_windows`, on closed windows alone.

    A contact seen at several origins is drawn with all of its rows (cluster bootstrap), since its
    rows are not independent. With `first_model` the champion is the scorecard, and the challenger
    takes over unless that is better: a model that nobody has compared yet is better than points
    that nobody has fitted.
    """
    closed = closed_only(windows, JUDGED_DAYS)
    churned = int(closed[f"churned_{JUDGED_DAYS}"].sum() or 0) if closed.height else 0
    contacts = closed["contact_id"].n_unique() if closed.height else 0
    if closed.height < MIN_ROWS or churned < MIN_CHURNED:
        why = (
            f"only {closed.height} closed windows with {churned} departures after the training; "
            f"it takes {MIN_ROWS} and {MIN_CHURNED}"
        )
        return Trial(closed.height, contacts, churned, None, None, None, first_model, why)
    truth = closed[f"churned_{JUDGED_DAYS}"].to_numpy().astype(np.bool_)
    told = {
        name: closed[f"{name}_{JUDGED_DAYS}"].fill_nan(0.5).to_numpy()
        for name in ("challenger", "champion")
    }
    found = {name: scores(truth, values) for name, values in told.items()}
    better = _probability_better(closed["contact_id"], truth, told)
    promoted, reason = _verdict(found, better, first_model=first_model)
    return Trial(
        closed.height, contacts, churned, found["challenger"], found["champion"], better,
        promoted, reason,
    )  # fmt: skip


def _probability_better(
    contacts: pl.Series, truth: np.ndarray, told: dict[str, np.ndarray]
) -> float:
    loss = {
        name: -np.log(np.clip(np.where(truth, values, 1 - values), _SMALLEST, 1))
        for name, values in told.items()
    }
    place = contacts.rank("dense").to_numpy().astype(np.int64) - 1
    gain = np.bincount(place, weights=loss["champion"] - loss["challenger"])
    rng = np.random.default_rng(_SEED)
    drawn = np.array([gain[rng.integers(0, gain.size, gain.size)].sum() for _ in range(RESAMPLES)])
    # two models that say the same are no improvement of each other
    return float((drawn > 0).mean())


def _verdict(found: dict[str, Scores], better: float, *, first_model: bool) -> tuple[bool, str]:
    new, old = found["challenger"], found["champion"]
    told = (
        f"lower log loss with probability {better:.2f} "
        f"({new.log_loss:.4f} against {old.log_loss:.4f})"
    )
    if first_model:
        if better < 1 - PROMOTE_FROM:
            return False, f"the scorecard is better: {told}"
        return True, f"the first model, not worse than the scorecard: {told}"
    if better < PROMOTE_FROM:
        return False, f"{told}; it takes {PROMOTE_FROM:.2f}"
    if new.ece > old.ece + ECE_MAY_RISE:
        return False, f"{told}, but calibration is worse: ECE {new.ece:.3f} against {old.ece:.3f}"
    return True, told
