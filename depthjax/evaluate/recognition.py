"""What classifiers learn from training faces and from generated faces: the scores of each protocol."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from depthjax.config import Config
from depthjax.data.load import added
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

Masks = dict[float, list[np.ndarray]]  # by share: of the training faces, one mask a draw
Predictions = dict[str, np.ndarray]  # by classifier, (seeds, n_test)


@dataclass(frozen=True)
class Recognition:
    """The scores of one protocol, and `runs`: by PROTOCOL/METHOD/CLASSIFIER/MEASURE the (seeds,) scores of each fit."""

    rows: list[Score] = field(default_factory=list)
    runs: dict[str, np.ndarray] = field(default_factory=dict)

    def add(self, row: Score, scores: ClassifierScores) -> None:
        """Add the scores of one classifier under one protocol; `row` holds the columns that they share."""
        self.rows.extend(replace(row, measure=name, **asdict(e)) for name, e in scores.estimates.items())
        if row.share is None:
            where = f"{row.protocol}/{row.method}/{row.classifier}"
            self.runs.update({f"{where}/{name}": values for name, values in scores.runs.items()})


def shared_subjects(bank: FeatureBank) -> str:
    """Return why nothing can be said about unseen subjects; empty where it can."""
    shared = np.intersect1d(bank.train.subject, bank.test.subject)
    if not len(shared):
        return ""
    return f"{len(shared)} subjects are in both train and test, so none is unseen (data.split = image)"


def _missing(config: Config, rows: Iterable[Score], reason: str) -> Recognition:
    """Return rows without a value for every classifier and measure."""
    cells = itertools.product(rows, config.evaluate.classifiers, MEASURES)
    return Recognition([replace(r, classifier=c, measure=m, reason=reason) for r, c, m in cells])


def unseen_subjects(config: Config, bank: FeatureBank) -> Recognition:
    """Return `trtr`, `tstr` and `trts` for each classifier, and the paired tests `paired_tstr`."""
    if reason := shared_subjects(bank):
        protocols = [("trtr", ["real"]), ("tstr", bank.methods), ("trts", bank.methods)]
        return _missing(config, [Score(m, p) for p, methods in protocols for m in methods], reason)
    bins, test = config.evaluate.bins, bank.labelled("test")
    generated = {name: bank.labelled(name) for name in bank.methods}
    # The classifier that was fitted on training faces predicts the test faces (TRTR) and every method's (TRTS) at once.
    tested = {"real": test, **generated}
    splits = {"real": unseen_subjects_split(bank.labelled("train"), union(*tested.values()), bins=bins)}
    splits |= {name: unseen_subjects_split(faces, test, bins=bins) for name, faces in generated.items()}
    predictions = _predictions(config, splits)
    parts = _columns(predictions["real"], {name: len(faces) for name, faces in tested.items()})
    on_test = {"real": parts["real"]} | {name: predictions[name] for name in generated}
    found = Recognition()
    _add_unseen(config, bank, found, Score("real", "trtr"), test, on_test["real"])
    for name in generated:
        _add_unseen(config, bank, found, Score(name, "tstr"), test, on_test[name])
    for name, faces in generated.items():
        _add_unseen(config, bank, found, Score(name, "trts"), faces, parts[name])
    found.rows.extend(_paired(config, test, on_test))
    return found


def _columns(predictions: Predictions, sizes: dict[str, int]) -> dict[str, Predictions]:
    """Split the predictions of one fit by the set that they are for."""
    ends = np.cumsum(list(sizes.values()))[:-1]
    parts = {classifier: np.split(given, ends, axis=1) for classifier, given in predictions.items()}
    return {name: {c: parts[c][i] for c in parts} for i, name in enumerate(sizes)}


def _predictions(config: Config, splits: dict[str, Split]) -> dict[str, Predictions]:
    """Return the predictions of every classifier and seed for every split."""
    keys = [
        (name, classifier, seed)
        for name in splits
        for classifier in config.evaluate.classifiers
        for seed in seeds_for(classifier, classifier_seeds(config))
    ]
    found = fit_predict({key: FitTask(splits[key[0]], *key[1:]) for key in keys})
    grouped: dict[str, dict[str, list[np.ndarray]]] = {name: {} for name in splits}
    for name, classifier, seed in keys:
        grouped[name].setdefault(classifier, []).append(found[name, classifier, seed])
    return {name: _stacked(of) for name, of in grouped.items()}


def _stacked(predictions: dict[str, list[np.ndarray]]) -> Predictions:
    return {classifier: np.stack(given) for classifier, given in predictions.items()}


def _add_unseen(
    config: Config, bank: FeatureBank, found: Recognition, row: Score, tested: Labelled, predictions: Predictions
) -> None:
    """Add the scores of every classifier on faces whose subjects are resampled."""
    options = {"draws": config.evaluate.bootstrap, "seed": seed_of(config, "unseen")}
    for classifier, given in predictions.items():
        scores = scores_over_subjects(tested.emotion, tested.subject, list(given), bank.classes, **options)
        found.add(replace(row, classifier=classifier), scores)


def _paired(config: Config, test: Labelled, predictions: dict[str, Predictions]) -> list[Score]:
    """Compare every pair of training sets on the same unseen faces, for each classifier."""
    pairs = itertools.product(config.evaluate.classifiers, itertools.combinations(predictions, 2))
    return [
        _paired_test(config, test, Score(b, "paired_tstr", c, against=a), predictions[a][c], predictions[b][c])
        for c, (a, b) in pairs
    ]


def _paired_test(config: Config, test: Labelled, row: Score, a: np.ndarray, b: np.ndarray) -> Score:
    """Return the accuracy of the (seeds, n) predictions b minus that of a, tested subject by subject."""
    options = {"draws": config.evaluate.bootstrap, "seed": seed_of(config, "paired")}
    before, after = ((given == test.emotion).mean(0) for given in (a, b))
    found = sign_flip_test(before, after, test.subject, **options)
    return replace(row, measure="accuracy", **asdict(found))


def subjects_per_share(config: Config, bank: FeatureBank) -> dict[float, int]:
    """Return how many training subjects each share of `evaluate.scarcity` is."""
    count = len(np.unique(bank.train.subject))
    return {share: max(1, round(share * count)) for share in config.evaluate.scarcity}


def scarcity(config: Config, bank: FeatureBank, log: Log) -> Recognition:
    """Return scores on unseen subjects after training on few subjects, without and with generated faces.

    Subjects are drawn `scarcity_draws` times, the smaller shares out of the larger; each draw goes with a classifier
    seed of its own, and scores are means over the draws (XGBoost, the slowest, has the first alone). The generators
    were trained on all training subjects: this measures what generated faces add to a classifier, not what a generator
    learns from few subjects.
    """
    shares = config.evaluate.scarcity
    if reason := shared_subjects(bank):
        names = ("real", *bank.methods)
        return _missing(config, [Score(m, "scarcity", share=s) for m in names for s in shares], reason)
    rng, subjects = np.random.default_rng(seed_of(config, "scarcity")), np.unique(bank.train.subject)
    orders = [rng.permutation(subjects) for _ in range(config.evaluate.scarcity_draws)]
    counts = subjects_per_share(config, bank)
    masks = {share: [np.isin(bank.train.subject, order[:n]) for order in orders] for share, n in counts.items()}
    complete = {s: of for s, of in masks.items() if all(_has_all_emotions(bank, mask) for mask in of)}
    without = _scarce_predictions(config, bank, complete, None)
    found = _scarce_scores(config, bank, "real", without)
    for name in bank.methods:
        log(f"classifiers: few subjects with the faces of {name}")
        helped = _scarce_predictions(config, bank, masks, bank.labelled(name))
        helped_scores = _scarce_scores(config, bank, name, helped)
        found.rows.extend([*helped_scores.rows, *_paired_scarcity(config, bank, name, without, helped)])
    return found


def _has_all_emotions(bank: FeatureBank, mask: np.ndarray) -> bool:
    return len(np.unique(bank.train.emotion[mask])) == bank.classes


def _scarce_predictions(
    config: Config, bank: FeatureBank, masks: Masks, generated: Labelled | None
) -> dict[float, Predictions]:
    """Return predictions for the test faces by share, one a draw, with one set of generated faces or none."""
    tasks = {
        (share, classifier, draw): FitTask(split, classifier, config.evaluate.seed + draw)
        for share, of_draws in masks.items()
        for draw, split in enumerate(_scarce_splits(config, bank, of_draws, generated))
        for classifier in config.evaluate.classifiers
        if draw in seeds_for(classifier, range(len(of_draws)))
    }
    found = fit_predict(tasks)
    grouped: dict[float, dict[str, list[np.ndarray]]] = {share: {} for share in masks}
    for share, classifier, draw in tasks:
        grouped[share].setdefault(classifier, []).append(found[share, classifier, draw])
    return {share: _stacked(of) for share, of in grouped.items()}


def _scarce_splits(
    config: Config, bank: FeatureBank, masks: Sequence[np.ndarray], generated: Labelled | None
) -> list[Split]:
    """Return one split a draw of subjects; where all subjects are drawn, the same one for all draws."""
    train, test = bank.labelled("train"), bank.labelled("test")

    def split(mask: np.ndarray) -> Split:
        few = train.take(mask)
        fitted_on = few if generated is None else union(few, generated)
        return unseen_subjects_split(fitted_on, test, bins=config.evaluate.bins)

    different = {bytes(mask): mask for mask in masks}
    made = dict(zip(different, in_threads(split, different.values()), strict=True))
    return [made[bytes(mask)] for mask in masks]


def _scarce_scores(
    config: Config, bank: FeatureBank, method: str, predictions: dict[float, Predictions]
) -> Recognition:
    found = Recognition()
    for share in config.evaluate.scarcity:
        row = Score(method, "scarcity", share=share)
        if share in predictions:
            _add_unseen(config, bank, found, row, bank.labelled("test"), predictions[share])
        else:
            missing = _missing(config, [row], "so few training subjects do not show every emotion")
            found.rows.extend(missing.rows)
    return found


def _paired_scarcity(
    config: Config,
    bank: FeatureBank,
    method: str,
    without: dict[float, Predictions],
    helped: dict[float, Predictions],
) -> list[Score]:
    """Compare training with and without generated faces, on the same subjects."""
    test = bank.labelled("test")
    return [
        _paired_test(
            config,
            test,
            Score(method, "paired_scarcity", classifier, share=share, against="real"),
            without[share][classifier],
            helped[share][classifier],
        )
        for share in without
        for classifier in config.evaluate.classifiers
    ]


def published(config: Config, bank: FeatureBank, log: Log) -> Recognition:
    """Return `published_real`, and for each method `published_synthetic` and `published_synthetic_real`.

    Real faces are those of train and test together, without the subjects of `data.extra_test_subjects`.
    """
    own = ~added(bank.test.subject, config.data)
    real = union(bank.labelled("train"), bank.labelled("test").take(own))
    found = _published(config, bank, {("real", "published_real"): real})
    for name in bank.methods:
        log(f"classifiers: the published protocol on {name}")
        synthetic = bank.labelled(name)
        both = union(synthetic, real)
        sets = {(name, "published_synthetic"): synthetic, (name, "published_synthetic_real"): both}
        more = _published(config, bank, sets)
        found.rows.extend(more.rows)
        found.runs.update(more.runs)
    return found


def _published(config: Config, bank: FeatureBank, sets: dict[tuple[str, str], Labelled]) -> Recognition:
    """Return the scores of every set of faces, by (method, protocol); the sets together keep all cores busy."""
    seeds, found = classifier_seeds(config), Recognition()
    splits = {key: published_splits(faces, seeds, bins=config.evaluate.bins) for key, faces in sets.items()}
    cells = list(itertools.product(sets, config.evaluate.classifiers))
    tasks = {
        (key, classifier, seed): FitTask(splits[key][seed], classifier, seed)
        for key, classifier in cells
        for seed in seeds_for(classifier, seeds)
    }
    predicted = fit_predict(tasks)
    for key, classifier in cells:
        run = seeds_for(classifier, seeds)
        given = [predicted[key, classifier, seed] for seed in run]
        scores = scores_over_splits([splits[key][seed] for seed in run], given, bank.classes)
        found.add(Score(*key, classifier), scores)
    return found
