"""What the teachers teach: the paper's distillation, consistency in the discriminator's features, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from depthjax.config import Train
from depthjax.train.losses import discriminator_distillation, feature_distance, generator_distillation
from depthjax.train.state import Pair

View = Callable[[int, jax.Array], jax.Array]  # images (n, h, w) as a discriminator is shown them, by the draw's number


class Seen(NamedTuple):
    """What a discriminator makes of (n, h, w) images: logits (n,) and the features (n, d) that they were read from."""

    logits: jax.Array
    features: jax.Array | None


def observed(
    net: Any, params: Any, stats: Any, images: jax.Array, emotion: jax.Array, train: Train
) -> tuple[Seen, Any]:
    """A discriminator in training mode, and its batch statistics with these images counted in."""
    wanted = ["batch_stats", "intermediates"] if train.kd == "feature" else ["batch_stats"]
    logits, new = net.apply({"params": params, "batch_stats": stats}, images, emotion, True, mutable=wanted)
    features = new["intermediates"]["features"][0] if train.kd == "feature" else None
    return Seen(logits, features), new.get("batch_stats", {})


def teacher_features(net: Any, teacher: Any, images: jax.Array, emotion: jax.Array) -> jax.Array:
    """(n, d) features of the discriminator's teacher, in evaluation mode."""
    _, new = net.apply(teacher, images, emotion, False, mutable=["intermediates"])
    features: jax.Array = new["intermediates"]["features"][0]
    return features


def generator_lesson(
    nets: Pair, teachers: Pair, fakes: jax.Array, latents: jax.Array, emotion: jax.Array, view: View, train: Train
) -> jax.Array:
    """What the teachers ask of a generator's faces, () to be weighted.

    `pixel`: the teacher generator's own faces of these latents (paper: equation 5; released). `feature`: to be like
    them in the features of the teacher discriminator, each shown by a draw of its own. `none`: 0.
    """
    if train.kd == "none":
        return jnp.zeros(())
    targets = nets.generator.apply(teachers.generator, latents, emotion, False)
    if train.kd == "pixel":
        return generator_distillation(fakes, targets, train.generator_kd_norm).mean()
    net, teacher = nets.discriminator, teachers.discriminator
    ours, theirs = (teacher_features(net, teacher, view(i, x), emotion) for i, x in enumerate((fakes, targets)))
    return feature_distance(ours, theirs).mean()


def discriminator_lesson(
    nets: Pair,
    teachers: Pair,
    seen: tuple[Seen, Seen],
    images: tuple[jax.Array, jax.Array],
    emotion: jax.Array,
    train: Train,
) -> jax.Array:
    """What the teacher asks of a discriminator about real and generated faces, () to be weighted.

    `pixel`: its own probabilities of the same images (as released). `feature`: features like its own of the same faces
    under another augmentation (as Zhang et al. 2020, arXiv 1910.12027, with an averaged teacher). `none`: 0.

    Args:
        seen: what the student made of real and of generated faces.
        images: what the teacher is shown of them.
    """
    net, teacher, lessons = nets.discriminator, teachers.discriminator, []
    if train.kd == "none":
        return jnp.zeros(())
    for student, shown in zip(seen, images, strict=True):
        if student.features is None:
            lesson = discriminator_distillation(student.logits, net.apply(teacher, shown, emotion, False))
        else:
            lesson = feature_distance(student.features, teacher_features(net, teacher, shown, emotion))
        lessons.append(lesson.mean())
    return (lessons[0] + lessons[1]) / 2
