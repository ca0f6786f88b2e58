"""Thompson sampling by drawing scores: one choice per context, without its probability.

For looking ahead and for comparing policies, where nothing is sent and nothing is logged; decisions
are drawn from exact probabilities (`selection`), which costs about twenty times as much. Each
context has numbers of its own, so a choice does not depend on the others of its batch, except for
the rounding of the matrix product, which may turn a tie.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from bandits.context import known
from bandits.draw import KeyArray, hashed
from bandits.factor import FactorState
from bandits.linear import products_by_row

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

_CHUNK = 1024
_NORMALS = 1 << 16  # a hash holds four numbers of 16 bits


def drawn_arms(
    factor: FactorState,
    contexts: FloatArray,
    keys: KeyArray,
    seed: int,
    scale: float,
    allowed: BoolArray | None = None,
) -> IntArray:
    """The arm with the highest drawn score for each context, (n,).

    A score is normal with the arm's mean in that context and `scale` times its spread, independent
    between arms and contexts; it is drawn in single precision from 65,536 equally likely values
    of the normal distribution, the farthest at 4.3 standard deviations.

    Args:
        factor: at least one arm.
        contexts: (n, d); NaN counts as 0.
        keys: one per context.
        seed: of the draws.
        scale: of the spreads: `alpha` of a ridge regression, or the share of noise to draw with.
        allowed: (n, k); at least one arm per row. None allows all.
    """
    x = known(contexts).astype(np.float32)
    k = len(factor.arms)
    mean = np.ascontiguousarray(factor.beta.T, dtype=np.float32)
    variance = np.ascontiguousarray((scale * scale * factor.triangle).T, dtype=np.float32)
    groups = np.arange(-(-k // 4), dtype=np.uint64)
    chosen = np.empty(len(x), dtype=np.int64)
    for start in range(0, len(x), _CHUNK):
        at = slice(start, start + _CHUNK)
        part = np.ascontiguousarray(x[at])
        score = products_by_row(part) @ variance
        np.maximum(score, 0.0, out=score)
        np.sqrt(score, out=score)
        bits = hashed(keys[at], seed, "score", groups).view(np.uint16)
        # all 65,536 values have a place; without the check it is three times as fast
        score *= _normals().take(bits, mode="clip")[:, :k]
        score += part @ mean
        if allowed is not None:
            score[~allowed[at]] = -np.inf
        chosen[at] = score.argmax(axis=1)
    return chosen


@cache
def _normals() -> NDArray[np.float32]:
    middle = (np.arange(_NORMALS) + 0.5) / _NORMALS
    return np.asarray(ndtri(middle), dtype=np.float32)
