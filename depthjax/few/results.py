"""The table of few people, each row against real faces and against augmented copies, and a sentence on what to use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from depthjax.config import CONTROLS, METHODS, OWN_METHODS
from depthjax.errors import counted
from depthjax.evaluate.controls import RENDERED_WEIGHT
from depthjax.evaluate.resampling import Estimate, holm
from depthjax.few.cell import ALONE, AUGMENTED, ON_TOP
from depthjax.few.effects import mean_over_people, standard_error
from depthjax.few.run import Found
from depthjax.scores import csv_text

ALPHA = 0.05
CHOSEN = (
    "A sentence names the simplest set within one standard error of the most accurate (of those with a significant "
    "gain over augmented copies, if there are any), and the classifier that does best with it. Both are chosen by "
    "these numbers, of the people tested, and the intervals do not contain that choice: on other people, the gain is "
    "likely to be somewhat smaller."
)
MORE_DRAWS = (
    "Rows of more than {draws} draws need no generator. A difference is over the draws that both rows have, so it is "
    "not always that of the two accuracies."
)
LABELS = CONTROLS | {name: f"{METHODS[name]} faces" for name in OWN_METHODS}


@dataclass(frozen=True)
class FewScore:
    """One number; fractions in [0, 1], not percent.

    Attributes:
        people: how many were known.
        row: what was added to their faces; `real`: nothing.
        against: empty for an accuracy; else the row that the value is the difference to.
        value, low, high: with a 95 % interval over draws of people, trainings and tested people.
        n: tested people.
        draws: of the known people, that the value is a mean over; of a difference, those that both rows have.
        p: of a difference, two-sided, adjusted by Holm over the rows of one (people, classifier, against).
        reason: why there is no interval.
    """

    people: int
    row: str
    classifier: str
    against: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    draws: int | None = None
    p: float | None = None
    reason: str = ""


class Table:
    """All scores, found by what they are of."""

    def __init__(self, scores: Sequence[FewScore]) -> None:
        self.scores = tuple(scores)
        self._by_key = {(s.people, s.row, s.classifier, s.against): s for s in scores}

    def at(self, people: int, row: str, classifier: str, against: str = "") -> FewScore:
        """Return one score; a KeyError if there is none."""
        return self._by_key[people, row, classifier, against]

    def to_records(self) -> list[dict[str, Any]]:
        """Return the scores as JSON objects."""
        return [asdict(score) for score in self.scores]

    def to_csv(self) -> str:
        """Return the scores as CSV; None is an empty cell."""
        return csv_text([field.name for field in fields(FewScore)], self.to_records())


def table_of(found: Found) -> Table:
    """Return accuracies, and differences to `real` and to `augmented`, of every number of people and classifier."""
    scores: list[FewScore] = []
    for people in found.accuracy:
        for classifier in found.classifiers:
            for against in ("", ALONE, AUGMENTED):
                rows = [row for row in found.rows if row not in (ALONE if against else "", against)]
                values = [found.values(people, row, classifier, against) for row in rows]
                estimates = [mean_over_people(of) for of in values]
                adjusted = _adjusted(estimates) if against else [None] * len(rows)
                scores += [
                    FewScore(people, row, classifier, against, e.value, e.low, e.high, e.n, len(of), p, e.reason)
                    for row, of, e, p in zip(rows, values, estimates, adjusted, strict=True)
                ]
    return Table(scores)


def _adjusted(estimates: Sequence[Estimate]) -> list[float | None]:
    """Return the p values adjusted for their number; all are None where there is no interval."""
    return [*holm([e.p for e in estimates if e.p is not None])] or [None] * len(estimates)


def recommended(found: Found, table: Table, people: int, classifier: str) -> str:
    """Return the row to use: the simplest of those within one standard error of the most accurate.

    It is the rule of one standard error (Breiman et al. 1984, Classification and regression trees). Rows are in order
    from the simplest to those with a generator; the most accurate has the largest gain over augmented copies. Where
    some of those within have a significant gain over augmented copies, it is the simplest of these.
    """
    gains = {row: found.values(people, row, classifier, AUGMENTED).mean() for row in found.rows if row != AUGMENTED}
    best = max(gains | {AUGMENTED: 0.0}, key=lambda row: gains.get(row, 0.0))
    lost = {row: found.values(people, best, classifier, row) for row in found.rows if row != best}
    within = [row for row in found.rows if row == best or lost[row].mean() <= standard_error(lost[row])]
    better = [row for row in within if row not in (ALONE, AUGMENTED) and gains[row] > 0]
    shown = [row for row in better if not _significance(table.at(people, row, classifier, AUGMENTED))]
    return (shown or within)[0]


def sentences(found: Found, table: Table) -> list[str]:
    """Return the sentence of each number of people."""
    return [sentence(found, table, people) for people in found.accuracy]


def sentence(found: Found, table: Table, people: int) -> str:
    """Return what to use from so many people, for the classifier whose recommended row is the most accurate."""
    reason = table.at(people, AUGMENTED, found.classifiers[0], ALONE).reason
    if reason:
        return f"From {people} people, nothing can be recommended ({reason})."
    rows = {classifier: recommended(found, table, people, classifier) for classifier in found.classifiers}
    classifier = max(rows, key=lambda name: found.on_all_draws(people, rows[name], name))
    row = rows[classifier]
    share = f"{_percent(table.at(people, row, classifier).value or 0)} % ({classifier.replace('_', ' ')})"
    use = f"From {people} people, use {_named(row)}: {share}"
    if row not in (ALONE, AUGMENTED):
        gain = table.at(people, row, classifier, AUGMENTED)
        beyond = _beyond_best(found, people, row, classifier)
        return f"{use}, {_more(gain)} than with augmented copies{_significance(gain)}{beyond}."
    on_top = [ON_TOP + name for name in OWN_METHODS if ON_TOP + name in found.rows]
    best = max((table.at(people, name, classifier, AUGMENTED) for name in on_top), key=lambda score: score.value or 0)
    copies = "generated faces on top of them" if row == AUGMENTED else "augmented copies with generated faces"
    if row == ALONE:
        best = table.at(people, best.row, classifier, ALONE)
    return f"{use}; {copies} change accuracy by {_points(best)}{_significance(best)}."


def _significance(score: FewScore) -> str:
    significant = score.p is not None and score.p < ALPHA
    return "" if significant else " (not significant)"


def _beyond_best(found: Found, people: int, row: str, classifier: str) -> str:
    """Return the difference to the classifier that is best with augmented copies; empty if it is the same one."""
    best = max(found.classifiers, key=lambda name: found.on_all_draws(people, AUGMENTED, name))
    if best == classifier:
        return ""
    gain = mean_over_people(found.values(people, row, classifier, AUGMENTED, best))
    score = FewScore(people, row, classifier, AUGMENTED, gain.value, gain.low, gain.high)
    joint = "and" if (score.value or 0) >= 0 else "but"
    return f", {joint} {_more(score)} than the best other classifier with augmented copies, {best.replace('_', ' ')}"


def _more(score: FewScore) -> str:
    """Return a difference as so many points more, or less, with its interval."""
    if (score.value or 0) >= 0:
        return f"{_points(score)} more"
    low, high = (None if end is None else -end for end in (score.high, score.low))
    return f"{_points(replace(score, value=-(score.value or 0), low=low, high=high))} less"


def _named(row: str) -> str:
    if row == ALONE:
        return "their faces alone"
    return " and ".join(LABELS[part] for part in row.split("+"))


def row_label(row: str) -> str:
    """Return a row's name in a table."""
    return "their faces alone" if row == ALONE else f"+ {_named(row)}"


def _points(score: FewScore) -> str:
    """Return a difference in points of a percent, with its interval."""
    value = f"{_percent(score.value or 0)} points"
    if score.low is None or score.high is None:
        return f"{value} ({score.reason})"
    return f"{value} ({_percent(score.low)} to {_percent(score.high)})"


def _percent(value: float) -> str:
    return f"{round(100 * value, 1) + 0.0:.1f}"  # no minus before zero


def markdown(found: Found, table: Table) -> str:
    """Return `few.md`: a table for each number of people, and the sentences."""
    parts = ["# Few people"]
    for people, values in found.accuracy.items():
        trainings, draws = values.shape[1], len(found.complete(people))
        parts.append(f"## {counted(people, 'person', 'people')} known")
        drawn, over = f"{draws} draws of people", "people known, trainings and people tested"
        if draws == 1:
            drawn, over = "one draw of people", "trainings and people tested, for these known people"
        parts.append(
            f"Accuracy on {len(found.subjects)} other people, in %: means of {drawn}, and "
            f"{counted(trainings, 'training')} of each. "
            f"Differences in points, with 95 % intervals over {over}; * p < {ALPHA:g} by Holm over the rows. "
            f"Rendered faces together weigh {RENDERED_WEIGHT:g} of those of the known people, however many there are. "
            "Every other set that is added has the same number of faces."
        )
        if draws < len(values):
            parts.append(MORE_DRAWS.format(draws=draws))
        if np.unique(known := found.known[people]).size < known.size:
            parts.append("Some people are in several draws: draws are not independent, and intervals are too narrow.")
        parts.append("\n".join(_lines(found, table, people)))
    parts += ["## What to use", CHOSEN, *sentences(found, table)]
    return "\n\n".join(parts) + "\n"


def _lines(found: Found, table: Table, people: int) -> list[str]:
    lines = [
        "| classifier | trained on | draws | accuracy | to augmented copies | to their faces alone |",
        "|---|---|---|---|---|---|",
    ]
    for classifier in found.classifiers:
        for row in found.rows:
            score = table.at(people, row, classifier)
            value = f"{score.draws} | {_percent(score.value or 0)}"
            cells = [_difference(table, people, row, classifier, against) for against in (AUGMENTED, ALONE)]
            lines.append(" | ".join([f"| {classifier}", row_label(row), value, *cells]) + " |")
    return lines


def _difference(table: Table, people: int, row: str, classifier: str, against: str) -> str:
    if row in (ALONE, against):
        return ""
    score = table.at(people, row, classifier, against)
    star = " *" if score.p is not None and score.p < ALPHA else ""
    return _points(score).replace(" points", "") + star
