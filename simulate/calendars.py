"""Strategies that need no engine: a manual calendar, chance, nothing, and one that knows the truth.

The calendar is what a careful small business does with a mailing tool: bulk e-mail on Tuesdays at
ten, to lists drawn from its CRM. It sees due dates, bookings and ends of contracts without error,
which flatters it; it does not see who has left in silence.
"""

from typing import Protocol

import numpy as np

from engine.actions import CHANNELS
from engine.columns import Bools, Ints
from engine.slots import SLOT_NAMES
from simulate.business import Business
from simulate.messages import NOTHING, About, Answers, Messages, joined, messages_to
from simulate.people import VARIANTS
from simulate.reading import wants_renewal, wants_visit
from simulate.state import NEVER

EMAIL, SMS, CALL = (CHANNELS.index(name) for name in ("email", "sms", "call_task"))
MORNING = SLOT_NAMES.index("morning")
_SLOTS_OPEN = 3  # evenings lie outside the hours in which the product sends
_TUESDAY = 1


class Strategy(Protocol):
    """Decides each morning which messages arrive that day."""

    def messages(self, business: Business) -> Messages:
        """Return the messages of the coming day."""
        ...

    def learn(self, business: Business, answers: Answers) -> None:
        """Hear what came of them, after the day is over."""
        ...


class Nothing:
    """Writes to nobody."""

    def messages(self, business: Business) -> Messages:  # noqa: ARG002 - as the protocol has it
        """Return none."""
        return NOTHING

    def learn(self, business: Business, answers: Answers) -> None:
        """There is nothing to learn."""


class Calendar(Nothing):
    """The manual calendar of bulk sends, all by e-mail, Tuesdays at ten.

    First Tuesday of the month: the newsletter, to all who agreed to marketing.
    Second Tuesday: to all who are due or overdue by up to half a year and have booked nothing; in
    trades to all in March and September, before the season, in place of that.
    Third Tuesday: to all whose contract ends next month; firms write to all clients each quarter.
    """

    def messages(self, business: Business) -> Messages:
        """Return the bulk sends of the coming day."""
        if business.weekday != _TUESDAY:
            return NOTHING
        now = business.now
        week, month = (now.day - 1) // 7 + 1, now.month
        on_file = business.state.here | (business.state.left_day != NEVER)
        sends = {1: self._news, 2: self._due, 3: self._renewal}
        send = sends.get(week)
        return NOTHING if send is None else send(business, on_file, month)

    @staticmethod
    def _news(business: Business, on_file: Bools, month: int) -> Messages:
        agreed = business.people.agreed[:, EMAIL, 2]
        return _bulk(on_file & agreed, About.NEWS, month, marketing=True)

    @staticmethod
    def _due(business: Business, on_file: Bools, month: int) -> Messages:
        state = business.state
        if business.cut.industry == "trades":
            return _bulk(on_file, About.VISIT, month) if month in {3, 9} else NOTHING
        overdue = business.today - state.due
        # who has left in silence looks like anybody overdue
        listed = on_file & (state.booked == NEVER) & (overdue >= 0) & (overdue <= 182)
        return _bulk(listed, About.VISIT, month)

    @staticmethod
    def _renewal(business: Business, on_file: Bools, month: int) -> Messages:
        if business.cut.industry == "professional_services":
            return _bulk(on_file, About.CARE, month) if month % 3 == 0 else NOTHING
        left = business.state.contract_end - business.today
        ends = (business.state.contract_end != NEVER) & (left > 0) & (left <= 31)
        return _bulk(on_file & ends, About.RENEWAL, month)


def _bulk(to: Bools, about: About, month: int, *, marketing: bool = False) -> Messages:
    return messages_to(
        np.flatnonzero(to), about=about, channel=EMAIL, slot=MORNING,
        variant=month % VARIANTS, marketing=marketing,
    )  # fmt: skip


class Chance(Nothing):
    """Anything to anybody at any time, within consent: what is left when nobody thinks.

    Args:
        a_year: messages per customer and year.
        seed: of its choices.
    """

    def __init__(self, a_year: float, seed: int) -> None:
        self._share = a_year / 365.0
        self._seed = seed

    def messages(self, business: Business) -> Messages:
        """Return the messages of the coming day."""
        rng = np.random.default_rng([self._seed, 5, business.today])
        n = len(business.people)
        who = np.flatnonzero(business.state.here & (rng.random(n) < self._share))
        channel = rng.integers(0, 2, len(who))
        may = business.people.agreed[who, channel, 1]
        channel = np.where(may, channel, EMAIL)
        return Messages(
            contact=who,
            about=rng.choice([About.VISIT, About.RENEWAL, About.CARE, About.NEWS], len(who)),
            channel=channel,
            slot=rng.integers(0, _SLOTS_OPEN, len(who)),
            variant=rng.integers(0, VARIANTS, len(who)),
            marketing=np.zeros(len(who), dtype=np.bool_),
            key=np.full(len(who), -1, dtype=np.int64),
        )


class Oracle(Nothing):
    """Knows every need, grievance and habit: how much there is to gain by messages at all.

    It writes or calls when something concerns the person, not before `rest_days` after the last
    time, on their best weekday, in their best slot, by the channel and wording that they read most.
    It looks no further ahead than a week, so it bounds nothing; it says what knowing is worth.

    Args:
        calls: whether staff may call those who are aggrieved or long overdue.
        rest_days: between two messages to one person.
    """

    def __init__(self, *, calls: bool = True, rest_days: int = 14) -> None:
        self._calls = calls
        self._rest_days = rest_days

    def messages(self, business: Business) -> Messages:
        """Return the messages of the coming day."""
        state, people = business.state, business.people
        rested = business.today - state.last_variant_day >= self._rest_days
        best_day = np.argmax(people.weekday[:, :6], axis=1) == business.weekday
        ready = state.here & rested & best_day
        parts = []
        renewal = ready & wants_renewal(state, business.today) & (state.asked < 2)
        care = ready & state.aggrieved & ~renewal
        due = wants_visit(state, business.today) & (state.due <= business.today + 14)
        visit = ready & due & ~renewal & ~care
        # firms: a word of care before silence grows
        silent = business.today - state.last_visit > 0.75 * people.rhythm_days
        cold = state.warm_until < business.today
        keep_warm = ready & silent & cold & ~renewal & ~care & ~visit & (state.booked == NEVER)
        for who, about in ((renewal, About.RENEWAL), (care, About.CARE), (visit, About.VISIT),
                           (keep_warm, About.CARE)):  # fmt: skip
            parts.append(self._best(business, np.flatnonzero(who), about))
        return joined(parts)

    def _best(self, business: Business, who: Ints, about: About) -> Messages:
        people, state = business.people, business.state
        may = people.agreed[who, :, 1] & ~state.revoked[who]
        overdue = business.today - state.due[who] > 60
        may[:, CALL] &= self._calls & (state.aggrieved[who] | overdue)
        liked = np.where(may, people.channel[who], -np.inf)
        # a call moves more than a text
        liked[:, CALL] += 1.0
        who, liked = who[may.any(axis=1)], liked[may.any(axis=1)]
        return Messages(
            contact=who,
            about=np.full(len(who), int(about), dtype=np.int64),
            channel=np.argmax(liked, axis=1),
            slot=np.argmax(people.slot[who, :_SLOTS_OPEN], axis=1),
            variant=np.argmax(people.variant[who], axis=1),
            marketing=np.zeros(len(who), dtype=np.bool_),
            key=np.full(len(who), -1, dtype=np.int64),
        )
