"""The policy's numbers: dated data that a person may read, never constants in code."""

from dataclasses import dataclass

# minutes after local midnight, [start, end); None: nothing on this weekday
Window = tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Cap:
    """At most `max_count` messages in any `window_days` days.

    Attributes:
        purpose: counts messages of this purpose only; 'any' counts all.
        window_days: rolling; and the calendar day of the contact for a window of one day.
    """

    purpose: str
    window_days: int
    max_count: int


@dataclass(frozen=True, slots=True)
class PolicyData:
    """What the stages read.

    Attributes:
        windows: when a message may leave, by weekday (0 = Monday), the contact's wall-clock time.
        caps: all of them must hold.
        holdout_share: share of contacts that are never contacted, in [0, 1].
        fatigue_cents: price of one more message per message in the last seven days.
        exploration_floor: share of choices spread evenly over the allowed arms, in [0, 1].
        digest: identifies these numbers on each decision.
    """

    windows: tuple[Window, ...]
    caps: tuple[Cap, ...]
    holdout_share: float
    fatigue_cents: float
    exploration_floor: float
    digest: str
