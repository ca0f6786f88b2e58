"""The policy's numbers: dated data that a person may read, never constants in code.

A `pattern` names actions: the id of a rule or action (with * for any text), 'purpose:marketing',
'goal:contract.renewed', or '*' for all.
"""

from dataclasses import dataclass, field

# minutes after local midnight, [start, end); None: nothing on this weekday
Window = tuple[int, int] | None
# Monday first
Week = tuple[Window, Window, Window, Window, Window, Window, Window]


@dataclass(frozen=True, slots=True)
class Cap:
    """At most `max_count` messages in any `window_days` days before one more of `purpose`.

    Attributes:
        purpose: of the message that the cap limits.
        window_days: rolling; and the calendar day of the contact for a window of one day.
        counts: purposes that are counted; empty: `purpose` alone. A cap over all purposes never
            counts what matters less than the message itself, so that marketing can't use up the
            room of a treatment message.
    """

    purpose: str
    window_days: int
    max_count: int
    counts: tuple[str, ...] = ()

    @property
    def counted(self) -> tuple[str, ...]:
        """The purposes that are counted."""
        return self.counts or (self.purpose,)


@dataclass(frozen=True, slots=True)
class LoweredCaps:
    """Caps shrink to `share` (at least 1) for who left `unanswered` messages without an answer."""

    unanswered: int
    within_days: int
    share: float
    purposes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rest:
    """Who has ignored `ignored` messages within `within_days` is left alone for `rest_days`.

    A message counts as ignored when nothing has come back `answer_days` after it.
    """

    ignored: int
    within_days: int
    rest_days: int
    answer_days: int
    purposes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CoolOff:
    """After an event, messages of these purposes wait this long."""

    after: str
    rest_days: int
    purposes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContextWeight:
    """For `within_days` after an event, the gain of the named actions counts `factor` times."""

    after: str
    within_days: int
    on: tuple[str, ...]
    factor: float


@dataclass(frozen=True, slots=True)
class Lever:
    """A manager's boost: the gain of the named actions counts `percent` more.

    Attributes:
        until: ISO date, the last day on which it holds (UTC); '' for ever.
        why: in words.
    """

    on: str
    percent: float
    until: str
    why: str


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be given away.

    Attributes:
        per: month, quarter, year or once, in the tenant's calendar.
        gives: (pattern, cents) of what one message of an action promises.
    """

    name: str
    limit_cents: int
    per: str
    gives: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Capacity:
    """How much room is left for what an action aims at, as the tenant told it.

    Attributes:
        goal: event that takes a place, e.g. appointment.booked.
        places, free: in the time the tenant speaks of.
        until: ISO date, the last day on which it holds (UTC).
    """

    goal: str
    places: int
    free: int
    until: str


@dataclass(frozen=True, slots=True)
class Rollout:
    """Only this share of the contacts gets the named actions."""

    on: str
    share: float


@dataclass(frozen=True, slots=True)
class Household:
    """One message of an action for all contacts of an account within `within_days`; 0: off."""

    within_days: int
    purposes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Approval:
    """A person decides when more than this is given away or the contact is this likely to leave.

    Attributes:
        give_above_cents: of one message; None: no bound.
        hazard_90d_above: in [0, 1]; None: no bound.
    """

    give_above_cents: int | None = None
    hazard_90d_above: float | None = None


@dataclass(frozen=True, slots=True)
class Holiday:
    """A day on which nothing leaves.

    Attributes:
        region: 'US' for all of the country, 'US-LA' for a state; '*' for every contact.
        month, day: a fixed day of the year.
        nth, weekday: the nth weekday (0 = Monday) of the month; -1 is the last.
        easter: days after Easter Sunday.
        date: ISO date of a single day.
    """

    region: str
    month: int = 0
    day: int = 0
    nth: int = 0
    weekday: int = 0
    easter: int | None = None
    date: str = ""


@dataclass(frozen=True, slots=True)
class LegalWindow:
    """When the law of a region lets a message leave, by weekday."""

    region: str
    windows: Week


@dataclass(frozen=True, slots=True)
class PolicyData:
    """What the stages and the gate read.

    Attributes:
        windows: when a message may leave, by weekday (0 = Monday), the contact's wall-clock time.
        caps: all of them must hold.
        holdout_share, usual_share, random_share: shares of contacts that are never contacted, get
            what the rules alone would send, and get a random one of what the policy allows.
        fatigue_cents: price of one more message per message in the last seven days.
        exploration_floor: share of choices spread evenly over the allowed arms, in [0, 1].
        full_value_from: share of free places from which an action keeps its whole value.
        longest: (channel, characters) that a message may have.
        digest: identifies these numbers on each decision.
    """

    windows: tuple[Window, ...]
    caps: tuple[Cap, ...]
    holdout_share: float
    fatigue_cents: float
    exploration_floor: float
    digest: str = field(compare=False)
    usual_share: float = 0.0
    random_share: float = 0.0
    legal: tuple[LegalWindow, ...] = ()
    holidays: tuple[Holiday, ...] = ()
    lowered: LoweredCaps | None = None
    rest: Rest | None = None
    cool_off: tuple[CoolOff, ...] = ()
    contexts: tuple[ContextWeight, ...] = ()
    levers: tuple[Lever, ...] = ()
    budgets: tuple[Budget, ...] = ()
    capacity: tuple[Capacity, ...] = ()
    full_value_from: float = 0.25
    rollout: tuple[Rollout, ...] = ()
    household: Household = Household(0, ())
    approval: Approval = Approval()
    longest: tuple[tuple[str, int], ...] = ()

    def __hash__(self) -> int:
        """By digest: numbers are looked up in caches with every decision."""
        return hash(self.digest)

    @property
    def events(self) -> tuple[str, ...]:
        """Event types whose newest occurrence the stages read, in order."""
        cool_off = [each.after for each in self.cool_off]
        return tuple(dict.fromkeys([*cool_off, *(each.after for each in self.contexts)]))
