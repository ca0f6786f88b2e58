"""A simulated business: people with true lives, one day after the other.

Randomness belongs to (seed, day, person), not to what happened before, so the same people meet the
same chances under every strategy, and a difference between two strategies is what they did.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from engine.columns import Bools, Floats, Ints
from simulate.assumptions import Assumptions, assumptions_of
from simulate.lives import Lives
from simulate.messages import NOTHING, Answers, Messages
from simulate.people import People, people_of
from simulate.reading import Draws, Today, answers_to
from simulate.record import MINUTES, Record
from simulate.state import State, state_at_first

# the first midnight of every record; a Sunday
START = datetime(2023, 1, 1, tzinfo=UTC)
_SLOT_MINUTES = np.array([10 * 60, 13 * 60, 16 * 60, 19 * 60])  # about, in the people's own time
_AHEAD_OF_UTC = -5 * 60


@dataclass(frozen=True)
class Cut:
    """How large, which and from when.

    Attributes:
        industry: one of `assumptions.INDUSTRIES`.
        contacts: people, those who join in the first `history_days` included.
        seed: of everything.
        history_days: days before anything is measured.
    """

    industry: str
    contacts: int
    seed: int
    history_days: int = 730


class Business:
    """People, where they stand, and what is on record of them.

    Attributes:
        people, state, record, known: see their types; `known` are the assumptions.
        today: day of the record that comes next.
    """

    def __init__(self, cut: Cut) -> None:
        self.cut = cut
        self.known: Assumptions = assumptions_of(cut.industry)
        self.people: People = people_of(self.known, cut.contacts, cut.seed, cut.history_days)
        self.state: State = state_at_first(self.people, cut.seed)
        self.record = Record(self.known, START, cut.seed)
        self.today = 0
        self._lives = Lives(self.known, self.people, self.state, self.record)

    @property
    def now(self) -> datetime:
        """Midnight (UTC) at which the coming day begins."""
        return START + timedelta(days=self.today)

    @property
    def weekday(self) -> int:
        """Of the coming day; 0 is Monday."""
        return self.now.weekday()

    def live(self, messages: Messages = NOTHING) -> Answers:
        """Live through the coming day, on which these messages arrive; return what came of them."""
        rng = np.random.default_rng([self.cut.seed, 4, self.today])
        n = len(self.people)

        def drawn() -> Floats:
            return np.asarray(rng.random(n, dtype=np.float32), dtype=np.float64)

        draws = Draws(drawn(), drawn(), drawn(), drawn())
        self.record.begin_day()
        self._lives.begin(self.today)
        answers = answers_to(
            messages, self.people, self.state, draws, self.known, Today(self.today, self.weekday)
        )
        self._felt(answers)
        self._recorded(answers, draws)
        self._lives.live(rng, answers)
        self.today += 1
        return answers

    def _felt(self, answers: Answers) -> None:
        """What messages leave behind in people: fatigue, the wording, a revocation, warmth."""
        state, who = self.state, answers.messages.contact
        habits = self.known.people
        state.fatigue *= 0.5 ** (1.0 / habits["fatigue"]["halves_in_days"])
        np.add.at(state.fatigue, who, 1.0)
        state.last_variant[who] = answers.messages.variant
        state.last_variant_day[who] = self.today
        out = answers.opted_out
        state.revoked[who[out], answers.messages.channel[out]] = True
        self._lives.comfort(answers)

    def _recorded(self, answers: Answers, draws: Draws) -> None:
        messages = answers.messages
        sent_at = self.today * MINUTES + _SLOT_MINUTES[messages.slot] - _AHEAD_OF_UTC
        read_at = sent_at + 5 + (draws.machine[messages.contact] * 180).astype(np.int64)
        number = self.today * 10_000_000 + messages.contact

        def entered(name: str, rows: Bools, at: Ints) -> None:
            about = ("message", number[rows])
            self.record.add(name, messages.contact[rows], at[rows], about=about)

        every = np.ones(len(messages), dtype=np.bool_)
        entered("message.sent", every, sent_at)
        # the product tells machines from people where it can; what it can't is recorded as an open
        entered("message.opened", answers.opened & ~answers.machine, read_at)
        scanned = answers.machine & (draws.opt_out[messages.contact] > 0.5)
        scans = scanned & (draws.read[messages.contact] > 1 - self.known.people["scanned"])
        entered("message.clicked", answers.clicked | scans, read_at + 1)
        entered("message.replied", answers.replied, read_at + 30)
        entered("message.complained", answers.complained, read_at + 2)
