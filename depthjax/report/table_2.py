"""Table 2: how far generated faces are from real ones, as it should be measured and by the paper's formulas."""

from __future__ import annotations

from typing import Any

from depthjax.report.numbers import DECIBEL, DISTANCE, PERCENT, SCORE, SHARE, SIMILARITY, Number, Style, find
from depthjax.report.published import PAPER, TABLE_2, TABLE_2_SPREAD, published_column
from depthjax.report.stored import method_name
from depthjax.report.table import (
    CLASSIFIER_NAMES,
    NONE,
    Cell,
    Cells,
    Table,
    method_columns,
    row_beside_floor,
    row_beside_real,
    space_notes,
)

DISTANCES: dict[str, tuple[str, Style]] = {
    "kid": ("KID\u00a0↓", DISTANCE),
    "frechet": ("Fréchet\u00a0↓", DISTANCE),
    "precision": ("Precision\u00a0↑", SHARE),
    "recall": ("Recall\u00a0↑", SHARE),
    "density": ("Density\u00a0↑", SHARE),
    "coverage": ("Coverage\u00a0↑", SHARE),
}
FID = "FID\u00a0↓"  # the name is earned by the Inception features alone
PUBLISHED = {  # measure → (name, its head in the paper, style)
    "frechet": ("As published (not FID)\u00a0↓", "FID", SCORE),
    "score": ("As published (not IS)\u00a0↑", "IS", SCORE),
    "ssim": ("SSIM of faces paired by order, as published\u00a0↑", "SSIM", SCORE),
    "psnr": ("As published (not PSNR), dB\u00a0↑", "PSNR", Style(2)),
}


def table_2(evaluation: dict[str, Any]) -> Table:
    """Distances with their floor, and what networks and pixels say, a column a method."""
    cells = Cells(evaluation)
    rows = [_distance(cells, kind, space) for kind in DISTANCES for space in cells.spaces]
    rows += [row_beside_real(cells, *row) for row in _scores(cells)]
    rows += [_trts(cells, classifier) for classifier in cells.classifiers]
    rows += [
        row_beside_real(cells, "Nearest SSIM\u00a0≈", "pixels", ("ssim",), SIMILARITY),
        row_beside_real(cells, "Nearest PSNR, dB\u00a0≈", "pixels", ("psnr",), DECIBEL),
    ]
    return Table(
        "table_2",
        "Table 2. Generated faces beside real ones",
        ("Measure", "Features", "Real people", *method_columns(cells.methods), "n real", "n generated"),
        2,
        tuple(rows),
        (
            ("Real people", "for a distance its floor, the same estimator between real people and other real people at "
             "the same n: what a perfect generator would get. Else what held-out real people score."),
            ("KID", "kernel distance between two sets (unbiased). 0 is no difference; a small negative value is "
             "legitimate and means none was found."),
            ("Fréchet", "distance between two Gaussians fitted to the sets. It grows as n shrinks: only the floor at "
             "the same n gives it meaning."),
            ("Precision, density", "how much of the generated set lies among real faces (k\u202f=\u202f5, of other "
             "people)."),
            ("Recall, coverage", "how much of the real set the generated faces reach (k\u202f=\u202f5, of other "
             "people)."),
            ("Emotion score", "exp of the divergence of each face's emotions from the set's, by depthnet; at most the "
             "number of emotions. It comes from another network than the paper's score."),
            ("Read as intended", "the share of generated faces given the emotion that was asked for: by depthnet, or "
             "by a classifier trained on real faces (TRTS)."),
            ("Nearest SSIM, PSNR\u00a0≈", "each face against the real training face most like it; best is equal to "
             "real people. Far below: unlike any face; above: perhaps copied. No measure of fidelity to a given face."),
            *space_notes(cells.spaces),
            ("Range", "95\u202f% bootstrap interval."),
            *_without_inception(evaluation),
            *cells.notes,
        ),
    )  # fmt: skip


def _distance(cells: Cells, kind: str, space: str) -> tuple[Cell, ...]:
    name, style = DISTANCES[kind]
    return row_beside_floor(cells, FID if (kind, space) == ("frechet", "inception") else name, kind, space, style)


def _scores(cells: Cells) -> list[tuple[str, str, tuple[str, ...], Style]]:
    rows: list[tuple[str, str, tuple[str, ...], Style]] = [
        ("Emotion score\u00a0↑", "depthnet", ("emotion_score",), SCORE),
        ("Read as intended, %\u00a0↑", "depthnet", ("emotion_agreement",), PERCENT),
    ]
    if isinstance(cells.first(("inception_score",), SCORE), Number):
        rows += [("IS\u00a0↑", "inception", ("inception_score",), SCORE)]
    return rows


def _trts(cells: Cells, classifier: str) -> tuple[Cell, ...]:
    name = f"Read as intended, %\u00a0↑ ({CLASSIFIER_NAMES.get(classifier, classifier)})"
    values = [cells.number(("methods", m, "trts", classifier, "accuracy"), PERCENT) for m in cells.methods]
    real = cells.first(("trtr", classifier, "accuracy"), PERCENT)
    sizes = cells.n("trtr", classifier, "n_test"), cells.n("trts", classifier, "n_test")
    return (name, "handcrafted", real, *values, *sizes)


def _without_inception(evaluation: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    words = find(evaluation, ("inception", "reason"))
    return (("FID, IS", f"not computed: {words}. Nothing else may bear their names."),) if words else ()


def table_2_published(evaluation: dict[str, Any]) -> Table:
    """The released formulas under names that say so, and the paper's Table 2 beside each number."""
    cells = Cells(evaluation)
    return Table(
        "table_2_published",
        "Table 2 as published: the formulas of the released scripts, the paper's numbers beside",
        ("Measure", "Features", "Method", "Here", "In the paper", "n generated"),
        3,
        tuple(_published(cells, measure, method) for measure in PUBLISHED for method in cells.methods),
        (
            ("Not FID", "the trace term takes 4 roots where the definition has 2: it can be negative, and less is not "
             "nearer. The paper's comes from Inception features."),
            ("Not IS", "0.7 is added, over 2 splits. In the paper " + _spreads() + "."),
            ("Not PSNR", "30\u202flog\u2081\u2080 where the definition has 20: half as much again."),
            ("Paired by order", "the first generated face with the first real one, and so on: no two of them belong "
             "together, so this is no fidelity."),
            ("In the paper", f"its Table 2 ({PAPER}; IKFDB, other data, another network), for orientation and not for "
             "comparison. Both forms of the KD-cDCGAN stand beside its proposed method."),
            *cells.notes,
        ),
    )  # fmt: skip


def _published(cells: Cells, measure: str, method: str) -> tuple[Cell, ...]:
    name, _, style = PUBLISHED[measure]
    keys = ("methods", method, "as_published", measure)
    features = find(cells.evaluation, (*keys, "features")) or ("pixels" if measure in ("ssim", "psnr") else NONE)
    paper = TABLE_2.get((measure, published_column(method) or ""))
    beside = NONE if paper is None else f"{paper:.2f}"
    n = cells.count(("methods", method, "n"))
    return (name, str(features), method_name(method), cells.number(keys, style), beside, n)


def _spreads() -> str:
    """The paper's IS with what it prints after its "±"."""
    names = {"real": "real images", "proposed": "the proposed method"}
    return ", ".join(
        f"{names.get(method, method_name(method))} {TABLE_2['score', method]:.2f} ± {spread:.2f}"
        for method, spread in TABLE_2_SPREAD.items()
    )
