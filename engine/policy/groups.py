"""The experiment's groups: who is decided for by the engine, and who shows what it is worth.

By a number that is drawn once: evenly within the contact's stratum and stored, or, before that, by
hash of the contact. So the group is permanent, the same on every host and for every way a message
can start; a larger share keeps everybody who was in the group.
"""

from enum import IntEnum

import numpy as np

from engine.candidates import Contacts
from engine.chance import salt, uniform
from engine.columns import Bools, Floats, Ints, Keys
from engine.policy.settings import PolicyData

HOLDOUT_SALT = "holdout"
GOLDEN = (5.0**0.5 - 1.0) / 2.0
_SMALLEST = 2.0**-53


class Group(IntEnum):
    """How a contact is decided for."""

    ENGINE = 0
    USUAL = 1  # what the rules alone would send, by their priority
    RANDOM = 2  # any of what the policy allows
    HOLDOUT = 3  # nothing
    PLAIN = 4  # refused machines that learn: as USUAL, and no part of the experiment


def groups_of(contacts: Contacts, policy: PolicyData, tenant: str) -> Ints:
    """Return each contact's Group, (n,).

    The holdout begins at the low end of [0, 1), the two others at the high end: no group takes
    members of another when its share grows, until all is used up; then the holdout comes first.
    """
    drawn = by_hash(contacts.keys, tenant)
    if contacts.drawn is not None:
        drawn = np.where(np.isnan(contacts.drawn), drawn, contacts.drawn)
    group = np.full(len(drawn), int(Group.ENGINE), dtype=np.int64)
    group[drawn >= 1.0 - policy.random_share - policy.usual_share] = int(Group.USUAL)
    group[drawn >= 1.0 - policy.random_share] = int(Group.RANDOM)
    group[contacts.no_ai] = int(Group.PLAIN)
    group[drawn < policy.holdout_share] = int(Group.HOLDOUT)
    return group


def by_hash(keys: Keys, tenant: str) -> Floats:
    """Return the number of each contact that has not been drawn, in [0, 1)."""
    return uniform(keys, salt(HOLDOUT_SALT, tenant))


def evenly(keys: Keys, tenant: str, stratum: str, drawn_before: int) -> Floats:
    """Return numbers in (0, 1) for new members of a stratum, spread evenly over all it ever had.

    The members' order is that of a hash; the numbers are the next ones of Kronecker's sequence of
    the golden ratio from a start of the stratum's own. Of any n numbers of it, the count below a
    share s is within 2 of n x s for the n that a business has (Niederreiter, Random Number
    Generation and Quasi-Monte Carlo Methods, 1992, chapter 3: O(log n)).
    """
    order = np.argsort(uniform(keys, salt("order", tenant, stratum)), kind="stable")
    place = np.empty(len(keys), dtype=np.int64)
    place[order] = np.arange(len(keys))
    start = salt("start", tenant, stratum) / 2.0**64
    numbers = (start + (drawn_before + place) * GOLDEN) % 1.0
    return np.clip(numbers, _SMALLEST, 1.0 - _SMALLEST)


def in_holdout(contacts: Contacts, policy: PolicyData, tenant: str) -> Bools:
    """Which contacts are never contacted, (n,)."""
    return np.asarray(groups_of(contacts, policy, tenant) == Group.HOLDOUT)


def is_judged(group: Ints) -> Bools:
    """Who is decided for by worth; the holdout too, to know what it would have got."""
    return np.asarray((group == Group.ENGINE) | (group == Group.HOLDOUT))


def group_name(group: int) -> str:
    """Return the stable text of a group, e.g. 'holdout'."""
    return Group(group).name.lower()
