"""Three principled ways to choose faces from a pool: greedy k-DPP, facility location and kernel herding.

All use the kernel exp(-distance² / (2 bandwidth²)) of features (n, d), compute its rows as they are needed, and return
(count,) different indices in the order of choice.
"""

from __future__ import annotations

import heapq

import numpy as np
from scipy.spatial.distance import cdist

AT_ONCE = 512  # rows of the kernel
TINY = 1e-12  # what rounding leaves of a variance of 1


def gaussian_kernel(x: np.ndarray, y: np.ndarray, bandwidth: float) -> np.ndarray:
    """Return the (n, m) kernel of (n, d) and (m, d) features."""
    return np.exp(-cdist(x, y, "sqeuclidean") / (2 * bandwidth**2))


def k_dpp(features: np.ndarray, log_quality: np.ndarray, bandwidth: float, count: int) -> np.ndarray:
    """Return the greedy maximum of det L of the chosen, L_ij = exp(l_i / 2) K_ij exp(l_j / 2), l the log-quality (n,).

    Each choice maximises l plus the log of the variance that is left by those chosen before, kept up to date by rows of
    a Cholesky factor (Chen, Zhang and Zhou 2018, arXiv 1709.05135, algorithm 1).
    """
    factor, variance = np.zeros((count, len(features))), np.ones(len(features))
    gain, chosen = log_quality.astype(np.float64), np.zeros(count, np.int64)
    for i in range(count):
        best = chosen[i] = np.argmax(gain + np.log(variance))
        kernel = gaussian_kernel(features[[best]], features, bandwidth)[0]
        factor[i] = (kernel - factor[:i, best] @ factor[:i]) / np.sqrt(variance[best])
        variance = np.maximum(variance - factor[i] ** 2, TINY)
        gain[best] = -np.inf
    return chosen


def facility_location(features: np.ndarray, bandwidth: float, count: int) -> np.ndarray:
    """Return the greedy maximum of the sum over all n points of the kernel to the nearest of the chosen.

    A gain never grows, so an old one is a bound: only those at the head of a queue are computed anew (Minoux 1978).
    """
    starts = range(0, len(features), AT_ONCE)
    first = np.concatenate([gaussian_kernel(features[i : i + AT_ONCE], features, bandwidth).sum(1) for i in starts])
    queue = [(-gain, index) for index, gain in enumerate(first)]
    heapq.heapify(queue)
    reached, chosen = np.zeros(len(features)), np.zeros(count, np.int64)
    for i in range(count):
        while True:
            index = queue[0][1]
            kernel = gaussian_kernel(features[[index]], features, bandwidth)[0]
            gain = np.maximum(kernel - reached, 0).sum()
            heapq.heapreplace(queue, (-gain, index))
            if queue[0][1] == index:
                break
        heapq.heappop(queue)
        reached, chosen[i] = np.maximum(reached, kernel), index
    return chosen


def herding(features: np.ndarray, target: np.ndarray, bandwidth: float, count: int) -> np.ndarray:
    """Return the points that herding takes to approach the mean kernel of the (m, d) target, none of them twice.

    Each maximises the mean kernel to the target less the sum of kernels to those chosen before over their number plus
    one (Chen, Welling and Smola 2010, equation 8).
    """
    towards = np.concatenate([
        gaussian_kernel(features[i : i + AT_ONCE], target, bandwidth).mean(1) for i in range(0, len(features), AT_ONCE)
    ])  # fmt: skip
    taken, chosen = np.zeros(len(features)), np.zeros(count, np.int64)
    for i in range(count):
        best = chosen[i] = np.argmax(towards - taken / (i + 1))
        towards[best] = -np.inf
        taken += gaussian_kernel(features[[best]], features, bandwidth)[0]
    return chosen
