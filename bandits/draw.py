"""Random numbers that belong to a decision, not to the moment it is made.

A counter-based generator: the number is a function of (key, seed, factor) alone, so one decision
can be drawn again by itself, in any batch and any order.
"""

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
KeyArray = NDArray[np.uint64]

_MASK = (1 << 64) - 1

# The constants of splitmix64.
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_FACTOR_1, _FACTOR_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_SHIFT_1, _SHIFT_2, _SHIFT_3 = np.uint64(30), np.uint64(27), np.uint64(31)


def keys_of(ids: Iterable[UUID]) -> KeyArray:
    """One uint64 key per id (a decision's or contact's), the two halves of the UUID folded."""
    numbers = [each.int for each in ids]
    return np.array([(number >> 64) ^ (number & _MASK) for number in numbers], dtype=np.uint64)


def uniforms(keys: KeyArray, seed: int, factor: str) -> FloatArray:
    """One number in [0, 1) per key, with 53 random bits.

    Two rounds of the splitmix64 finaliser (Steele, Lea and Flood, OOPSLA 2014); the second is
    keyed again so that neighbouring keys and neighbouring seeds have nothing in common.
    """
    stream = np.uint64(_stream(seed, factor))
    mixed = _mix(_mix(keys.astype(np.uint64) ^ stream) + stream)
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53


def hashed(keys: KeyArray, seed: int, purpose: str, places: KeyArray) -> KeyArray:
    """64 random bits for each key and place, (n, m): one hash of both."""
    stream = np.uint64(_stream(seed, purpose))
    own = _mix(keys.astype(np.uint64) ^ stream)
    return _mix(own[:, None] + (places + np.uint64(1)) * _GAMMA)


@lru_cache(maxsize=4096)
def _stream(seed: int, factor: str) -> int:
    digest = hashlib.blake2b(f"{seed}:{factor}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def _mix(values: KeyArray) -> KeyArray:
    mixed = values + _GAMMA
    mixed ^= mixed >> _SHIFT_1
    mixed *= _FACTOR_1
    mixed ^= mixed >> _SHIFT_2
    mixed *= _FACTOR_2
    mixed ^= mixed >> _SHIFT_3
    return mixed
