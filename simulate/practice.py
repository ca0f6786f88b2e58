"""A synthetic dental practice with known truth: who comes, who misses, who has left and when.

Assumptions, chosen to look like a practice and not to flatter the product: a recall rhythm of
two to seven months per patient, 16 % of booked appointments missed (reported rates for dental
care lie between 10 and 25 %), four in ten missed ones never made good, and a share of patients who
leave for good each year (17 % on average in the trade press). Nobody in it exists.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

YEARS = 3
LEAVE_PER_VISIT = 0.05  # 2.7 visits a year: about 13 % a year, and some more after a missed one
NO_SHOW = 0.13
NO_SHOW_BEFORE_LEAVING = 0.35  # who is about to leave misses more often: the sign to be learnt
REBOOK_AFTER_NO_SHOW = 0.6
CANCEL = 0.06
LEAVE_AFTER_MISSED = 0.2  # of those who did not rebook
POSTPONE = 0.2  # a visit put off once, by up to a whole interval: silence is not leaving
_FIRST = (  # noqa: SIM905 - twenty names read better on two lines than on twenty
    "Ana Ben Carla David Elena Frank Grace Hugo Irene Jonas Kira Liam Maria Noah Olga Paul Rosa "
    "Sam Tina Victor"
).split()
_LAST = (  # noqa: SIM905 - as above
    "Abbott Brook Castle Dale Ellis Field Grove Hill Ivers Jarvis Kent Lane Marsh Noble Oakes "
    "Price Quill Reed Shore Tate"
).split()


@dataclass(frozen=True, slots=True)
class Visit:
    """One appointment of the synthetic practice; times UTC."""

    patient: int
    booked_at: datetime
    starts_at: datetime
    status: str


def appointments(*, patients: int, until: datetime, seed: int) -> pl.DataFrame:
    """Return the appointments booked up to `until`, one row each, in the order of booking.

    Columns as the shipped mapping `demo_practice` reads them. The same seed and moment give the
    same practice; what lies after `until` is an open booking.
    """
    rng = np.random.default_rng(seed)
    visits = [v for n in range(patients) for v in _life(n, rng, until)]
    visits.sort(key=lambda v: (v.booked_at, v.patient))
    return pl.DataFrame([_row(number, visit) for number, visit in enumerate(visits, start=1)])


def _life(patient: int, rng: np.random.Generator, until: datetime) -> list[Visit]:
    """One patient's bookings: a rhythm of their own, until they leave."""
    start = until - timedelta(days=365 * YEARS)
    rhythm_days = float(rng.uniform(60, 210))
    due = start + timedelta(days=float(rng.uniform(0, 365 * (YEARS - 0.2))))
    if rng.random() < 0.6:  # most were patients before the record begins
        due = start + timedelta(days=float(rng.uniform(0, rhythm_days)))
    visits: list[Visit] = []
    while True:
        leaving = bool(rng.random() < LEAVE_PER_VISIT)
        booked = due - timedelta(days=float(rng.uniform(3, 21)))
        if booked >= until:
            return visits
        starts = _in_hours(due, rng)
        status = _status(rng, leaving=leaving)
        visits.append(Visit(patient, booked, starts, status if starts < until else "open"))
        if starts >= until:
            return visits
        if status != "kept" and rng.random() < REBOOK_AFTER_NO_SHOW and not leaving:
            due = starts + timedelta(days=float(rng.uniform(5, 25)))
            continue
        if leaving or (status != "kept" and rng.random() < LEAVE_AFTER_MISSED):
            return visits
        put_off = float(rng.uniform(0.4, 1.0)) if rng.random() < POSTPONE else 0.0
        stretch = max(0.4, float(rng.normal(1.0, 0.25))) + put_off
        due = starts + timedelta(days=rhythm_days * stretch)


def _status(rng: np.random.Generator, *, leaving: bool) -> str:
    drawn = rng.random()
    missed = NO_SHOW_BEFORE_LEAVING if leaving else NO_SHOW
    if drawn < missed:
        return "no_show"
    return "cancelled" if drawn < missed + CANCEL else "kept"


def _in_hours(due: datetime, rng: np.random.Generator) -> datetime:
    """A weekday between 14:00 and 21:00 UTC, which is 9 to 16 o'clock in New York in winter."""
    day = due.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    day += timedelta(days=(0, 0, 0, 0, 0, 2, 1)[day.weekday()])
    return day + timedelta(minutes=int(rng.integers(14 * 4, 21 * 4)) * 15)


def _row(number: int, visit: Visit) -> dict[str, str]:
    first = _FIRST[visit.patient % len(_FIRST)]
    last = _LAST[(visit.patient // len(_FIRST)) % len(_LAST)]
    return {
        "AppointmentID": f"A{number}",
        "PatientID": f"P{visit.patient + 1:04d}",
        "FirstName": first,
        "LastName": last,
        "BookedAt": f"{visit.booked_at:%Y-%m-%dT%H:%M:%SZ}",
        "StartsAt": f"{visit.starts_at:%Y-%m-%dT%H:%M:%SZ}",
        "Status": visit.status,
    }
