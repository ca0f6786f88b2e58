"""Randomness that replays: a number is a function of a key, never of what was drawn before.

SplitMix64 (Steele, Lea and Flood, 2014, 'Fast splittable pseudorandom number generators',
OOPSLA) used as a hash of the key, so one contact's draw does not depend on the batch it is in.
"""

import hashlib
from collections.abc import Iterable
from uuid import UUID

import numpy as np

from engine.columns import Floats, Keys

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_TO_UNIT = 2.0**-53


def salt(*words: str) -> int:
    """Return 64 bits that stand for these words."""
    digest = hashlib.blake2b("\x1f".join(words).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def contact_keys(contact_ids: Iterable[str | UUID]) -> Keys:
    """Return one 64-bit key per contact id: the two halves of the UUID, folded together."""
    folded = [
        ((number := int(str(i).replace("-", ""), 16)) >> 64) ^ (number & 0xFFFFFFFFFFFFFFFF)
        for i in contact_ids
    ]
    return np.array(folded, dtype=np.uint64)


def mixed(keys: Keys, salted: int) -> Keys:
    """Return the keys hashed with a salt; every bit of the result depends on every bit of both."""
    with np.errstate(over="ignore"):
        z = (keys ^ np.uint64(salted & 0xFFFFFFFFFFFFFFFF)) + _GOLDEN
        z = (z ^ (z >> np.uint64(30))) * _MIX_1
        z = (z ^ (z >> np.uint64(27))) * _MIX_2
        z = z ^ (z >> np.uint64(31))
        z = z + _GOLDEN
        z = (z ^ (z >> np.uint64(30))) * _MIX_1
        z = (z ^ (z >> np.uint64(27))) * _MIX_2
    return np.asarray(z ^ (z >> np.uint64(31)), dtype=np.uint64)


def uniform(keys: Keys, salted: int) -> Floats:
    """Return one number in [0, 1) per key and salt, with 53 random bits."""
    return np.asarray((mixed(keys, salted) >> np.uint64(11)).astype(np.float64) * _TO_UNIT)
