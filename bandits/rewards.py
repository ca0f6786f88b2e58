"""What an answer to a send is worth to the bandits, in [0, 1].

The ladder lets a choice be learned from before the booking arrives; a later, higher step replaces
the earlier one (see `learning.observe`), so nothing is counted twice.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

GOAL_REWARD = 1.0

REWARD_LADDER: Mapping[str, float] = MappingProxyType(
    {
        # Mail privacy proxies and security scanners open mails nobody read; such an open is no
        # answer at all, and even a human's open says little about a visit.
        "opened_by_machine": 0.0,
        "clicked_by_machine": 0.0,
        "opened": 0.05,
        # Interest shown, nothing promised: most clicks on a booking link end without a booking.
        "clicked": 0.3,
        # A person wrote back; about twice a click, because somebody can now talk to them.
        "replied": 0.6,
        # The action's own goal within its attribution window: booked, kept, renewed, paid.
        "goal": GOAL_REWARD,
    }
)


def reward_of(steps: Iterable[str]) -> float:
    """The reward of the highest step reached; 0.0 without any known step.

    >>> reward_of(["opened", "clicked"])
    0.3
    """
    return max((REWARD_LADDER.get(step, 0.0) for step in steps), default=0.0)
