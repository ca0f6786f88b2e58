"""What the engine is worth to a tenant: its group against those left alone, and the other groups.

The groups are drawn once and permanent, and everybody in a group counts, written to or not. The
attributed figures stand beside: what followed a message within its window, which is what most tools
report, and which counts everybody who would have come anyway.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import InvalidInput
from engine.ids import TenantId
from engine.lift import Lift, Sample, lift, mixture_of
from engine.trial import times_as_many
from services.playbook import playbook_at
from services.show_experiments import lift_document
from store.lifts import list_contact_outcomes

# The smallest difference per contact that is looked for: it fixes the intervals beforehand.
# Bookings and shares are plain choices; a revenue of 10.00 is about a tenth of a visit.
METRICS = {
    "bookings": 0.10,
    "revenue_cents": 1000.0,
    "churned": 0.03,
    "opt_outs": 0.01,
    "no_shows": 0.03,
    "complaints": 0.01,
}
_BOOKINGS = ("appointment.booked", "meeting.held", "contract.renewed")
_CONTROL = "holdout"
_DEFAULT_DAYS = 365
# health at the first decision, as `churn.health.LEVELS`
_SEGMENTS = (("low", 0.0, 0.15), ("medium", 0.15, 0.35), ("high", 0.35, math.inf))
_LONGEST_WEEKS = 520


@dataclass(frozen=True, slots=True)
class LiftQuestion:
    """What is asked: from when (default: a year back), against which group, by segment or not."""

    since: datetime | None = None
    against: str = _CONTROL
    segments: bool = True


async def report_lift(
    connection: AsyncConnection, tenant_id: TenantId, question: LiftQuestion, *, now: datetime
) -> dict[str, Any]:
    """Return per group and metric the lift over the group it is compared with.

    Raises:
        InvalidInput: `since` lies in the future.
    """
    since = question.since or now - timedelta(days=_DEFAULT_DAYS)
    if since >= now:
        raise InvalidInput(
            f"Nothing has happened since {since}.", hint="Name a moment in the past."
        )
    playbook = await playbook_at(connection, tenant_id, now)
    frame = await list_contact_outcomes(
        connection,
        since=since,
        until=now,
        bookings=_BOOKINGS,
        revenue=playbook.settings.visit_types,
    )
    observed = _weeks(frame, now)
    told = {
        "since": since.isoformat(),
        "until": now.isoformat(),
        "weeks_observed": round(observed, 1),
        "against": question.against,
        "groups": dict(sorted(frame["group"].value_counts().rows())),
        "lift": _lifts(frame, question.against, observed),
        "segments": {},
    }
    if question.segments:
        told["segments"] = {
            name: _lifts(
                frame.filter(pl.col("hazard_90d").is_between(low, high, closed="left")),
                question.against,
                observed,
            )
            for name, low, high in _SEGMENTS
        }
    return told


def _weeks(frame: pl.DataFrame, now: datetime) -> float:
    first = frame["since"].min()
    return (now - first).total_seconds() / 604_800 if isinstance(first, datetime) else 0.0


def _lifts(frame: pl.DataFrame, against: str, weeks: float) -> dict[str, Any]:
    """By group, by metric: lift, whether it is decided, weeks more, and what is attributed."""
    parts = {str(key[0]): part for key, part in frame.partition_by("group", as_dict=True).items()}
    control = parts.pop(against, frame.clear())
    told: dict[str, Any] = {}
    for group, part in sorted(parts.items()):
        told[group] = {}
        for metric, smallest in METRICS.items():
            mixture = mixture_of(smallest)
            treated, left = _sample(part, metric), _sample(control, metric)
            found = lift(treated, left, mixture=mixture)
            told[group][metric] = {
                "mean": treated.mean,
                "mean_of_control": left.mean,
                **lift_document(found),
                "weeks_more": _weeks_more(found, mixture, weeks),
                "incremental": found.difference * treated.n,
                "attributed": _attributed(part, metric),
            }
    return told


def _sample(frame: pl.DataFrame, metric: str) -> Sample:
    values = frame[metric].cast(pl.Float64)
    return Sample(frame.height, float(values.sum()), float((values * values).sum()))


def _attributed(frame: pl.DataFrame, metric: str) -> float | None:
    name = f"attributed_{metric}"
    return float(frame[name].sum()) if name in frame.columns else None


def _weeks_more(found: Lift, mixture: float, weeks: float) -> int | None:
    """Weeks until it is decided if the difference stays; 0 when it is, None when that is too far.

    More weeks bring more events per contact; data are taken to grow with time.
    """
    if found.decided:
        return 0
    times = times_as_many(abs(found.difference), found.variance, mixture=mixture)
    if times is None or not weeks:
        return None
    more = max(1, math.ceil((times - 1.0) * weeks))
    return more if more <= _LONGEST_WEEKS else None
