"""What the paper printed, kept apart from anything measured here."""

from __future__ import annotations

_METHODS = ("vae", "gan", "gmm", "kde", "proposed")

_ROWS = {
    ("random_forest", "synthetic"): (81.67, 85.42, 65.42, 60.42, 91.67),
    ("random_forest", "synthetic_real"): (90.21, 90.42, 77.08, 77.50, 92.50),
    ("decision_tree", "synthetic"): (52.92, 57.50, 51.50, 46.25, 58.92),
    ("decision_tree", "synthetic_real"): (67.50, 66.42, 65.21, 60.00, 68.92),
    ("xgboost", "synthetic"): (86.25, 88.75, 69.58, 61.67, 94.58),
    ("xgboost", "synthetic_real"): (93.96, 94.17, 81.25, 76.67, 95.46),
}
_REAL = {"random_forest": 97.92, "decision_tree": 83.33, "xgboost": 97.92}

# (classifier, trained and tested on, the paper's method) → accuracy in per cent: the paper's Table 1, on IKFDB.
TABLE_1_ACCURACY: dict[tuple[str, str, str], float] = {
    (classifier, mix, method): value
    for (classifier, mix), values in _ROWS.items()
    for method, value in zip(_METHODS, values, strict=True)
} | {(classifier, "real", "real"): value for classifier, value in _REAL.items()}


def published_column(method: str) -> str | None:
    """The paper's column for a method of ours, or None.

    Both forms of the KD-cDCGAN stand beside "proposed": the paper says that its images are evolved, its released
    scripts decode fresh random latents.
    """
    if method in ("cdcgan_kd", "cdcgan_kd_ga"):
        return "proposed"
    return method if method in _METHODS else None
