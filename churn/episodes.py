"""Alerts against departures: who was named in time, at what cost, how early."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from churn.feature_rows import Array

COOL_DOWN_DAYS = 90
LEAD_DAYS = 30
REACH_DAYS = 120


@dataclass(frozen=True, slots=True)
class Scored:
    """One row per customer and scoring day, sorted by day.

    Attributes:
        customer, day: who and when.
        score: higher = sooner an alert.
        churn_in_days: days from `day` to the declared churn; NaN where none follows in the log.
    """

    customer: NDArray[np.int64]
    day: NDArray[np.int64]
    score: Array
    churn_in_days: Array


@dataclass(frozen=True, slots=True)
class EpisodeScores:
    """What the alerts of a period were worth.

    Attributes:
        episodes: departures that fell 30 days or more after the first scoring day.
        recall: share of them with an alert 30 to 120 days before.
        recall_60_days: with an alert 60 to 120 days before.
        alerts: how many, one per customer in 90 days.
        precision: share of alerts followed by a departure 30 to 120 days later.
        median_lead_days: of the first alert in time, over episodes identified.
        alerts_per_100_customers_month: alerts over scored customers and months.
    """

    threshold: float
    episodes: int
    recall: float
    recall_60_days: float
    alerts: int
    precision: float
    median_lead_days: float
    alerts_per_100_customers_month: float


def episode_scores(scored: Scored, threshold: float) -> EpisodeScores:
    """Alert whoever reaches the threshold, at most once in 90 days, and compare with departures."""
    fired = _alerts(scored, threshold)
    departure = scored.day + scored.churn_in_days
    first, last = int(scored.day[0]), int(scored.day[-1])
    due = (departure > first + LEAD_DAYS) & (departure <= last + LEAD_DAYS)
    pairs = {
        (int(who), float(when))
        for who, when in zip(scored.customer[due], departure[due], strict=True)
    }
    leads: dict[tuple[int, float], float] = {}
    for row in np.flatnonzero(fired & due):
        lead = float(scored.churn_in_days[row])
        if LEAD_DAYS < lead <= REACH_DAYS:
            pair = int(scored.customer[row]), float(departure[row])
            leads[pair] = max(lead, leads.get(pair, 0.0))
    alerts = int(fired.sum())
    told = scored.churn_in_days[fired]
    in_time = (told > LEAD_DAYS) & (told <= REACH_DAYS)
    early = sum(lead > 2 * LEAD_DAYS for lead in leads.values())
    months = (last - first + 7) / 30
    return EpisodeScores(
        threshold=threshold,
        episodes=len(pairs),
        recall=len(leads) / max(1, len(pairs)),
        recall_60_days=early / max(1, len(pairs)),
        alerts=alerts,
        precision=float(in_time.sum()) / max(1, alerts),
        median_lead_days=float(np.median(list(leads.values()))) if leads else 0.0,
        alerts_per_100_customers_month=100 * alerts / len(np.unique(scored.customer)) / months,
    )


def threshold_for_recall(scored: Scored, recall: float) -> float:
    """The highest threshold that identifies at least this share of the episodes, of 60 tried.

    Where none does, the one that identifies most: below it, alerts that come too early keep the
    cool-down busy when they would be in time.
    """
    tried = [float(each) for each in np.quantile(scored.score, np.linspace(0.995, 0.05, 60))]
    found = [episode_scores(scored, threshold).recall for threshold in tried]
    enough = [place for place, each in enumerate(found) if each >= recall]
    return tried[enough[0] if enough else int(np.argmax(found))]


def _alerts(scored: Scored, threshold: float) -> NDArray[np.bool_]:
    fired = np.zeros(scored.score.size, dtype=np.bool_)
    last: dict[int, int] = {}
    for row in np.flatnonzero(scored.score >= threshold):
        who, day = int(scored.customer[row]), int(scored.day[row])
        if day - last.get(who, -COOL_DOWN_DAYS) >= COOL_DOWN_DAYS:
            fired[row] = True
            last[who] = day
    return fired
