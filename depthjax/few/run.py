"""The experiment: for each number of people one program trains all cells, then each cell is evaluated and kept."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from depthjax import artifact
from depthjax._version import __version__
from depthjax.config import INPUTS, Config, own_fitness, to_dict
from depthjax.data.faces import DepthFaces
from depthjax.errors import counted
from depthjax.evaluate import weights
from depthjax.evaluate.adapted_head import PENALTIES
from depthjax.evaluate.classification import BOXES
from depthjax.evaluate.controls import RENDERED_TIMES, RENDERED_WEIGHT, rendered_set, unknown_to_renderer
from depthjax.evaluate.resampling import thinned
from depthjax.evaluate.run import MAX_FACES
from depthjax.few.accuracy import Inputs, accuracies, inputs_of
from depthjax.few.cell import ALONE, added_sets, needs_generator, row_names, simple_sets
from depthjax.few.people import Cell, cells_of, check_people, further_cells, limits
from depthjax.files import digest, file_digest, read_arrays, write_arrays
from depthjax.parallel import end_processes
from depthjax.progress import Log, no_log
from depthjax.train.checkpoint import FREE_FIELDS
from depthjax.train.many import teachers_of, train_many

SECTIONS = ("data", "model", "train", "evolve", "sample", "evaluate")  # of the config, which a cell depends on


@dataclass(frozen=True)
class Found:
    """What was found: `accuracy[k]` is (draws, trainings, rows, classifiers, tested subjects), k people being known.

    It is NaN where a row was not measured: draws beyond `few.draws` have no generator and one seed.
    """

    rows: tuple[str, ...]
    classifiers: tuple[str, ...]
    subjects: np.ndarray  # tested
    known: dict[int, np.ndarray]  # (draws, k) subjects
    accuracy: dict[int, np.ndarray]

    def values(self, people: int, row: str, classifier: str, against: str = "", by: str = "") -> np.ndarray:
        """Return (draws, trainings, subjects) accuracies of the draws that have them; minus those of a row `against`.

        `by` is the classifier of that other row, if it is another one. Where some draws have one seed, a draw's value
        is the mean over its trainings.
        """
        found = self._at(people, row, classifier)
        if against:
            found = found - self._at(people, against, by or classifier)
        measured = np.isfinite(found).all(2)
        if measured.all():
            return found
        draws = measured.any(1)
        return np.nanmean(found[draws], axis=1, keepdims=True) if not measured[draws].all() else found[draws]

    def _at(self, people: int, row: str, classifier: str) -> np.ndarray:
        where = self.rows.index(row), self.classifiers.index(classifier)
        return self.accuracy[people][:, :, where[0], where[1]].astype(np.float64)

    def complete(self, people: int) -> np.ndarray:
        """Return the accuracies of the draws in which every row was measured."""
        values = self.accuracy[people]
        return values[np.isfinite(values).all((1, 2, 3, 4))]

    def on_all_draws(self, people: int, row: str, classifier: str) -> float:
        """Return a row's mean accuracy over these draws: classifiers can be compared by it."""
        where = self.rows.index(row), self.classifiers.index(classifier)
        return float(self.complete(people)[:, :, where[0], where[1]].mean())

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the content of `few.npz`."""
        named = {"rows": np.array(self.rows), "classifiers": np.array(self.classifiers), "subjects": self.subjects}
        named |= {f"known/{people}": values for people, values in self.known.items()}
        return named | {f"accuracy/{people}": values for people, values in self.accuracy.items()}


@dataclass(frozen=True)
class Faces:
    """The faces to draw known people from, and those to test on with their features."""

    train: DepthFaces
    tested: Inputs
    digest: str  # of the tested faces
    rendered: Inputs | None = None  # those of a wide population, if it knows the emotions

    @property
    def tested_subjects(self) -> np.ndarray:
        """Return the tested subjects that have a face, in the order of the accuracies."""
        return np.unique(next(iter(self.tested.values())).subject)


def run_few(
    config: Config, train: DepthFaces, test: DepthFaces, names: Sequence[str], workdir: Path, *, log: Log
) -> Found:
    """Train and evaluate every cell, going on where an earlier call was stopped.

    Args:
        train: faces of the people that the known ones are drawn from.
        test: faces of the people to test on, who are in no draw.
        names: of the subjects, by number.
    Raises:
        UserError: what `check_people` refuses, before anything is trained.
    """
    check_people(config, train, test, names)
    for line in limits(config, train.subject):
        log(line)
    cache = workdir / "features"
    faces = Faces(train, *_tested(config, test, cache, log), _rendered(config, train, cache, log))
    known, accuracy = {}, {}
    for people, cells in cells_of(config, train.subject).items():
        log(f"{people} people known: {counted(len(cells), 'training')} of {counted(config.few.steps, 'step')}")
        folder, trainings = workdir / "few" / f"people_{people}", config.few.trainings
        results = _group(config, cells, faces, folder, log)
        measured = np.stack(results).reshape(-1, trainings, *results[0].shape)
        further = further_cells(config, train.subject, people)
        alone = _without_generator(config, further, faces, measured, log)
        known[people] = np.array([cell.subjects for cell in (*cells[::trainings], *further)], np.int32)
        accuracy[people] = np.concatenate([measured, alone])
    end_processes()
    return Found(row_names(config), config.evaluate.classifiers, faces.tested_subjects, known, accuracy)


def _tested(config: Config, test: DepthFaces, cache: Path, log: Log) -> tuple[Inputs, str]:
    """Return the faces to test on, at most MAX_FACES of them, and their digest."""
    test = test.take(thinned(len(test), MAX_FACES, np.random.default_rng(config.few.seed)))
    log(f"features of {len(test)} faces to test on")
    return inputs_of(config, test, cache), digest(test.images, test.emotion, test.subject)


def _rendered(config: Config, train: DepthFaces, cache: Path, log: Log) -> Inputs | None:
    if unknown := unknown_to_renderer(train.emotions):
        log(f"no rows with rendered faces: the renderer does not know {', '.join(unknown)}")
        return None
    count = RENDERED_TIMES * config.sample.count
    log(f"{count} rendered faces of each emotion")
    return inputs_of(config, rendered_set(config, train, count), cache)


def _group(config: Config, cells: Sequence[Cell], faces: Faces, folder: Path, log: Log) -> list[np.ndarray]:
    """Return the accuracies of the cells of one number of people; those that are not kept are trained together."""
    members = {cell: np.flatnonzero(np.isin(faces.train.subject, cell.subjects)) for cell in cells}
    settings = {cell: _settings(config, cell, faces, members[cell]) for cell in cells}
    found = {cell: _kept(cell, settings[cell], folder) for cell in cells}
    if all(values is not None for values in found.values()):
        log(f"done before, unchanged: {counted(len(cells), 'cell')}")
        return [values for values in found.values() if values is not None]
    keys = jnp.stack([cell.key(config.few.seed) for cell in cells])
    state = train_many(
        config, faces.train, list(members.values()), keys, folder / "checkpoints",
        steps=config.few.steps, quiet=log is no_log,
    )  # fmt: skip
    for number, cell in enumerate(cells):
        if found[cell] is None:
            start = time.monotonic()
            own = cell.settings(config)
            sets = {ALONE: faces.train.take(members[cell])}
            sets |= added_sets(own, teachers_of(state, number), sets[ALONE])
            made = time.monotonic()
            values = accuracies(own, sets, row_names(config), faces.tested, faces.rendered)
            _keep(cell, values, settings[cell], folder)
            found[cell] = values
            log(
                f"draw {cell.draw}, training {cell.training}: faces {made - start:.0f} s, classifiers "
                f"{time.monotonic() - made:.0f} s, {_short(config, values)}"
            )
    return [values for values in found.values() if values is not None]


def _without_generator(config: Config, cells: Sequence[Cell], faces: Faces, like: np.ndarray, log: Log) -> np.ndarray:
    """Return the accuracies of further draws, shaped as `like` but for the draws: NaN where a network is trained."""
    values = np.full((len(cells), *like.shape[1:]), np.nan, np.float32)
    # Nothing of the trees or of the linear classifiers takes more than seconds.
    names = tuple(name for name in config.evaluate.classifiers if INPUTS[name] != BOXES)
    rows = tuple(row for row in row_names(config) if not needs_generator(row))
    own = replace(config, evaluate=replace(config.evaluate, classifiers=names))
    where = np.ix_(
        [row_names(config).index(row) for row in rows], [config.evaluate.classifiers.index(name) for name in names]
    )
    for number, cell in enumerate(cells if names else ()):
        known = faces.train.take(np.flatnonzero(np.isin(faces.train.subject, cell.subjects)))
        settings = cell.settings(own)
        sets = {ALONE: known} | simple_sets(settings, known)
        values[number, 0][where] = accuracies(settings, sets, rows, faces.tested, faces.rendered)
    if cells:
        log(f"without a generator: {counted(len(cells), 'more draw')}")
    return values


def _short(config: Config, values: np.ndarray) -> str:
    first = config.evaluate.classifiers[0]
    shares = ", ".join(
        f"{row} {100 * share:.1f}" for row, share in zip(row_names(config), values[:, 0].mean(1), strict=True)
    )
    return f"{first}: {shares}"


def _settings(config: Config, cell: Cell, faces: Faces, rows: np.ndarray) -> dict[str, str]:
    """Return what a cell's numbers depend on: nothing of other cells."""
    given, own = to_dict(config), own_fitness(config.evolve)
    code = file_digest(Path(own[0])) if own else ""
    given["train"] = {name: value for name, value in given["train"].items() if name not in FREE_FIELDS}
    sections = {name: given[name] for name in SECTIONS} | {"seed": config.few.seed, "steps": config.few.steps}
    images = digest(
        np.ascontiguousarray(faces.train.images[rows]), faces.train.emotion[rows], faces.train.subject[rows]
    )
    identity = [cell.people, cell.draw, cell.training, list(cell.subjects)]
    made_of = [*row_names(config), RENDERED_TIMES, RENDERED_WEIGHT, *PENALTIES, *weights.digests()]
    return {"fingerprint": digest(__version__, sections, code, identity, images, faces.digest, made_of)}


def _kept(cell: Cell, settings: Mapping[str, str], folder: Path) -> np.ndarray | None:
    """Return the accuracies of a cell that was finished with these settings and is undamaged, or None."""
    record = artifact.read_record(folder / f"{cell.name}.json")
    if record is None or record.settings != settings or artifact.first_damaged(folder, record.sha256):
        return None
    return read_arrays(folder / f"{cell.name}.npz")["accuracy"]


def _keep(cell: Cell, values: np.ndarray, settings: Mapping[str, str], folder: Path) -> None:
    path = folder / f"{cell.name}.npz"
    write_arrays(path, accuracy=values, known=np.array(cell.subjects, np.int32))
    artifact.finish(path.with_suffix(".json"), folder, [path], settings, {"people": cell.people})
