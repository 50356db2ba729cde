"""The tables of the page: each number with its direction, its interval, its n and a sentence of meaning."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from depthjax.report.numbers import DECIBEL, DISTANCE, PERCENT, RATIO, SIMILARITY, Number, count, lookup, number
from depthjax.report.published import TABLE_1_ACCURACY, published_column
from depthjax.report.stored import method_name

CLASSIFIER_NAMES = {"random_forest": "Random forest", "decision_tree": "Decision tree", "xgboost": "XGBoost"}
DISTANCE_NAMES = {"kid": "KID", "frechet": "Fréchet"}
SPACE_NAMES = {"relief": "relief", "fused": "fused"}
TRAINED_ON = {"real": "real", "synthetic": "generated", "synthetic_real": "generated + real"}
SCORES = {
    "accuracy": ("Accuracy\u00a0↑", "the share of faces whose emotion is named rightly."),
    "precision": (
        "Precision\u00a0↑",
        "of the faces given an emotion's name, the share that show it; mean over emotions.",
    ),
    "recall": ("Recall\u00a0↑", "of the faces that show an emotion, the share found; mean over emotions."),
    "f1": ("F1\u00a0↑", "the harmonic mean of precision and recall; mean over emotions."),
}

Cell = str | Number


@dataclass(frozen=True)
class Table:
    """A table of the page.

    Attributes:
        name: an anchor.
        caption: one line.
        columns: heads; a number's head ends in its direction.
        text_columns: how many of the first columns are words.
        rows: cells in the columns' order.
        notes: (term, meaning), what each number says.
    """

    name: str
    caption: str
    columns: tuple[str, ...]
    text_columns: int
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[tuple[str, str], ...]


def classifiers_of(evaluation: dict[str, Any], protocol: str) -> list[str]:
    """The classifiers of a protocol, in stored order."""
    methods = lookup(evaluation, ("methods",))
    return list(lookup(evaluation, ("methods", next(iter(methods)), protocol)))


def recognition_table(evaluation: dict[str, Any], classes: int) -> Table:
    """Accuracy, precision, recall and F1 on unseen people, trained on real and on generated faces."""
    methods = list(lookup(evaluation, ("methods",)))
    rows = []
    for classifier in classifiers_of(evaluation, "tstr"):
        for method, label in _ceilings(evaluation, classifier):
            rows += [_scores(evaluation, ("methods", method, "trtr", classifier), classifier, label)]
        for method in methods:
            keys = ("methods", method, "tstr", classifier)
            rows += [_scores(evaluation, keys, classifier, method_name(method))]
    guess = ("Guessing", f"would be right {PERCENT.write(1 / classes)}\u202f% of the time.")
    ranges = ("Range", "95\u202f% interval, bootstrap over the unseen people: faces of one person are not independent.")
    return Table(
        "recognition",
        "Emotions of unseen people, in per cent",
        ("Classifier", "Trained on", *(head for head, _ in SCORES.values()), "n train", "n test", "people"),
        2,
        tuple(rows),
        (*SCORES.values(), guess, ranges),
    )


def _ceilings(evaluation: dict[str, Any], classifier: str) -> list[tuple[str, str]]:
    """The methods whose real-to-real scores differ (as a rule only the first: all share one ceiling), with a label."""
    first, *rest = list(lookup(evaluation, ("methods",)))
    ceiling = lookup(evaluation, ("methods", first, "trtr", classifier))
    others = [m for m in rest if lookup(evaluation, ("methods", m, "trtr", classifier)) != ceiling]
    return [(first, "real faces"), *((m, f"real faces ({method_name(m)})") for m in others)]


def _scores(evaluation: dict[str, Any], keys: tuple[str, ...], classifier: str, trained_on: str) -> tuple[Cell, ...]:
    scores = [number(evaluation, (*keys, score), PERCENT) for score in SCORES]
    sizes = [count(evaluation, (*keys, name)) for name in ("n_train", "n_test", "subjects_test")]
    return (CLASSIFIER_NAMES.get(classifier, classifier), trained_on, *scores, *sizes)


def published_table(evaluation: dict[str, Any]) -> Table:
    """The paper's own protocol, and its Table 1 beside it."""
    methods = list(lookup(evaluation, ("methods",)))
    rows = []
    for classifier in classifiers_of(evaluation, "trtr"):
        real = ("methods", methods[0], "published", "real", classifier)
        rows += [_published_row(evaluation, real, classifier, "real", "\u2013", "real")]
        for method in methods:
            for mix in ("synthetic", "synthetic_real"):
                keys = ("methods", method, "published", mix, classifier)
                column = published_column(method)
                rows += [_published_row(evaluation, keys, classifier, mix, method_name(method), column)]
    beside = (
        "As published",
        "the paper's Table 1 (IKFDB, other data, other n), for orientation and not for comparison. Both forms of the "
        "KD-cDCGAN stand beside its proposed method, whose released scripts decode random latents.",
    )
    return Table(
        "published",
        "The published protocol, in per cent",
        (
            "Classifier",
            "Trained and tested on",
            "Method",
            *(head for head, _ in SCORES.values()),
            "n train",
            "n test",
            "Accuracy as published (IKFDB, other data)",
        ),
        3,
        tuple(rows),
        (beside, ("Range", "over the classifier's seeds, not over people.")),
    )


def _published_row(
    evaluation: dict[str, Any], keys: tuple[str, ...], classifier: str, mix: str, method: str, column: str | None
) -> tuple[Cell, ...]:
    scores = [number(evaluation, (*keys, score), PERCENT) for score in SCORES]
    sizes = [count(evaluation, (*keys, name)) for name in ("n_train", "n_test")]
    paper = TABLE_1_ACCURACY.get((classifier, mix, column or ""))
    beside = "\u2013" if paper is None else f"{paper:.2f}"
    return (CLASSIFIER_NAMES.get(classifier, classifier), TRAINED_ON[mix], method, *scores, *sizes, beside)


def distance_table(evaluation: dict[str, Any]) -> Table:
    """KID and Fréchet distance in each feature space, beside their real-to-real floor."""
    rows: list[tuple[Cell, ...]] = []
    for distance, title in DISTANCE_NAMES.items():
        for space in SPACE_NAMES:
            for method in lookup(evaluation, ("methods",)):
                keys = ("methods", method, distance, space)
                floor = number(evaluation, (*keys, "floor"), DISTANCE)
                sizes = [count(evaluation, (*keys, name)) for name in ("n_real", "n_other", "dimensions")]
                value = number(evaluation, keys, DISTANCE)
                rows += [(title, SPACE_NAMES[space], method_name(method), value, floor, *sizes)]
    return Table(
        "distances",
        "Distances between generated and real faces",
        ("Distance", "Features", "Method", "Value\u00a0↓", "Floor: real to real", "n real", "n generated", "size"),
        3,
        tuple(rows),
        (
            ("KID\u00a0↓", "kernel distance between two sets (unbiased). 0 is no difference; a small negative value is "
             "legitimate and means none was found."),
            ("Fréchet\u00a0↓", "distance between two Gaussians fitted to the sets. It grows as n shrinks: only the "
             "floor at the same n gives it meaning."),
            ("Floor", "the same estimator between real people and other real people: as low as a perfect generator "
             "would get."),
            ("size", "numbers that describe a face in these features."),
            ("relief", "32\u202f×\u202f32 box means of depth, then PCA: shape without texture, the first yardstick."),
            ("fused", "the handcrafted features of the classifiers, then PCA: texture and noise weigh heavily here, so "
             "never rank methods by it alone."),
            ("Range", "95\u202f% bootstrap interval. These distances cannot be compared with published ones that are "
             "taken from networks trained on photographs."),
        ),
    )  # fmt: skip


def likeness_table(evaluation: dict[str, Any]) -> Table:
    """Noise outside the shape features, and likeness to the nearest real training face."""
    methods = list(lookup(evaluation, ("methods",)))
    rows: list[tuple[Cell, ...]] = []
    for method in methods:
        keys = ("methods", method, "relief_residual")
        ratio = number(evaluation, keys, RATIO, value_key="ratio")
        rows += [("Relief residual ≈", method_name(method), ratio, "1 by definition", count(evaluation, (*keys, "n")))]
    for score, title, style in (("ssim", "Nearest SSIM ≈", SIMILARITY), ("psnr", "Nearest PSNR (dB) ≈", DECIBEL)):
        for method in methods:
            keys = ("methods", method, score)
            sizes = count(evaluation, (*keys, "n"))
            value, reference = number(evaluation, keys, style), nearest_reference(evaluation, keys)
            rows += [(title, method_name(method), value, reference, sizes)]
    return Table(
        "likeness",
        "Noise, and likeness to the nearest training face",
        ("Measure", "Method", "Generated", "Real reference (best is equal)", "n"),
        2,
        tuple(rows),
        (
            ("Relief residual ≈\u202f1", "what the shape features leave out, as a ratio to real faces: above 1 is "
             "noisier than real, below 1 smoother."),
            ("Nearest SSIM, PSNR ≈ reference", "each generated face against the real training face most like it. The "
             "reference is held-out real people against the same training faces. Far below it: unlike any face; "
             "above it: perhaps copied."),
            ("Range", "95\u202f% interval. Generated and real faces are unpaired, so these are no measure of fidelity "
             "to a given face."),
        ),
    )  # fmt: skip


def nearest_reference(evaluation: dict[str, Any], keys: tuple[str, ...]) -> Number:
    """The held-out real people's counterpart of a nearest-neighbour score, with an interval if one is stored."""
    style = SIMILARITY if keys[-1] == "ssim" else DECIBEL
    if isinstance(lookup(evaluation, (*keys, "real")), dict):
        return number(evaluation, (*keys, "real"), style)
    return replace(number(evaluation, keys, style, value_key="real"), interval=None)
