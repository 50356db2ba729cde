"""Who is known: draws of k people from those that are not tested on, and what a config's faces must have for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import jax
import numpy as np

from depthjax.config import OWN_METHODS, Config
from depthjax.data.faces import DepthFaces
from depthjax.errors import UserError, counted
from depthjax.evaluate.classification import check_classifiers
from depthjax.evaluate.unseen_people import check_names, check_split
from depthjax.keys import fold, host_seed, key_for
from depthjax.train.loop import check_batch

MIN_KNOWN, MIN_TESTED = 2, 2  # people: an interval needs as many to test on
MAX_DRAWS = 20  # of rows without a generator, which take seconds


@dataclass(frozen=True)
class Cell:
    """One training on one draw of known people."""

    people: int  # how many are known
    draw: int
    training: int
    subjects: tuple[int, ...]  # who they are

    @property
    def name(self) -> str:
        """Its file's name, below the folder of its number of people."""
        return f"draw_{self.draw}_training_{self.training}"

    def key(self, seed: int) -> jax.Array:
        """Return the key of all that is random in it: the same whatever other cells there are."""
        return jax.random.fold_in(key_for(seed, f"few {self.people}", self.draw), self.training)

    def settings(self, config: Config) -> Config:
        """Return the config with this cell's seeds of sampling, evolution and evaluation."""
        key = self.key(config.few.seed)
        sample, evolve, evaluate = (host_seed(fold(key, name)) % 10**9 for name in ("sample", "evolve", "evaluate"))
        return replace(
            config,
            sample=replace(config.sample, seed=sample),
            evolve=replace(config.evolve, seed=evolve),
            evaluate=replace(config.evaluate, seed=evaluate),
        )


def cells_of(config: Config, subject: np.ndarray) -> dict[int, list[Cell]]:
    """Return the cells of each number of people in `few.people`, drawn from the subjects of (n,) training faces.

    Where fewer people may be known than are asked for, all are known, once. Of others there are `few.draws`, or fewer:
    as many as have nobody in common, at least two.
    """
    everyone, few = np.unique(subject), config.few
    found = {}
    for people in dict.fromkeys(min(asked or len(everyone), len(everyone)) for asked in few.people):
        count = min(few.draws, max(2, len(everyone) // people)) if people < len(everyone) else 1
        draws = draw_people(everyone, people, count, seed=few.seed)
        found[people] = [
            Cell(people, number, training, tuple(map(int, drawn)))
            for number, drawn in enumerate(draws)
            for training in range(few.trainings)
        ]
    return found


def limits(config: Config, subject: np.ndarray) -> list[str]:
    """Return a line for each number of people of `few.people` with which the people there are limit the experiment."""
    most, few = len(np.unique(subject)), config.few
    lines = [
        f"--config.few.people={asked}: only {most} people may be known: all of them are, once"
        for asked in few.people
        if asked > most
    ]
    for people, cells in cells_of(config, subject).items():
        draws = len(cells) // few.trainings
        if people < most and draws < few.draws:
            why = "more would share people" if draws * people <= most else "they share people as it is"
            lines.append(f"{people} of {most} people known: {draws} draws are made, not {few.draws}: {why}")
    return lines


def further_cells(config: Config, subject: np.ndarray, people: int) -> list[Cell]:
    """Return cells beyond `few.draws`, for rows without a generator: as many as have nobody in common with another."""
    everyone, few = np.unique(subject), config.few
    draws = draw_people(everyone, people, min(MAX_DRAWS, len(everyone) // people), seed=few.seed)
    return [Cell(people, n, 0, tuple(map(int, drawn))) for n, drawn in enumerate(draws) if n >= few.draws]


def draw_people(everyone: np.ndarray, people: int, draws: int, *, seed: int) -> list[np.ndarray]:
    """Draw `people` of (m,) subjects so many times; nobody is in two draws as long as there are people left.

    Draws without a person in common are independent, as the interval takes them to be. The first draws do not depend
    on how many follow.
    """
    rng = np.random.default_rng([seed, people])
    drawn: list[np.ndarray] = []
    left = rng.permutation(everyone)
    while len(drawn) < draws:
        if len(left) < people:
            left = rng.permutation(everyone)
        drawn.append(np.sort(left[:people]))
        left = left[people:]
    return drawn


def check_few(config: Config) -> None:
    """Raise a UserError of one line for settings that this experiment cannot be made with, before anything is done."""
    check_split(config, "few")
    if not config.evaluate.classifiers:
        raise UserError("few: --config.evaluate.classifiers must name at least one")
    check_classifiers(config.evaluate.classifiers)
    _check_counts(config)


def check_people(config: Config, train: DepthFaces, test: DepthFaces, names: Sequence[str]) -> None:
    """Raise a UserError of one line for people that this experiment cannot be made with.

    `names` are those of the subjects, by number.
    """
    check_names(config, names, "few")
    known, tested = np.unique(train.subject), np.unique(test.subject)
    if len(tested) < MIN_TESTED or len(known) < MIN_KNOWN:
        raise UserError(
            f"few: of {len(known) + len(tested)} people {len(tested)} are to be tested on and {len(known)} may be "
            f"known: at least {MIN_TESTED} and {MIN_KNOWN} are needed: add people"
        )
    _check_emotions(train, names)
    for cells in cells_of(config, train.subject).values():
        check_batch(config, min(np.isin(train.subject, cell.subjects).sum() for cell in cells))


def _check_emotions(train: DepthFaces, names: Sequence[str]) -> None:
    classes = len(train.emotions)
    lacking = [
        (str(names[subject]), train.emotions[label])
        for subject in np.unique(train.subject)
        for label in np.flatnonzero(np.bincount(train.emotion[train.subject == subject], minlength=classes) == 0)
    ]
    if lacking:
        (name, emotion), others = lacking[0], len({name for name, _ in lacking}) - 1
        more = f" ({counted(others, 'other lacks', 'others lack')} an emotion, too)" if others else ""
        raise UserError(
            f"few: there is no face of '{emotion}' of {name}{more}: everyone known must show every emotion: leave "
            "that person out, or the emotion out of --config.data.emotions"
        )


def _check_counts(config: Config) -> None:
    methods, evolve, count = config.sample.methods, config.evolve, config.sample.count
    if not set(methods) & set(OWN_METHODS):
        raise UserError(f"few: --config.sample.methods must name at least one of {', '.join(OWN_METHODS)}")
    kept = evolve.islands * (evolve.population if evolve.algorithm == "k_dpp" else evolve.hall_of_fame)
    if OWN_METHODS[1] in methods and kept < count:
        raise UserError(
            f"few: an evolution keeps {kept} faces of each emotion, fewer than --config.sample.count={count}: every "
            "row must add as many: lower it, or raise --config.evolve.population"
        )
