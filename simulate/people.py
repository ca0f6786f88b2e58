"""The people of a simulated business: what is true of each of them and never changes."""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from engine.actions import CHANNELS, PURPOSES
from engine.columns import Bools, Floats, Ints
from engine.slots import SLOT_NAMES
from simulate.assumptions import Assumptions

Tastes = NDArray[np.float32]

ZONES = ("America/New_York", "America/Chicago", "America/Los_Angeles")
_IN_ZONE = (0.7, 0.2, 0.1)
VARIANTS = 8  # wordings are told apart by this many positions
SEGMENTS = 3
YEAR_DAYS = 365.0
_HERE_FROM_THE_START = 0.70
_EMAIL, _SMS, _CALL = (CHANNELS.index(name) for name in ("email", "sms", "call_task"))
_MARKETING = PURPOSES.index("marketing")


@dataclass(frozen=True)
class Habits:
    """How people read, (n, …) in logits; see People."""

    reads: Tastes
    channel: Tastes
    slot: Tastes
    weekday: Tastes
    variant: Tastes
    segment: Ints


@dataclass(frozen=True)
class People(Habits):
    """Truth about n people; tastes in logits.

    Attributes:
        rhythm_days: from one visit to the next, if nothing comes between.
        plans_ahead: leaves with the next appointment in hand.
        value: factor on what a visit is worth.
        moves_per_day: hazard of leaving for reasons that nobody can mend.
        joins: day of the first visit, counted from the first day of the record; negative: before.
        has_contract: pays for a yearly contract.
        agreed: (n, channels, purposes) at the beginning.
        reads: how much of a reader this person is.
        channel, slot, weekday, variant: what this person likes.
        segment: people of a segment are alike; no strategy is told.
        zone: index into ZONES.
        proxied: a privacy proxy opens this person's e-mail.
    """

    rhythm_days: Floats
    plans_ahead: Bools
    value: Floats
    moves_per_day: float
    joins: Ints
    has_contract: Bools
    agreed: Bools
    zone: Ints
    proxied: Bools

    def __len__(self) -> int:
        return len(self.reads)


def contact_ids(n: int) -> list[str]:
    """Return n ids in order, the same for every business of this size."""
    return [f"{number:08x}-0000-4000-8000-{number:012x}" for number in range(n)]


def people_of(assumptions: Assumptions, n: int, seed: int, history_days: int) -> People:
    """Draw n people; the same arguments give the same people."""
    rng = np.random.default_rng([seed, 1])
    business = assumptions.business
    rhythm = business["rhythm"]
    contract = assumptions.contract
    joins = np.where(
        rng.random(n) < _HERE_FROM_THE_START,
        -rng.integers(1, int(YEAR_DAYS * business["first_visit_years"]), n),
        rng.integers(0, max(1, int(history_days * 0.9)), n),
    )
    return People(
        rhythm_days=rhythm["median_days"] * np.exp(rhythm["spread"] * rng.standard_normal(n)),
        plans_ahead=rng.random(n) < business["plans_ahead"],
        value=np.exp(
            business["visit"]["spread"] * rng.standard_normal(n)
            - business["visit"]["spread"] ** 2 / 2
        ),
        moves_per_day=business["moves"] / YEAR_DAYS,
        joins=joins.astype(np.int64),
        has_contract=rng.random(n) < (contract["share"] if contract else 0.0),
        agreed=_agreed(assumptions, n, rng),
        **asdict(_habits(assumptions, n, rng)),
        zone=rng.choice(len(ZONES), n, p=_IN_ZONE),
        proxied=rng.random(n) < assumptions.people["proxied"],
    )


def _agreed(assumptions: Assumptions, n: int, rng: np.random.Generator) -> Bools:
    """Consent per channel and purpose; marketing never without the channel's own."""
    given = assumptions.business["consent"]
    agreed = np.ones((n, len(CHANNELS), len(PURPOSES)), dtype=np.bool_)
    for channel, name in ((_EMAIL, "email"), (_SMS, "sms")):
        drawn = rng.random(n)
        agreed[:, channel, :] = (drawn < given[name])[:, None]
        agreed[:, channel, _MARKETING] = drawn < given[f"{name}_marketing"]
    agreed[:, _CALL, _MARKETING] = False
    return agreed


def _habits(assumptions: Assumptions, n: int, rng: np.random.Generator) -> Habits:
    """When and how people read: half of each taste is the segment's, half is their own."""
    common, spread = assumptions.people, assumptions.people["spread"]
    segment = rng.integers(0, SEGMENTS, n)

    def tastes(name: str, columns: int, shared: list[float]) -> Tastes:
        half = spread[name] * np.sqrt(0.5)
        of_segment = half * rng.standard_normal((SEGMENTS, columns))
        own = half * rng.standard_normal((n, columns), dtype=np.float32)
        return np.asarray(of_segment[segment] + own + np.array(shared), dtype=np.float32)

    slots = dict(common["slot"])
    slots["evening"] += assumptions.business["evening_person"]
    # some wordings are simply better, for everybody
    better = (0.5 * spread["variant"] * rng.standard_normal(VARIANTS)).tolist()
    return Habits(
        reads=(spread["person"] * rng.standard_normal(n)).astype(np.float32),
        channel=tastes("channel", len(CHANNELS), [common["read"][c] for c in CHANNELS]),
        slot=tastes("slot", len(SLOT_NAMES), [slots[s] for s in SLOT_NAMES]),
        weekday=tastes("weekday", 7, list(common["weekday"].values())),
        variant=tastes("variant", VARIANTS, better),
        segment=segment,
    )
