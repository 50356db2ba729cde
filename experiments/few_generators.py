"""What other generators add where few people are known: a prior, augmentation in the discriminator, identities, ...

Command: python -m experiments.few_generators --workdir runs/few_ict [--people 3,8] [--draws 4]
Device:  one CPU core, about nine minutes a draw, and five for the prior. WORKDIR has prepared faces of `few`.

Each way gives `sample.count` faces of each emotion (rendered and refined: three times as many), added to the known
people's faces and their augmented copies:
with the weight of a known face each, and so that together they weigh RENDERED_WEIGHT of the known ones. Known and
tested people are those of `few`. Nothing here was chosen by the tested people: settings are the cited papers', or were
set once on others (`tools/render_ict.py --seed 1`). Writes few_generators.md, few_generators.npz and
few_generators.png into WORKDIR.

    scratch     the paper's training on the known people alone, as in `few`
    ada         the same, faces before the discriminator augmented with a steered probability (Karras et al. 2020)
    identities  the same, half of a latent a person's, shared by faces that a critic sees in pairs (SD-GAN: Donahue
                et al. 2018)
    chosen      of many faces of `scratch`, those that a classifier of shapes gets wrong, and two others right
    prior       a generator of a wide population of rendered people, as it is
    adapted     the same, trained on by the known people, the discriminator's lower layers frozen (FreezeD: Mo et al.
                2020)
    statistics  the same, only scales, shifts and emotions' weights (Noguchi and Harada 2019)
    rendered    rendered people, as in `few`
    refined     the same, made to look like the known people's frames (SimGAN: Shrivastava et al. 2017)
    transfer    neutral faces of the known people, plus what an expression changes on a rendered person, in millimetres
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from depthjax.cdcgan_kd import random_latents
from depthjax.config import Config
from depthjax.data.augment import BACKGROUND
from depthjax.data.faces import DepthFaces, joined, made_faces
from depthjax.data.generate import generate
from depthjax.data.inputs import network_inputs
from depthjax.data.noise import noise_spectrum, with_training_noise
from depthjax.errors import UserError, without_traceback
from depthjax.evaluate.classification import DEPTHNET, RECOGNISER
from depthjax.evaluate.controls import RENDERED_TIMES, RENDERED_WEIGHT, rendered_set
from depthjax.evaluate.resampling import holm
from depthjax.evaluate.spaces import box_means
from depthjax.few.accuracy import accuracies, inputs_of
from depthjax.few.cell import ALONE, AUGMENTED, RENDERED, simple_sets
from depthjax.few.effects import mean_over_people
from depthjax.few.people import Cell, draw_people
from depthjax.files import digest, read_arrays, write_arrays, write_text
from depthjax.models.dcgan import decode
from depthjax.pipeline import prepared_faces
from depthjax.train.state import Pair, networks
from depthjax.train.step import Batch, teacher_variables
from experiments.few_levers import config_of, fitted, points
from experiments.few_rules import FROZEN, Carry, Few, Rule, make_loop, start
from experiments.refiner import refined

CLASSIFIERS = ("depthnet", "recogniser")
PRIOR_FACES, PRIOR_STEPS = 1000, 4000  # faces of each emotion, two of a person
ADAPTED_STEPS = 400
LIMIT = 0.05  # of p, after Holm over the rows of a classifier: a star
POOL = 6  # times as many faces as are chosen
SHAPES = 24  # principal components of a face's shape
RULES = {
    "scratch": Rule(),
    "ada": Rule(augment=True),
    "identities": Rule(identities=True),
    "adapted": Rule(frozen=FROZEN),
    "statistics": Rule(frozen=FROZEN, statistics_only=True),
}
WAYS = (*list(RULES)[:3], "chosen", "prior", *list(RULES)[3:], RENDERED, "refined", "transfer")
LIGHT = " light"  # after a way: its faces together weigh RENDERED_WEIGHT of the known ones
MAX_CHANGE_MM = 25.0  # by an expression; more is the outline of another head


class Given(NamedTuple):
    """What every draw has in common."""

    config: Config
    train: DepthFaces
    test: DepthFaces
    rendered: DepthFaces
    prior: Pair  # the variables of both teachers
    changes: dict[int, np.ndarray]  # by emotion: (n, h, w) differences from the neutral face, NaN where there is none


def main() -> None:
    """Measure every way on every draw; write the table after each number of people."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--people", default="3,8")
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--ways", default=",".join(WAYS))
    flags = parser.parse_args()
    asked = flags.ways.split(",")
    if unknown := set(asked) - set(WAYS):
        raise UserError(f"--ways: there is no '{min(unknown)}': choose from {', '.join(WAYS)}")
    given, lines, found = common(flags.workdir), [], {}
    ways = [way for way in WAYS if way in asked]
    for count in map(int, flags.people.split(",")):
        found[str(count)] = measured(given, count, flags.draws, ways, flags.workdir)
        lines += table(count, found[str(count)], ways)
        write_text(flags.workdir / "few_generators.md", "\n".join(lines) + "\n")
        write_arrays(flags.workdir / "few_generators.npz", **found)
    print("\n".join(lines))


def common(workdir: Path) -> Given:
    """Read the prepared faces, render people, and train the prior on others."""
    config = config_of(workdir, "few")
    config = replace(config, evaluate=replace(config.evaluate, classifiers=CLASSIFIERS))
    train, test = (prepared_faces(config, workdir, part) for part in ("train", "test"))
    rendered = rendered_set(config, train, RENDERED_TIMES * config.sample.count)
    return Given(config, train, test, rendered, prior_of(config, train, workdir), expression_changes(config))


def prior_of(config: Config, train: DepthFaces, workdir: Path) -> Pair:
    """Return the variables of both teachers after a training on other rendered people, kept in the work folder."""
    wide = replace(config, evaluate=replace(config.evaluate, seed=10**6))
    made_with = digest(PRIOR_FACES, PRIOR_STEPS, str(config.data), str(config.model), str(config.train))[:12]
    path = workdir / f"few_generators_prior-{made_with}.npz"
    shapes = teacher_variables(start(config, jax.random.key(1)).state)
    if not path.exists():
        began = time.monotonic()
        carry = trained(config, Rule(), rendered_set(wide, train, PRIOR_FACES), jax.random.key(1), PRIOR_STEPS)
        leaves = jax.tree.leaves(teacher_variables(carry.state))
        write_arrays(path, **{f"leaf_{i}": np.asarray(leaf) for i, leaf in enumerate(leaves)})
        print(f"prior: {time.monotonic() - began:.0f} s", flush=True)
    stored, structure = read_arrays(path), jax.tree.structure(shapes)
    prior: Pair = jax.tree.unflatten(structure, [jnp.asarray(stored[f"leaf_{i}"]) for i in range(len(stored))])
    return prior


def trained(
    config: Config, rule: Rule, faces: DepthFaces, key: jax.Array, steps: int, prior: Pair | None = None
) -> Carry:
    """Train by a rule from fresh networks, or from those of the prior."""
    others = [
        np.flatnonzero((faces.subject == subject) & (np.arange(len(faces)) != row))
        for row, subject in enumerate(faces.subject if rule.identities else ())
    ]
    longest = max(map(len, others), default=0)
    same = jnp.asarray([np.resize(of, longest) for of in others] or np.zeros((1, 1)), jnp.int32)
    few = Few(Batch(jnp.asarray(faces.images, jnp.float32), jnp.asarray(faces.emotion)), same)
    first, rest = jax.random.split(key)
    return _loop(config, rule)(start(config, first, prior), few, rest, np.int32(steps))


_loop = lru_cache(make_loop)


def measured(given: Given, count: int, draws: int, ways: list[str], workdir: Path) -> np.ndarray:
    """Return accuracies (draws, rows, classifiers, tested subjects); the rows are those of `row_names`."""
    tested, found = inputs_of(given.config, given.test, workdir / "features"), []
    people = draw_people(np.unique(given.train.subject), count, draws, seed=given.config.few.seed)
    for number, subjects in enumerate(people):
        cell, began = Cell(count, number, 0, tuple(map(int, subjects))), time.monotonic()
        config = cell.settings(given.config)
        known = given.train.take(np.flatnonzero(np.isin(given.train.subject, subjects)))
        sets = {ALONE: known, AUGMENTED: simple_sets(config, known)[AUGMENTED]}
        sets |= dict(faces_of(given, config, cell, sets, ways))
        made = time.monotonic()
        shares = dict.fromkeys((way + LIGHT for way in ways), RENDERED_WEIGHT)
        both = sets | {way + LIGHT: sets[way] for way in ways}
        found.append(accuracies(config, both, row_names(ways), tested, None, shares))
        write_arrays(workdir / f"few_generators_{count}_{number}.npz", **{way: sets[way].images[::25] for way in sets})
        print(f"{count} people, draw {number}: {made - began:.0f} s, then {time.monotonic() - made:.0f} s", flush=True)
    return np.stack(found)


def row_names(ways: list[str]) -> tuple[str, ...]:
    """Return the rows of the table, without and with each way's faces."""
    return (ALONE, AUGMENTED, *(f"{AUGMENTED}+{way}{weight}" for way in ways for weight in ("", LIGHT)))


def faces_of(
    given: Given, config: Config, cell: Cell, sets: dict[str, DepthFaces], ways: list[str]
) -> Iterator[tuple[str, DepthFaces]]:
    """Yield the faces of each way."""
    known, key = sets[ALONE], cell.key(config.few.seed)
    teachers = {"prior": given.prior}
    for number, (way, rule) in enumerate(RULES.items()):
        if way in ways or (way == "scratch" and "chosen" in ways):
            prior = given.prior if rule.frozen else None
            steps = ADAPTED_STEPS if rule.frozen else config.few.steps
            carry = trained(config, rule, known, jax.random.fold_in(key, number), steps, prior)
            teachers[way] = teacher_variables(carry.state)
            if rule.augment:
                print(f"  ada: probability {float(carry.probability):.2f} at the end", flush=True)
    for way, variables in teachers.items():
        if way in ways:
            yield way, sampled(config, variables, known, config.sample.count, way)
    if "chosen" in ways:
        pool = sampled(config, teachers["scratch"], known, POOL * config.sample.count, "chosen")
        yield "chosen", chosen(config, sets, pool)
    rng = np.random.default_rng(config.sample.seed)
    if RENDERED in ways:
        yield RENDERED, given.rendered
    if "refined" in ways:
        images = refined(given.rendered.images, known.images, seed=int(rng.integers(2**31)))
        yield "refined", replace(given.rendered, images=images)
    if "transfer" in ways:
        yield "transfer", transferred(known, given.changes, config.sample.count, rng)


def sampled(config: Config, teachers: Pair, known: DepthFaces, count: int, name: str) -> DepthFaces:
    """Return `count` faces of each emotion from random latents, with new noise like the known people's."""
    emotion = np.repeat(np.arange(len(known.emotions), dtype=np.int32), count)
    latents = random_latents(config, emotion)
    images = decode(networks(config).generator, teachers.generator, latents, emotion)
    spectrum = noise_spectrum(known.images)
    images = with_training_noise(images, emotion, spectrum, seed=config.sample.seed, name=name)
    return made_faces(images, emotion, known.emotions, known.depth_range)


def chosen(config: Config, sets: dict[str, DepthFaces], pool: DepthFaces) -> DepthFaces:
    """Return the faces of each emotion that shapes show worst, among those that two other classifiers confirm."""
    both = joined([sets[ALONE], sets[AUGMENTED]])
    shapes = make_pipeline(PCA(SHAPES), LogisticRegression(max_iter=1000)).fit(box_means(both.images), both.emotion)
    own = shapes.predict_proba(box_means(pool.images))[np.arange(len(pool)), pool.emotion]
    known, of_pool = (inputs_of(config, faces) for faces in (both, pool))
    for kind in (DEPTHNET, RECOGNISER):
        answer = fitted([(known[kind].features, both.emotion)], [1.0], of_pool[kind].features)
        own = own + (answer != pool.emotion)  # those that are not confirmed come last
    order = np.argsort(own, kind="stable")
    rows = [order[pool.emotion[order] == label][: config.sample.count] for label in range(len(pool.emotions))]
    return pool.take(np.concatenate(rows))


def expression_changes(config: Config, people: int = 150) -> dict[int, np.ndarray]:
    """Return what each emotion changes on rendered people, (n, h, w) in [-1, 1] units, NaN where depth is invalid."""
    emotions = config.data.emotions
    neutral = emotions.index("neutral")
    films = generate(subjects=range(people), emotions=emotions, frames=1, seed=1, full_sequence=False, wide=True)
    images = network_inputs(np.concatenate([film.crops for film in films]), config.data)
    images = np.where(images < BACKGROUND, images, np.nan).reshape(people, len(emotions), *images.shape[1:])
    changes = images - images[:, neutral, None]
    changes[np.abs(changes) > 2 * MAX_CHANGE_MM / (config.data.far_mm - config.data.near_mm)] = np.nan
    return {label: changes[:, label] for label in range(len(emotions)) if label != neutral}


def transferred(known: DepthFaces, changes: dict[int, np.ndarray], count: int, rng: np.random.Generator) -> DepthFaces:
    """Return neutral faces of the known people with the changes of each other emotion; neutral ones as they are."""
    rows = np.flatnonzero(known.emotion == known.emotions.index("neutral"))
    images = []
    for label in range(len(known.emotions)):
        base = known.images[rng.choice(rows, count)]
        if label in changes:
            change = np.nan_to_num(changes[label][rng.integers(len(changes[label]), size=count)])
            base = np.where(base < BACKGROUND, np.clip(base + change, -1, 1), base)
        images.append(base.astype(np.float32))
    emotion = np.repeat(np.arange(len(known.emotions), dtype=np.int32), count)
    return made_faces(np.concatenate(images), emotion, known.emotions, known.depth_range)


def table(count: int, found: np.ndarray, ways: list[str]) -> Iterator[str]:
    """Yield the lines of a Markdown table of one number of people."""
    rows, draws, tested = row_names(ways), len(found), found.shape[-1]
    copies = found[:, rows.index(AUGMENTED)]
    yield f"{count} people known, {draws} draws, {tested} people tested: accuracy in %; points beyond augmented copies."
    yield ""
    yield "| trained on | " + " | ".join(CLASSIFIERS) + " |"
    yield "|---|" + "---|" * len(CLASSIFIERS)
    columns = [
        [f"{100 * found[:, place, number].mean():.1f}" for place in (0, 1)] for number in range(len(CLASSIFIERS))
    ]
    for number, column in enumerate(columns):
        gains = [
            mean_over_people((found[:, place, number] - copies[:, number])[:, None]) for place in range(2, len(rows))
        ]
        adjusted = holm([1.0 if gain.p is None else gain.p for gain in gains])
        for place, (gain, p) in enumerate(zip(gains, adjusted, strict=True), start=2):
            column.append(f"{100 * found[:, place, number].mean():.1f}; {points(gain)}" + (" *" if p < LIMIT else ""))
    for row, *cells in zip(rows, *columns, strict=True):
        yield "| " + " | ".join([row.replace("+", " + "), *cells]) + " |"
    yield ""


if __name__ == "__main__":
    with without_traceback():
        main()
