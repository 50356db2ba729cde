"""How the numbers of each measure are written: name, decimals, unit, and which direction is better."""

import math
from dataclasses import dataclass

from depthjax.scores import Score

CLASSIFIER_NAMES = {
    "random_forest": "Random forest",
    "decision_tree": "Decision tree",
    "xgboost": "XGBoost",
    "depthnet": "depthnet + logistic regression",
    "network": "small network",
    "recogniser": "recogniser, adapted",
}
ABSENT = "not computed"


@dataclass(frozen=True)
class Format:
    """How the numbers of one measure are written."""

    name: str  # of the measure
    better: str = ""  # "↑" more, "↓" less, "≈" equal to the reference; empty for a count
    # None: as many as give three significant digits to the largest of value and interval
    decimals: int | None = None
    meaning: str = ""  # what the number says; it stands below the table
    factor: float = 1.0  # multiplies the stored number
    unit: str = ""  # after the digits; in a heading after the name
    signed: bool = False  # whether a plus is written, as for a difference

    @property
    def head(self) -> str:
        """`Accuracy, % ↑`."""
        unit = f", {self.unit}" if self.unit else ""
        return f"{self.name}{unit}" + (f"\u00a0{self.better}" if self.better else "")

    def write(self, value: float, largest: float | None = None) -> str:
        """Return the digits, without unit; `largest` is the size that sets the decimals where they are not fixed."""
        decimals = self.decimals
        if decimals is None:
            size = abs(value if largest is None else largest)
            decimals = min(9, max(0, 2 - math.floor(math.log10(size)))) if size > 0 else 0
        # "-" in a format writes the minus alone.
        sign = "+" if self.signed else "-"
        digits = f"{self.factor * value:{sign},.{decimals}f}"
        # A zero has no sign.
        return digits.replace("-", "\u2212") if digits.strip("+-0.,") else digits.lstrip("+-")


def _percent(name: str, meaning: str, better: str = "↑") -> Format:
    return Format(name, better, 1, meaning, 100.0, "%")


COUNT = Format("n", decimals=0)
PROBABILITY = Format("p", decimals=4)
POINTS = Format("Difference", "↑", 1, factor=100.0, unit="points", signed=True)

# The four scores of a classifier, by measure.
RECOGNITION = {
    "accuracy": _percent("Accuracy", "share of faces whose emotion is predicted correctly."),
    "precision": _percent("Precision", "of the faces predicted as an emotion, the share that show it; macro mean."),
    "recall": _percent("Recall", "of the faces that show an emotion, the share that is found; macro mean."),
    "f1": _percent("F1", "harmonic mean of precision and recall; macro mean."),
}
ACCURACY = RECOGNITION["accuracy"]

_K = "k\u202f=\u202f5, within an emotion"
KID = Format("KID", "↓", None, "unbiased kernel distance over pairs of different subjects; 0 is no difference, and "
             "values below it are chance, or copies.")  # fmt: skip
FRECHET = Format("Fréchet", "↓", None, "distance between Gaussians fitted to n faces of each set within an emotion, "
                 "mean over emotions; large for small n even where there is no difference, so compare it within its "
                 "line.")  # fmt: skip
# Only Inception features give the numbers that bear these two names.
FID = Format("FID", "↓", None, "Fréchet distance of Inception features, within an emotion as above.")
INCEPTION_SCORE = Format("IS", "↑", 2, "Inception score, by the Inception network.")
PRECISION = Format("Precision", "↑", 3, f"share of faces inside the other set ({_K}).")
RECALL = Format("Recall", "↑", 3, f"share of the other set inside the faces ({_K}).")
DENSITY = Format("Density", "↑", 3, f"how densely faces lie among the other set ({_K}).")
COVERAGE = Format("Coverage", "↑", 3, f"share of the other set with one of the faces near ({_K}).")
CLIPPED_DENSITY = Format("Clipped density", "↑", 3, "density that single outliers cannot raise; 1 is best.")
CLIPPED_COVERAGE = Format("Clipped coverage", "↑", 3, "coverage calibrated so that a perfect set reaches about 1.")
RESIDUAL = Format("Relief residual", "≈", 2, "detail outside the relief features, as a ratio to held-out faces: above "
                  "1 noisier, below 1 smoother.")  # fmt: skip
SSIM = Format("Nearest SSIM", "≈", 3, "each face against its most similar training face; best is the reference.")
PSNR = Format("Nearest PSNR", "≈", 2, "the same in decibels; far above the reference suggests copies.", unit="dB")
EMOTION_SCORE = Format("Emotion score", "↑", 2, "Inception score computed with depthnet; at most the number of "
                       "emotions.")  # fmt: skip
AGREEMENT = _percent("Emotion as requested", "share of faces whose predicted emotion is the requested one; above the "
                     "reference is no merit: weak expressions are missing then.", "≈")  # fmt: skip
VENDI = Format("Vendi", "≈", 1, "effective number of different faces within an emotion, of n subjects of each set.")
RKE = Format("RKE", "≈", 1, "the same by the Rényi entropy of order 2, which gives rare faces less weight.")
MS_SSIM = Format("MS-SSIM", "≈", 3, "similarity of two faces of one set and emotion; lower is more diverse, noise "
                 "lowers it too.")  # fmt: skip
AUTH_PCT = _percent("AuthPct", "share of faces farther from their nearest training face than that face is from any "
                    "of another subject.")  # fmt: skip
NEAR_SHARE = _percent("Near a training face", "share of faces nearer to one than the nearest 5\u202f% of held-out "
                      "faces are.", "↓")  # fmt: skip
PLANTED = {
    f"near_share_planted_{share}": _percent(f"The same, {share}\u202f% near-copies planted", "", "")
    for share in (10, 30)
}
# Membership attacks, by measure.
ATTACKS = {
    "auc_distance": Format("Membership AUC, distance", "↓", 3, "how well distances to generated faces tell training "
                           "from held-out subjects; 0.5 is guessing."),
    "auc_density_ratio": Format("Membership AUC, density ratio", "↓", 3, "the same by the density of generated faces "
                                "relative to that of held-out faces (DOMIAS)."),
}  # fmt: skip
INVERSION = Format("Membership AUC, inversion", "↓", 3, "the same by how near the generator can come to a face: not of "
                   "a set but of its generator.")  # fmt: skip
MEMBERS = {
    f"tpr_{attack}": _percent(f"Members found, {attack.replace('_', ' ')}", "share of training subjects found at "
                              "1\u202f% false positives; below 100 held-out subjects at none.", "↓")
    for attack in ("distance", "density_ratio", "inversion")
}  # fmt: skip
FLD = Format("FLD", "↓", 1, "feature likelihood divergence of held-out faces, without the authors' constant: compare "
             "it with the column of held-out faces.")  # fmt: skip
FLD_GAP = Format("FLD gap", "≈", 1, "FLD of training faces minus that of held-out ones; far below the column of "
                 "held-out faces means copies.",
                 signed=True)  # fmt: skip
C2ST = Format("Two-sample test", "↓", 1, "accuracy of a classifier that tells two sets of faces apart; 50 is guessing.",
              100.0, "%")  # fmt: skip
# Formulas of the released scripts, by measure. They are not what the paper calls them.
AS_PUBLISHED = {
    "frechet": Format("As published (not FID)", "↓", 2, "the trace term takes 4 roots instead of 2: it can be "
                      "negative."),
    "score": Format("As published (not IS)", "↑", 2, "0.7 is added, over 2 splits."),
    "ssim": Format("SSIM as published", "↑", 2, "of faces paired by order, which do not belong together."),
    "psnr": Format("As published (not PSNR)", "↑", 2, "30\u202flog\u2081\u2080 instead of 20.", unit="dB"),
}  # fmt: skip


@dataclass(frozen=True)
class Number:
    """A score as readers see it."""

    score: Score  # the stored row; its value may be None
    format: Format  # how it is written
    field: str = "value"  # which of the row's numbers: `value`, `n` or `p`

    @property
    def value(self) -> float | None:
        """The number as stored; fractions stay fractions."""
        stored = getattr(self.score, self.field)
        return None if stored is None else float(stored)

    @property
    def interval(self) -> tuple[float, float] | None:
        """The ends of the 95 % interval, as stored."""
        low, high = self.score.low, self.score.high
        return None if self.field != "value" or low is None or high is None else (low, high)

    @property
    def digits(self) -> str:
        """The value without its unit."""
        return ABSENT if self.value is None else self.format.write(self.value, self._largest)

    @property
    def text(self) -> str:
        """The value with its unit."""
        return self.digits + (f"\u202f{self.format.unit}" if self.format.unit and self.value is not None else "")

    @property
    def interval_text(self) -> str:
        """The ends of the interval, without unit; empty if there is none."""
        if self.interval is None:
            return ""
        low, high = (self.format.write(end, self._largest) for end in self.interval)
        return f"{low} to {high}" if {"\u2212", "+"} & set(low + high) else f"{low}\u2013{high}"

    @property
    def key(self) -> str:
        """The columns of evaluation.csv that identify the row, joined by slashes."""
        row = self.score
        share = "" if row.share is None else f"{row.share:g}"
        names = (row.protocol, row.method, row.classifier, row.measure, row.space, share, row.against, row.emotion)
        return "/".join((*names, self.field))

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval exists and leaves out zero."""
        return self.interval is not None and (self.interval[0] > 0 or self.interval[1] < 0)

    @property
    def _largest(self) -> float:
        return max(abs(x) for x in (self.value or 0.0, *(self.interval or ())))
