"""Table 1: what classifiers learn from generated faces, as it should be asked and as the paper asks it."""

from __future__ import annotations

from typing import Any

from depthjax.report.comparisons import paired_place
from depthjax.report.numbers import PERCENT, POINTS, PROBABILITY, Number, find
from depthjax.report.published import FACES_A_CLASS, PAPER, SCORES, TABLE_1, published_column
from depthjax.report.stored import method_name
from depthjax.report.table import CLASSIFIER_NAMES, NONE, SCORE_NAMES, Cell, Cells, Table

HEADS = tuple(f"{name.capitalize()}, %\u00a0↑" for name in SCORE_NAMES.values())
SCORES_EXPLAINED = (
    ("Accuracy", "the share of faces whose emotion is named rightly."),
    ("Precision", "of the faces given an emotion's name, the share that show it; mean over emotions."),
    ("Recall", "of the faces that show an emotion, the share found; mean over emotions."),
    ("F1", "the harmonic mean of precision and recall; mean over emotions."),
)
PEOPLE_RANGE = "95\u202f% interval, bootstrap over the unseen people: faces of one person are not independent."
MIXES = {"real": "real", "synthetic": "generated", "synthetic_real": "generated + real"}


def table_1(evaluation: dict[str, Any], classes: int) -> Table:
    """Scores on unseen people of classifiers trained on real faces, on generated ones, and on both.

    Args:
        evaluation: evaluation.json.
        classes: the number of emotions, for the rate of guessing.
    """
    cells = Cells(evaluation)
    rows: list[tuple[Cell, ...]] = []
    for classifier in cells.classifiers:
        for method, label in _ceilings(cells, classifier):
            real = ("methods", method, "trtr", classifier)
            rows += [(*_unseen(cells, real, classifier, "real only", label), NONE, NONE)]
        for method in cells.methods:
            alone = ("methods", method, "tstr", classifier)
            row = _unseen(cells, alone, classifier, "generated only", method_name(method))
            rows += [(*row, *against_real(cells, paired_place(evaluation, classifier, "real", method)))]
        whole = full_share(evaluation)
        for method in cells.methods:
            keys = ("methods", method, "scarcity", classifier, whole)
            row = _unseen(cells, keys, classifier, "generated + all real", method_name(method))
            rows += [(*row, *against_real(cells, (*keys, "paired")))]
    return Table(
        "table_1",
        "Table 1. Emotions of unseen people: classifiers trained on real and on generated faces",
        (
            "Classifier", "Trained on", "Method", *HEADS, "Against real only, points\u00a0↑", "p",
            "n train", "n test", "people",
        ),
        3,
        tuple(_sizes_last(row) for row in rows),
        (
            ("Real only", "the ceiling: real people to other real people."),
            ("Generated only, generated + all real", "the same unseen people, of whom neither the classifier nor the "
             "generator saw a frame."),
            ("Against real only", "difference of accuracies on the same faces; p by a paired test that flips the signs "
             "of whole people, not corrected for the number of methods."),
            *SCORES_EXPLAINED,
            ("Guessing", f"would be right {PERCENT.write(1 / classes)}\u202f% of the time."),
            ("Range", PEOPLE_RANGE),
            *cells.notes,
        ),
    )  # fmt: skip


def _ceilings(cells: Cells, classifier: str) -> list[tuple[str, str]]:
    """The methods whose real-to-real scores differ (as a rule only the first: all share one ceiling), with a label."""
    first, *rest = cells.methods
    ceiling = find(cells.evaluation, ("methods", first, "trtr", classifier))
    others = [m for m in rest if find(cells.evaluation, ("methods", m, "trtr", classifier)) != ceiling]
    return [(first, NONE), *((m, method_name(m)) for m in others)]


def _unseen(cells: Cells, keys: tuple[str, ...], classifier: str, trained_on: str, method: str) -> tuple[Cell, ...]:
    scores = [cells.number((*keys, score), PERCENT) for score in SCORE_NAMES]
    sizes = [cells.count((*keys, name)) for name in ("n_train", "n_test", "subjects_test")]
    return (CLASSIFIER_NAMES.get(classifier, classifier), trained_on, method, *scores, *sizes)


def _sizes_last(row: tuple[Cell, ...]) -> tuple[Cell, ...]:
    return (*row[:7], *row[10:], *row[7:10])


def against_real(cells: Cells, keys: tuple[str, ...]) -> tuple[Cell, Cell]:
    """The difference that the paired test under `keys` found, and its p."""
    difference = cells.number(keys, POINTS, value_key="difference")
    return difference, cells.number((*keys, "p"), PROBABILITY) if isinstance(difference, Number) else NONE


def full_share(evaluation: dict[str, Any]) -> str:
    """The key of all of the real people among the shares of the scarcity runs."""
    people = find(evaluation, ("scarcity", "people"))
    return next((share for share in people or () if float(share) == 1), "1.0")


def table_1_published(evaluation: dict[str, Any], classes: int) -> Table:
    """The released protocol, and the paper's Table 1 beside each number.

    Args:
        evaluation: evaluation.json.
        classes: the number of emotions, for the faces a class.
    """
    cells = Cells(evaluation)
    rows: list[tuple[Cell, ...]] = []
    for classifier in cells.classifiers:
        real = ("methods", cells.methods[0], "published", "real", classifier)
        rows += [_published(cells, real, classes, NONE, "real")]
        for mix in FACES_A_CLASS:
            for method in cells.methods:
                keys = ("methods", method, "published", mix, classifier)
                rows += [_published(cells, keys, classes, method_name(method), published_column(method))]
    beside = [f"Paper's {name}, %" for name in SCORE_NAMES.values()]
    pairs = [head for pair in zip(HEADS, beside, strict=True) for head in pair]
    sizes = ("n train", "n test", "faces a class", "Paper's faces a class")
    return Table(
        "table_1_published",
        "Table 1 as published: the protocol of the released scripts, the paper's numbers beside",
        ("Classifier", "Trained and tested on", "Method", *pairs, *sizes),
        3,
        tuple(rows),
        (
            ("As published", "80\u202f% to train, 20\u202f% to test, drawn by image: frames of one person fall on both "
             "sides, the scaler sees the test faces, and generated faces are tested on generated faces. It says how "
             "consistent faces are among themselves, not whether they help to recognise anyone."),
            ("Paper's", f"its Table 1 ({PAPER}; IKFDB, other data, 400 and 800 images a class), for orientation and "
             "not for comparison. Both forms of the KD-cDCGAN stand beside its proposed method, whose released scripts "
             "decode random latents. The accuracy of its last row lies below that row's other scores: so it is "
             "printed."),
            ("Range", "over the classifier's seeds, not over people."),
            *cells.notes,
        ),
    )  # fmt: skip


def _published(cells: Cells, keys: tuple[str, ...], classes: int, method: str, column: str | None) -> tuple[Cell, ...]:
    mix, classifier = keys[-2:]
    pairs: list[Cell] = []
    for score in SCORES:
        paper = TABLE_1.get((classifier, mix, column or "", score))
        pairs += [cells.number((*keys, score), PERCENT), NONE if paper is None else f"{paper:.2f}"]
    sizes = [cells.count((*keys, name)) for name in ("n_train", "n_test")]
    theirs = NONE if column is None else str(FACES_A_CLASS.get(mix, 400))
    name = CLASSIFIER_NAMES.get(classifier, classifier)
    return (name, MIXES[mix], method, *pairs, *sizes, _faces_a_class(sizes, classes), theirs)


def _faces_a_class(sizes: list[Cell], classes: int) -> str:
    known = [size.value for size in sizes if isinstance(size, Number) and size.value is not None]
    return f"{sum(known) / classes:.0f}" if len(known) == len(sizes) else NONE
