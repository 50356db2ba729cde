"""What an emotion network reads in generated faces: the intended emotion, and all emotions?"""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from depthjax.config import EMOTIONS


def restricted(log_probabilities: np.ndarray, emotions: tuple[str, ...]) -> np.ndarray | None:
    """Return probabilities of the run's own emotions, (n, classes) that sum to 1; None if one is unknown.

    Args:
        log_probabilities: (n, 7) over `depthjax.config.EMOTIONS`.
        emotions: the run's, in label order.
    """
    if any(name not in EMOTIONS for name in emotions):
        return None
    own = log_probabilities[:, [EMOTIONS.index(name) for name in emotions]]
    shares: np.ndarray = softmax(own.astype(np.float64), axis=1)
    return shares


def agreement(probabilities: np.ndarray, emotion: np.ndarray) -> np.ndarray:
    """Return (n,) 1 where the likeliest of (n, classes) is the intended emotion, else 0."""
    return (probabilities.argmax(axis=1) == emotion).astype(np.float64)


def score(probabilities: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return exp of the mean divergence of p(y|x) from p(y): the Inception Score's formula (Salimans et al. 2016).

    Only with the Inception network may it be called so. Between 1 and the number of classes.

    Args:
        probabilities: (n, classes), rows summing to 1.
        weights: (n,) how often each face counts, as a bootstrap draws them; once each if left out.
    """
    w = np.full(len(probabilities), 1 / len(probabilities)) if weights is None else weights / weights.sum()
    marginal = w @ probabilities
    ratio = np.divide(probabilities, marginal, out=np.ones_like(probabilities), where=probabilities > 0)
    return float(np.exp(w @ (probabilities * np.log(ratio)).sum(axis=1)))
