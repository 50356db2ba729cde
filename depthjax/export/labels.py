"""The table of labels that goes with an export, and the page that says what its numbers mean."""

from __future__ import annotations

from depthjax.export.sets import STANDING_MM, Face, FaceSet

COLUMNS = (
    "file", "emotion", "subject", "frame", "source", "seed", "config", "unit", "polarity", "near_mm", "far_mm",
    "nose_mm", "focal_x", "focal_y", "centre_x", "centre_y",
)  # fmt: skip

README = """{count} faces of the set "{name}": {emotions}
{origin}

labels.csv     one row a face. file: its folder and name, the same in every format, without the suffix; emotion, subject
               and frame: its labels; source: where it came from; seed and config: what the set was made with.
unit           millimetres from the camera, along its axis. 0 is no return.
polarity       darker (smaller) is closer, in png8 and png16 alike.
png8           8 bits: level 0 is {near:g} mm (from the nose tip, negative: before it), level 255 is {far:g} mm,
               farther, or no return; linear between.
png16          16 bits: millimetres, 0 is no return.
npz            one file an emotion: depth (n, {height}, {width}) in millimetres, 0 is no return; emotion, subject and
               frame (n,), the first two being rows of emotions and subjects; file (n,).
points, mesh   binary PLY in millimetres. The camera is at the origin: x right as the image shows it, y down, z forward.
               Pixel (column u, row v) at depth z is ((u - centre_x) z / focal_x, (v - centre_y) z / focal_y, z).
               The camera of each face is in labels.csv: its axis goes through the image's middle, and its focal length
               is such that the image spans {span_x:.1f} x {span_y:.1f} mm (width x height) at nose_mm, the distance of
               the nose tip. Triangles face the camera; none spans a hole or a jump.

To read it back: data.source=folder, data.path=.../export/{name}/png16, data.pattern={{subject}}_{{frame}}
"""


def rows(faces: FaceSet, index: list[int], files: list[str], read: list[Face]) -> list[list[object]]:
    """Rows of `COLUMNS` for the faces of these numbers."""
    window = (faces.depth_range.near_mm, faces.depth_range.far_mm)
    return [
        [
            file,
            faces.emotions[faces.emotion[i]],
            faces.subjects[faces.subject[i]],
            int(faces.frame[i]),
            faces.sources[i],
            faces.seed,
            faces.fingerprint,
            "mm",
            "darker_closer",
            *(f"{value:g}" for value in window),
            f"{face.camera.nose_mm:g}",
            *(f"{value:.9g}" for value in face.camera[:4]),
        ]
        for i, file, face in zip(index, files, read, strict=True)
    ]


def readme(faces: FaceSet, first: Face) -> str:
    """What the numbers of the set mean, in plain text."""
    height, width = faces.shape
    stated = f"Generated faces: their relief was put with the nose {STANDING_MM:g} mm from the camera."
    return README.format(
        count=len(faces),
        name=faces.name,
        emotions=", ".join(faces.emotions),
        origin="Depth as it was measured or rendered." if faces.name == "real" else stated,
        near=faces.depth_range.near_mm,
        far=faces.depth_range.far_mm,
        height=height,
        width=width,
        span_x=width * first.camera.nose_mm / first.camera.focal_x,
        span_y=height * first.camera.nose_mm / first.camera.focal_y,
    )
