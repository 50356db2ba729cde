"""Ways to choose faces from a pool beside a k-DPP: farthest first, facility location and kernel herding.

The last two use the kernel exp(-distance² / (2 bandwidth²)) of features (n, d), and compute its rows as they are
needed. All return (count,) different indices in the order of choice.
"""

from __future__ import annotations

import heapq

import numpy as np
from scipy.spatial.distance import cdist

AT_ONCE = 512  # rows of the kernel


def gaussian_kernel(x: np.ndarray, y: np.ndarray, bandwidth: float) -> np.ndarray:
    """Return the (n, m) kernel of (n, d) and (m, d) features."""
    return np.exp(-cdist(x, y, "sqeuclidean") / (2 * bandwidth**2))


def k_centre(features: np.ndarray, first: int, count: int) -> np.ndarray:
    """Return indices from `first` on, each the farthest from those chosen before (Gonzalez 1985)."""
    chosen, squared = np.zeros(count, np.int64), np.full(len(features), np.inf)
    chosen[0] = first
    for i in range(1, count):
        squared = np.minimum(squared, ((features - features[chosen[i - 1]]) ** 2).sum(1))
        squared[chosen[:i]] = -1
        chosen[i] = squared.argmax()
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
