"""Feature spaces in which sets of faces are compared: always fitted on the real training faces alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

CLIP = 4.0  # standard deviations: a bin that real faces hardly fill must not decide a distance alone


@dataclass(frozen=True)
class PrincipalSpace:
    """The leading principal components of real training faces, in one unit for all of them.

    Attributes:
        mean: (d,) of the training values.
        components: (k, d) orthonormal rows.
        unit: one number; after division by it the training faces have a variance of 1 an axis on average. So distances
            do not hang on the depth window, and the kernel's x·y/k is about 1 for a real face with itself.
    """

    mean: np.ndarray
    components: np.ndarray
    unit: float

    def project(self, values: np.ndarray) -> np.ndarray:
        """(n, d) values to (n, k) float64 coordinates."""
        return (values - self.mean) @ self.components.T / self.unit

    def residual(self, values: np.ndarray) -> np.ndarray:
        """(n,) root mean square of what lies outside the components, in the unit of `values`."""
        centred = values - self.mean
        outside = centred - centred @ self.components.T @ self.components
        return np.sqrt(np.mean(outside**2, axis=1))


def fit_principal_space(values: np.ndarray, dimensions: int) -> PrincipalSpace:
    """The space of (n, d) training values; fewer dimensions when n - 1 or d is smaller."""
    values = values.astype(np.float64)
    count = min(dimensions, len(values) - 1, values.shape[1])
    with threadpool_limits(1, "blas"):  # measured: teams of BLAS threads take longer on matrices of this size
        pca = PCA(count, svd_solver="full").fit(values)
    unit = float(np.sqrt(pca.explained_variance_.mean()))
    return PrincipalSpace(pca.mean_, pca.components_, unit if unit > 0 else 1.0)


@dataclass(frozen=True)
class FusedSpace:
    """Fused features, standardised on real train, clipped at ±4, then the principal components of real train.

    It sees noise and upsampling before it sees shape: never rank methods by it alone.
    """

    scaler: StandardScaler
    principal: PrincipalSpace

    def project(self, features: np.ndarray) -> np.ndarray:
        """(n, d) fused features to (n, k) float64 coordinates."""
        return self.principal.project(_clipped(self.scaler, features))


def fit_fused_space(features: np.ndarray, dimensions: int = 64) -> FusedSpace:
    """The space of the (n, d) fused features of the real training faces."""
    scaler = StandardScaler().fit(features.astype(np.float64))
    return FusedSpace(scaler, fit_principal_space(_clipped(scaler, features), dimensions))


def _clipped(scaler: StandardScaler, features: np.ndarray) -> np.ndarray:
    return np.clip(scaler.transform(features.astype(np.float64)), -CLIP, CLIP)
