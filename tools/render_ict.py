"""Render faces of the ICT-FaceKit head model, from your own copy of it, as a stereo camera would see them.

    git clone https://github.com/ICT-VGL/ICT-FaceKit
    python tools/render_ict.py --model ICT-FaceKit/FaceXModel --out faces

The model (MIT, USC Institute for Creative Technologies) is read, never copied. Written are crops of 200x128 pixels,
16-bit millimetres, `OUT/{emotion}/s{subject}_f{frame}.png`. Nothing of depthjax's renderer is used: head, camera,
noise and framing differ, so faces that training never saw can be tested on. A crop is about 205 mm wide.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter, maximum_filter, minimum_filter, uniform_filter
from scipy.special import ndtri

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from depthjax.errors import UserError, without_traceback  # noqa: E402

Ranges = dict[str, tuple[float, float]]  # weight of a shape at full intensity, from and to; sided shapes without _L, _R

# What people do, as mixtures of shapes; one of several is drawn for each frame, some people preferring the first.
RECIPES: dict[str, tuple[Ranges, ...]] = {
    "neutral": ({},),
    "happiness": (
        {"mouthSmile": (0.5, 1), "cheekSquint": (0.3, 1), "cheekRaiser": (0, 0.6), "eyeSquint": (0, 0.5),
         "mouthDimple": (0, 0.35), "mouthPress": (0, 0.2)},
        {"mouthSmile": (0.55, 1), "cheekSquint": (0.3, 1), "cheekRaiser": (0, 0.6), "eyeSquint": (0, 0.5),
         "mouthUpperUp": (0.15, 0.5), "mouthLowerDown": (0, 0.35), "mouthStretch": (0, 0.2), "jawOpen": (0.02, 0.2)},
    ),
    "surprise": (
        {"browInnerUp": (0.6, 1), "browOuterUp": (0.5, 1), "eyeWide": (0.3, 1), "jawOpen": (0.35, 0.8),
         "mouthFunnel": (0, 0.25)},
    ),
    "fear": (
        {"browInnerUp": (0.5, 1), "browOuterUp": (0.1, 0.5), "browDown": (0.3, 0.8), "eyeWide": (0.4, 1),
         "mouthStretch": (0.5, 1), "mouthLowerDown": (0, 0.4), "mouthFrown": (0, 0.3), "jawOpen": (0.03, 0.3)},
    ),
}  # fmt: skip
RESTING = {"mouthFrown": 0.12, "mouthSmile": 0.06, "browDown": 0.12}  # sd over people of a face at rest
IDLE = {"eyeBlink": 0.12, "mouthPress": 0.08, "browInnerUp": 0.06, "browDown": 0.06, "jawOpen": 0.015}  # over frames
UNSIDED = {"jawOpen", "mouthFunnel"}
NAMES = sorted({name for recipes in RECIPES.values() for recipe in recipes for name in recipe} | {*RESTING, *IDLE})
EXPRESSIONS = [shape for name in NAMES for shape in ((name,) if name in UNSIDED else (f"{name}_L", f"{name}_R"))]
UNSEEN = {"M_LacrimalFluid", "M_EyeBlend", "M_EyeOcclusion", "M_EyeLashes"}  # transparent, or thinner than a pixel
MOUTH_DROPOUT = 0.35  # share of missing returns on gums and tongue: dark and wet
MM = 10.0  # the model's unit is a centimetre

CROP = (200, 128)  # height, width
CROP_WIDTH_MM = 205.0
FACE_AT = (0.56, 0.5)  # of the crop's height and width
MAX_POSE = (15.0, 10.0, 5.0)  # degrees of yaw, pitch, roll; two standard deviations
DISTANCE = (550.0, 850.0)  # mm, of the head's middle


class Camera(NamedTuple):
    """A stereo camera: pinhole, disparity between two images side by side. Defaults are near a RealSense D415's."""

    height: int = 480
    width: int = 640
    focal: float = 610.0  # pixels
    baseline: float = 55.0  # mm
    disparity_sd: float = 0.05  # pixels
    disparity_step: float = 1 / 32
    match: int = 5  # pixels of the window that is matched


class Model(NamedTuple):
    """The head: mean vertices (n, 3) mm, displacements of identities (k, n, 3) and of expressions by name (n, 3)."""

    mean: np.ndarray
    identities: np.ndarray
    expressions: dict[str, np.ndarray]
    triangles: np.ndarray  # (m, 3) vertex numbers
    wet: np.ndarray  # (m,) bool, gums and tongue


class Person(NamedTuple):
    """A head (n, 3) mm at rest, and how this person poses, sits and wears hair."""

    head: np.ndarray
    missing: np.ndarray  # (m,) share of missing returns of each triangle
    resting: dict[str, float]
    habits: dict[str, tuple[dict[str, float], ...]]  # weights at full intensity, for each recipe of an emotion
    first_habit: float  # how often the first recipe is chosen
    asymmetry: float
    distance: float
    wall: float  # mm, distance of the wall behind; infinity: none


def main() -> None:
    """Render as the flags say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder FaceXModel of your copy of ICT-FaceKit")
    parser.add_argument("--out", type=Path, required=True, help="new or empty folder for the faces")
    parser.add_argument("--subjects", type=int, default=60, help="people (60)")
    parser.add_argument("--frames", type=int, default=8, help="frames of each person and emotion (8)")
    parser.add_argument("--seed", type=int, default=0, help="of all draws (0)")
    parser.add_argument("--emotions", default=",".join(RECIPES), help=f"separated by commas ({','.join(RECIPES)})")
    flags = parser.parse_args()
    with without_traceback():
        emotions = flags.emotions.split(",")
        count = render(flags.model, flags.out, flags.subjects, flags.frames, flags.seed, emotions)
        print(f"{count} faces in {flags.out}; read them with --config.data.pattern='s{{subject}}_f{{frame}}'")


def render(model: Path, out: Path, subjects: int, frames: int, seed: int, emotions: Sequence[str]) -> int:
    """Write every face and return their number; a person's faces depend on `seed` and its number alone."""
    _check(out, subjects, frames, seed, emotions)
    head, camera = read_model(model), Camera()
    for emotion in emotions:
        (out / emotion).mkdir(parents=True, exist_ok=True)
    for subject in range(subjects):
        person = draw_person(head, np.random.default_rng([seed, subject]))
        for emotion in emotions:
            for frame, intensity in enumerate(np.linspace(1, 0.4, frames)):
                rng = np.random.default_rng([seed, subject, list(RECIPES).index(emotion), frame])
                crop = draw_crop(head, person, emotion, float(intensity), camera, rng)
                Image.fromarray(crop).save(out / emotion / f"s{subject:03d}_f{frame}.png")
    return subjects * frames * len(emotions)


def _check(out: Path, subjects: int, frames: int, seed: int, emotions: Sequence[str]) -> None:
    for name, value, least in (("subjects", subjects, 1), ("frames", frames, 1), ("seed", seed, 0)):
        if value < least:
            raise UserError(f"--{name}={value}: must be at least {least}", exit_code=2)
    if wrong := [emotion for emotion in emotions if emotion not in RECIPES]:
        raise UserError(f"--emotions: {wrong[0]!r} is not known; known: {', '.join(RECIPES)}", exit_code=2)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"--out={out} exists and is not an empty folder: name another", exit_code=2)


# The model


def read_model(folder: Path) -> Model:
    """Read a folder FaceXModel. UserError: a file is missing, damaged or of another mesh."""
    mean = _read_vertices(folder / "generic_neutral_mesh.obj")
    paths = sorted(folder.glob("identity*.obj"))
    if not paths:
        raise UserError(f"{folder} has no identity*.obj: give the folder FaceXModel of a copy of ICT-FaceKit")
    identities = np.stack([_displacement(path, mean) for path in paths])
    expressions = {name: _displacement(folder / f"{name}.obj", mean) for name in EXPRESSIONS}
    triangles, wet = _read_triangles(folder / "generic_neutral_mesh.obj", len(mean))
    return Model(mean, identities, expressions, triangles, wet)


def _read_lines(path: Path) -> list[str]:
    try:
        return path.read_text("ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise UserError(f"{path} cannot be read ({reason}): --model is FaceXModel of a copy of ICT-FaceKit") from None


def _read_vertices(path: Path) -> np.ndarray:
    words = " ".join(line[2:] for line in _read_lines(path) if line.startswith("v ")).split()
    try:
        return np.array(words, np.float32).reshape(-1, 3) * np.float32(MM)
    except ValueError:
        raise UserError(f"{path} is damaged: a vertex is not three numbers") from None


def _displacement(path: Path, mean: np.ndarray) -> np.ndarray:
    vertices = _read_vertices(path)
    if vertices.shape != mean.shape:
        raise UserError(f"{path} has {len(vertices)} vertices, generic_neutral_mesh.obj has {len(mean)}: copy it again")
    return vertices - mean


def _read_triangles(path: Path, vertices: int) -> tuple[np.ndarray, np.ndarray]:
    """Triangles (m, 3) of all that a camera sees, polygons as fans; which are gums or tongue."""
    material, triangles, wet = "", [], []
    for line in _read_lines(path):
        if line.startswith("usemtl "):
            material = line[7:].strip()
        elif line.startswith("f ") and material not in UNSEEN:
            corners = [int(word.partition("/")[0]) - 1 for word in line.split()[1:]]
            fan = [(corners[0], *pair) for pair in itertools.pairwise(corners[1:])]
            triangles += fan
            wet += [material == "M_GumsTongue"] * len(fan)
    found = np.array(triangles, np.int64).reshape(-1, 3)
    if not len(found) or found.min() < 0 or found.max() >= vertices:
        raise UserError(f"{path} is damaged: its faces do not fit its {vertices} vertices")
    return found, np.array(wet)


# People


def draw_person(model: Model, rng: np.random.Generator) -> Person:
    """Draw a head with standard normal identity weights, and its habits."""
    weights = rng.normal(size=len(model.identities)).astype(np.float32)
    habits = {emotion: tuple({name: float(rng.uniform(*ends)) for name, ends in recipe.items()} for recipe in recipes)
              for emotion, recipes in RECIPES.items()}  # fmt: skip
    return Person(
        head=model.mean + np.tensordot(weights, model.identities, 1),
        missing=_hair(model, rng),
        resting={name: abs(float(rng.normal(0, sd))) for name, sd in RESTING.items()},
        habits=habits,
        first_habit=float(rng.beta(1.2, 1.2)),
        asymmetry=float(rng.normal(0, 0.12)),
        distance=float(rng.uniform(*DISTANCE)),
        wall=float(rng.uniform(1100, 2500)) if rng.random() < 0.5 else np.inf,
    )


def _hair(model: Model, rng: np.random.Generator) -> np.ndarray:
    """Share of missing returns (m,): hair above a hairline and behind the temples, and the wet mouth."""
    x, y, z = model.mean[model.triangles].mean(axis=1).T
    hairline = rng.normal(92, 6) - 0.004 * x**2  # mm above the origin, lower at the sides
    temple = rng.normal(20, 8)  # mm before the origin
    bald = rng.random() < 0.1
    cap = (y > hairline) | ((z < temple) & (y > rng.normal(10, 15)))
    return np.where(model.wet, MOUTH_DROPOUT, np.where(cap, 0.0 if bald else rng.uniform(0.6, 1), 0))


def expression_weights(person: Person, emotion: str, intensity: float, rng: np.random.Generator) -> dict[str, float]:
    """Return the weight of each shape for one frame: habit times intensity, the face at rest, and idle movement."""
    options = person.habits[emotion]
    habit = options[0] if len(options) == 1 or rng.random() < person.first_habit else options[1]
    weights = {}
    for name in NAMES:
        posed = habit.get(name, 0.0) * intensity * np.exp(rng.normal(0, 0.1))
        weight = posed + person.resting.get(name, 0.0) + abs(rng.normal(0, IDLE.get(name, 0.0)))
        lean = person.asymmetry + rng.normal(0, 0.05)
        sides = [(name, 0.0)] if name in UNSIDED else [(f"{name}_L", lean), (f"{name}_R", -lean)]
        weights |= {shape: float(np.clip(weight * (1 + side), 0, 1.1)) for shape, side in sides}
    return weights


# The camera


def draw_crop(
    model: Model, person: Person, emotion: str, intensity: float, camera: Camera, rng: np.random.Generator
) -> np.ndarray:
    """Pose a person before the camera and cut its face out: (200, 128) uint16 mm, 0 where nothing returns."""
    weights = expression_weights(person, emotion, intensity, rng)
    head = person.head + sum(np.float32(weight) * model.expressions[name] for name, weight in weights.items())
    pose = np.clip(rng.normal(0, 0.5, 3), -1, 1) * MAX_POSE
    points = place(head, pose, person.distance + rng.normal(0, 12))
    points[:, :2] += rng.normal(0, 15, 2)
    depth, triangle = depth_map(points, model.triangles, camera)
    missing = np.where(triangle >= 0, person.missing[triangle], 0)
    frame = sense(np.minimum(depth, person.wall), missing, camera, rng)
    nose, middle = points[np.argmax(model.mean[:, 2])], points.mean(axis=0)
    return cut(frame, np.array([(nose[0] + middle[0]) / 2, *nose[1:]]), camera, rng)


def place(head: np.ndarray, degrees: np.ndarray, distance: float) -> np.ndarray:
    """Turn a head (n, 3), y up and facing z, by yaw, pitch and roll; return camera coordinates, y down, z away."""
    yaw, pitch, roll = np.radians(degrees)
    turn_yaw = [[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]]
    turn_pitch = [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
    turn_roll = [[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]]
    turned = head @ (np.array(turn_roll) @ turn_pitch @ turn_yaw).T
    return turned * [1, -1, -1] + [0, 0, distance]


def depth_map(points: np.ndarray, triangles: np.ndarray, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest surface at each pixel's centre (h, w) mm, infinity where none, and its triangle, -1 none."""
    size = np.array([camera.width, camera.height])
    pixels = points[:, :2] / points[:, 2:] * camera.focal + (size - 1) / 2
    corners, inverse = pixels[triangles], 1 / points[:, 2][triangles]  # (m, 3, 2), (m, 3)
    first = np.maximum(np.ceil(corners.min(axis=1)), 0).astype(np.int64)
    count = np.minimum(np.floor(corners.max(axis=1)), size - 1).astype(np.int64) - first + 1
    edge, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = edge[:, 0] * other[:, 1] - edge[:, 1] * other[:, 0]
    kept = np.flatnonzero((count > 0).all(axis=1) & (np.abs(area) > 1e-9) & (inverse > 0).all(axis=1))

    # A row for each pixel of each triangle's bounding box.
    number = count[kept].prod(axis=1)
    which = np.repeat(kept, number)
    within = np.arange(len(which)) - np.repeat(np.cumsum(number) - number, number)
    column = first[which, 0] + within % count[which, 0]
    row = first[which, 1] + within // count[which, 0]
    x, y = column - corners[which, 0, 0], row - corners[which, 0, 1]
    share = (x * other[which, 1] - y * other[which, 0]) / area[which]
    share_other = (y * edge[which, 0] - x * edge[which, 1]) / area[which]
    inside = (share >= 0) & (share_other >= 0) & (share + share_other <= 1)
    which, pixel = which[inside], (row * camera.width + column)[inside]

    # Over the image of a plane, the inverse of depth is linear.
    slopes = (inverse[:, 1:] - inverse[:, :1])[which]
    nearness = inverse[which, 0] + share[inside] * slopes[:, 0] + share_other[inside] * slopes[:, 1]
    nearest = np.zeros(camera.height * camera.width)
    np.maximum.at(nearest, pixel, nearness)
    owner = np.full(len(nearest), -1)
    front = nearness == nearest[pixel]
    owner[pixel[front]] = which[front]
    shape = (camera.height, camera.width)
    depth = np.divide(1, nearest, out=np.full(len(nearest), np.inf), where=nearest > 0)
    return depth.reshape(shape), owner.reshape(shape)


def sense(depth: np.ndarray, missing: np.ndarray, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """Return what stereo matching makes of a depth map (h, w) mm: uint16 mm, 0 where it finds no match.

    Noise is of disparity, so it grows with the square of depth; missing are what the second camera does not see,
    steep and broken surfaces, and a share `missing` (h, w) in patches.
    """
    scale = camera.focal * camera.baseline
    disparity = np.where(np.isfinite(depth), scale / depth, 0)
    found = (disparity > 0) & ~_hidden(disparity)
    far, near = maximum_filter(depth, camera.match), minimum_filter(np.where(found, depth, np.inf), camera.match)
    spread = np.subtract(far, near, out=np.full(depth.shape, np.inf), where=np.isfinite(far))
    steep = 30 * np.exp(0.3 * _patches(depth.shape, 1.5, rng))  # mm within the window
    found &= (spread < steep) | ((spread < np.inf) & (rng.random(depth.shape) < 0.1))
    found &= _patches(depth.shape, 3.0, rng) > ndtri(np.clip(missing + 0.002, 0, 1))

    smooth = np.where(spread < 20, uniform_filter(disparity, camera.match), disparity)
    noise = camera.disparity_sd * _patches(depth.shape, 1.2, rng) * (1 + 3 * missing)
    steps = np.round((smooth + noise) / camera.disparity_step)
    found &= steps > 0
    return np.where(found, np.round(scale / (np.maximum(steps, 1) * camera.disparity_step)), 0).astype(np.uint16)


def _hidden(disparity: np.ndarray) -> np.ndarray:
    """Which pixels another, nearer and to their right, covers in the second camera's image."""
    seen_at = np.where(disparity > 0, np.arange(disparity.shape[1]) - disparity, np.inf)
    least = np.minimum.accumulate(seen_at[:, ::-1], axis=1)[:, ::-1]
    return np.pad(least[:, 1:], ((0, 0), (0, 1)), constant_values=np.inf) < seen_at


def _patches(shape: tuple[int, ...], size: float, rng: np.random.Generator) -> np.ndarray:
    """Normal noise of unit variance, correlated over about `size` pixels."""
    return gaussian_filter(rng.standard_normal(shape), size, mode="wrap") * (2 * np.sqrt(np.pi) * size)


def cut(frame: np.ndarray, face: np.ndarray, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """Cut the face out about a point (x, y, z in camera mm), as a detector's box would lie; nearest pixels."""
    step = CROP_WIDTH_MM * np.exp(rng.normal(0, 0.03)) / CROP[1] * camera.focal / face[2]
    at = FACE_AT + np.clip(rng.normal(0, 0.015, 2), -0.03, 0.03)
    lines = []
    for axis, (length, size) in enumerate(zip(CROP, frame.shape, strict=True)):
        centre = face[1 - axis] / face[2] * camera.focal + (size - 1) / 2
        line = np.round(centre + (np.arange(length) + 0.5 - at[axis] * length) * step).astype(np.int64)
        lines.append(np.where((line >= 0) & (line < size), line, size))
    padded = np.pad(frame, ((0, 1), (0, 1)))  # outside the frame nothing returns
    return padded[np.ix_(*lines)]


if __name__ == "__main__":
    main()
