"""What classifiers learn from real and from generated faces: each protocol's scores for every method."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from depthjax.config import Config
from depthjax.data.load import added
from depthjax.evaluate.judged import Judged, Say, classifier_seeds, seed_of
from depthjax.evaluate.paired import sign_flip_test
from depthjax.evaluate.parallel import in_threads
from depthjax.evaluate.protocols import Exam, Labelled, Sitting, published_exams, seeds_for, sit, union
from depthjax.evaluate.protocols import unseen_people_exam as exam_of
from depthjax.evaluate.scores import published_scores, unseen_people_scores

Answers = dict[str, list[np.ndarray]]  # of each classifier, (n_test,) a seed


def shared_people(judged: Judged) -> dict[str, str] | None:
    """A `reason` not to speak of unseen people, if there are none."""
    shared = np.intersect1d(judged.train.subject, judged.test.subject)
    if not len(shared):
        return None
    return {"reason": f"{len(shared)} people are in both train and test: nobody is unseen (data.split = image)"}


def unseen_people(config: Config, judged: Judged) -> tuple[dict[str, dict], dict]:
    """For each method `trtr` (the same for all), `tstr` and `trts`, by classifier; and the paired tests.

    TRTR: real people to other real people. TSTR: generated faces to these. TRTS: real people to generated faces.
    """
    reason = shared_people(judged)
    if reason:
        return {name: {"trtr": reason, "tstr": reason, "trts": reason} for name in judged.methods}, reason
    test = judged.labelled("test")
    others = [judged.labelled(f"method/{name}") for name in judged.methods]
    both = exam_of(judged.labelled("train"), _all(test, *others), bins=config.evaluate.bins)
    taught = {name: judged.labelled(f"method/{name}") for name in judged.methods}
    exams = {"train": both} | {name: exam_of(a, test, bins=config.evaluate.bins) for name, a in taught.items()}
    answers = _asked(config, exams)
    parts = np.split(np.arange(len(both.test)), np.cumsum([len(test), *map(len, others)])[:-1])
    answered = {"real": _part(answers["train"], parts[0])} | {name: answers[name] for name in judged.methods}
    real = _scores(config, judged, replace(both, test=both.test[parts[0]]), answered["real"])
    tables = {}
    for name, part in zip(judged.methods, parts[1:], strict=True):
        trts = _scores(config, judged, replace(both, test=both.test[part]), _part(answers["train"], part))
        tables[name] = {
            "trtr": real,
            "tstr": _scores(config, judged, exams[name], answered[name]),
            "trts": {classifier: _without_people(scores) for classifier, scores in trts.items()},
        }
    return tables, _paired(config, test, answered)


def _all(*sets: Labelled) -> Labelled:
    whole = sets[0]
    for other in sets[1:]:
        whole = union(whole, other)
    return whole


def _asked(config: Config, exams: dict[str, Exam]) -> dict[str, Answers]:
    """The answers of every classifier and seed to every exam."""
    keys = [
        (name, classifier, seed)
        for name in exams
        for classifier in config.evaluate.classifiers
        for seed in seeds_for(classifier, classifier_seeds(config))
    ]
    answers = sit({key: Sitting(exams[key[0]], *key[1:]) for key in keys})
    found: dict[str, Answers] = {name: {} for name in exams}
    for name, classifier, seed in keys:
        found[name].setdefault(classifier, []).append(answers[name, classifier, seed])
    return found


def _part(answers: Answers, rows: np.ndarray) -> Answers:
    return {classifier: [given[rows] for given in all_given] for classifier, all_given in answers.items()}


def _scores(config: Config, judged: Judged, exam: Exam, answers: Answers) -> dict[str, dict]:
    options = {"draws": config.evaluate.bootstrap, "seed": seed_of(config, "unseen")}
    return {
        classifier: unseen_people_scores(exam, given, judged.classes, **options)
        for classifier, given in answers.items()
    }


def _without_people(scores: dict) -> dict:
    """Generated faces are of nobody: their interval is over images."""
    return {key: value for key, value in scores.items() if key != "subjects_test"}


def _paired(config: Config, test: Labelled, answered: dict[str, Answers]) -> dict[str, list[dict]]:
    """For each classifier, every pair of training sets: who names more of the same unseen faces rightly?"""
    options = {"draws": config.evaluate.bootstrap, "seed": seed_of(config, "paired")}
    tests: dict[str, list[dict]] = {}
    for classifier in config.evaluate.classifiers:
        right = {name: _right(answers[classifier], test.emotion) for name, answers in answered.items()}
        tests[classifier] = [
            {"a": a, "b": b} | sign_flip_test(right[a], right[b], test.subject, **options)
            for a, b in itertools.combinations(right, 2)
        ]
    return tests


def scarcity(config: Config, judged: Judged, say: Say) -> tuple[dict, dict[str, dict]]:
    """Few real people, without and with generated faces, asked about unseen people.

    Real people are drawn `scarcity_draws` times, the smaller shares out of the larger; each draw goes with a
    classifier seed of its own, and scores are means over the draws (XGBoost, the slowest, has the first alone). The
    generators have learnt from all of the training people: this asks what generated faces add to a classifier, not what
    a generator learns from few.

    Returns:
        The part of `evaluation.json` named `scarcity`, and for each method its scores by classifier and share.
    """
    reason = shared_people(judged)
    if reason:
        return reason, dict.fromkeys(judged.methods, reason)
    shares, draws = config.evaluate.scarcity, config.evaluate.scarcity_draws
    people = np.unique(judged.train.subject)
    rng = np.random.default_rng(seed_of(config, "scarcity"))
    orders = [rng.permutation(people) for _ in range(draws)]
    counts = {f"{share:g}": max(1, round(share * len(people))) for share in shares}
    chosen = {name: [np.isin(judged.train.subject, order[:n]) for order in orders] for name, n in counts.items()}
    real = _scarce(config, judged, chosen, None)
    about = {"fractions": list(shares), "people": counts, "draws": draws, "real": _without_right(real)}
    tables = {}
    for name in judged.methods:
        say(f"classifiers: few real people with the faces of {name}")
        helped = _scarce(config, judged, chosen, judged.labelled(f"method/{name}"))
        tables[name] = _beside_real(config, judged, real, helped)
    return about, tables


def _scarce(
    config: Config, judged: Judged, chosen: dict[str, list[np.ndarray]], generated: Labelled | None
) -> dict[str, dict]:
    """Scores by classifier and share, with one set of generated faces or none, and `right` as `_right` gives it."""
    table: dict[str, dict] = {classifier: {} for classifier in config.evaluate.classifiers}
    lacking = {s for s, masks in chosen.items() if generated is None and not all(_has_all(judged, m) for m in masks)}
    exams = {s: _exams(config, judged, masks, generated) for s, masks in chosen.items() if s not in lacking}
    sittings = {
        (share, classifier, draw): Sitting(exam, classifier, config.evaluate.seed + draw)
        for share, of_draws in exams.items()
        for classifier in config.evaluate.classifiers
        for draw, exam in enumerate(of_draws)
        if draw in seeds_for(classifier, range(len(of_draws)))
    }
    answers = sit(sittings)
    for share in chosen:
        if share in lacking:
            alone = {c: {"reason": "so few real people do not show every emotion"} for c in table}
        else:
            given = {c: [answers[key] for key in sittings if key[:2] == (share, c)] for c in table}
            scores = _scores(config, judged, exams[share][0], given)
            alone = {c: scores[c] | {"right": _right(given[c], judged.test.emotion)} for c in table}
        for classifier, found in alone.items():
            table[classifier][share] = found
    return table


def _exams(config: Config, judged: Judged, masks: Sequence[np.ndarray], generated: Labelled | None) -> list[Exam]:
    """One a draw of people; where all of them are drawn, one for all draws."""
    train, test = judged.labelled("train"), judged.labelled("test")

    def exam(mask: np.ndarray) -> Exam:
        some = train.take(mask)
        learnt = some if generated is None else union(some, generated)
        return exam_of(learnt, test, bins=config.evaluate.bins)

    different = {bytes(mask): mask for mask in masks}
    made = dict(zip(different, in_threads(exam, different.values()), strict=True))
    return [made[bytes(mask)] for mask in masks]


def _has_all(judged: Judged, mask: np.ndarray) -> bool:
    return len(np.unique(judged.train.emotion[mask])) == judged.classes


def _right(given: list[np.ndarray], emotion: np.ndarray) -> np.ndarray:
    """(n,) the share of answers that named each face rightly."""
    return np.mean([answer == emotion for answer in given], axis=0)


def _without_right(table: dict[str, dict]) -> dict[str, dict]:
    return {
        classifier: {share: {k: v for k, v in scores.items() if k != "right"} for share, scores in shares.items()}
        for classifier, shares in table.items()
    }


def _beside_real(config: Config, judged: Judged, real: dict[str, dict], helped: dict[str, dict]) -> dict[str, dict]:
    """The scores with generated faces, each with a `paired` test against the same real people alone."""
    options = {"draws": config.evaluate.bootstrap, "seed": seed_of(config, "paired")}
    table = _without_right(helped)
    for classifier, shares in helped.items():
        for share, scores in shares.items():
            alone = real[classifier][share]
            if "right" in alone:
                test = sign_flip_test(alone["right"], scores["right"], judged.test.subject, **options)
                table[classifier][share]["paired"] = test
    return table


def published(config: Config, judged: Judged, say: Say) -> dict[str, dict]:
    """For each method: `real` (the same for all), `synthetic` and `synthetic_real`, by classifier.

    Real faces are those of train and test together, without people who were added to be tested on.
    """
    real = union(judged.labelled("train"), judged.labelled("test").take(~added(judged.test.subject, config.data)))
    shared = _published_scores(config, judged, {"real": real})
    tables = {}
    for name in judged.methods:
        say(f"classifiers: the published protocol on {name}")
        synthetic = judged.labelled(f"method/{name}")
        sets = {"synthetic": synthetic, "synthetic_real": union(synthetic, real)}
        tables[name] = shared | _published_scores(config, judged, sets)
    return tables


def _published_scores(config: Config, judged: Judged, sets: dict[str, Labelled]) -> dict[str, dict]:
    """Scores by set and classifier; the sets together keep all cores busy."""
    seeds = classifier_seeds(config)
    exams = {name: published_exams(faces, seeds, bins=config.evaluate.bins) for name, faces in sets.items()}
    keys = [(name, c, s) for name in sets for c in config.evaluate.classifiers for s in seeds_for(c, seeds)]
    answers = sit({key: Sitting(exams[key[0]][key[2]], key[1], key[2]) for key in keys})
    table: dict[str, dict] = {name: {} for name in sets}
    for name, classifier in dict.fromkeys(key[:2] for key in keys):
        mine = [key for key in keys if key[:2] == (name, classifier)]
        given = [answers[key] for key in mine]
        table[name][classifier] = published_scores([exams[name][key[2]] for key in mine], given, judged.classes)
    return table
