"""Where each simulated person stands today; changed in place by `business.Business`."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from engine.actions import CHANNELS
from engine.columns import Bools, Floats, Ints
from simulate.people import People

NEVER = -1


class Left(IntEnum):
    """Why somebody left."""

    STAYS = 0
    MOVED = 1  # nothing could have kept them
    AGGRIEVED = 2  # something went wrong and nobody made it good
    DRIFTED = 3  # overdue, not reminded, found somebody else
    NOT_RENEWED = 4  # the contract ended


@dataclass
class State:
    """One row per person, (n,); days are counted from the first day of the record.

    Attributes:
        here: is a customer today.
        left_day, why: when and for what they left.
        due: day on which the next visit is due.
        booked, booking: day of the next appointment and its number, NEVER without.
        last_visit: day.
        aggrieved, voiced: something went wrong; and they said so.
        warm_until: day until which drift is slower.
        fatigue: messages lately, as of `felt`.
        last_variant, last_variant_day: the wording used last.
        revoked: (n, channels).
        reminded: day on which a reminder of the next appointment was read.
        contract_end: day, NEVER without; `asked` and `used` within the running year.
        visits, earned_cents: so far; earned is margin, messages not yet paid.
    """

    here: Bools
    left_day: Ints
    why: Ints
    due: Floats
    booked: Ints
    booking: Ints
    last_visit: Ints
    aggrieved: Bools
    voiced: Bools
    warm_until: Ints
    fatigue: Floats
    last_variant: Ints
    last_variant_day: Ints
    revoked: Bools
    reminded: Ints
    contract_end: Ints
    asked: Ints
    used: Ints
    visits: Ints
    earned_cents: Floats


def state_at_first(people: People, seed: int) -> State:
    """Return how things stand on the first day: who was there before is somewhere in a rhythm."""
    n = len(people)
    rng = np.random.default_rng([seed, 2])

    def days(value: int) -> Ints:
        return np.full(n, value, dtype=np.int64)

    phase = rng.random(n) * people.rhythm_days
    due = np.where(people.joins < 0, phase, people.joins.astype(np.float64))
    ends = np.where(people.joins < 0, rng.integers(0, 365, n), people.joins + 365)
    return State(
        here=np.zeros(n, dtype=np.bool_),
        left_day=days(NEVER),
        why=days(int(Left.STAYS)),
        due=due,
        booked=days(NEVER),
        booking=days(NEVER),
        last_visit=days(NEVER),
        aggrieved=np.zeros(n, dtype=np.bool_),
        voiced=np.zeros(n, dtype=np.bool_),
        warm_until=days(NEVER),
        fatigue=np.zeros(n),
        last_variant=days(NEVER),
        last_variant_day=days(-1000),
        revoked=np.zeros((n, len(CHANNELS)), dtype=np.bool_),
        reminded=days(-1000),
        contract_end=np.where(people.has_contract, ends, NEVER).astype(np.int64),
        asked=days(0),
        used=days(0),
        visits=days(0),
        earned_cents=np.zeros(n),
    )
