"""What classifiers learn from training faces, controls and generated faces: the scores of each protocol."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from depthjax.config import INPUTS, Config
from depthjax.evaluate.bank import FeatureBank, Log, classifier_seeds, seed_of
from depthjax.evaluate.classification import (
    AS_THEY_ARE,
    HANDCRAFTED,
    MEASURES,
    TREES,
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
from depthjax.evaluate.controls import AGAIN, UTILITY, unknown_to_renderer
from depthjax.evaluate.resampling import holm, sign_flip_test
from depthjax.scores import Score

Predictions = dict[str, np.ndarray]  # by classifier, (runs, n_test) emotions
Names = tuple[str, ...]  # of sets of the bank


@dataclass(frozen=True)
class Recognition:
    """The scores of one protocol, and what they are means of.

    `runs` holds by PROTOCOL/METHOD/CLASSIFIER/MEASURE the (seeds,) scores of each fit and, of fits that are tested on
    held-out subjects, by PROTOCOL/METHOD/CLASSIFIER/subjects the (subjects,) accuracies in the order of `np.unique`.
    """

    config: Config
    bank: FeatureBank
    rows: list[Score] = field(default_factory=list)
    runs: dict[str, np.ndarray] = field(default_factory=dict)

    def _add(self, row: Score, scores: ClassifierScores) -> None:
        self.rows.extend(replace(row, measure=name, **asdict(e)) for name, e in scores.estimates.items())
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

    def add_subjects(self, row: Score, predictions: Predictions) -> None:
        """Add the accuracy of every classifier on each held-out subject."""
        member = np.unique(self.bank.test.subject, return_inverse=True)[1]
        for classifier, given in predictions.items():
            right = (given == self.bank.test.emotion).mean(0)
            name = f"{row.protocol}/{row.method}/{classifier}/subjects"
            self.runs[name] = np.bincount(member, right) / np.bincount(member)

    def add_paired(self, row: Score, a: Predictions, b: Predictions) -> None:
        """Add the accuracy of b minus that of a on the held-out faces, tested subject by subject."""
        options = {"draws": self.config.evaluate.bootstrap, "seed": seed_of(self.config, "paired")}
        for classifier in b:
            before, after = ((of[classifier] == self.bank.test.emotion).mean(0) for of in (a, b))
            found = sign_flip_test(before, after, self.bank.test.subject, **options)
            self.rows.append(replace(row, classifier=classifier, measure="accuracy", **asdict(found)))

    def add_tests(self, on_test: Mapping[Score, Predictions]) -> None:
        """Add the paired tests of `comparisons`, with p as in `adjusted`."""
        start = len(self.rows)
        for row, (before, after) in comparisons(self.bank).items():
            self.add_paired(row, on_test[before], on_test[after])
        self.rows[start:] = adjusted(self.rows[start:])

    def add_published(self, sets: Mapping[Score, Labelled], log: Log) -> None:
        """Add the scores of every set of faces, on all cores; in memory are the sets under way."""
        seeds, bins = classifier_seeds(self.config), self.config.evaluate.bins
        runs = {c: seeds_for(c, range(len(seeds))) for c in _longest_first(self.config) if c in TREES}
        actual: dict[Score, list[np.ndarray]] = {}

        def tasks() -> Iterator[tuple[tuple[Score, str, int], FitTask]]:
            for row in sorted(sets, key=lambda row: -len(sets[row])):
                log(f"classifiers: {row.protocol} {row.method}")
                splits = published_splits(sets[row], seeds, bins=bins)
                actual[row] = [split.actual for split in splits]
                for c, numbers in runs.items():
                    for run in numbers:
                        yield (row, c, run), FitTask(splits[run], c, seeds[run])

        predicted = fit_predict(tasks())
        for row, c in itertools.product(sets, (c for c in self.config.evaluate.classifiers if c in runs)):
            given = [predicted[row, c, run] for run in runs[c]]
            scores = scores_over_splits([actual[row][run] for run in runs[c]], given, self.bank.classes)
            self._add(replace(row, classifier=c), scores)


def adjusted(rows: Sequence[Score]) -> list[Score]:
    """Return paired tests with p adjusted over the methods of one protocol, classifier and `against`.

    Tests of two methods by their faces alone are one family: which of the two is `against` is but their order.
    Twice the copies are no method, and a family of their own.
    """
    families: dict[tuple[str, str, str, bool], list[Score]] = {}
    for row in rows:
        if row.p is not None:
            against = row.against if row.protocol != "paired_tstr" or row.against == "real" else ""
            families.setdefault((row.protocol, row.classifier, against, row.method == AGAIN), []).append(row)
    corrected = {
        row: replace(row, p=p)
        for family in families.values()
        for row, p in zip(family, holm([row.p or 0.0 for row in family]), strict=True)
    }
    return [corrected.get(row, row) for row in rows]


def shared_subjects(bank: FeatureBank) -> str:
    """Return why nothing can be said about unseen subjects; empty where it can."""
    shared = len(np.intersect1d(bank.train.subject, bank.test.subject))
    return f"{shared} subjects are in both train and test, so none is unseen (data.split = image)" if shared else ""


def training_sets(bank: FeatureBank) -> dict[Score, Names]:
    """Return, for each row about held-out subjects, the sets that its classifiers are fitted on."""
    controls = [name for name in UTILITY if name in bank.controls]
    sets: dict[Score, Names] = {Score("real", "trtr"): ("train",)}
    sets |= {Score(name, "added"): ("train", name) for name in controls}
    sets[Score(AGAIN, "added_augmented")] = ("train", "augmented", AGAIN)
    for name in bank.methods:
        sets[Score(name, "tstr")] = (name,)
        sets[Score(name, "added")] = ("train", name)
        sets[Score(name, "added_augmented")] = ("train", "augmented", name)
    return sets


def comparisons(bank: FeatureBank) -> dict[Score, tuple[Score, Score]]:
    """Return, for each row of a paired test, the rows of `training_sets` that it compares: before, after.

    Every set is compared with training faces and, but for them, with augmented copies, the simplest rival.
    """
    alone, copies, fitted = Score("real", "trtr"), Score("augmented", "added"), training_sets(bank)
    single = [row for row in fitted if row.protocol in ("trtr", "tstr")]
    pairs = {Score(b.method, "paired_tstr", against=a.method): (a, b) for a, b in itertools.combinations(single, 2)}
    for row in fitted:
        if row.protocol == "added":
            pairs[Score(row.method, "paired_added", against="real")] = (alone, row)
        if row.protocol in ("added", "added_augmented") and row != copies:
            pairs[Score(row.method, f"paired_{row.protocol}", against="augmented")] = (copies, row)
    return pairs


def unseen_subjects(config: Config, bank: FeatureBank, log: Log) -> Recognition:
    """Return scores on held-out subjects by what each classifier was trained on, `trts`, and the paired tests."""
    found, fitted, alone = Recognition(config, bank), training_sets(bank), Score("real", "trtr")
    if reason := shared_subjects(bank):
        found.add_missing([*fitted, *(Score(name, "trts") for name in bank.methods)], reason)
        return found
    # Classifiers that were fitted on training faces alone predict the faces of every method too.
    tested = dict.fromkeys(fitted, ("test",)) | {alone: ("test", *bank.methods)}
    whole = _predictions(config, bank, {row: (fitted[row], tested[row]) for row in fitted}, log)
    ends = np.cumsum([len(bank.sets[name]) for name in tested[alone]])
    on_test = {row: {c: given[:, : ends[0]] for c, given in of.items()} for row, of in whole.items()}
    for row, predictions in on_test.items():
        found.add_unseen(row, bank.labelled("test"), predictions)
        found.add_subjects(row, predictions)
    for name, start, end in zip(bank.methods, ends, ends[1:], strict=False):
        of_method = {c: given[:, start:end] for c, given in whole[alone].items()}
        found.add_unseen(Score(name, "trts"), bank.labelled(name), of_method)
    found.add_tests(on_test)
    if (unknown := unknown_to_renderer(bank.train.emotions)) and config.data.source != "depth_heads":
        found.add_missing([Score("rendered", "added")], f"the renderer does not know {', '.join(unknown)}")
    return found


def _predictions(
    config: Config, bank: FeatureBank, rows: Mapping[Score, tuple[Names, Names]], log: Log
) -> dict[Score, Predictions]:
    """Fit every classifier, once a seed, on the first sets of each row; return what it predicts for the second.

    Rows of many faces come first. In memory are the splits under way.
    """
    classifiers, seeds = config.evaluate.classifiers, classifier_seeds(config)
    runs = {c: seeds_for(c, seeds) for c in _longest_first(config)}

    def tasks() -> Iterator[tuple[tuple[Score, str, int], FitTask]]:
        for row in sorted(rows, key=lambda row: -sum(len(bank.sets[name]) for name in rows[row][0])):
            log(f"classifiers: {row.protocol} {row.method}")
            splits: dict[str, Split] = {}
            for c, drawn in runs.items():
                if INPUTS[c] not in splits:
                    splits[INPUTS[c]] = _split(bank, *rows[row], INPUTS[c], config.evaluate.bins)
                for seed in drawn:
                    yield (row, c, seed), FitTask(splits[INPUTS[c]], c, seed)

    found = fit_predict(tasks())
    return {row: {c: np.stack([found[row, c, seed] for seed in runs[c]]) for c in classifiers} for row in rows}


def _longest_first(config: Config) -> list[str]:
    """Return the classifiers, the one whose fit takes longest first: no core is left to wait for it in the end."""
    return sorted(config.evaluate.classifiers, key=lambda name: name != "xgboost")


def _split(bank: FeatureBank, fitted: Names, tested: Names, inputs: str, bins: int | None) -> Split:
    train, test = (union(*(bank.labelled(name, inputs) for name in names)) for names in (fitted, tested))
    # Trees alone gain from quantiles.
    bins, standardise = bins if inputs == HANDCRAFTED else None, inputs not in AS_THEY_ARE
    return unseen_subjects_split(train, test, bins=bins, standardise=standardise)


def published(config: Config, bank: FeatureBank, log: Log) -> Recognition:
    """Return `published_real`, and for each method `published_synthetic` and `published_synthetic_real`.

    Prepared faces (`real`) are those of train and test together.
    """
    real = union(bank.labelled("train"), bank.labelled("test").take(bank.own_test(config)))
    found, sets = Recognition(config, bank), {Score("real", "published_real"): real}
    for name in bank.methods:
        sets[Score(name, "published_synthetic")] = bank.labelled(name)
        sets[Score(name, "published_synthetic_real")] = union(bank.labelled(name), real)
    found.add_published(sets, log)
    return found
