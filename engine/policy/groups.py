"""The experiment's groups: who is decided for by the engine, and who shows what it is worth.

By hash of the contact, so the group is permanent, the same on every host and for every way a
message can start; a larger share keeps everybody who was in the group.
"""

from enum import IntEnum

import numpy as np

from engine.candidates import Contacts
from engine.chance import salt, uniform
from engine.columns import Bools, Ints
from engine.policy.settings import PolicyData

HOLDOUT_SALT = "holdout"


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
    drawn = uniform(contacts.keys, salt(HOLDOUT_SALT, tenant))
    group = np.full(len(drawn), int(Group.ENGINE), dtype=np.int64)
    group[drawn >= 1.0 - policy.random_share - policy.usual_share] = int(Group.USUAL)
    group[drawn >= 1.0 - policy.random_share] = int(Group.RANDOM)
    group[contacts.no_ai] = int(Group.PLAIN)
    group[drawn < policy.holdout_share] = int(Group.HOLDOUT)
    return group


def in_holdout(contacts: Contacts, policy: PolicyData, tenant: str) -> Bools:
    """Which contacts are never contacted, (n,)."""
    return np.asarray(groups_of(contacts, policy, tenant) == Group.HOLDOUT)


def is_judged(group: Ints) -> Bools:
    """Who is decided for by worth; the holdout too, to know what it would have got."""
    return np.asarray((group == Group.ENGINE) | (group == Group.HOLDOUT))


def group_name(group: int) -> str:
    """Return the stable text of a group, e.g. 'holdout'."""
    return Group(group).name.lower()
