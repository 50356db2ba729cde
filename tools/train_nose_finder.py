"""Fit the network of `depthjax.data.find_face` to rendered people, whose noses are known.

    python tools/train_nose_finder.py [--scenes 4400] [--out depthjax/data/assets/nose_finder.npz]

Whole frames of six cameras and crops of them, heads turned to 60 degrees, hands, hair, walls, things; about 30 minutes
on one core. A second round adds the points that the first network takes for noses and that are none.
`tools/measure_nose_finder.py` measures the errors by pose.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

sys.path.insert(0, str(Path(__file__).parent))
import scenes

from depthjax.data import find_face as finder

SEED, HIDDEN = 300, (96, 48)
TIP_MM, NEAR_MM = 10.0, 45.0  # a point this near is the tip; one this near knows where it is
STEPS, BATCH = 25_000, 512


def main() -> None:
    """Render, fit, write, twice."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--scenes", type=int, default=4400)
    parser.add_argument("--out", type=Path, default=finder.WEIGHTS)
    options = parser.parse_args()
    finder.WEIGHTS = options.out
    for mistakes in (False, True):  # of the first network, which the second learns from
        write(fit(*collect(range(options.scenes), mistakes=mistakes)), options.out)
        finder._weights.cache_clear()


def collect(numbers: range, *, mistakes: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return features (n, 272) and targets (n, 3): how far below and right the tip is in mm, and whether it is near."""
    seen, targets = [], []
    for number in numbers:
        rng = np.random.default_rng([SEED, number])
        shot = scenes.random_shot(rng, seed=SEED, subject=number, headless=0.1)
        for view in views(shot, rng):
            for points, target in points_of(*view, rng, mistakes=mistakes):
                seen.append(points)
                targets.append(target)
    print(f"{sum(map(len, seen))} points, {sum((t[:, 2] < TIP_MM).sum() for t in targets)} of them tips", flush=True)
    return np.concatenate(seen), np.concatenate(targets)


def points_of(frame: np.ndarray, focal: float, pixel_mm: float, nose: np.ndarray | None, rng: np.random.Generator, *,
              mistakes: bool) -> Iterator[tuple[np.ndarray, np.ndarray]]:  # fmt: skip
    """Yield features and targets of some points of each level: the tip, its surroundings, others."""
    for level in reversed(list(finder.levels(frame, focal, pixel_mm))):
        points = finder.candidates(level)
        if not len(points.z):
            continue
        points, offset = with_tips(level, points, nose, offsets(level, points, nose), rng)
        far = np.linalg.norm(offset, axis=1)
        near = far < NEAR_MM
        chance = np.select([far < TIP_MM, near], [1.0, 30 / max(1, near.sum())], 25 / max(1, (~near).sum()))
        if mistakes:
            wrong = finder.judge(finder.features(level, points))[0] * (far > 20)
            chance = np.maximum(chance, wrong > 0.1)
        kept = rng.random(len(far)) < chance
        points = finder.Points(*(column[kept] for column in points))
        target = np.concatenate([offset[kept], far[kept, None]], 1).astype(np.float32)
        yield finder.features(level, points).astype(np.float16), target


def views(shot: scenes.Shot, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, float, float, np.ndarray | None]]:
    """Yield the frame with a focal length that is a little wrong, or turned, without a face then; and often a crop."""
    wrong = np.exp(rng.normal(0, 0.08))
    if rng.random() < 0.2:
        yield np.ascontiguousarray(np.rot90(shot.frame, rng.integers(1, 4))), shot.focal * wrong, 0.0, None
    else:
        yield shot.frame, shot.focal * wrong, 0.0, shot.nose
    if shot.nose is not None and rng.random() < 0.7:
        yield random_crop(shot, rng)


def random_crop(shot: scenes.Shot, rng: np.random.Generator) -> tuple[np.ndarray, float, float, np.ndarray]:
    """A crop about the face, its focal length or its scale known, sometimes relief of an unknown unit."""
    wrong, (column, row, z) = np.exp(rng.normal(0, 0.08)), shot.nose
    pixel = z / shot.focal
    left, right, up, down = rng.uniform((75, 75, 110, 85), (150, 150, 200, 190)) / pixel
    top, first = max(0, round(row - up)), max(0, round(column - left))
    crop = shot.frame[top : round(row + down), first : round(column + right)]
    if rng.random() < 0.3:
        scaled = (crop.astype(np.float32) - z) * rng.uniform(0.7, 1.4) + z
        crop = np.where(crop > 0, np.rint(scaled).clip(1, 65535), 0).astype(np.uint16)
    scale = (shot.focal * wrong, 0.0) if rng.random() < 0.5 else (0.0, pixel * wrong)
    return crop, *scale, np.array([column - first, row - top, z])


def offsets(level: finder.Level, points: finder.Points, nose: np.ndarray | None) -> np.ndarray:
    """How far the tip is below and right of each point, (n, 2) mm; far off without one."""
    if nose is None:
        return np.full((len(points.z), 2), 1e3)
    place = (nose[1::-1] - (level.factor - 1) / 2) / level.factor
    offset = (place - finder.places(level, points)) * points.pitch[:, None]
    offset[np.abs(points.z - nose[2]) > 80] = 1e3
    return offset


def with_tips(level: finder.Level, points: finder.Points, nose: np.ndarray | None, offset: np.ndarray,
              rng: np.random.Generator) -> tuple[finder.Points, np.ndarray]:  # fmt: skip
    """Add the pixels about places near the tip, as the second look takes them."""
    near = np.flatnonzero(np.linalg.norm(offset, axis=1) < NEAR_MM)
    if not len(near):
        return points, offset
    place = (nose[1::-1] - (level.factor - 1) / 2) / level.factor + rng.normal(0, 6, 2) / points.pitch[near[0]]
    more, _ = finder.points_about(level, nose[2:], place[None])
    joined = finder.Points(*(np.concatenate(pair) for pair in zip(points, more, strict=True)))
    return joined, np.concatenate([offset, offsets(level, more, nose)])


def fit(seen: np.ndarray, targets: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Fit by Adam; half of the points are mirrored."""
    sizes = (seen.shape[1], *HIDDEN, 3)
    rng, key = np.random.default_rng(SEED), jax.random.key(SEED)
    network = [(jax.random.normal(jax.random.fold_in(key, i), (a, b)) * np.sqrt(2 / a), jnp.zeros(b))
               for i, (a, b) in enumerate(itertools.pairwise(sizes))]  # fmt: skip
    optimiser = optax.adamw(optax.cosine_decay_schedule(2e-3, STEPS), weight_decay=1e-4)
    state = optimiser.init(network)

    @jax.jit
    def update(network, state, x, y):  # type: ignore[no-untyped-def]
        gradient = jax.grad(loss)(network, x, y)
        change, state = optimiser.update(gradient, state, network)
        return optax.apply_updates(network, change), state

    mirror = finder.mirrored_order()
    for _ in range(STEPS):
        rows = rng.integers(0, len(seen), BATCH)
        x, y = seen[rows].astype(np.float32), targets[rows].copy()
        flip = rng.random(BATCH) < 0.5
        x[flip] = x[flip][:, mirror]
        y[flip, 1] *= -1
        network, state = update(network, state, x, y)
    return [(np.asarray(w), np.asarray(b)) for w, b in network]


def loss(network: list[tuple[jax.Array, jax.Array]], x: jax.Array, y: jax.Array) -> jax.Array:
    """Cross-entropy of being the tip, and the error of the offset where it is near."""
    for weight, bias in network[:-1]:
        x = jax.nn.relu(x @ weight + bias)
    out = x @ network[-1][0] + network[-1][1]
    tip = jnp.clip((2 * TIP_MM - y[:, 2]) / TIP_MM, 0, 1)
    crossed = optax.sigmoid_binary_cross_entropy(out[:, 0], tip)
    wrong = optax.huber_loss(out[:, 1:], y[:, :2] / finder.OFFSET_MM, delta=0.3).sum(1)
    return crossed.mean() + 2 * (wrong * (y[:, 2] < NEAR_MM)).mean()


def write(network: list[tuple[np.ndarray, np.ndarray]], path: Path) -> None:
    """Write the weights as float16."""
    arrays = {f"{name}{i}": value.astype(np.float16) for i, pair in enumerate(network)
              for name, value in zip("wb", pair, strict=True)}  # fmt: skip
    np.savez_compressed(path, **arrays)
    print(f"{path}: {path.stat().st_size} bytes", flush=True)


if __name__ == "__main__":
    main()
