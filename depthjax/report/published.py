"""What the paper printed, kept apart from anything measured here: its Tables 1 and 2, on IKFDB."""

from __future__ import annotations

from depthjax.config import OWN_METHODS
from depthjax.scores import Score

PAPER = "Mousavi and Mirinezhad, 2025"
METHODS = ("vae", "gan", "gmm", "kde", "proposed")
SCORES = ("accuracy", "precision", "recall", "f1")
FACES_A_CLASS = {"synthetic": 400, "synthetic_real": 800}

# Per cent, in the order of SCORES, a line a method; as printed: the last line's accuracy lies below its other scores.
_TABLE_1 = {
    ("random_forest", "synthetic"): (
        (81.67, 81.39, 81.39, 81.39),
        (85.42, 84.66, 84.70, 84.66),
        (65.42, 64.55, 64.66, 64.52),
        (60.42, 59.22, 59.48, 59.26),
        (91.67, 91.56, 91.62, 91.57),
    ),
    ("random_forest", "synthetic_real"): (
        (90.21, 90.21, 90.16, 90.15),
        (90.42, 90.32, 90.21, 90.19),
        (77.08, 77.10, 76.95, 76.95),
        (77.50, 77.27, 77.29, 77.26),
        (92.50, 92.46, 92.49, 92.46),
    ),
    ("decision_tree", "synthetic"): (
        (52.92, 53.13, 52.81, 52.87),
        (57.50, 56.23, 56.57, 56.37),
        (51.50, 52.38, 51.83, 52.04),
        (46.25, 46.06, 45.66, 45.77),
        (58.92, 58.22, 57.95, 57.87),
    ),
    ("decision_tree", "synthetic_real"): (
        (67.50, 67.85, 67.48, 67.51),
        (66.42, 66.06, 65.33, 65.43),
        (65.21, 65.15, 65.07, 65.09),
        (60.00, 59.94, 59.78, 59.80),
        (68.92, 68.75, 67.76, 67.75),
    ),
    ("xgboost", "synthetic"): (
        (86.25, 86.44, 85.66, 85.79),
        (88.75, 88.17, 88.19, 88.16),
        (69.58, 68.69, 68.71, 68.48),
        (61.67, 60.95, 61.01, 60.88),
        (94.58, 94.47, 94.58, 94.49),
    ),
    ("xgboost", "synthetic_real"): (
        (93.96, 93.93, 93.97, 93.94),
        (94.17, 94.03, 94.03, 94.03),
        (81.25, 81.24, 81.10, 81.14),
        (76.67, 76.49, 76.46, 76.47),
        (95.46, 96.48, 96.43, 96.42),
    ),
}
_REAL = {
    "random_forest": (97.92, 97.94, 97.79, 97.84),
    "decision_tree": (83.33, 83.23, 83.21, 83.21),
    "xgboost": (97.92, 97.88, 97.90, 97.89),
}

# (classifier, trained and tested on, the paper's method, score) → per cent.
TABLE_1: dict[tuple[str, str, str, str], float] = {
    (classifier, mix, method, score): value
    for (classifier, mix), lines in _TABLE_1.items()
    for method, values in zip(METHODS, lines, strict=True)
    for score, value in zip(SCORES, values, strict=True)
} | {
    (classifier, "real", "real", score): value
    for classifier, values in _REAL.items()
    for score, value in zip(SCORES, values, strict=True)
}

_TABLE_2 = {
    "frechet": (153.5658, 129.8420, 166.3631, 179.2621, 45.5560),
    "score": (2.8474, 3.2655, 2.1022, 2.1381, 4.1447),
    "ssim": (0.58, 0.60, 0.46, 0.35, 0.71),
    "psnr": (15.93, 15.59, 13.60, 10.36, 20.68),
}
# (measure, the paper's method) → what it prints under the names FID, IS, SSIM and PSNR (dB).
TABLE_2: dict[tuple[str, str], float] = {
    (measure, method): value
    for measure, values in _TABLE_2.items()
    for method, value in zip(METHODS, values, strict=True)
} | {("score", "real"): 3.5695}
# The "±" that it prints beside its IS.
TABLE_2_SPREAD = {"vae": 0.0811, "gan": 0.2122, "gmm": 0.2720, "kde": 0.1842, "proposed": 0.1659, "real": 0.1608}


def published_column(method: str) -> str | None:
    """Return the paper's column for a method, or None.

    Both forms of the KD-cDCGAN stand beside "proposed": the paper says that its images are evolved, its released
    scripts decode random latents.
    """
    if method in OWN_METHODS:
        return "proposed"
    return method if method in (*METHODS, "real") else None


def printed(key: Score) -> str:
    """Return what the paper prints for a score, by method, protocol, classifier and measure; else a dash."""
    column = published_column(key.method) or ""
    if key.protocol == "as_published":
        value = TABLE_2.get((key.measure, column))
    else:
        value = TABLE_1.get((key.classifier, key.protocol.removeprefix("published_"), column, key.measure))
    return "\u2013" if value is None else f"{value:.2f}"


def faces_per_class(key: Score) -> str:
    """Return how many faces of each emotion the paper used; a dash if it has no such method."""
    if published_column(key.method) is None:
        return "\u2013"
    return str(FACES_A_CLASS.get(key.protocol.removeprefix("published_"), 400))


def spreads() -> str:
    """Return the paper's IS of each method with what it prints after its "±"."""
    names = {"real": "its training faces", "proposed": "its proposed method"}
    return ", ".join(
        f"{names.get(name, name.upper())} {TABLE_2['score', name]:.2f} ± {x:.2f}" for name, x in TABLE_2_SPREAD.items()
    )
