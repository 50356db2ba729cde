"""A linear classifier that starts from another's answer and leaves it only as far as the faces ask for.

The penalty is on what changes, not on the weights themselves: L2-SP (Li, Grandvalet and Davoine 2018, arXiv 1802.01483,
equation 1). It stands beside the mean loss, so it is the same for few faces and for many. That of weights was chosen on
people who are in no reported number (docs/results/few-people.md); that of biases was set once.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

from depthjax.evaluate.recogniser import feature_size

PENALTIES = 1.0, 0.1  # of squared changes of weights and of biases, beside the mean cross-entropy of the faces
STEPS = 300  # of L-BFGS, at most


Head = tuple[np.ndarray, np.ndarray]  # weights (d, classes) and bias (classes,)


def adapt(
    head: Head,
    features: np.ndarray,
    emotion: np.ndarray,
    weight: np.ndarray | None = None,
    penalties: tuple[float, float] = PENALTIES,
) -> Head:
    """Return the head that this one becomes by the faces; arguments as those of `fit_change`."""
    weights, bias = head
    change = fit_change(features, features @ weights + bias, emotion, weight, penalties)
    return weights + change[0], bias + change[1]


def fit_change(
    features: np.ndarray,
    logits: np.ndarray,
    emotion: np.ndarray,
    weight: np.ndarray | None = None,
    penalties: tuple[float, float] = PENALTIES,
) -> Head:
    """Return the change of weights and bias that suits the faces best.

    It minimises the weighted mean cross-entropy of `logits + features @ weights + bias`, plus half of the penalties
    times the squares of the change.

    Args:
        features: (n, d).
        logits: (n, classes), of the classifier that is changed.
        emotion: (n,) in [0, classes).
        weight: (n,) of each face; 1 by default.
        penalties: of weights and of biases.
    """
    of_weights, of_bias = penalties
    n, d, classes = len(features), features.shape[1], logits.shape[1]
    shares = np.full(n, 1 / n) if weight is None else weight / weight.sum()
    features, asked = features.astype(np.float64), np.eye(classes)[emotion]

    def loss(change: np.ndarray) -> tuple[float, np.ndarray]:
        weights, bias = change[:-classes].reshape(d, classes), change[-classes:]
        z = logits + features @ weights + bias
        log_p = z - logsumexp(z, axis=1, keepdims=True)
        slope = shares[:, None] * (np.exp(log_p) - asked)
        penalty = of_weights * (weights**2).sum() + of_bias * (bias**2).sum()
        gradient = features.T @ slope + of_weights * weights, slope.sum(0) + of_bias * bias
        value = penalty / 2 - (shares * (log_p * asked).sum(1)).sum()
        return value, np.concatenate([part.ravel() for part in gradient])

    found = minimize(loss, np.zeros((d + 1) * classes), jac=True, method="L-BFGS-B", options={"maxiter": STEPS}).x
    return found[:-classes].reshape(d, classes), found[-classes:]


class AdaptedHead:
    """A classifier in scikit-learn's manner of columns (n, d + classes): the recogniser's features, then its logits."""

    def fit(self, columns: np.ndarray, emotion: np.ndarray, sample_weight: np.ndarray | None = None) -> AdaptedHead:
        """Find the change of the network's answer."""
        features, logits = np.split(columns, [feature_size()], axis=1)
        self.weights, self.bias = fit_change(features, logits, emotion, sample_weight)
        return self

    def predict(self, columns: np.ndarray) -> np.ndarray:
        """Return the likeliest emotion of each row, (n,)."""
        features, logits = np.split(columns, [feature_size()], axis=1)
        found: np.ndarray = (logits + features @ self.weights + self.bias).argmax(1)
        return found
