"""Who reads a message and what they do then."""

from dataclasses import dataclass

import numpy as np

from engine.actions import CHANNELS, PURPOSES
from engine.columns import Bools, Floats
from simulate.assumptions import Assumptions
from simulate.messages import About, Answers, Messages
from simulate.people import People
from simulate.state import NEVER, State

_EMAIL = CHANNELS.index("email")
_SERVICE, _MARKETING = PURPOSES.index("service"), PURPOSES.index("marketing")
DUE_SOON_DAYS = 30
RENEWAL_DAYS = 60
LAPSED_DAYS = 30
REMINDER_DAYS = 5


@dataclass(frozen=True)
class Today:
    """The day on which messages arrive: its number and weekday, 0 is Monday."""

    number: int
    weekday: int


@dataclass(frozen=True)
class Draws:
    """Numbers in [0, 1) of one day, (n,) each; the same whatever any strategy does."""

    read: Floats
    answer: Floats
    opt_out: Floats
    machine: Floats


def may_reach(people: People, state: State) -> Bools:
    """Who can be sent what today, (n, channels, purposes)."""
    allowed = people.agreed & ~state.revoked[:, :, None]
    return np.asarray(allowed & state.here[:, None, None])


def wants_visit(state: State, today: int) -> Bools:
    """Who has a visit due within a month, or overdue, and has booked none."""
    return np.asarray(state.here & (state.booked == NEVER) & (state.due <= today + DUE_SOON_DAYS))


def wants_renewal(state: State, today: int) -> Bools:
    """Whose contract ends soon or has just lapsed."""
    left = state.contract_end - today
    running = (state.contract_end != NEVER) & (left <= RENEWAL_DAYS) & (left >= -LAPSED_DAYS)
    return np.asarray(state.here & running)


def concerned(people: People, state: State, today: int) -> Bools:
    """Whom each kind of message concerns today, (kinds, n)."""
    silent = today - state.last_visit > 0.75 * people.rhythm_days
    nothing = np.zeros(len(people), dtype=np.bool_)
    return np.stack(
        [
            wants_visit(state, today),
            wants_renewal(state, today),
            state.here & (state.aggrieved | silent),
            nothing,
            state.here & (state.booked != NEVER) & (state.booked <= today + REMINDER_DAYS),
        ]
    )


def read_logit(
    people: People, state: State, messages: Messages, known: Assumptions, today: Today
) -> Floats:
    """The logit of P(read) of each message, before relevance."""
    who, habits = messages.contact, known.people
    logit = (
        people.reads[who]
        + people.channel[who, messages.channel]
        + people.slot[who, messages.slot]
        + people.weekday[who, today.weekday]
        + habits["fatigue"]["per_message"] * state.fatigue[who]
    ).astype(np.float64)
    again = state.last_variant[who] == messages.variant
    age = today.number - state.last_variant_day[who]
    stale = habits["novelty"]["repeated"] * 0.5 ** (age / habits["novelty"]["halves_in_days"])
    return np.asarray(logit + np.where(again, stale, 0.0))


def answers_to(
    messages: Messages,
    people: People,
    state: State,
    draws: Draws,
    known: Assumptions,
    today: Today,
) -> Answers:
    """What comes of the messages of today; the state is not changed."""
    purpose = np.where(messages.marketing, _MARKETING, _SERVICE)
    allowed = may_reach(people, state)[messages.contact, messages.channel, purpose]
    messages = messages.of(allowed)
    who, habits = messages.contact, known.people
    relevant = concerned(people, state, today.number)[messages.about, who]
    logit = read_logit(people, state, messages, known, today)
    logit += np.where(relevant, habits["read_if_relevant"], habits["read_if_idle"])
    read = draws.read[who] < _share(logit)
    wording = np.exp(0.5 * people.variant[who, messages.variant])
    booked = read & (draws.answer[who] < _books(messages, state, known, today.number) * wording)
    soothed = _soothed(messages, state, draws, known) & read
    clicked, replied = _shows_interest(messages, relevant, read, draws, known)
    machine = (messages.channel == _EMAIL) & people.proxied[who] & ~read
    opted_out = draws.opt_out[who] < _weary(messages, relevant, state, known)
    return Answers(
        messages=messages,
        relevant=relevant,
        read=read,
        opened=(read & (messages.channel == _EMAIL)) | machine,
        machine=machine,
        clicked=clicked | (booked & (messages.channel != CHANNELS.index("call_task"))),
        replied=replied | (booked & (messages.channel == CHANNELS.index("call_task"))),
        booked=booked,
        soothed=soothed,
        opted_out=opted_out,
        complained=opted_out & (draws.machine[who] < habits["complains"]),
    )


def _books(messages: Messages, state: State, known: Assumptions, today: int) -> Floats:
    """P(books | read): who is due and asked, less for the aggrieved, a little by a newsletter."""
    business, who = known.business, messages.contact
    by_channel = np.array([business["books_if_read"][c] for c in CHANNELS])[messages.channel]
    factor = np.select(
        [messages.about == About.VISIT, messages.about == About.NEWS],
        [1.0, business["news_books"]],
        0.0,
    )
    due = wants_visit(state, today)[who]
    return np.asarray(by_channel * factor * due * np.where(state.aggrieved[who], 0.3, 1.0))


def _soothed(messages: Messages, state: State, draws: Draws, known: Assumptions) -> Bools:
    by_channel = np.array([known.business["soothed_if_read"][c] for c in CHANNELS])
    chance = by_channel[messages.channel] * (messages.about == About.CARE)
    who = messages.contact
    return np.asarray(state.aggrieved[who] & (draws.answer[who] < chance))


def _shows_interest(
    messages: Messages, relevant: Bools, read: Bools, draws: Draws, known: Assumptions
) -> tuple[Bools, Bools]:
    """Clicks and replies of those who do nothing else; independent of what they do."""
    habits, who = known.people, messages.contact
    factor = np.where(relevant, 1.0, habits["irrelevant_answers"])
    mood = (draws.answer[who] * 7919.0) % 1.0  # the fine digits of the same number
    clicked = read & (mood < habits["clicks"] * factor) & (messages.channel <= 1)
    replied = read & (mood > 1.0 - habits["replies"] * factor)
    return clicked, replied


def _weary(messages: Messages, relevant: Bools, state: State, known: Assumptions) -> Floats:
    """P(opts out | delivered)."""
    habits = known.people
    base = np.array([habits["opt_out"][c] for c in CHANNELS])[messages.channel]
    factor = np.where(relevant, habits["opt_out_if_relevant"], 1.0)
    tired = np.exp(habits["opt_out_per_fatigue"] * state.fatigue[messages.contact])
    return np.asarray(base * factor * tired)


def _share(logit: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-logit)))
