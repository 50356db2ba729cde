"""One cell: the faces that a generator of these people gives, and what classifiers make of every set of faces."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from depthjax.cdcgan_kd import random_latents, winning_latents
from depthjax.config import OWN_METHODS, Config
from depthjax.data.faces import DepthFaces
from depthjax.data.noise import noise_spectrum, with_training_noise
from depthjax.errors import UserError
from depthjax.evaluate.controls import AGAIN, control_sets, unknown_to_renderer
from depthjax.evolve.run import check_finite, evolve
from depthjax.evolving import load_fitness, measured_inputs, program_of, reads_emotions
from depthjax.keys import key_for
from depthjax.models.dcgan import decode
from depthjax.train.state import Pair, networks

RANDOM, EVOLVED = OWN_METHODS
ALONE, AUGMENTED, RENDERED = "real", "augmented", "rendered"
ON_TOP = f"{AUGMENTED}+"  # before a method: its faces beside the augmented copies


def row_names(config: Config) -> tuple[str, ...]:
    """Return what a classifier is trained on in each row, beside the faces of the known people."""
    rendered = () if unknown_to_renderer(config.data.emotions) else (RENDERED, ON_TOP + RENDERED)
    methods = [name for name in OWN_METHODS if name in config.sample.methods]
    on_top = [ON_TOP + name for name in methods]
    return (ALONE, AUGMENTED, ON_TOP + AGAIN, "mixtures", *rendered, *methods, *on_top)


def needs_generator(row: str) -> bool:
    """Return whether a row has faces of a generator of the known people."""
    return not {*row.split("+")}.isdisjoint(OWN_METHODS)


def simple_sets(config: Config, known: DepthFaces) -> dict[str, DepthFaces]:
    """Return the controls that are added, but rendered faces: `sample.count` of each emotion."""
    return control_sets(config, known, config.sample.count, (AUGMENTED, AGAIN, "mixtures"))


def added_sets(config: Config, teachers: Pair, known: DepthFaces) -> dict[str, DepthFaces]:
    """Return the faces that are added, by control and method, but rendered ones: `sample.count` of each emotion.

    Nothing is read but the teachers, which were trained on the known faces, and these faces.
    """
    controls = simple_sets(config, known)
    generated = {
        name: replace(controls[AUGMENTED], images=images)
        for name, images in generated_images(config, teachers, known).items()
    }
    return controls | {name: faces for name, faces in generated.items() if name in config.sample.methods}


def generated_images(config: Config, teachers: Pair, known: DepthFaces) -> dict[str, np.ndarray]:
    """Return the images of each of our methods, `sample.count` of each emotion, emotion after emotion."""
    emotion = np.repeat(np.arange(len(known.emotions), dtype=np.int32), config.sample.count)
    latents = {RANDOM: random_latents(config, emotion)}
    if EVOLVED in config.sample.methods:
        latents[EVOLVED], kept = winning_latents(_winners(config, teachers, known), emotion)
        if not kept.all():
            raise UserError("few: an evolution kept too few distinct faces: raise --config.evolve.islands")
    spectrum, found = noise_spectrum(known.images), {}
    for name, values in latents.items():
        images = decode(networks(config).generator, teachers.generator, values, emotion)
        noisy = with_training_noise(images, emotion, spectrum, seed=config.sample.seed, name=name)
        found[name] = noisy if config.sample.noise else images
    return found


def _winners(config: Config, teachers: Pair, known: DepthFaces) -> np.ndarray:
    """Evolve latents with statistics and emotion classifiers of the known faces alone."""
    settings = config.evolve
    inputs = measured_inputs(config, teachers, known, classifiers=reads_emotions(config), quiet=True)
    program = program_of(config, settings, load_fitness(config))
    found = evolve(program, key_for(settings.seed, "evolve"), *inputs, settings)
    check_finite(found, config.data.emotions)
    return np.asarray(found.winners)
