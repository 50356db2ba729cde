"""Sets of faces, prepared or generated, written to a folder each, whole or not at all, in memory that does not grow."""

import csv
import os
import unicodedata
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from PIL import Image

from depthjax import config as configs
from depthjax.config import EXPORT_FACES
from depthjax.data.crop import CROP_WIDTH_MM, EDGE_MM, nose_distance
from depthjax.data.depth_range import DepthRange, quantise
from depthjax.data.faces import DepthFaces
from depthjax.data.stored import StoredFaces
from depthjax.errors import UserError
from depthjax.files import digest, replacing_folder

GENERATED_MM = 1000.0  # from the camera to the nose of a generated face, whose relief says nothing of distance
FAR_MARGIN_MM = 1.0  # from the far end of the depth range: networks come close to +1 there, and never quite
PIXELS_AT_ONCE = 2**21
MAX_BYTES = 100  # of a name; file systems take 255, and a frame and a suffix follow
RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}  # on Windows
COLUMNS = (
    "file", "emotion", "subject", "frame", "source", "seed", "config", "unit", "polarity", "near_mm", "far_mm",
    "nose_mm", "focal_x", "focal_y", "centre_x", "centre_y",
)  # fmt: skip
README = """{count} faces of the set "{name}": {emotions}
{origin}

labels.csv     one row a face. file: its folder and name, the same in every format, without the suffix; emotion, subject
               and frame: its labels; source: where it came from; seed and config: what the set was made with.
unit           millimetres from the camera, along its axis. 0 is invalid.
polarity       darker (smaller) is closer, in png8 and png16 alike.
png8           8 bits: level 0 is {near:g} mm (from the nose tip, negative: before it), level 255 is {far:g} mm,
               farther, or invalid; linear between.
png16          16 bits: millimetres, 0 is invalid.
npz            one file an emotion: depth (n, {height}, {width}) in millimetres, 0 is invalid; emotion, subject and
               frame (n,), the first two being rows of emotions and subjects; file (n,).
points, mesh   binary PLY in millimetres. The camera is at the origin: x right as the image shows it, y down, z forward.
               Pixel (column u, row v) at depth z is ((u - centre_x) z / focal_x, (v - centre_y) z / focal_y, z).
               The camera of each face is in labels.csv: its axis goes through the image's middle, and its focal length
               is such that the image spans {span_x:.1f} x {span_y:.1f} mm (width x height) at nose_mm, the distance of
               the nose tip. Triangles face the camera; none spans invalid depth or a jump.

To read it back: data.source=folder, data.path=.../export/{name}/png16, data.pattern={{subject}}_{{frame}}
"""


class Camera(NamedTuple):
    """A pinhole: focal lengths and principal point in pixels, and the distance of the nose tip in mm."""

    focal_x: float
    focal_y: float
    centre_x: float
    centre_y: float
    nose_mm: float


class Face(NamedTuple):
    """One face: (h, w) uint16 camera mm with 0 for invalid, (h, w) float32 in [-1, 1], and its camera."""

    depth: np.ndarray
    image: np.ndarray
    camera: Camera


@dataclass(frozen=True)
class FaceSet:
    """Faces to export, read some at a time; labels are (n,) int32."""

    name: str
    emotion: np.ndarray  # an index into `emotions`
    subject: np.ndarray  # an index into `subjects`
    frame: np.ndarray
    emotions: tuple[str, ...]
    subjects: tuple[str, ...]
    sources: Sequence[str] | np.ndarray  # (n,) where each face came from
    read: Callable[[np.ndarray], list[Face]]  # the faces of the given numbers
    shape: tuple[int, int]  # height and width
    depth_range: DepthRange  # what the values of `Face.image` mean
    seed: int
    fingerprint: str  # of the settings that the set was made with

    def __len__(self) -> int:
        return len(self.emotion)


def camera_of(shape: tuple[int, int], nose_mm: float, span_mm: tuple[float, float]) -> Camera:
    """Return the pinhole whose image of this height and width spans (height, width) `span_mm` at the nose."""
    height, width = shape
    focal_y, focal_x = height * nose_mm / span_mm[0], width * nose_mm / span_mm[1]
    return Camera(focal_x, focal_y, (width - 1) / 2, (height - 1) / 2, nose_mm)


def prepared_set(settings: configs.Data, stored: StoredFaces, *, fingerprint: str) -> FaceSet:
    """Return the stored faces as they are, in camera millimetres."""
    depth_range = DepthRange.of(settings)
    height, width = stored.shape
    span = (CROP_WIDTH_MM * height / width, CROP_WIDTH_MM)

    def read(index: np.ndarray) -> list[Face]:
        depth = stored.depth[index]
        nose = nose_distance(depth)
        if (nose == 0).any():
            source = stored.sources[index[int(np.argmin(nose))]]
            raise UserError(f"{source}: no depth around its nose: remove it from the data and prepare again")
        cameras = [camera_of(stored.shape, float(distance), span) for distance in nose]
        return list(map(Face, depth, depth_range.from_mm(depth, nose), cameras))

    shared = ("emotion", "subject", "frame", "emotions", "subjects", "sources", "shape")
    columns: dict[str, Any] = {column: getattr(stored, column) for column in shared}
    columns |= {"depth_range": depth_range, "seed": settings.seed, "fingerprint": fingerprint}
    return FaceSet(configs.EXPORT_FACES, **columns, read=read)


def sample_set(
    settings: configs.Data, faces: DepthFaces, *, method: str, crop_shape: tuple[int, int], seed: int, fingerprint: str
) -> FaceSet:
    """Return a method's samples, made for crops of `crop_shape` (height, width), put `GENERATED_MM` from a camera."""
    height, width = 2 * [min(crop_shape)] if settings.crop == "face" else crop_shape
    pixel_mm = CROP_WIDTH_MM / crop_shape[1]
    shape = (faces.images.shape[1], faces.images.shape[2])
    camera = camera_of(shape, GENERATED_MM, (height * pixel_mm, width * pixel_mm))

    def read(index: np.ndarray) -> list[Face]:
        images = faces.images[index]
        relief = faces.depth_range.to_mm(images)
        depth = np.clip(np.rint(relief + GENERATED_MM), 1, 2**16 - 1)
        far = relief > faces.depth_range.far_mm - FAR_MARGIN_MM  # background or invalid
        return [Face(*face, camera) for face in zip(np.where(far, 0, depth).astype(np.uint16), images, strict=True)]

    return FaceSet(
        name=method,
        emotion=faces.emotion,
        subject=np.arange(len(faces), dtype=np.int32),
        frame=faces.frame,
        emotions=faces.emotions,
        subjects=tuple(f"{number:05d}" for number in faces.subject),
        sources=[f"samples/{method}/samples.npz[{i}]" for i in range(len(faces))],
        read=read,
        shape=shape,
        depth_range=faces.depth_range,
        seed=seed,
        fingerprint=fingerprint,
    )


def write_set(faces: FaceSet, folder: Path, formats: Sequence[str], *, progress: Callable[[str], None]) -> Path:
    """Write `folder/SET/FORMAT/EMOTION/SUBJECT_FRAME.ext`, `folder/SET/labels.csv` and `README.txt`.

    Formats are png8, png16, npz, points and mesh. The set's folder is returned; it takes the place of an earlier one
    when all is written. A UserError is raised if the set is empty, or a face has no nose to measure from.
    """
    if not len(faces):
        raise UserError(f"export.sets: {faces.name} holds no faces")
    target, formats = folder / faces.name, list(dict.fromkeys(formats))  # a format named twice is written once
    with replacing_folder(target) as temporary, ThreadPoolExecutor(os.cpu_count()) as pool:
        (temporary / "README.txt").write_text(_readme(faces), encoding="utf-8")
        with (temporary / "labels.csv").open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(COLUMNS)
            for rows in _write_faces(faces, temporary, formats, pool):
                table.writerows(rows)
    progress(f"{faces.name}: {len(faces)} faces as {', '.join(formats)} in {target}")
    return target


def _write_faces(faces: FaceSet, folder: Path, formats: Sequence[str], pool: Executor) -> Iterator[list[list[object]]]:
    """Write every file; yield rows of labels, emotion by emotion."""
    names = stems(faces.emotion, faces.subject, faces.frame, faces.subjects)
    at_once = max(1, min(64, PIXELS_AT_ONCE // (faces.shape[0] * faces.shape[1])))
    for label, emotion in enumerate(safe_names(faces.emotions)):
        members = np.flatnonzero(faces.emotion == label)
        if not len(members):
            continue
        for name in formats:
            (folder / name / emotion).mkdir(parents=True)
        files = np.array([f"{emotion}/{names[i]}" for i in members])
        arrays = {column: getattr(faces, column)[members] for column in ("emotion", "subject", "frame")}
        arrays |= {"file": files, "emotions": np.array(faces.emotions), "subjects": np.array(faces.subjects)}
        path, shape = folder / "npz" / emotion / "faces.npz", (len(members), *faces.shape)
        with _npz_stack(path, shape, **arrays) if "npz" in formats else nullcontext() as stack:
            for start in range(0, len(members), at_once):
                index, part = members[start : start + at_once], files[start : start + at_once].tolist()
                read = faces.read(index)
                for name in (f for f in formats if f in FILES):
                    suffix, write = FILES[name]
                    paths = [folder / name / f"{file}{suffix}" for file in part]
                    list(pool.map(write, paths, read))  # Pillow compresses without Python's lock
                if stack:
                    stack.writelines(np.ascontiguousarray(face.depth, "<u2").tobytes() for face in read)
                yield [_row(faces, int(i), file, face) for i, file, face in zip(index, part, read, strict=True)]


def _row(faces: FaceSet, i: int, file: str, face: Face) -> list[object]:
    made_with = [faces.sources[i], faces.seed, faces.fingerprint, "mm", "darker_closer"]
    labels = [faces.emotions[faces.emotion[i]], faces.subjects[faces.subject[i]], int(faces.frame[i])]
    depth = [f"{mm:g}" for mm in (faces.depth_range.near_mm, faces.depth_range.far_mm, face.camera.nose_mm)]
    return [file, *labels, *made_with, *depth, *(f"{value:.9g}" for value in face.camera[:4])]


def _readme(faces: FaceSet) -> str:
    camera = faces.read(np.array([0]))[0].camera
    height, width = faces.shape
    generated = f"Generated faces: their relief was put with the nose {GENERATED_MM:g} mm from the camera."
    return README.format(
        count=len(faces),
        name=faces.name,
        emotions=", ".join(faces.emotions),
        origin="Depth as it was measured or rendered." if faces.name == EXPORT_FACES else generated,
        near=faces.depth_range.near_mm,
        far=faces.depth_range.far_mm,
        height=height,
        width=width,
        span_x=width * camera.nose_mm / camera.focal_x,
        span_y=height * camera.nose_mm / camera.focal_y,
    )


def write_png8(path: Path, face: Face) -> None:
    """Write grey levels of the depth range: 0 nearest, 255 far or invalid; darker is closer."""
    Image.fromarray(quantise(face.image)).save(path)


def write_png16(path: Path, face: Face) -> None:
    """Write camera millimetres; 0 is invalid."""
    # Noise does not compress: the default level is three times slower.
    Image.fromarray(face.depth).save(path, compress_level=3)


def write_points(path: Path, face: Face) -> None:
    """Write a binary PLY of one point a valid pixel."""
    import trimesh  # takes seconds to import

    points = back_project(face.depth, face.camera)[face.depth > 0]
    # Without a point, the library can write a mesh but no cloud.
    cloud = trimesh.PointCloud(points) if len(points) else trimesh.Trimesh(points)
    cloud.export(path, file_type="ply")


def write_mesh(path: Path, face: Face) -> None:
    """Write a binary PLY of the surface, without points that belong to no triangle."""
    import trimesh

    used, faces = np.unique(triangles(face.depth), return_inverse=True)
    points = back_project(face.depth, face.camera).reshape(-1, 3)[used]
    mesh = trimesh.Trimesh(points, faces.reshape(-1, 3), process=False, validate=False)
    mesh.export(path, file_type="ply")


# Formats of one file a face; npz is one an emotion.
FILES: dict[str, tuple[str, Callable[[Path, Face], None]]] = {
    "png8": (".png", write_png8),
    "png16": (".png", write_png16),
    "points": (".ply", write_points),
    "mesh": (".ply", write_mesh),
}


def back_project(depth: np.ndarray, camera: Camera) -> np.ndarray:
    """Return the points (h, w, 3) float32 mm of depth (h, w) mm; x right, y down, z forward; all 0 where depth is 0."""
    z = depth.astype(np.float32)
    x = (np.arange(depth.shape[1], dtype=np.float32) - np.float32(camera.centre_x)) / np.float32(camera.focal_x)
    y = (np.arange(depth.shape[0], dtype=np.float32) - np.float32(camera.centre_y)) / np.float32(camera.focal_y)
    return np.stack(np.broadcast_arrays(z * x, z * y[:, None], z), axis=-1)


def triangles(depth: np.ndarray) -> np.ndarray:
    """Return two triangles for each 2x2 pixels of (h, w) mm, without those that span invalid depth (0) or a jump.

    They are (m, 3) int32 pixel numbers (row times w plus column), counterclockwise as the camera sees them: normals
    point to the camera.
    """
    number = np.arange(depth.size, dtype=np.int32).reshape(depth.shape)
    a, b, c, d = number[:-1, :-1], number[:-1, 1:], number[1:, :-1], number[1:, 1:]
    faces = np.stack([np.stack([a, c, b], -1), np.stack([b, c, d], -1)], axis=-2).reshape(-1, 3)
    corners = depth.astype(np.int32).reshape(-1)[faces]
    nearest, farthest = corners.min(axis=1), corners.max(axis=1)
    return faces[(nearest > 0) & (farthest - nearest < EDGE_MM)]


@contextmanager
def _npz_stack(path: Path, shape: tuple[int, int, int], **labels: np.ndarray) -> Iterator[IO[bytes]]:
    """Open an NPZ of labels and of `depth` (n, h, w) uint16; yield a file for the bytes of n faces."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("depth.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array_header_1_0(member, {"descr": "<u2", "fortran_order": False, "shape": shape})
            yield member
        for name, values in labels.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, values, allow_pickle=False)


def safe_names(names: Iterable[str]) -> list[str]:
    """Return each name as a file's name on any system.

    Letters, digits and `-_. ` stay. A name that changed, or differs from an earlier one only by case, ends in a hash.
    """
    safe: dict[str, str] = {}  # by what systems without case see
    for name in names:
        clean = _clean(name)
        if clean != name or clean.casefold() in safe:
            clean = f"{clean}-{digest(name)[:12]}"
        while clean.casefold() in safe:
            clean += "-"
        safe[clean.casefold()] = clean
    return list(safe.values())


def _clean(name: str) -> str:
    composed = unicodedata.normalize("NFC", name)
    kept = "".join(c if c.isalnum() or c in "-_. " else "-" for c in composed)
    short = kept.encode()[:MAX_BYTES].decode(errors="ignore").strip(". ")
    return f"{short or 'unnamed'}-" if short.casefold() in {*RESERVED, ""} else short


def stems(emotion: np.ndarray, subject: np.ndarray, frame: np.ndarray, subjects: Sequence[str]) -> list[str]:
    """Return `SUBJECT_FRAME` of each face, (n,) labels, unique within its emotion.

    A frame number that a subject has twice in one emotion is replaced by the next free one.
    """
    safe = safe_names(subjects)
    labels = list(zip(emotion.tolist(), subject.tolist(), frame.tolist(), strict=True))
    highest: dict[tuple[int, int], int] = defaultdict(int)
    for e, s, f in labels:
        highest[e, s] = max(highest[e, s], f)
    taken: set[tuple[int, int, int]] = set()
    names = []
    for e, s, f in labels:
        repeated = (e, s, f) in taken
        highest[e, s] += repeated
        number = highest[e, s] if repeated else f
        taken.add((e, s, number))
        names.append(f"{safe[s]}_{number:05d}")
    return names
