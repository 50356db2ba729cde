"""Train DepthNet, the feature network for depth faces, and write what depthjax ships: its weights and their card.

    python tools/train_depthnet.py [--minutes 12] [--work runs/depthnet]

Renders 200 subjects to train on and 40 held-out ones, from a seed that nothing else uses, in all seven emotions;
trains on both crops, with depth ranges of many sizes; then measures on the 40, by the path that a run takes. Rendered
faces and a checkpoint of each epoch are in the work folder: re-running the command resumes it, and ends at the same
weights on the same machine.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import traverse_util

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from configs import paper, quick  # noqa: E402
from depthjax import config as configs  # noqa: E402
from depthjax.config import EMOTIONS  # noqa: E402
from depthjax.data.crop import CROP_SHAPE, FACE_ROWS, nose_distance  # noqa: E402
from depthjax.data.depth_range import DepthRange  # noqa: E402
from depthjax.data.generate import generate  # noqa: E402
from depthjax.data.inputs import network_inputs  # noqa: E402
from depthjax.evaluate import depthnet as shipped  # noqa: E402
from depthjax.evaluate.distances import frechet_distance, gaussian_of  # noqa: E402
from depthjax.evaluate.resampling import bootstrap_mean  # noqa: E402
from depthjax.files import digest, read_arrays, replacing, write_arrays, write_text  # noqa: E402
from depthjax.keys import key_for  # noqa: E402
from depthjax.models.depthnet import CROPS, SIDE, DepthNet  # noqa: E402
from depthjax.safetensors_file import write_safetensors  # noqa: E402

VERSION = "1"
SEED = 977_000_001  # far from any data.seed that a run would have
PEOPLE, OTHERS, FRAMES = 200, 40, 10
EPOCHS, BATCH, PEAK_RATE, WEIGHT_DECAY = 14, 64, 3e-3, 0.02
SMOOTHING, IDENTITY_WEIGHT = 0.1, 0.5
WIDTH, SIZE = 24, 64
THREE = configs.Data().emotions
# Augmentation.
RESAMPLERS = 256  # of each epoch and crop
RESOLUTIONS = (32, 48, 64, 64, 96, 128, 256)  # that an image has before it comes to 64x64
ZOOM, SHIFT_PIXELS = 0.05, 2.0  # share either way; of the crop's 128x200, standard deviation
OFFSET_MM, NOISE_MM = 3.0, 2.0  # standard deviation of the whole face; the largest of a pixel
NEAR_MM, FAR_MM = (-25.0, -8.0), (70.0, 140.0)
USUAL_WINDOWS = ((-10.0, 80.0), (-20.0, 130.0))  # configs/quick.py, configs/paper.py
# No other training goes on from a checkpoint.
SETTINGS = (
    VERSION, SEED, PEOPLE, FRAMES, EPOCHS, BATCH, PEAK_RATE, WEIGHT_DECAY, SMOOTHING, IDENTITY_WEIGHT, WIDTH, SIZE,
    RESAMPLERS, RESOLUTIONS, ZOOM, SHIFT_PIXELS, OFFSET_MM, NOISE_MM, NEAR_MM, FAR_MM, USUAL_WINDOWS,
)  # fmt: skip


class Rendered(NamedTuple):
    """Crops (n, 200, 128) uint16 mm, their nose (n,) mm, emotion (n,) and subject (n,) int32."""

    depth: np.ndarray
    nose: np.ndarray
    emotion: np.ndarray
    subject: np.ndarray


class Resamplers(NamedTuple):
    """Matrices from a crop to 64x64, (crops, m, 64, 200) and (crops, m, 64, 128): image = down @ crop @ across.T."""

    down: jax.Array
    across: jax.Array


class Learner(NamedTuple):
    """What training changes."""

    params: dict
    batch_stats: dict
    opt_state: optax.OptState


def rendered(people: range, work: Path) -> Rendered:
    """Return the frames of these subjects, rendered once: the file is named by a digest of the renderer."""
    data = ROOT / "depthjax" / "data"
    sources = [*sorted(data.glob("*.py")), *sorted((data / "assets").glob("*.npz"))]
    name = digest([hashlib.sha256(path.read_bytes()).hexdigest() for path in sources], [SEED, FRAMES, *people])[:16]
    path = work / f"rendered-{name}.npy"
    labels = np.array([(e, s) for s in people for e in range(len(EMOTIONS)) for _ in range(FRAMES)], np.int32)
    if not path.exists():
        start = time.monotonic()
        films = generate(subjects=people, emotions=EMOTIONS, frames=FRAMES, seed=SEED, full_sequence=False)
        depth = np.concatenate([film.crops for film in films])
        with replacing(path) as file:
            np.save(file, depth, allow_pickle=False)
        print(f"{len(depth)} frames of {len(people)} subjects rendered in {time.monotonic() - start:.0f} s", flush=True)
    depth = np.load(path, allow_pickle=False)
    return Rendered(depth, nose_distance(depth), labels[:, 0], labels[:, 1])


def resamplers(epoch: int) -> Resamplers:
    """Random ways to bring a crop to 64x64: by one of several resolutions, a little moved and scaled."""
    rng = np.random.default_rng([SEED, epoch])
    spans = {"face": (FACE_ROWS.start, FACE_ROWS.stop), "full": (0, CROP_SHAPE[0])}
    down, across = [], []
    for crop in CROPS:
        resolution = rng.choice(RESOLUTIONS, RESAMPLERS)
        zoom = 1 + rng.uniform(-ZOOM, ZOOM, (RESAMPLERS, 2))
        shift = rng.normal(0, SHIFT_PIXELS, (RESAMPLERS, 2))
        ways = list(zip(resolution, zoom, shift, strict=True))
        down.append([_by_way(CROP_SHAPE[0], spans[crop], r, z[0], t[0]) for r, z, t in ways])
        across.append([_by_way(CROP_SHAPE[1], (0, CROP_SHAPE[1]), r, z[1], t[1]) for r, z, t in ways])
    return Resamplers(jnp.asarray(np.array(down, np.float32)), jnp.asarray(np.array(across, np.float32)))


def _by_way(source: int, span: tuple[int, int], resolution: int, zoom: float, shift: float) -> np.ndarray:
    """(64, source): the part `span` of an axis to `resolution` pixels, and those to 64."""
    middle, length = (span[0] + span[1]) / 2 + shift, (span[1] - span[0]) * zoom
    first = _area_weights(source, resolution, middle - length / 2, length)
    return _area_weights(resolution, SIDE, 0, resolution) @ first


def _area_weights(source: int, target: int, start: float, length: float) -> np.ndarray:
    """(target, source): as depthjax.data.crop resamples, but of any stretch of the source; beyond it, its edge."""
    scale = length / target
    centres = np.clip(start + (np.arange(target) + 0.5) * scale - 0.5, 0, source - 1)
    distance = np.abs(np.arange(source)[None] - centres[:, None])
    weights = np.maximum(0, 1 - distance) if scale <= 1 else np.clip((scale + 1) / 2 - distance, 0, 1)
    return weights / weights.sum(axis=1, keepdims=True)


def augmented(key: jax.Array, depth: jax.Array, nose: jax.Array, ways: Resamplers) -> tuple[jax.Array, jax.Array]:
    """(n, 200, 128) mm, (n,) mm → the network's input (n, 64, 64) and crop (n,): another view of the same faces."""
    n = len(depth)
    keys = jax.random.split(key, 9)
    offset = nose + OFFSET_MM * jax.random.normal(keys[0], (n,))
    near, far = _windows(keys[1], n)
    relief = jnp.where(depth > 0, depth - offset[:, None, None], jnp.inf)
    relief = jnp.clip(relief, near[:, None, None], far[:, None, None])
    crop = jax.random.bernoulli(keys[2], shape=(n,)).astype(jnp.int32)
    way = jax.random.randint(keys[3], (n,), 0, RESAMPLERS)
    small = ways.down[crop, way] @ relief @ ways.across[crop, way].transpose(0, 2, 1)
    noise = NOISE_MM * jax.random.uniform(keys[4], (n,)) * jax.random.bernoulli(keys[5], shape=(n,))
    small += noise[:, None, None] * jax.random.normal(keys[6], small.shape)
    small = jnp.where(jax.random.bernoulli(keys[7], shape=(n,))[:, None, None], small[:, :, ::-1], small)
    low, high = shipped.DEPTH_RANGE.near_mm, shipped.DEPTH_RANGE.far_mm
    small = jnp.clip(small, near[:, None, None], far[:, None, None]).clip(low, high)
    return jnp.round((small - low) * (255 / (high - low))) / 127.5 - 1, crop


def _windows(key: jax.Array, n: int) -> tuple[jax.Array, jax.Array]:
    """Return (n,) near and far mm: a third each of the two usual depth ranges and of any."""
    which_key, near_key, far_key = jax.random.split(key, 3)
    which = jax.random.randint(which_key, (n,), 0, 3)
    any_near = jax.random.uniform(near_key, (n,), minval=NEAR_MM[0], maxval=NEAR_MM[1])
    any_far = jax.random.uniform(far_key, (n,), minval=FAR_MM[0], maxval=FAR_MM[1])
    near, far = (jnp.array([w[i] for w in USUAL_WINDOWS]) for i in (0, 1))
    usual = jnp.minimum(which, 1)
    return jnp.where(which < 2, near[usual], any_near), jnp.where(which < 2, far[usual], any_far)


NET = DepthNet(len(EMOTIONS), PEOPLE, WIDTH, SIZE)


def optimiser(steps: int) -> optax.GradientTransformation:
    """AdamW, one cycle of the learning rate."""
    rate = optax.cosine_onecycle_schedule(steps, PEAK_RATE, pct_start=0.2)
    return optax.adamw(rate, weight_decay=WEIGHT_DECAY)


def fresh(steps: int) -> Learner:
    """The learner before its first step."""
    image, crop = jnp.zeros((2, SIDE, SIDE)), jnp.zeros(2, jnp.int32)
    variables = jax.jit(lambda key: NET.init(key, image, crop, False))(key_for(SEED, "depthnet"))
    return Learner(variables["params"], variables["batch_stats"], optimiser(steps).init(variables["params"]))


def loss_of(params: dict, batch_stats: dict, images: jax.Array, crop: jax.Array, labels: jax.Array) -> tuple:
    """Cross-entropy of both heads with smoothed labels (n, 2: emotion, person); new batch_stats and hits beside it."""
    variables = {"params": params, "batch_stats": batch_stats}
    heads, changed = NET.apply(variables, images, crop, True, mutable=["batch_stats"])
    logits = (heads.emotion, heads.identity)
    losses = [_smoothed(value, labels[:, i]) for i, value in enumerate(logits)]
    hits = jnp.stack([(value.argmax(1) == labels[:, i]).mean() for i, value in enumerate(logits)])
    return losses[0] + IDENTITY_WEIGHT * losses[1], (changed["batch_stats"], jnp.append(hits, losses[0]))


def _smoothed(logits: jax.Array, labels: jax.Array) -> jax.Array:
    targets = optax.smooth_labels(jax.nn.one_hot(labels, logits.shape[1]), SMOOTHING)
    return optax.softmax_cross_entropy(logits, targets).mean()


def train(faces: Rendered, work: Path, minutes: float) -> tuple[Learner, np.ndarray] | None:
    """Train, or go on training: the learner, and its last epoch's share of right answers (emotion, person).

    None when the minutes were over first.
    """
    steps, start = len(faces.depth) // BATCH, time.monotonic()
    solver, learner = optimiser(steps * EPOCHS), fresh(steps * EPOCHS)
    depth, nose = jnp.asarray(faces.depth), jnp.asarray(faces.nose)
    labels = jnp.asarray(np.stack([faces.emotion, faces.subject], 1))

    @jax.jit
    def step(learner: Learner, key: jax.Array, index: jax.Array, ways: Resamplers) -> tuple[Learner, jax.Array]:
        images, crop = augmented(key, depth[index], nose[index], ways)
        gradient, (stats, logged) = jax.grad(loss_of, has_aux=True)(
            learner.params, learner.batch_stats, images, crop, labels[index]
        )
        update, opt_state = solver.update(gradient, learner.opt_state, learner.params)
        return Learner(optax.apply_updates(learner.params, update), stats, opt_state), logged

    path = work / f"checkpoint-{digest(SETTINGS, faces.depth)[:16]}.npz"
    done, learner, hits = restored(path, learner)
    for epoch in range(done, EPOCHS):
        ways, order = resamplers(epoch), np.random.default_rng([SEED, epoch, 1]).permutation(len(faces.depth))
        logged = []
        for i, index in enumerate(order[: steps * BATCH].reshape(steps, BATCH)):
            learner, row = step(learner, key_for(SEED, "depthnet step", epoch * steps + i), jnp.asarray(index), ways)
            logged.append(row)
        hits = np.mean(logged, 0)
        write_arrays(path, epoch=np.int64(epoch + 1), hits=hits, **named(learner))
        seconds = time.monotonic() - start
        print(
            f"epoch {epoch + 1:2d}: emotion {hits[0]:.3f} (loss {hits[2]:.3f}), person {hits[1]:.3f}, {seconds:.0f} s",
            flush=True,
        )
        if seconds > 60 * minutes and epoch + 1 < EPOCHS:
            return None
    return learner, hits


def named(learner: Learner) -> dict[str, np.ndarray]:
    """Every array of the learner by its place."""
    return {f"leaf_{i}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(learner))}


def restored(path: Path, like: Learner) -> tuple[int, Learner, np.ndarray]:
    """Epochs done, the learner after them and what it logged; 0 and the given one, if nothing was saved."""
    if not path.exists():
        return 0, like, np.zeros(3)
    arrays = read_arrays(path)
    leaves = [jnp.asarray(arrays[f"leaf_{i}"]) for i in range(len(jax.tree.leaves(like)))]
    return int(arrays["epoch"]), jax.tree.unflatten(jax.tree.structure(like), leaves), arrays["hits"]


def save(learner: Learner, path: Path) -> None:
    """The weights without the identity head, as float16."""
    params = {name: layer for name, layer in learner.params.items() if name != "identity"}
    flat = traverse_util.flatten_dict({"params": params, "batch_stats": learner.batch_stats}, sep="/")
    tensors = {name: np.asarray(value, np.float16) for name, value in flat.items()}
    metadata = {"version": VERSION, "licence": "Apache-2.0", "made by": "tools/train_depthnet.py"}
    write_safetensors(path, tensors, metadata)


class Measured(NamedTuple):
    """The shipped weights on held-out subjects, whose faces are prepared as one config sets them."""

    seen: str  # crop, resolution and depth range
    seven: dict  # {value, interval, n}
    three: dict
    person: dict
    recalls: dict[str, float]  # by emotion, of seven
    far: dict[str, float]  # Fréchet distance of half of the subjects to the other half, and to corrupted faces


def measured(faces: Rendered, settings: configs.Data) -> Measured:
    """Measure by the path that a run takes: network inputs of the config's resolution, crop and depth range."""
    window, images = DepthRange.of(settings), network_inputs(faces.depth, settings)

    def features_of(what: np.ndarray) -> shipped.DepthnetOutput:
        return shipped.depthnet_features(what, depth_range=window, crop=settings.crop)

    output = features_of(images)
    labels = [EMOTIONS.index(emotion) for emotion in THREE]
    few = np.isin(faces.emotion, labels)
    answers = np.array(labels)[output.log_probabilities[few][:, labels].argmax(1)]
    right = output.log_probabilities.argmax(1) == faces.emotion
    size = f"{settings.resolution}x{settings.resolution}"
    corrupted = {what: features_of(value).features for what, value in spoilt(images[_second(faces)]).items()}
    return Measured(
        f"{settings.crop}, {size}, {settings.near_mm:g} to {settings.far_mm:g} mm",
        _by_person(right, faces.subject),
        _by_person(answers == faces.emotion[few], faces.subject[few]),
        _by_person(faces.subject[nearest_elsewhere(output.features, faces)] == faces.subject, faces.subject),
        {emotion: float(right[faces.emotion == i].mean()) for i, emotion in enumerate(EMOTIONS)},
        _far(output.features, faces, corrupted),
    )


def _by_person(right: np.ndarray, people: np.ndarray) -> dict:
    found = bootstrap_mean(right.astype(np.float64), people, draws=1000, seed=SEED)
    return {"value": found.value, "interval": [found.low, found.high], "n": found.n}


def nearest_elsewhere(features: np.ndarray, faces: Rendered) -> np.ndarray:
    """(n,) the nearest frame of another emotion, hence of another sequence: pose, distance and sensor noise differ."""
    values = features.astype(np.float64)
    norms = np.square(values).sum(1)
    distance = norms[:, None] + norms[None] - 2 * values @ values.T
    return np.where(faces.emotion[:, None] == faces.emotion[None], np.inf, distance).argmin(1)


def spoilt(images: np.ndarray) -> dict[str, np.ndarray]:
    """Return corrupted copies of faces (n, h, w) in [-1, 1], which the features must keep apart from faces."""
    rng = np.random.default_rng([SEED, 2])
    n, height, width = images.shape
    blocks = images.reshape(n, 4, height // 4, 4, width // 4).swapaxes(2, 3).reshape(n, 16, height // 4, width // 4)
    shuffled = rng.permuted(np.broadcast_to(np.arange(16), (n, 16)), axis=1)
    blocks = blocks[np.arange(n)[:, None], shuffled].reshape(n, 4, 4, height // 4, width // 4).swapaxes(2, 3)
    holes = rng.random((n, 16, 16)).repeat(height // 16, 1).repeat(width // 16, 2) < 0.1
    return {
        "the mean face, every time": np.broadcast_to(images.mean(0), images.shape),
        "one face in ten of 16x16 cells without depth": np.where(holes, 1, images).astype(np.float32),
        "faces of which 16 blocks are shuffled": blocks.reshape(images.shape),
        "faces upside down": images[:, ::-1],
        "uniform noise": rng.uniform(-1, 1, images.shape).astype(np.float32),
        "nothing": np.ones_like(images),
    }


def _far(features: np.ndarray, faces: Rendered, others: dict[str, np.ndarray]) -> dict[str, float]:
    real, rest = (gaussian_of(features[rows]) for rows in (~_second(faces), _second(faces)))
    return {"the other held-out subjects": frechet_distance(real, rest)} | {
        name: frechet_distance(real, gaussian_of(values)) for name, values in others.items()
    }


def _second(faces: Rendered) -> np.ndarray:
    """Return (n,) bool: the frames of the second half of the subjects."""
    return faces.subject >= np.median(np.unique(faces.subject))


CARD = Path(__file__).with_name("depthnet_card.md").read_text()  # a template for str.format


def card(rows: list[Measured], learner: Learner, hits: np.ndarray) -> str:
    """Return the card of the shipped weights, every number as measured."""
    kernels = [learner.params[f"conv_{i}"]["kernel"] for i in range(1, 5)]
    return CARD.format(
        version=VERSION,
        parameters=sum(tensor.size for tensor in jax.tree.leaves(shipped.load_depthnet().variables)),
        layers=f"four 4x4 convolutions of stride 2 to {', '.join(str(k.shape[-1]) for k in kernels)} channels, batch "
        "normalisation by fixed statistics and ReLU each, then a linear layer and batch normalisation",
        size=SIZE, emotions=", ".join(EMOTIONS), people=PEOPLE, last=PEOPLE - 1, end=PEOPLE + OTHERS - 1, others=OTHERS,
        near=shipped.DEPTH_RANGE.near_mm, far=shipped.DEPTH_RANGE.far_mm, seed=SEED, each=FRAMES,
        frames=PEOPLE * FRAMES * len(EMOTIONS), near_low=-NEAR_MM[1], near_high=-NEAR_MM[0], far_low=FAR_MM[0],
        far_high=FAR_MM[1], zoom=ZOOM, offset=OFFSET_MM, noise=NOISE_MM, epochs=EPOCHS, batch=BATCH, rate=PEAK_RATE,
        weight=IDENTITY_WEIGHT, smoothing=SMOOTHING, hits=hits, sha256=shipped.load_depthnet().sha256,
        chance=1 / OTHERS,
        accuracies="\n".join(f"| {r.seen} | {_cell(r.seven)} | {_cell(r.three)} | {_cell(r.person)} |" for r in rows),
        recalls="; ".join(f"{r.seen}: " + ", ".join(f"{e} {v:.0%}" for e, v in r.recalls.items()) for r in rows),
        names=" | ".join(r.seen for r in rows),
        distances="\n".join(f"| {what} | {' | '.join(f'{r.far[what]:.1f}' for r in rows)} |" for what in rows[0].far),
    )  # fmt: skip


def _cell(score: dict) -> str:
    low, high = score["interval"]
    return f"{score['value']:.1%} ({low:.1%} to {high:.1%}), n = {score['n']:,}"


def main() -> None:
    """Render, train, save, measure, write the card."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60, help="of training in this call; the next goes on")
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "depthnet")
    flags = parser.parse_args()
    trained = train(rendered(range(PEOPLE), flags.work), flags.work, flags.minutes)
    if trained is None:
        return print("not finished: run the same command again")
    learner, hits = trained
    save(learner, shipped.WEIGHTS)
    others = rendered(range(PEOPLE, PEOPLE + OTHERS), flags.work)
    rows = [measured(others, config.get_config().data) for config in (quick, paper)]
    write_text(shipped.WEIGHTS.with_suffix(".md"), card(rows, learner, hits))
    for row in rows:
        print(f"{row.seen}: seven {_cell(row.seven)}; three {_cell(row.three)}; person {_cell(row.person)}")
        print("   Fréchet:", ", ".join(f"{what} {value:.1f}" for what, value in row.far.items()))


if __name__ == "__main__":
    main()
