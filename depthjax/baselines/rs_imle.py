"""RS-IMLE: our generator without a discriminator, trained on the distance from each training face to a generated one.

Implicit maximum likelihood estimation decodes a pool of latents, takes the nearest decoded face for each training face,
and moves it there: no training face is left out. Latents whose faces are already near are taken again and again, while
most that are sampled later are never trained. So rejection sampling leaves those out of the pool whose faces are within
epsilon of a training face (Vashist, Peng and Li, ECCV 2024, arXiv 2409.17439). Here a pool is drawn for each emotion,
the distance is between pixels and their means over boxes, and no network that saw other people takes part.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.traverse_util import flatten_dict, unflatten_dict

from depthjax.baselines.densities import check_counts
from depthjax.baselines.fits import Settings, settings_of
from depthjax.config import Config
from depthjax.data.faces import DepthFaces
from depthjax.errors import UserError
from depthjax.files import digest, read_arrays, write_arrays
from depthjax.models.dcgan import decode
from depthjax.progress import Log
from depthjax.train.loop import check_faces_fit
from depthjax.train.not_finite import all_finite
from depthjax.train.state import networks
from depthjax.train.step import Batch, forward, mirrored

LONGER = ""
FIELDS = (
    "model.latent_size", "model.generator_width", "model.dtype", "model.output_lowpass", "model.validity_mask",
    "train.mirror", "train.batch_size", "baselines.rs_imle_epsilon", "baselines.rs_imle_lr",
)  # fmt: skip
POOL = 640  # latents of an emotion in each round
PASSES = 20  # over the training faces in a round: with 2, all faces of an emotion become one
PART = 32  # latents decoded at once
BOXES = (1, 2, 4, 8, 16)  # pixels on a side, over which faces are compared
METRICS = ("loss", "rejected")
UNFINISHED = "training.npz"


class State(NamedTuple):
    """What training carries from round to round; a round is a pool, and some passes over the training faces."""

    round: jax.Array  # () int32, rounds done
    params: Any
    batch_stats: Any
    opt_state: Any


Metrics = dict[str, float]
Round = Callable[[State, Batch, jax.Array], tuple[State, jax.Array]]


def fit(key: jax.Array, config: Config, faces: DepthFaces, folder: Path, *, log: Log) -> dict[str, Any]:
    """Train the generator, going on from `training.npz` of the same fit; write its variables by path to `fit.npz`.

    A loss that is not finite is a UserError, and nothing of that round is stored.
    """
    check_faces_fit(config, faces)
    check_counts(faces)
    state, metrics = train(key, config, faces, folder, log=log)
    variables = {"params": state.params, "batch_stats": state.batch_stats}
    leaves = {name: np.asarray(leaf) for name, leaf in flatten_dict(variables, sep=".").items()}
    write_arrays(folder / "fit.npz", **leaves)
    (folder / UNFINISHED).unlink(missing_ok=True)
    return {"rounds": int(state.round), **metrics}


def sample(key: jax.Array, config: Config, folder: Path, emotion: np.ndarray) -> np.ndarray:
    """Decode standard normal latents."""
    variables = unflatten_dict(read_arrays(folder / "fit.npz"), sep=".")
    latents = np.asarray(jax.random.normal(key, (len(emotion), config.model.latent_size), np.float32))
    return decode(networks(config).generator, variables, latents, emotion)


def train(key: jax.Array, config: Config, faces: DepthFaces, folder: Path, *, log: Log) -> tuple[State, Metrics]:
    """Train all rounds, saving the state every `train.save_every_epochs`; return it, and the METRICS of the last."""
    total, every = rounds(config), max(1, config.train.save_every_epochs // PASSES)
    key_init, key_train = jax.random.split(key)
    steps = PASSES * (len(faces) // config.train.batch_size)  # of a round
    optimizer = optax.adam(optax.cosine_decay_schedule(config.baselines.rs_imle_lr, total * steps))
    identity = digest(settings(config), np.asarray(jax.random.key_data(key)), faces.images, faces.emotion)
    state = jax.jit(partial(init_state, config=config, optimizer=optimizer))(key_init)
    state = restored(folder / UNFINISHED, identity, state)
    one_round = jax.jit(make_round(config, optimizer, key_train), donate_argnums=0)
    known = Batch(jnp.asarray(faces.images, jnp.float32), jnp.asarray(faces.emotion, jnp.int32))
    members = members_of(faces)
    log(f"{total} rounds of {steps} steps, from round {int(state.round)}")
    means = dict.fromkeys(METRICS, float("nan"))
    for done in range(int(state.round) + 1, total + 1):
        state, found = one_round(state, known, members)
        means = dict(zip(METRICS, map(float, found), strict=True))
        if not (np.isfinite(means["loss"]) and all_finite(state)):
            raise UserError(f"RS-IMLE is not finite after round {done}: lower --config.baselines.rs_imle_lr")
        if done * 10 // total > (done - 1) * 10 // total:
            log(f"round {done}: root mean square {means['loss'] ** 0.5:.4f}, {means['rejected']:.0%} rejected")
        if done % every == 0 and done < total:
            leaves = {f"leaf_{i}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(state))}
            write_arrays(folder / UNFINISHED, identity=np.array(identity), **leaves)
    return state, means


def rounds(config: Config) -> int:
    """Return the number of rounds."""
    return max(1, (config.baselines.rs_imle_epochs or config.train.epochs) // PASSES)


def init_state(key: jax.Array, *, config: Config, optimizer: optax.GradientTransformation) -> State:
    """Return a fresh state."""
    latents, emotion = jnp.zeros((2, config.model.latent_size)), jnp.zeros(2, jnp.int32)
    variables = networks(config).generator.init(key, latents, emotion, False)
    return State(jnp.int32(0), variables["params"], variables["batch_stats"], optimizer.init(variables["params"]))


def restored(path: Path, identity: str, state: State) -> State:
    """Return the state stored at a path, or the given one if there is none of this fit, or a damaged one."""
    try:
        stored = read_arrays(path)
    except UserError:
        return state
    if str(stored.get("identity")) != identity:
        return state
    leaves, shape = jax.tree.flatten(state)
    return jax.tree.unflatten(shape, [jnp.array(stored[f"leaf_{i}"]) for i in range(len(leaves))])


def make_round(config: Config, optimizer: optax.GradientTransformation, key: jax.Array) -> Round:
    """Return the rule of a round: (state, training faces, `members_of` them) → the next state, and METRICS, (2,)."""
    update, size = make_update(config, optimizer), config.train.batch_size

    def one_round(state: State, known: Batch, members: jax.Array) -> tuple[State, jax.Array]:
        count = len(known.images)
        key_mirror, key_pool, key_order = jax.random.split(jax.random.fold_in(key, state.round), 3)
        shown = mirrored(key_mirror, known) if config.train.mirror else known
        latents, rejected = chosen_latents(config, state, shown.images, members, key_pool)
        orders = jax.vmap(lambda k: jax.random.permutation(k, count))(jax.random.split(key_order, PASSES))
        batches = orders[:, : count // size * size].reshape(-1, size)

        def body(state: State, index: jax.Array) -> tuple[State, jax.Array]:
            return update(state, Batch(shown.images[index], shown.emotion[index]), latents[index])

        state, losses = jax.lax.scan(body, state, batches)
        return state._replace(round=state.round + 1), jnp.stack([losses.mean(), rejected])

    return one_round


def make_update(
    config: Config, optimizer: optax.GradientTransformation
) -> Callable[[State, Batch, jax.Array], tuple[State, jax.Array]]:
    """Return the learning rule: (state, batch, its latents (n, d)) → the next state, and the mean squared distance."""
    generator = networks(config).generator

    def loss_of(params: Any, stats: Any, batch: Batch, latents: jax.Array) -> tuple[jax.Array, Any]:
        images, stats = forward(generator, params, stats, latents, batch.emotion)
        return jnp.square(scales(images) - scales(batch.images)).sum(1).mean(), stats

    def update(state: State, batch: Batch, latents: jax.Array) -> tuple[State, jax.Array]:
        gradient_of = jax.value_and_grad(loss_of, has_aux=True)
        (loss, stats), gradient = gradient_of(state.params, state.batch_stats, batch, latents)
        change, opt_state = optimizer.update(gradient, state.opt_state, state.params)
        return State(state.round, optax.apply_updates(state.params, change), stats, opt_state), loss

    return update


def members_of(faces: DepthFaces) -> jax.Array:
    """Return (classes, most) int32: the faces of each emotion, and the number of all faces in empty places."""
    groups = [np.flatnonzero(faces.emotion == label) for label in range(len(faces.emotions))]
    most = max(map(len, groups))
    return jnp.asarray([np.pad(g, (0, most - len(g)), constant_values=len(faces)) for g in groups], jnp.int32)


def chosen_latents(
    config: Config, state: State, images: jax.Array, members: jax.Array, key: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Return a latent for each training face (n, d), of its emotion's own pool, and the share that was rejected."""
    base, width, targets = config.baselines, config.model.latent_size, scales(images)
    generator, variables = networks(config).generator, {"params": state.params, "batch_stats": state.batch_stats}

    def of_emotion(label: jax.Array) -> tuple[jax.Array, jax.Array]:
        def decoded(latents: jax.Array) -> jax.Array:
            return scales(generator.apply(variables, latents, jnp.full(PART, label), False))

        pool = jax.random.normal(jax.random.fold_in(key, label), (POOL // PART, PART, width), jnp.float32)
        made = jax.lax.map(decoded, pool).reshape(POOL, -1)
        places = members[label]
        distance = distances(targets.at[places].get(mode="clip"), made)
        index, rejected = nearest_kept(distance, places < len(images), base.rs_imle_epsilon)
        return pool.reshape(-1, width)[index], rejected.mean(dtype=jnp.float32)

    latents, rejected = jax.lax.map(of_emotion, jnp.arange(len(members)))
    by_face = jnp.zeros((len(images), width)).at[members.ravel()].set(latents.reshape(-1, width), mode="drop")
    return by_face, rejected.mean()


def nearest_kept(distance: jax.Array, filled: jax.Array, epsilon: float) -> tuple[jax.Array, jax.Array]:
    """Return for each training face the nearest candidate that is not rejected, (n,), and which are, (m,) bool.

    Of distances (n, m), rows that are not `filled`, (n,) bool, are empty places. Rejected is who is nearer than epsilon
    to any face; if that is all of them, none is.
    """
    nearest = jnp.where(filled[:, None], distance, jnp.inf).min(axis=0)
    rejected = nearest < epsilon
    rejected &= ~rejected.all()
    return jnp.argmin(jnp.where(rejected[None], jnp.inf, distance), axis=1), rejected


def scales(images: jax.Array) -> jax.Array:
    """(n, h, w) → (n, f): means over boxes of BOXES, weighted so that a squared distance is a mean square."""
    n, side, _ = images.shape
    rows = []
    for box in (box for box in BOXES if box <= side):
        cells = images.reshape(n, side // box, box, side // box, box).mean((2, 4)).reshape(n, -1)
        rows.append(cells / cells.shape[1] ** 0.5)
    return jnp.concatenate(rows, axis=1) / len(rows) ** 0.5


def distances(a: jax.Array, b: jax.Array) -> jax.Array:
    """(n, f) and (m, f) → (n, m) Euclidean distances."""
    squares = jnp.square(a).sum(1)[:, None] + jnp.square(b).sum(1)[None] - 2 * a @ b.T
    return jnp.sqrt(jnp.maximum(squares, 0))


def settings(config: Config) -> Settings:
    """Return the settings that a fit depends on."""
    return settings_of(config, *FIELDS) | {"rounds (baselines.rs_imle_epochs)": rounds(config)}
