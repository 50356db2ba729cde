"""What can be exported, in one form: prepared faces as they were recorded, generated ones at a stated distance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from depthjax import config as configs
from depthjax.data.crop import CROP_WIDTH_MM, nose_distance
from depthjax.data.depth_range import DepthRange
from depthjax.data.faces import DepthFaces
from depthjax.data.stored import StoredFaces
from depthjax.errors import UserError

GENERATED_MM = 1000.0  # from the camera to the nose of a generated face, whose relief says nothing of distance
FAR_MARGIN_MM = 1.0  # from the far end of the depth range: networks come close to +1 there, and never quite


class Camera(NamedTuple):
    """A pinhole: focal lengths and principal point in pixels, and the distance of the nose tip in mm.

    Pixel (column u, row v) at depth z mm is the point ((u - centre_x) z / focal_x, (v - centre_y) z / focal_y, z).
    """

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
    """Return the pinhole whose image of this height and width spans (height, width) `span_mm` at the nose.

    The axis goes through the image's middle: what a crop does not tell is where it was cut from.
    """
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
