"""What the paper prints: its Tables 1 and 2, by the names that the scores have here."""

import itertools

from depthjax.config import OWN_METHODS
from depthjax.report.formats import RECOGNITION
from depthjax.report.table import NONE, Key

PAPER = "Mousavi and Mirinezhad, 2025"
PAPER_METHODS = ("vae", "gan", "gmm", "kde", "proposed")
# Per cent as printed (on IKFDB), in the order of PAPER_METHODS and RECOGNITION.
# The last line's accuracy lies below its other scores in the paper too.
_TABLE_1 = {
    ("random_forest", "synthetic"): "81.67 81.39 81.39 81.39  85.42 84.66 84.70 84.66  65.42 64.55 64.66 64.52  "
    "60.42 59.22 59.48 59.26  91.67 91.56 91.62 91.57",
    ("random_forest", "synthetic_real"): "90.21 90.21 90.16 90.15  90.42 90.32 90.21 90.19  77.08 77.10 76.95 76.95  "
    "77.50 77.27 77.29 77.26  92.50 92.46 92.49 92.46",
    ("decision_tree", "synthetic"): "52.92 53.13 52.81 52.87  57.50 56.23 56.57 56.37  51.50 52.38 51.83 52.04  "
    "46.25 46.06 45.66 45.77  58.92 58.22 57.95 57.87",
    ("decision_tree", "synthetic_real"): "67.50 67.85 67.48 67.51  66.42 66.06 65.33 65.43  65.21 65.15 65.07 65.09  "
    "60.00 59.94 59.78 59.80  68.92 68.75 67.76 67.75",
    ("xgboost", "synthetic"): "86.25 86.44 85.66 85.79  88.75 88.17 88.19 88.16  69.58 68.69 68.71 68.48  "
    "61.67 60.95 61.01 60.88  94.58 94.47 94.58 94.49",
    ("xgboost", "synthetic_real"): "93.96 93.93 93.97 93.94  94.17 94.03 94.03 94.03  81.25 81.24 81.10 81.14  "
    "76.67 76.49 76.46 76.47  95.46 96.48 96.43 96.42",
    ("random_forest", "real"): "97.92 97.94 97.79 97.84",
    ("decision_tree", "real"): "83.33 83.23 83.21 83.21",
    ("xgboost", "real"): "97.92 97.88 97.90 97.89",
}
# (classifier, trained and tested on, the paper's method, score) → per cent.
TABLE_1: dict[tuple[str, str, str, str], float] = {
    (*key, *column): float(value)
    for key, text in _TABLE_1.items()
    for column, value in zip(
        itertools.product(("real",) if key[1] == "real" else PAPER_METHODS, RECOGNITION), text.split(), strict=True
    )
}
# (measure, the paper's method) → what it prints under the names FID, IS, SSIM and PSNR (dB).
TABLE_2: dict[tuple[str, str], float] = {
    (measure, method): value
    for measure, values in {
        "frechet": (153.5658, 129.8420, 166.3631, 179.2621, 45.5560),
        "score": (2.8474, 3.2655, 2.1022, 2.1381, 4.1447, 3.5695),
        "ssim": (0.58, 0.60, 0.46, 0.35, 0.71),
        "psnr": (15.93, 15.59, 13.60, 10.36, 20.68),
    }.items()
    for method, value in zip((*PAPER_METHODS, "real"), values, strict=False)
}
# The "±" that it prints beside its IS.
TABLE_2_SPREAD = {"vae": 0.0811, "gan": 0.2122, "gmm": 0.2720, "kde": 0.1842, "proposed": 0.1659, "real": 0.1608}


def published_column(method: str) -> str | None:
    """Return the paper's column for a method, or None."""
    # The paper says that its images are evolved, its released scripts decode random latents.
    if method in OWN_METHODS:
        return "proposed"
    return method if method in (*PAPER_METHODS, "real") else None


def printed(key: Key) -> str:
    """Return what the paper prints for a score, by method, protocol, classifier and measure; else a dash."""
    column = published_column(key.method) or ""
    value = TABLE_1.get((key.classifier, key.protocol.removeprefix("published_"), column, key.measure))
    if key.protocol == "as_published":
        value = TABLE_2.get((key.measure, column))
    return NONE if value is None else f"{value:.2f}"
