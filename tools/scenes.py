"""Depth frames of rendered people in a room, as any camera would see them, with the true tip of the nose.

Heads are depthjax's own; hair, body, hands and walls are ellipsoids and planes. NumPy only, about 30 ms a frame.
`tools/train_nose_finder.py` fits the face finder to such frames, and the tests make their whole frames with it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from depthjax.data.head_model import HeadModel, load_head_model
from depthjax.data.people import ACTIONS, Person, sample_person

PIVOT = np.array([0.0, -40.0, -90.0])  # where a head turns, from the middle of the eyes
SPACING = 0.8  # pixels between samples of a surface
GRIDS = (1, 2, 4, 8, 16, 32, 64)
Rng = np.random.Generator


class Camera(NamedTuple):
    """Height, width and focal length in pixels; noise at 1 m in mm, how it grows with distance, and its lump,
    pixels; steps of disparity as mm at 1 m."""

    height: int
    width: int
    focal: float
    noise: float = 1.5
    power: float = 2.0
    lump: float = 0.0
    step: float = 0.0


CAMERAS = {
    "kinect_v1": Camera(480, 640, 571.26, 1.8, 2.0, 0.7, 2.8),
    "kinect_v2": Camera(424, 512, 365.0, 1.5, 1.0),
    "azure": Camera(576, 640, 504.0, 1.2, 1.0),
    "d435": Camera(480, 640, 385.0, 3.0, 2.0, 1.5, 1.5),
    "d415": Camera(480, 640, 610.0, 2.0, 2.0, 1.5, 0.8),
    "truedepth": Camera(480, 640, 590.0, 2.5, 2.0, 1.0, 0.5),
}


class Ellipsoid(NamedTuple):
    """Centre and half axes (rows of `axes`, divided by their squared lengths give coordinates), mm in the camera."""

    centre: np.ndarray
    axes: np.ndarray
    hair: bool = False


class Scene:
    """What stands before a camera; `nose` is the tip in mm, None where there is no head."""

    def __init__(self) -> None:
        self.quads, self.scalp = np.zeros((0, 4, 3)), np.zeros(0)
        self.bodies: list[Ellipsoid] = []
        self.planes: list[tuple[np.ndarray, float]] = []  # normal, offset
        self.nose: np.ndarray | None = None
        self.hair_loss = 0.0


def rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Return the matrix of degrees of yaw about y, then pitch about x, then roll about z."""
    (cy, cp, cr), (sy, sp, sr) = np.cos(a := np.deg2rad([yaw, pitch, roll])), np.sin(a)
    turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    tilt = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    return np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]]) @ tilt @ turn


def nose_vertex(model: HeadModel, person: Person) -> int:
    """Return the vertex that stands out of this person's nose."""
    near = np.linalg.norm(person.rest - person.rest[model.nose_tip], axis=1) < 15
    return int(np.argmax(np.where(near, person.rest[:, 2] - np.abs(person.rest[:, 0]), -np.inf)))


def person_scene(
    person: Person,
    rng: Rng,
    *,
    pose: tuple[float, float, float],
    at: np.ndarray,
    mouth: float = 0.0,
    hair: str = "",
    actions: np.ndarray | None = None,
) -> Scene:
    """Return the scene of a head with a body, its nose at `at` (3,) mm; `hair` is "", long, high or fringe."""
    model, turn = load_head_model(), rotation(*pose)
    weights = np.zeros(len(model.face)) if actions is None else actions.copy()
    weights[model.face["jawOpen"]] = max(weights[model.face["jawOpen"]], mouth)
    shape = person.rest + np.tensordot(weights, model.face_targets, 1)
    turned = (shape - PIVOT) @ turn.T
    tip = turned[nose_vertex(model, person)]
    flip = np.array([1.0, -1.0, -1.0])

    def place(points: np.ndarray) -> np.ndarray:
        return (points - tip) * flip + at

    size = float(np.abs(person.rest[:, 0]).max() / 75.0)
    scene = Scene()
    scene.quads, scene.scalp = place(turned)[model.quads], model.scalp[model.quads].mean(1)
    scene.nose, scene.hair_loss = at.copy(), rng.uniform(0, 0.6)

    def on_head(centre: tuple[float, ...], half: tuple[float, ...], *, hair: bool) -> None:
        middle = place((np.array(centre) * size - PIVOT) @ turn.T)
        scene.bodies.append(Ellipsoid(middle, np.diag(half) * size @ turn.T * flip, hair))

    on_head((0, 12, -95), (68, 82, 80), hair=True)  # the mesh has no back of the head
    on_head((0, -60, -105), (52, 60, 48), hair=False)
    thick = rng.uniform(0.8, 1.3)
    if hair == "long":
        for side in (-1, 1):
            on_head((side * 74, -50, -85), (22 * thick, 130, 45), hair=True)
        on_head((0, 25, -100), (82, 92, 88), hair=True)
    elif hair == "high":
        on_head((0, 85, -85), (65 * thick, 60 * thick, 70), hair=True)
    elif hair == "fringe":
        on_head((0, 62, -42), (58, 34 * thick, 42), hair=True)
    _add_torso(scene, place, size, rng)
    return scene


def _add_torso(scene: Scene, place, size: float, rng: Rng) -> None:  # type: ignore[no-untyped-def]
    flip, lean = np.array([1.0, -1.0, -1.0]), rotation(rng.uniform(-25, 25), rng.uniform(-8, 8), rng.uniform(-5, 5))
    wide, down = rng.uniform(0.85, 1.2), rng.uniform(-10, 50)
    parts = [
        ((0, -130, 0), (55, 90, 55)),
        ((0, -400, 10), (165 * wide, 240, 105)),
        ((0, -235, 0), (150 * wide, 55, 70)),
    ]
    parts += [((side * 165 * wide, -250, 0), (62, 62, 62)) for side in (-1, 1)]
    parts += [((side * 200 * wide, -390, 10), (50, 170, 55)) for side in (-1, 1)]
    for centre, half in parts:
        middle = place(np.array([centre[0], centre[1] + down, centre[2]]) * size @ lean.T)
        scene.bodies.append(Ellipsoid(middle, np.diag(half) * size @ lean.T * flip))


def add_hand(scene: Scene, rng: Rng, at: np.ndarray) -> None:
    """Put a hand with its fingers and forearm at `at` (3,) mm."""
    turn, spread = rotation(*rng.uniform(-70, 70, 3)), rng.uniform(4, 12)
    up = rng.choice([-1, 1])
    parts = [((0, 0, 0), (40, 50, 16)), ((0, -190 * up, 10), (36, 150, 32))]
    curl = rng.uniform(0, 30)
    parts += [((x * spread * 2.2, 75 * up - abs(x) * 4, -curl), (9, 40, 9)) for x in (-1.5, -0.5, 0.5, 1.5)]
    parts += [((48, 10 * up, -10), (12, 34, 12))]
    for centre, half in parts:
        scene.bodies.append(Ellipsoid(at + np.array(centre) @ turn.T, np.diag(half) @ turn.T))


def add_wall(scene: Scene, rng: Rng, depth: float, slant: float = 0.0) -> None:
    """Put a wall at `depth` mm on the axis, slanted by up to `slant` degrees."""
    normal = rotation(rng.uniform(-slant, slant), rng.uniform(-slant, slant) / 3, 0) @ np.array([0, 0, 1.0])
    scene.planes.append((normal, depth * normal[2]))


def add_things(scene: Scene, rng: Rng, count: int, near: float, far: float) -> None:
    """Put things of many sizes anywhere between `near` and `far` mm."""
    for _ in range(count):
        z = rng.uniform(near, far)
        at = np.array([rng.uniform(-0.6, 0.6) * z, rng.uniform(-0.5, 0.5) * z, z])
        half = np.exp(rng.uniform(np.log(15), np.log(250), 3))
        scene.bodies.append(Ellipsoid(at, np.diag(half) @ rotation(*rng.uniform(-90, 90, 3)).T))


def render(scene: Scene, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Return depth (height, width) mm, `inf` where nothing is, and where hair is seen, bool."""
    shape = (camera.height, camera.width)
    depth, hair = _mesh(scene, camera)
    rows, columns = np.arange(shape[0]) - (shape[0] - 1) / 2, np.arange(shape[1]) - (shape[1] - 1) / 2
    for body in scene.bodies:
        _draw(body, camera.focal, rows, columns, depth, hair)
    for normal, offset in scene.planes:
        facing = (normal[0] * columns[None] + normal[1] * rows[:, None]) / camera.focal + normal[2]
        wall = offset / np.maximum(facing, 1e-3)
        hair &= depth <= wall
        np.minimum(depth, wall, out=depth)
    return depth, hair


def _mesh(scene: Scene, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    pixels = camera.height * camera.width
    depth, hair = np.full(pixels + 1, np.inf), np.zeros(pixels + 1, bool)
    if len(scene.quads):
        quads = scene.quads
        centre = np.array([(camera.width - 1) / 2, (camera.height - 1) / 2])
        screen = camera.focal * quads[..., :2] / quads[..., 2:] + centre
        points = np.concatenate([screen, 1 / quads[..., 2:]], -1)
        edge = np.linalg.norm(screen - np.roll(screen, -1, 1), axis=-1).max(1) / SPACING
        size = np.minimum(np.searchsorted(GRIDS, edge), len(GRIDS) - 1)
        for kind in np.unique(size):
            grid = (np.arange(GRIDS[kind]) + 0.5) / GRIDS[kind]
            u, v = (a.ravel() for a in np.meshgrid(grid, grid))
            weights = np.stack([(1 - u) * (1 - v), u * (1 - v), u * v, (1 - u) * v])
            x, y, inverse = (np.moveaxis(points[size == kind], -1, 0) @ weights).reshape(3, -1)
            column, row = np.rint(x).astype(int), np.rint(y).astype(int)
            inside = (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
            index, z = np.where(inside, row * camera.width + column, pixels), 1 / inverse
            np.minimum.at(depth, index, z)
            grows = np.repeat(scene.scalp[size == kind] > 0.5, len(u))
            hair[index[grows & (z <= depth[index] + 3)]] = True
    return depth[:-1].reshape(camera.height, -1), hair[:-1].reshape(camera.height, -1)


def _draw(
    body: Ellipsoid, focal: float, rows: np.ndarray, columns: np.ndarray, depth: np.ndarray, hair: np.ndarray
) -> None:
    reach = np.sqrt((body.axes**2).sum(0))
    near = max(body.centre[2] - reach[2], 30.0)
    spans = []
    for axis, places in ((1, rows), (0, columns)):
        low, high = ((body.centre[axis] + s * reach[axis]) * focal for s in (-1, 1))
        far = body.centre[2] + reach[2]
        low, high = min(low / near, low / far), max(high / near, high / far)
        spans.append(slice(*np.searchsorted(places, [low, high])))
    y, x = rows[spans[0], None] / focal, columns[None, spans[1]] / focal
    # Into the ball's coordinates: the ray (x, y, 1) t and the centre.
    scaled = body.axes / (body.axes**2).sum(1, keepdims=True)
    ray = scaled[:, 0, None, None] * x + scaled[:, 1, None, None] * y + scaled[:, 2, None, None]
    centre = scaled @ body.centre
    a, b = (ray**2).sum(0), np.tensordot(centre, ray, 1)
    inner = b**2 - a * (centre @ centre - 1)
    with np.errstate(invalid="ignore"):
        z = np.where(inner > 0, (b - np.sqrt(inner)) / a, np.inf)
    z[z < 30] = np.inf
    part = depth[spans[0], spans[1]]
    hair[spans[0], spans[1]] = np.where(z < part, body.hair, hair[spans[0], spans[1]])
    np.minimum(part, z, out=part)


def measure(depth: np.ndarray, hair: np.ndarray, camera: Camera, rng: Rng, *, hair_loss: float = 0.0) -> np.ndarray:
    """Return the frame that the camera would store, uint16 mm, 0 where depth is invalid."""
    z = np.minimum(depth, 65000.0)
    noise = rng.standard_normal(depth.shape)
    high = ndimage.maximum_filter(z, 3)
    jump = high - ndimage.minimum_filter(z, 3) > 40 + z / 50
    if camera.lump:  # a window is matched: surfaces are smoothed, and so is the noise
        noise = ndimage.gaussian_filter(noise, camera.lump)
        noise /= noise.std()
        z = np.where(ndimage.maximum_filter(jump, 5), z, ndimage.uniform_filter(z, 5))
    noisy = z + noise * camera.noise * np.maximum((z / 1000) ** camera.power, 0.2)
    if camera.step:
        noisy = 1 / (np.maximum(np.round(1 / np.maximum(noisy, 100.0) / 1e-6 / camera.step), 1) * 1e-6 * camera.step)
    lost = (depth > 12_000) | (jump & (rng.random(z.shape) < 0.6)) | (rng.random(z.shape) < 1e-3)
    flying = jump & ~lost & (rng.random(z.shape) < 0.3)
    noisy[flying] += rng.random(int(flying.sum())) * (high - z)[flying]
    lost |= hair & (
        ndimage.gaussian_filter(rng.standard_normal(z.shape), 1.5) * 4 < np.quantile([-2.0, 2.0], hair_loss)
    )
    return np.where(lost, 0, np.rint(noisy).clip(0, 65535)).astype(np.uint16)


def random_actions(rng: Rng) -> np.ndarray:
    """Return weights of the facial actions (52,): an emotion of any strength, and a few actions besides."""
    model = load_head_model()
    weights = np.zeros(len(model.face))
    for action, weight in ACTIONS[str(rng.choice(list(ACTIONS)))].items():
        for name in (action, f"{action}Left", f"{action}Right"):
            if name in model.face:
                weights[model.face[name]] = weight
    weights *= rng.uniform(0, 1.1)
    extra = rng.integers(0, len(weights), 3)
    weights[extra] += rng.uniform(0, 0.5, 3)
    return weights


class Shot(NamedTuple):
    """A frame, its focal length, the nose's column and row and mm (None: no face to be seen) and its yaw in degrees."""

    frame: np.ndarray
    focal: float
    nose: np.ndarray | None
    yaw: float
    camera: Camera


def random_shot(
    rng: Rng,
    *,
    seed: int,
    subject: int,
    camera: Camera | None = None,
    yaw: float = 60.0,
    pitch: float = 30.0,
    roll: float = 25.0,
    distance: tuple[float, float] | None = None,
    wall: float | None = None,
    hand: float = 0.35,
    things: int = 3,
    headless: float = 0.0,
    mouth: float | None = None,
    hair: str | None = None,
) -> Shot:
    """Draw a person, a pose within these degrees, a place, a room and a camera; what is given is not drawn."""
    camera = camera or CAMERAS[str(rng.choice(list(CAMERAS)))]
    near = max(220.0, 0.42 * camera.focal)
    z = float(np.exp(rng.uniform(*np.log(distance or (near, 2200.0)))))
    pose = tuple(rng.uniform(-1, 1, 3) * (yaw, pitch, roll))
    room = np.array([camera.width, camera.height]) / 2 / camera.focal * z - (70, 90)
    at = np.array([*(np.clip(rng.normal(0, 0.35, 2), -1, 1) * np.maximum(room, 0)), z])
    drawn_hair = str(rng.choice(["", "", "long", "high", "fringe"]))
    drawn_mouth = float(rng.uniform(0, 1)) if rng.random() < 0.4 else 0.0
    hair, mouth = drawn_hair if hair is None else hair, drawn_mouth if mouth is None else mouth
    person = sample_person(load_head_model(), seed=seed, subject=subject)
    scene = person_scene(person, rng, pose=pose, at=at, mouth=mouth, hair=hair, actions=random_actions(rng))
    if rng.random() < headless:
        scene.quads, scene.scalp, scene.nose = scene.quads[:0], scene.scalp[:0], None
        scene.bodies = scene.bodies[rng.integers(2, 4) :]
    if rng.random() < hand:
        beside = np.array([rng.choice([-1, 1]) * rng.uniform(50, 220), rng.uniform(-150, 230), -rng.uniform(-20, 200)])
        add_hand(scene, rng, np.maximum(at + beside, (-9999, -9999, 180)))
    if wall is not None or rng.random() < 0.8:
        add_wall(scene, rng, z + (wall or rng.uniform(280, 2000)), 20 if wall is None else 0)
    add_things(scene, rng, int(rng.integers(0, things + 1)), z + 150, z + 2500)
    depth, grows = render(scene, camera)
    nose = None if scene.nose is None else _seen(scene.nose, depth, camera)
    frame = measure(depth, grows, camera, rng, hair_loss=scene.hair_loss)
    return Shot(frame, camera.focal, nose, pose[0], camera)


def _seen(nose: np.ndarray, depth: np.ndarray, camera: Camera) -> np.ndarray | None:
    column = camera.focal * nose[0] / nose[2] + (camera.width - 1) / 2
    row = camera.focal * nose[1] / nose[2] + (camera.height - 1) / 2
    inside = 0 <= round(row) < camera.height and 0 <= round(column) < camera.width
    if not inside or abs(depth[round(row), round(column)] - nose[2]) > 12:
        return None
    return np.array([column, row, nose[2]])
