"""The posterior of ridge regressions, for all arms of a factor at once.

The same arithmetic as MABWiser's fitted models (`beta = A^-1 xty`), held equal to it by a test,
written elementwise: LAPACK and BLAS choose kernels by processor and by batch size and differ in
the last bits, and a decision must come out the same on every machine and in every batch.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
_Real = TypeVar("_Real", np.float32, np.float64)


def inverse(precision: FloatArray) -> FloatArray:
    """Inverses of k symmetric positive definite matrices, shape (k, d, d).

    Gauss-Jordan elimination without pivoting, which is stable for positive definite matrices
    (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 14.4).
    """
    arms, d, _ = precision.shape
    left = precision.copy()
    right = np.broadcast_to(np.eye(d), (arms, d, d)).copy()
    for pivot in range(d):
        scale = left[:, pivot, pivot].copy()[:, None]
        left[:, pivot] /= scale
        right[:, pivot] /= scale
        factor = left[:, :, pivot].copy()
        factor[:, pivot] = 0.0
        left -= factor[:, :, None] * left[:, pivot, None, :]
        right -= factor[:, :, None] * right[:, pivot, None, :]
    return right


def coefficients(covariance: FloatArray, xty: FloatArray) -> FloatArray:
    """The mean coefficients `A^-1 xty`, shape (k, d), from (k, d, d) and (k, d)."""
    beta = np.zeros_like(xty)
    for j in range(xty.shape[1]):
        beta += covariance[:, :, j] * xty[:, j, None]
    return beta


def packed(covariance: FloatArray) -> FloatArray:
    """The upper triangles of k symmetric matrices, off-diagonals doubled: (k, d (d + 1) / 2)."""
    d = covariance.shape[1]
    pairs = [covariance[:, i, j] * (1.0 if i == j else 2.0) for i in range(d) for j in range(i, d)]
    return np.array(pairs).T.copy()


def squares(columns: FloatArray) -> FloatArray:
    """Products x_i x_j of contexts (d, n), in the order of `packed`: (d (d + 1) / 2, n)."""
    d = len(columns)
    return np.concatenate([columns[i] * columns[i:] for i in range(d)])


def products_by_row(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Products x_i x_j of contexts (n, d), in the order of `packed`: (n, d (d + 1) / 2)."""
    n, d = rows.shape
    found = np.empty((n, d * (d + 1) // 2), dtype=np.float32)
    at = 0
    for i in range(d):
        np.multiply(rows[:, i:], rows[:, i : i + 1], out=found[:, at : at + d - i])
        at += d - i
    return found


def score_moments(
    columns: FloatArray, products: FloatArray, beta: FloatArray, triangle: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """`beta . x` and `x' A^-1 x` of every arm, both (k, n).

    The score of an arm is normal with the first as mean and alpha times the root of the second as
    standard deviation (linear Thompson sampling; Agrawal and Goyal, ICML 2013).

    Args:
        columns: contexts, (d, n).
        products: `squares` of them.
        beta: mean coefficients, (k, d).
        triangle: `packed` covariance, (k, d (d + 1) / 2).
    """
    mean, variance = _weighted(beta, columns), _weighted(triangle, products)
    return mean, np.maximum(variance, 0.0)


def _weighted(weights: FloatArray, rows: FloatArray) -> FloatArray:
    """The sums of rows (m, n) with weights (k, m): (k, n), added one row after the other."""
    total: FloatArray = weights[:, 0, None] * rows[0]
    part = np.empty_like(total)
    for at in range(1, len(rows)):
        np.multiply(weights[:, at, None], rows[at], out=part)
        total += part
    return total


def summed(values: NDArray[_Real], axis: int) -> NDArray[_Real]:
    """The sum along an axis, added in an order that depends on that axis's length alone.

    numpy's own reduction adds in another order when the other axes change, e.g. with the number
    of rows in a batch. Halves are added to each other until one is left.
    """
    rest = values.swapaxes(0, axis) if axis else values
    while len(rest) > 1:
        half = len(rest) // 2
        pairs = rest[:half] + rest[half : 2 * half]
        if len(rest) % 2:
            pairs[0] += rest[-1]
        rest = pairs
    total: NDArray[_Real] = rest[0]
    return total
