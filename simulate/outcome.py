"""What a strategy came to over the measured time, from the truth and not from the record."""

from dataclasses import dataclass, field

import numpy as np

from engine.actions import CHANNELS
from engine.columns import Bools, Floats, Ints
from simulate.business import Business
from simulate.messages import Answers
from simulate.people import YEAR_DAYS

# what one message costs, cents; a call is six minutes of somebody's time
COST_CENTS = {"email": 1.0, "sms": 2.0, "call_task": 400.0}
DISCOUNT_PER_YEAR = 0.10
_LONGEST_YEARS = 10.0


@dataclass
class Tally:
    """Counts while the days go by.

    Attributes:
        cohort: customers on the first measured day; only they count.
        earned_before: their margin until then, cents.
        sent, read: messages to them by channel.
        answered: messages they clicked, answered or acted on.
        engaged: (n,), whether they ever did.
    """

    cohort: Bools
    earned_before: Floats
    sent: Ints = field(default_factory=lambda: np.zeros(len(CHANNELS), dtype=np.int64))
    read: Ints = field(default_factory=lambda: np.zeros(len(CHANNELS), dtype=np.int64))
    answered: int = 0
    opted_out: int = 0
    complained: int = 0
    days: int = 0

    @classmethod
    def begun(cls, business: Business) -> "Tally":
        """Begin to measure with the customers of today."""
        return cls(business.state.here.copy(), business.state.earned_cents.copy())

    def add(self, answers: Answers) -> None:
        """Add what came of a day's messages."""
        messages = answers.messages
        of_cohort = self.cohort[messages.contact]
        channels = len(CHANNELS)
        self.sent += np.bincount(messages.channel[of_cohort], minlength=channels)
        self.read += np.bincount(messages.channel[of_cohort & answers.read], minlength=channels)
        answered = answers.clicked | answers.replied | answers.booked
        self.answered += int((answered & of_cohort).sum())
        self.opted_out += int((answers.opted_out & of_cohort).sum())
        self.complained += int((answers.complained & of_cohort).sum())
        self.days += 1


def figures(business: Business, tally: Tally) -> dict[str, float]:
    """Return the figures of the cohort; rates per customer of the first day and year.

    open_rate: read messages of those written (calls not counted), true reads of people.
    answers: clicks, replies and bookings by message, a year.
    churn: share that left within the measured time; `churn_kept` without those who moved away.
    lifetime_usd: margin less the cost of messages in the measured time, and for who is still here
        the margin of such a year x the years to come at the churn just seen, discounted by 10 % a
        year, ten years at most.
    earned_usd: the margin of a year alone, nothing projected.
    opt_outs: people-channels revoked, a year.
    sends, calls: messages and calls a year.
    """
    state, cohort = business.state, tally.cohort
    n = max(1, int(cohort.sum()))
    years = tally.days / YEAR_DAYS
    gone = cohort & ~state.here
    churn = gone.sum() / n
    earned = (state.earned_cents - tally.earned_before)[cohort]
    cost = sum(COST_CENTS[c] * tally.sent[k] for k, c in enumerate(CHANNELS))
    # a customer-year is worth what those who stayed earned in it
    stayed = cohort & state.here
    yearly = (state.earned_cents - tally.earned_before)[stayed].sum() / max(1, stayed.sum()) / years
    rate = min(0.95, 1.0 - (1.0 - churn) ** (1.0 / years))
    ahead = min(_LONGEST_YEARS, 1.0 / (rate + DISCOUNT_PER_YEAR))
    written = tally.sent[:2].sum()
    return {
        "open_rate": float(tally.read[:2].sum() / max(1, written)),
        "email_open_rate": float(tally.read[0] / max(1, tally.sent[0])),
        "answers": tally.answered / n / years,
        "churn": float(1.0 - (1.0 - churn) ** (1.0 / years)),
        "churn_kept": float((gone & (state.why > 1)).sum() / n / years),
        "lifetime_usd": float((earned.sum() - cost) / n + yearly * ahead * (1 - churn)) / 100.0,
        "earned_usd": float((earned.sum() - cost) / n / years) / 100.0,
        "opt_outs": tally.opted_out / n / years,
        "complaints": tally.complained / n / years,
        "sends": float(tally.sent.sum() / n / years),
        "calls": float(tally.sent[CHANNELS.index("call_task")] / n / years),
    }
