"""Table 4: do generated faces help where real people are few?"""

from __future__ import annotations

from typing import Any

from depthjax.report.numbers import PERCENT, POINTS, find
from depthjax.report.table import CLASSIFIER_NAMES, NONE, Cell, Cells, Table, method_columns

LEARNT_FROM_ALL = (
    "each generator has learnt from all of the training people, whatever share of them the classifier sees: at small "
    "shares, generated faces carry over what the generator knows of the others. This asks what they add to a "
    "classifier, not what can be made of three people."
)


def table_4(evaluation: dict[str, Any]) -> Table:
    """Accuracy on unseen people by the share of the real people that a classifier saw, without and with generated."""
    cells = Cells(evaluation)
    rows: list[tuple[Cell, ...]] = []
    for classifier in cells.classifiers:
        for share in shares(evaluation):
            rows += [_accuracy(cells, classifier, share), _gain(cells, classifier, share)]
    return Table(
        "table_4",
        "Table 4. Few real people, without and with generated faces: accuracy on unseen people",
        ("Classifier", "Number", "Real people, %", "people", "Real only", *method_columns(cells.methods), "n test"),
        2,
        tuple(rows),
        (
            ("Accuracy, %\u00a0↑", "trained on that share of the real people alone, or on them and all faces generated "
             "by the method in the column's head."),
            ("Gain, points\u00a0↑", "with generated faces minus without, on the same faces of the same people."),
            ("To bear in mind", LEARNT_FROM_ALL),
            ("Range", "95\u202f% interval, bootstrap over the unseen people; mean over "
             f"{find(evaluation, ('scarcity', 'draws')) or 'several'} draws of the real people."),
            *cells.notes,
        ),
    )  # fmt: skip


def shares(evaluation: dict[str, Any]) -> list[str]:
    """The stored shares of the real people, least first; those of the method are meant to be if none is stored."""
    return sorted(find(evaluation, ("scarcity", "people")) or ("0.1", "0.25", "0.5", "1.0"), key=float)


def _accuracy(cells: Cells, classifier: str, share: str) -> tuple[Cell, ...]:
    real = ("scarcity", "real", classifier, share)
    values = [cells.number(("methods", m, "scarcity", classifier, share, "accuracy"), PERCENT) for m in cells.methods]
    alone = cells.number((*real, "accuracy"), PERCENT)
    return (*_share(cells, classifier, "accuracy, %\u00a0↑", share), alone, *values, cells.count((*real, "n_test")))


def _gain(cells: Cells, classifier: str, share: str) -> tuple[Cell, ...]:
    places = [("methods", m, "scarcity", classifier, share, "paired") for m in cells.methods]
    values = [cells.number(keys, POINTS, value_key="difference") for keys in places]
    n = cells.count(("scarcity", "real", classifier, share, "n_test"))
    return (*_share(cells, classifier, "gain, points\u00a0↑", share), NONE, *values, n)


def _share(cells: Cells, classifier: str, number: str, share: str) -> tuple[Cell, ...]:
    people = cells.count(("scarcity", "people", share))
    return (CLASSIFIER_NAMES.get(classifier, classifier), number, f"{100 * float(share):g}", people)
