"""What every table is made of: cells from evaluation.json, and words where there is no number."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from depthjax.report.numbers import COUNT, Number, Style, find, lookup, number_if_any, reason
from depthjax.report.stored import method_name

CLASSIFIER_NAMES = {"random_forest": "Random forest", "decision_tree": "Decision tree", "xgboost": "XGBoost"}
DISTANCE_NAMES = {"kid": "KID", "frechet": "Fréchet"}
SCORE_NAMES = {"accuracy": "accuracy", "precision": "precision", "recall": "recall", "f1": "F1"}
ABSENT = "not computed"
NONE = "\u2013"  # there is nothing to be computed here

SPACES_EXPLAINED = {
    "relief": "32\u202f×\u202f32 box means of depth, then PCA: shape without texture, the first yardstick.",
    "fused": "the handcrafted features of the classifiers, then PCA: texture and noise weigh heavily here, so never "
    "rank methods by it alone.",
    "depthnet": "a small network that names emotions and people of depth faces; it learnt from rendered people who are "
    "in no default data.",
    "inception": "the Inception network of 2015-12-05, from the weights that were given; it learnt from photographs.",
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


@dataclass
class Cells:
    """Reads the cells of one table, and remembers why some of them could not be computed."""

    evaluation: dict[str, Any]
    reasons: dict[str, None] = field(default_factory=dict)

    @property
    def methods(self) -> list[str]:
        """The methods, as stored."""
        return list(lookup(self.evaluation, ("methods",)))

    @property
    def classifiers(self) -> list[str]:
        """The classifiers of any protocol, in stored order."""
        found: dict[str, None] = {}
        for protocol in ("tstr", "trtr"):
            found |= dict.fromkeys(classifiers_of(self.evaluation, protocol))
        for method in self.methods:
            real = find(self.evaluation, ("methods", method, "published", "real"))
            found |= {c: None for c, scores in (real or {}).items() if isinstance(scores, dict)}
        return list(found)

    @property
    def spaces(self) -> list[str]:
        """The feature spaces, as stored; before schema 2 those that have a floor."""
        stored = find(self.evaluation, ("spaces",)) or list(find(self.evaluation, ("floor", "kid")) or ())
        return [space for space in stored if space in SPACES_EXPLAINED]

    def number(self, keys: tuple[str, ...], style: Style, *, value_key: str = "value") -> Cell:
        """The number stored under `keys`, or words."""
        words = reason(self.evaluation, keys)
        if words:
            self.reasons[words] = None
        return number_if_any(self.evaluation, keys, style, value_key=value_key) or ABSENT

    def count(self, keys: tuple[str, ...]) -> Cell:
        """The whole number stored under `keys`, or a dash."""
        return number_if_any(self.evaluation, keys, COUNT) or NONE

    def first(self, keys: tuple[str, ...], style: Style) -> Cell:
        """The number under `keys` of the first method that has it, for what all methods share."""
        found = (number_if_any(self.evaluation, ("methods", m, *keys), style) for m in self.methods)
        return next((n for n in found if n is not None), ABSENT)

    def n(self, *keys: str) -> Cell:
        """The whole number under `keys` of every method: one, or their range in words."""
        found = [number_if_any(self.evaluation, ("methods", m, *keys), COUNT) for m in self.methods]
        known = [n for n in found if n is not None and n.value is not None]
        if not known:
            return NONE
        least, most = (pick(known, key=lambda n: n.value or 0) for pick in (min, max))
        return known[0] if least.value == most.value else f"{least.digits}\u2013{most.digits}"

    @property
    def notes(self) -> tuple[tuple[str, str], ...]:
        """A note of what could not be computed."""
        older = ["this evaluation.json is an earlier version's: run --stages=evaluate,report for the rest"]
        words = older * (self.evaluation.get("schema", 1) < 2) + list(self.reasons)
        return ((ABSENT.capitalize(), "; ".join(words) + "."),) if words else ()


def classifiers_of(evaluation: dict[str, Any], protocol: str) -> list[str]:
    """The classifiers of a protocol, in stored order; none where it could not be run."""
    methods = lookup(evaluation, ("methods",))
    for method in methods:
        found = find(evaluation, ("methods", method, protocol)) or {}
        names = [name for name, scores in found.items() if isinstance(scores, dict)]
        if names:
            return names
    return []


def method_columns(methods: list[str]) -> tuple[str, ...]:
    """A head a method."""
    return tuple(map(method_name, methods))


def space_notes(spaces: list[str]) -> tuple[tuple[str, str], ...]:
    """What each feature space is."""
    return tuple((space, SPACES_EXPLAINED[space]) for space in spaces)


def row_beside_real(cells: Cells, name: str, features: str, keys: tuple[str, ...], style: Style) -> tuple[Cell, ...]:
    """Name, features, what real people score, what each method scores, n real, n generated."""
    values = [cells.number(("methods", method, *keys), style) for method in cells.methods]
    real = cells.first((*keys, "real"), style)
    return (name, features, real, *values, cells.n(*keys, "real", "n"), cells.n(*keys, "n"))


def row_beside_floor(cells: Cells, name: str, kind: str, space: str, style: Style) -> tuple[Cell, ...]:
    """Name, space, the floor between real people and others, each method's value, n real, n generated."""
    values = [cells.number(("methods", method, kind, space), style) for method in cells.methods]
    floor = cells.number(("floor", kind, space), style)
    return (name, space, floor, *values, cells.n(kind, space, "n_real"), cells.n(kind, space, "n_other"))
