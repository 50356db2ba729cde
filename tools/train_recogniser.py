"""Train the recogniser's network and write what depthjax ships: its weights and their card.

    python tools/train_recogniser.py [--work runs/recogniser]

Renders people of a wide population, from a seed that nothing else uses, in all seven emotions; trains on distorted
views of them; then measures on people it never saw: of the wide population, and of the default one. Two CPU cores:
about half an hour. Rendered faces and a checkpoint of each epoch are in the work folder: the same command resumes.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import traverse_util

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))
sys.path.insert(0, str(ROOT))

from train_depthnet import Learner, named, restored  # noqa: E402

from configs import quick  # noqa: E402
from depthjax.config import EMOTIONS, Data  # noqa: E402
from depthjax.data.generate import generate  # noqa: E402
from depthjax.data.inputs import network_inputs  # noqa: E402
from depthjax.evaluate.recogniser import DEPTH_RANGE, WEIGHTS, read_emotions  # noqa: E402
from depthjax.files import digest, read_arrays, write_arrays, write_text  # noqa: E402
from depthjax.keys import key_for  # noqa: E402
from depthjax.models.recogniser import SIDE, Recogniser  # noqa: E402
from depthjax.safetensors_file import write_safetensors  # noqa: E402

VERSION = "1"
SEED = 424_000_001  # far from any data.seed that a run would have, and from depthnet's
PEOPLE, OTHERS, FRAMES = 480, 40, 5
EPOCHS, BATCH, PEAK_RATE, WEIGHT_DECAY = 14, 64, 3e-3, 0.02
SMOOTHING, IDENTITY_WEIGHT = 0.1, 0.3
# Views of a face.
SCALE, SHIFT, TURN = 0.15, 0.08, 12.0  # either way; shares of the image, and degrees in its plane
RELIEF, OFFSET_MM = 0.15, 4.0  # gain of depth, either way; standard deviation of the whole face
NOISE_MM, WAVES_MM, BENDS_MM = 4.0, 3.0, 2.5  # the most of each: of a pixel, over some pixels, over a cheek
EDGE_MM = 4.0  # this near to the far end is background: it has no noise
WINDOW = Data(resolution=SIDE, crop="face", near_mm=-20.0, far_mm=100.0)  # wider than what is read: views move depth
NET = Recogniser(len(EMOTIONS), PEOPLE)
# No other training goes on from a checkpoint.
SETTINGS = (
    VERSION, SEED, PEOPLE, FRAMES, EPOCHS, BATCH, PEAK_RATE, WEIGHT_DECAY, SMOOTHING, IDENTITY_WEIGHT, SCALE, SHIFT,
    TURN, RELIEF, OFFSET_MM, NOISE_MM, WAVES_MM, BENDS_MM, EDGE_MM,
)  # fmt: skip


class Faces(NamedTuple):
    """Relief (n, 64, 64) float32 mm, emotion (n,) and subject (n,) int32."""

    relief: np.ndarray
    emotion: np.ndarray
    subject: np.ndarray


def rendered(people: range, work: Path, settings: Data, *, wide: bool) -> Faces:
    """Return frames of these subjects in millimetres behind the nose, rendered once."""
    made_with = digest(SEED, FRAMES, EMOTIONS, wide, asdict(settings))[:12]
    path = work / f"faces_{people.start}_{people.stop}_{made_with}.npz"
    if not path.exists():
        start = time.monotonic()
        films = generate(subjects=people, emotions=EMOTIONS, frames=FRAMES, seed=SEED, full_sequence=False, wide=wide)
        images = np.concatenate([network_inputs(film.crops, settings) for film in films])
        half = np.float32((settings.far_mm - settings.near_mm) / 2)
        write_arrays(path, relief=(images + 1) * half + np.float32(settings.near_mm))
        print(f"{len(images)} frames of {len(people)} people rendered in {time.monotonic() - start:.0f} s", flush=True)
    labels = np.array([(e, s) for s in people for e in range(len(EMOTIONS)) for _ in range(FRAMES)], np.int32)
    return Faces(read_arrays(path)["relief"], labels[:, 0], labels[:, 1])


def distorted(key: jax.Array, relief: jax.Array) -> jax.Array:
    """Return a view of each face, (n, h, h) in [-1, 1] over DEPTH_RANGE, of (n, h, h) mm behind the nose tip."""
    keys = iter(jax.random.split(key, 18))
    n, side, _ = relief.shape

    def one(low: float, high: float) -> jax.Array:
        return jax.random.uniform(next(keys), (n, 1, 1), jnp.float32, low, high)

    def waves(cells: int) -> jax.Array:
        coarse = jax.random.normal(next(keys), (n, cells, cells), jnp.float32)
        return jax.image.resize(coarse, (n, side, side), "linear")

    near, far = DEPTH_RANGE.near_mm, DEPTH_RANGE.far_mm
    offset = OFFSET_MM * jax.random.normal(next(keys), (n, 1, 1), jnp.float32)
    x = moved(next(keys), jnp.clip((relief - offset) * one(1 - RELIEF, 1 + RELIEF), near, far))
    noise = one(0, NOISE_MM) * jax.random.normal(next(keys), x.shape, jnp.float32)
    noise += one(0, WAVES_MM) * waves(side * 3 // 8) + one(0, BENDS_MM) * waves(6)
    x = jnp.where(x < far - EDGE_MM, x + noise, x)
    place = jnp.linspace(0, 1, side)
    lost = waves(side // 4) > one(1.3, 3.0)  # patches without a return
    lost |= place[None, :, None] + 0.05 * waves(8) < one(-0.5, 0.25)  # hair, a cap, a tight crop
    lost |= jnp.abs(2 * place - 1)[None, None] + 0.06 * waves(8) > one(0.7, 1.6)  # the sides
    x = jnp.clip(jnp.where(lost, far, x), near, far)
    mirrored = jax.random.bernoulli(next(keys), shape=(n, 1, 1))
    return jnp.where(mirrored, x[:, :, ::-1], x) * (2 / (far - near)) - (far + near) / (far - near)


def moved(key: jax.Array, images: jax.Array) -> jax.Array:
    """Return images (n, h, h) shifted, scaled and turned about their middle, bilinearly; beyond the edge, the edge."""
    n, side, _ = images.shape
    draws = jax.random.uniform(key, (4, n), jnp.float32, -1, 1)
    angle, scale, shift = jnp.deg2rad(TURN) * draws[0], 1 + SCALE * draws[1], SHIFT * side * draws[2:]
    cos, sin = jnp.cos(angle) / scale, jnp.sin(angle) / scale
    grid = jnp.arange(side) - (side - 1) / 2

    def one(image: jax.Array, cos: jax.Array, sin: jax.Array, shift: jax.Array) -> jax.Array:
        rows, columns = grid[:, None] - shift[0], grid[None] - shift[1]
        places = [cos * rows - sin * columns + (side - 1) / 2, sin * rows + cos * columns + (side - 1) / 2]
        found: jax.Array = jax.scipy.ndimage.map_coordinates(image, places, order=1, mode="nearest")
        return found

    return jax.vmap(one)(images, cos, sin, shift.T)


def optimiser(steps: int) -> optax.GradientTransformation:
    """AdamW, one cycle of the learning rate."""
    return optax.adamw(optax.cosine_onecycle_schedule(steps, PEAK_RATE, pct_start=0.2), weight_decay=WEIGHT_DECAY)


def loss_of(params: Any, batch_stats: Any, images: jax.Array, labels: jax.Array) -> tuple[jax.Array, Any]:
    """Cross-entropy of both heads with smoothed labels (n, 2: emotion, person); new batch_stats and hits beside it."""
    variables = {"params": params, "batch_stats": batch_stats}
    heads, changed = NET.apply(variables, images, True, mutable=["batch_stats"])
    losses = [
        optax.softmax_cross_entropy(logits, optax.smooth_labels(jax.nn.one_hot(of, logits.shape[1]), SMOOTHING)).mean()
        for logits, of in zip((heads.emotion, heads.identity), labels.T, strict=True)
    ]
    hits = jnp.stack([(heads.emotion.argmax(1) == labels[:, 0]).mean(), losses[0]])
    return losses[0] + IDENTITY_WEIGHT * losses[1], (changed["batch_stats"], hits)


def train(faces: Faces, work: Path) -> tuple[Learner, np.ndarray]:
    """Train, or go on training; return the learner, and its last epoch's accuracy on views of the training faces."""
    steps = len(faces.relief) // BATCH
    solver = optimiser(steps * EPOCHS)
    variables = jax.jit(lambda key: NET.init(key, jnp.zeros((2, SIDE, SIDE)), False))(key_for(SEED, "recogniser"))
    learner = Learner(variables["params"], variables["batch_stats"], solver.init(variables["params"]))

    @jax.jit
    def step(learner: Learner, key: jax.Array, relief: jax.Array, labels: jax.Array) -> tuple[Learner, jax.Array]:
        images = distorted(key, relief)
        gradient, (stats, hits) = jax.grad(loss_of, has_aux=True)(learner.params, learner.batch_stats, images, labels)
        update, state = solver.update(gradient, learner.opt_state, learner.params)
        return Learner(optax.apply_updates(learner.params, update), stats, state), hits

    path = work / f"checkpoint-{digest(SETTINGS, *faces)[:16]}.npz"
    labels = np.stack([faces.emotion, faces.subject], 1)
    done, learner, hits = restored(path, learner)
    for epoch in range(done, EPOCHS):
        start, order, logged = time.monotonic(), np.random.default_rng([SEED, epoch]).permutation(len(labels)), []
        for i, rows in enumerate(order[: steps * BATCH].reshape(steps, BATCH)):
            key = key_for(SEED, "recogniser step", epoch * steps + i)
            learner, row = step(learner, key, faces.relief[rows], labels[rows])
            logged.append(row)
        hits = np.mean(logged, 0)
        write_arrays(path, epoch=np.int64(epoch + 1), hits=hits, **named(learner))
        print(
            f"epoch {epoch + 1}: emotion {hits[0]:.3f}, loss {hits[1]:.3f}, {time.monotonic() - start:.0f} s",
            flush=True,
        )
    return learner, hits


def save(learner: Learner, path: Path) -> None:
    """Write the weights without the identity head, as float16."""
    params = {name: layer for name, layer in learner.params.items() if name != "identity"}
    flat = traverse_util.flatten_dict({"params": params, "batch_stats": learner.batch_stats}, sep="/")
    tensors = {name: np.asarray(value, np.float16) for name, value in flat.items()}
    write_safetensors(
        path, tensors, {"version": VERSION, "licence": "Apache-2.0", "made by": "tools/train_recogniser.py"}
    )


def recalls(faces: Faces) -> str:
    """Return the share of each emotion that the shipped weights recognise, of seven, as a row of the card."""
    images = DEPTH_RANGE.from_relief(faces.relief)
    answers = read_emotions(images, depth_range=DEPTH_RANGE, crop="face").log_probabilities.argmax(1)
    shares = [f"{100 * (answers[faces.emotion == i] == i).mean():.0f}" for i in range(len(EMOTIONS))]
    return " | ".join([f"{100 * (answers == faces.emotion).mean():.1f}", *shares])


CARD = Path(__file__).with_name("recogniser_card.md").read_text()  # a template for str.format


def main() -> None:
    """Render, train, save, measure, write the card."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "recogniser")
    work = parser.parse_args().work
    learner, hits = train(rendered(range(PEOPLE), work, WINDOW, wide=True), work)
    save(learner, WEIGHTS)
    others, read = range(PEOPLE, PEOPLE + OTHERS), quick.get_config().data
    rows = {name: recalls(rendered(others, work, read, wide=name == "wide")) for name in ("wide", "default")}
    lines = "\n".join(f"| {name} population | {row} |" for name, row in rows.items())
    parameters = sum(np.size(leaf) for leaf in jax.tree.leaves((learner.params, learner.batch_stats)))
    write_text(WEIGHTS.with_suffix(".md"), CARD.format(
        version=VERSION, seed=SEED, people=PEOPLE, others=OTHERS, frames=FRAMES, each=PEOPLE * FRAMES * len(EMOTIONS),
        epochs=EPOCHS, batch=BATCH, emotions=" | ".join(EMOTIONS), rows=lines, hits=hits, parameters=parameters,
        megabytes=WEIGHTS.stat().st_size / 1e6,
    ))  # fmt: skip
    print(lines)


if __name__ == "__main__":
    main()
