"""Measure the nose finder by how far heads are turned: the numbers of depthjax/data/assets/nose_finder.md.

    python tools/measure_nose_finder.py --scenes 900
    python tools/measure_nose_finder.py --scenes 700 --model ICT-FaceKit/FaceXModel [--seed 8]

People whom the finder was not fitted to, 0.4 to 1.3 m from six cameras, tilted by up to 20 degrees; or heads of
your own copy of ICT-FaceKit before four stereo cameras (`tools/render_ict.py`), with the bodies and things of
`tools/scenes.py`. Each frame is looked at whole, and as a crop about the face, its focal length known.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import render_ict
import scenes

from depthjax.data.find_face import find_nose
from depthjax.errors import counted

UNSEEN, ICT_SEED = 6, 5
FAR_MM = 20.0  # a nose that is found farther off is wrong
STEREO = ((480, 640, 610.0), (480, 640, 385.0), (424, 512, 365.0), (576, 640, 504.0))  # height, width, focal length
PIVOT_TO_TIP = np.array([0.0, -5.0, 115.0])
Rng = np.random.Generator


def main() -> None:
    """Print a line for each range of degrees, of whole frames and of crops."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--scenes", type=int, default=900)
    parser.add_argument("--model", type=Path, help="FaceXModel of a copy of ICT-FaceKit; without it embedded people")
    parser.add_argument("--seed", type=int, default=ICT_SEED, help=f"of the heads of ICT-FaceKit ({ICT_SEED})")
    options = parser.parse_args()
    shots = ict_shots(options.model, options.scenes, options.seed) if options.model else embedded_shots(options.scenes)
    rows = np.array([(abs(shot.yaw), *misses(shot, number)) for number, shot in shots])
    for kind, missed in (("frames", rows[:, 1]), ("crops", rows[:, 2])):
        for low, high in ((0, 15), (15, 30), (30, 45)):
            print(f"{kind}, {low} to {high} degrees: {summary(missed[(rows[:, 0] >= low) & (rows[:, 0] < high)])}")


def summary(missed: np.ndarray) -> str:
    """Return counts and shares of distances (n,) mm between the true tip and the found one, NaN where none is found."""
    found = missed[np.isfinite(missed)]
    wrong = int((found > FAR_MM).sum())
    return (
        f"{counted(len(missed), 'image')}, refused {np.isnan(missed).mean():.1%}, over {FAR_MM:g} mm {wrong} of "
        f"{len(found)} ({wrong / max(1, len(found)):.1%}), median {np.median(found):.1f} mm"
    )


def misses(shot: scenes.Shot, number: int) -> tuple[float, float]:
    """Return how far off the nose is, mm, in the frame and in a crop of it; NaN where none is found."""
    assert shot.nose is not None
    column, row, z = shot.nose
    pixel = z / shot.focal
    left, right, up, down = np.random.default_rng([9, number]).uniform((75, 75, 110, 85), (120, 120, 170, 150)) / pixel
    top, first = max(0, round(row - up)), max(0, round(column - left))
    crop = shot.frame[top : round(row + down), first : round(column + right)]
    found = (find_nose(image, focal=shot.focal, crop=image is crop) for image in (shot.frame, crop))
    corners = ((0, 0), (first, top))
    return tuple(
        np.nan if nose is None else float(np.hypot(nose.x + x - column, nose.y + y - row) * pixel)
        for nose, (x, y) in zip(found, corners, strict=True)
    )  # type: ignore[return-value]


def embedded_shots(count: int) -> Iterator[tuple[int, scenes.Shot]]:
    """Yield people whom the finder was not fitted to whose nose is to be seen, numbered."""
    pose = {"yaw": 45.0, "pitch": 20.0, "roll": 20.0}
    for number in range(count):
        rng = np.random.default_rng([UNSEEN, number])
        shot = scenes.random_shot(rng, seed=UNSEEN, subject=number, distance=(400.0, 1300.0), **pose)
        if shot.nose is not None:
            yield number, shot


def ict_shots(folder: Path, count: int, seed: int = ICT_SEED) -> Iterator[tuple[int, scenes.Shot]]:
    """Yield heads of ICT-FaceKit whose nose is to be seen, numbered."""
    model = render_ict.read_model(folder)
    for number in range(count):
        shot = ict_shot(model, np.random.default_rng([seed, number]), STEREO[number % len(STEREO)])
        if shot.nose is not None:
            yield number, shot


def ict_shot(model: render_ict.Model, rng: Rng, size: tuple[int, int, float]) -> scenes.Shot:
    """Draw a person, an expression, a pose, a place and a room before a stereo camera."""
    height, width, focal = size
    person = render_ict.draw_person(model, rng)
    head = expressed(model, person, rng)
    pose = rng.uniform(-1, 1, 3) * (45, 20, 20)
    z = rng.uniform(max(350, 0.6 * focal + 80), 1400)
    points = render_ict.place(head, pose, z)
    points[:, :2] += rng.normal(0, 60, 2)
    at = points[tip_of(model, head)]
    stereo = render_ict.Camera(height=height, width=width, focal=focal, disparity_sd=0.03)
    depth, triangle = render_ict.depth_map(points, model.triangles, stereo)
    missing = np.where(triangle >= 0, person.missing[triangle], 0)
    camera = scenes.Camera(height, width, focal)
    other, _ = scenes.render(room(rng, at, z, pose), camera)
    missing, depth = np.where(other < depth, 0, missing), np.minimum(depth, other)
    nose = scenes._seen(at, depth, camera)
    return scenes.Shot(render_ict.sense(depth, missing, stereo, rng), focal, nose, float(pose[0]), camera)


def expressed(model: render_ict.Model, person: render_ict.Person, rng: Rng) -> np.ndarray:
    """Return the head (n, 3) mm in an expression, the mouth sometimes open."""
    emotion = str(rng.choice(list(render_ict.RECIPES)))
    weights = render_ict.expression_weights(person, emotion, float(rng.uniform(0.2, 1)), rng)
    if rng.random() < 0.3:
        weights["jawOpen"] = float(rng.uniform(0.3, 1))
    moved: np.ndarray = person.head + sum(np.float32(w) * model.expressions[name] for name, w in weights.items())
    return moved


def tip_of(model: render_ict.Model, head: np.ndarray) -> int:
    """Return the vertex that stands out of the nose, as `scenes.nose_vertex` defines it."""
    near = np.linalg.norm(head - head[np.argmax(model.mean[:, 2])], axis=1) < 15
    return int(np.argmax(np.where(near, head[:, 2] - np.abs(head[:, 0]), -np.inf)))


def room(rng: Rng, at: np.ndarray, z: float, pose: np.ndarray) -> scenes.Scene:
    """Return a body below a head whose nose is at `at`, sometimes a hand, long hair, a wall."""
    scene, flip, tip = scenes.Scene(), np.array([1.0, -1.0, -1.0]), scenes.rotation(*pose) @ PIVOT_TO_TIP
    scenes._add_torso(scene, lambda points: (points - tip) * flip + at, 1.0, rng)
    if rng.random() < 0.35:
        beside = [rng.choice([-1, 1]) * rng.uniform(50, 220), rng.uniform(-150, 230), -rng.uniform(-20, 200)]
        scenes.add_hand(scene, rng, at + np.array(beside))
    if rng.random() < 0.3:
        for side in (-1, 1):
            locks = at + np.array([side * 78, 10, 100])
            scene.bodies.append(scenes.Ellipsoid(locks, np.diag([24.0, 130.0, 45.0]), hair=True))
    if rng.random() < 0.7:
        scenes.add_wall(scene, rng, z + rng.uniform(280, 2000), 15)
    return scene


if __name__ == "__main__":
    main()
