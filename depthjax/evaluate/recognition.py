"""What classifiers learn from training faces and from generated faces: the scores of each protocol."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TypeVar

import numpy as np

from depthjax.config import Config
from depthjax.evaluate.bank import FeatureBank, Log, classifier_seeds, seed_of
from depthjax.evaluate.classification import (
    MEASURES,
    ClassifierScores,
    FitTask,
    Labelled,
    Split,
    fit_predict,
    published_splits,
    scores_over_splits,
    scores_over_subjects,
    seeds_for,
    union,
    unseen_subjects_split,
)
from depthjax.evaluate.parallel import in_threads
from depthjax.evaluate.resampling import sign_flip_test
from depthjax.scores import Score

Key = TypeVar("Key", bound=Hashable)
Predictions = dict[str, np.ndarray]  # by classifier, (runs, n_test) emotions


@dataclass(frozen=True)
class Recognition:
    """The scores of one protocol, and `runs`: by PROTOCOL/METHOD/CLASSIFIER/MEASURE the (seeds,) scores of each fit."""

    config: Config
    bank: FeatureBank
    rows: list[Score] = field(default_factory=list)
    runs: dict[str, np.ndarray] = field(default_factory=dict)

    def _add(self, row: Score, scores: ClassifierScores) -> None:
        self.rows.extend(replace(row, measure=name, **asdict(e)) for name, e in scores.estimates.items())
        if row.share is None:
            where = f"{row.protocol}/{row.method}/{row.classifier}"
            self.runs.update({f"{where}/{name}": values for name, values in scores.runs.items()})

    def add_missing(self, rows: Iterable[Score], reason: str) -> None:
        """Add rows without a value, for every classifier and measure."""
        cells = itertools.product(rows, self.config.evaluate.classifiers, MEASURES)
        self.rows.extend(replace(row, classifier=c, measure=m, reason=reason) for row, c, m in cells)

    def add_unseen(self, row: Score, tested: Labelled, predictions: Predictions) -> None:
        """Add the scores of every classifier on faces whose subjects are resampled."""
        options = {"draws": self.config.evaluate.bootstrap, "seed": seed_of(self.config, "unseen")}
        for classifier, given in predictions.items():
            scores = scores_over_subjects(tested.emotion, tested.subject, list(given), self.bank.classes, **options)
            self._add(replace(row, classifier=classifier), scores)

    def add_paired(self, row: Score, a: Predictions, b: Predictions) -> None:
        """Add the accuracy of b minus that of a on the held-out faces, tested subject by subject."""
        options = {"draws": self.config.evaluate.bootstrap, "seed": seed_of(self.config, "paired")}
        for classifier in b:
            before, after = ((of[classifier] == self.bank.test.emotion).mean(0) for of in (a, b))
            found = sign_flip_test(before, after, self.bank.test.subject, **options)
            self.rows.append(replace(row, classifier=classifier, measure="accuracy", **asdict(found)))

    def add_published(self, sets: dict[Score, Labelled]) -> None:
        """Add the scores of every set of faces; the sets together keep all cores busy."""
        seeds, bins = classifier_seeds(self.config), self.config.evaluate.bins
        splits = {row: published_splits(faces, seeds, bins=bins) for row, faces in sets.items()}
        for row, predictions in _predictions(self.config, splits).items():
            for classifier, given in predictions.items():
                scores = scores_over_splits(splits[row][: len(given)], list(given), self.bank.classes)
                self._add(replace(row, classifier=classifier), scores)


def shared_subjects(bank: FeatureBank) -> str:
    """Return why nothing can be said about unseen subjects; empty where it can."""
    shared = len(np.intersect1d(bank.train.subject, bank.test.subject))
    return f"{shared} subjects are in both train and test, so none is unseen (data.split = image)" if shared else ""


def _predictions(
    config: Config, splits: Mapping[Key, Sequence[Split]], *, every_split: bool = False
) -> dict[Key, Predictions]:
    """Fit every classifier on the splits, run i with the i-th seed; `every_split`: on each that differs."""
    tasks = {
        (key, classifier, run): FitTask(of_runs[run], classifier, config.evaluate.seed + run)
        for key, of_runs in splits.items()
        for classifier in config.evaluate.classifiers
        for run in (_distinct_runs(classifier, of_runs) if every_split else seeds_for(classifier, range(len(of_runs))))
    }
    found = fit_predict(tasks)
    grouped: dict[Key, dict[str, list[np.ndarray]]] = {key: {} for key in splits}
    for key, classifier, run in tasks:
        grouped[key].setdefault(classifier, []).append(found[key, classifier, run])
    return {key: {c: np.stack(given) for c, given in of.items()} for key, of in grouped.items()}


def _distinct_runs(classifier: str, splits: Sequence[Split]) -> list[int]:
    """Return the runs worth fitting: of those that share a split, as many as `seeds_for` gives."""
    by_split: dict[int, list[int]] = {}
    for run, split in enumerate(splits):
        by_split.setdefault(id(split), []).append(run)
    return sorted(run for runs in by_split.values() for run in seeds_for(classifier, runs))


def unseen_subjects(config: Config, bank: FeatureBank) -> Recognition:
    """Return `trtr`, `tstr` and `trts` for each classifier, and the paired tests `paired_tstr`."""
    found = Recognition(config, bank)
    if reason := shared_subjects(bank):
        protocols = [("trtr", ["real"]), ("tstr", bank.methods), ("trts", bank.methods)]
        found.add_missing([Score(m, p) for p, methods in protocols for m in methods], reason)
        return found
    bins, test = config.evaluate.bins, bank.labelled("test")
    generated = {name: bank.labelled(name) for name in bank.methods}
    # Classifiers that were fitted on training faces predict the test faces (TRTR) and each method's (TRTS) at once.
    tested = {"real": test, **generated}
    splits = {"real": unseen_subjects_split(bank.labelled("train"), union(*tested.values()), bins=bins)}
    splits |= {name: unseen_subjects_split(faces, test, bins=bins) for name, faces in generated.items()}
    predictions = _predictions(config, {name: [split] * config.evaluate.seeds for name, split in splits.items()})
    ends = np.cumsum([len(faces) for faces in tested.values()])
    of_real = {
        name: {c: given[:, end - len(faces) : end] for c, given in predictions["real"].items()}
        for (name, faces), end in zip(tested.items(), ends, strict=True)
    }
    on_test = predictions | {"real": of_real["real"]}
    for name, given in on_test.items():
        found.add_unseen(Score(name, "trtr" if name == "real" else "tstr"), test, given)
    for name, faces in generated.items():
        found.add_unseen(Score(name, "trts"), faces, of_real[name])
    for a, b in itertools.combinations(on_test, 2):
        found.add_paired(Score(b, "paired_tstr", against=a), on_test[a], on_test[b])
    return found


def subjects_per_share(config: Config, bank: FeatureBank) -> dict[float, int]:
    """Return how many training subjects each share of `evaluate.scarcity` is."""
    count = len(np.unique(bank.train.subject))
    return {share: max(1, round(share * count)) for share in config.evaluate.scarcity}


def scarcity(config: Config, bank: FeatureBank, log: Log) -> Recognition:
    """Return scores on unseen subjects after training on few subjects, without and with generated faces.

    Subjects are drawn `scarcity_draws` times, the smaller shares out of the larger; each draw goes with a classifier
    seed of its own, and scores are means over the draws. The generators were trained on all training subjects: this
    measures what generated faces add to a classifier, not what a generator learns from few subjects.
    """
    found, counts = Recognition(config, bank), subjects_per_share(config, bank)
    if reason := shared_subjects(bank):
        names = ("real", *bank.methods)
        found.add_missing([Score(m, "scarcity", share=s) for m in names for s in counts], reason)
        return found
    subject, test = bank.train.subject, bank.labelled("test")
    rng = np.random.default_rng(seed_of(config, "scarcity"))
    orders = [rng.permutation(np.unique(subject)) for _ in range(config.evaluate.scarcity_draws)]
    masks = {share: [np.isin(subject, order[:n]) for order in orders] for share, n in counts.items()}
    alone: dict[float, Predictions] = {}
    for name in ("real", *bank.methods):
        if name != "real":
            log(f"classifiers: few subjects with the faces of {name}")
        helped = _predictions(config, _scarce_splits(config, bank, masks, name), every_split=True)
        for share in counts:
            if share not in helped:
                reason = "so few training subjects do not show every emotion"
                found.add_missing([Score(name, "scarcity", share=share)], reason)
                continue
            found.add_unseen(Score(name, "scarcity", share=share), test, helped[share])
            if share in alone:
                row = Score(name, "paired_scarcity", share=share, against="real")
                found.add_paired(row, alone[share], helped[share])
        if name == "real":
            alone = helped
    return found


def _scarce_splits(
    config: Config, bank: FeatureBank, masks: dict[float, list[np.ndarray]], name: str
) -> dict[float, list[Split]]:
    """Return by share one split a draw of training faces, with a method's faces or (`real`) none.

    Without them, a share is left out in which some draw lacks an emotion.
    """
    train, test = bank.labelled("train"), bank.labelled("test")

    def split(mask: np.ndarray) -> Split:
        few = train.take(mask)
        fitted_on = few if name == "real" else union(few, bank.labelled(name))
        return unseen_subjects_split(fitted_on, test, bins=config.evaluate.bins)

    shown = {share: min(len(np.unique(train.emotion[mask])) for mask in of) for share, of in masks.items()}
    kept = {share: of for share, of in masks.items() if name != "real" or shown[share] == bank.classes}
    # Where all subjects are drawn, one split serves all draws.
    different = {bytes(mask): mask for of_draws in kept.values() for mask in of_draws}
    made = dict(zip(different, in_threads(split, different.values()), strict=True))
    return {share: [made[bytes(mask)] for mask in of_draws] for share, of_draws in kept.items()}


def published(config: Config, bank: FeatureBank, log: Log) -> Recognition:
    """Return `published_real`, and for each method `published_synthetic` and `published_synthetic_real`.

    Prepared faces (`real`) are those of train and test together.
    """
    real = union(bank.labelled("train"), bank.labelled("test").take(bank.own_test(config)))
    found = Recognition(config, bank)
    found.add_published({Score("real", "published_real"): real})
    for name in bank.methods:
        log(f"classifiers: the published protocol on {name}")
        synthetic = bank.labelled(name)
        both = Score(name, "published_synthetic_real")
        found.add_published({Score(name, "published_synthetic"): synthetic, both: union(synthetic, real)})
    return found
