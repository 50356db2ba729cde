"""The parametric head: a mesh whose shape is the base plus weighted targets (MakeHuman / MPFB2, CC0 1.0)."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from depthjax.files import read_arrays

ASSET = Path(__file__).parent / "assets" / "head_model.npz"


@dataclass(frozen=True)
class HeadModel:
    """Millimetres; x to the viewer's right, y up, z towards the viewer.

    Attributes:
        base: (vertices, 3) float32, the mesh with all weights zero.
        quads: (quads, 4) int32 vertex numbers, and `parts` (quads,): skin, eyes, teeth or tongue by `part_names`.
        macro, local, face: target names to row numbers of the arrays below.
        macro_targets, local_targets, face_targets: (targets, vertices, 3) float32 displacements at weight 1:
            sex, age and ancestry; features of a face; the 52 facial actions under their ARKit names.
        nose_tip: number of the vertex at the tip of the nose.
        eyes: vertex numbers of both eyeballs.
        scalp: (vertices,) float32 in [0, 1], where hair grows.
    """

    base: np.ndarray
    quads: np.ndarray
    parts: np.ndarray
    part_names: tuple[str, ...]
    macro: dict[str, int]
    local: dict[str, int]
    face: dict[str, int]
    macro_targets: np.ndarray
    local_targets: np.ndarray
    face_targets: np.ndarray
    nose_tip: int
    eyes: np.ndarray
    scalp: np.ndarray


@functools.cache
def load_head_model() -> HeadModel:
    """Read the asset that `tools/bake_head_model.py` made, once a process."""
    asset = read_arrays(ASSET)
    base_unit, delta_unit = asset["units_mm"]
    base = (asset["base"] * base_unit).astype(np.float32)
    quads, part_names = asset["quads"].astype(np.int32), tuple(str(name) for name in asset["part_names"])
    skin = np.unique(quads[asset["parts"] == part_names.index("body")])
    eyes = np.unique(quads[np.isin(asset["parts"], [i for i, n in enumerate(part_names) if n.endswith("-eye")])])
    names = ("macro", "local", "face")
    (macro, macro_targets), (local, local_targets), (face, face_targets) = (
        _dense_targets(asset, name, len(base), delta_unit) for name in names
    )
    nose_tip = int(skin[np.argmax(base[skin, 2] - np.abs(base[skin, 0]))])
    return HeadModel(
        base=base,
        quads=quads,
        parts=asset["parts"],
        part_names=part_names,
        macro=macro,
        local=local,
        face=face,
        macro_targets=macro_targets,
        local_targets=local_targets,
        face_targets=face_targets,
        nose_tip=nose_tip,
        eyes=eyes,
        scalp=_scalp(base, skin, eyes),
    )


def _dense_targets(
    asset: dict[str, np.ndarray], kind: str, vertices: int, unit: float
) -> tuple[dict[str, int], np.ndarray]:
    ends = asset["target_ends"]
    chosen = [i for i, name in enumerate(asset["target_names"]) if str(name).startswith(f"{kind}/")]
    dense = np.zeros((len(chosen), vertices, 3), np.float32)
    for row, i in enumerate(chosen):
        span = slice(ends[i - 1] if i else 0, ends[i])
        dense[row, asset["target_index"][span]] = asset["target_delta"][span] * unit
    rows = {str(asset["target_names"][i]).split("/")[1]: row for row, i in enumerate(chosen)}
    return rows, dense


def _scalp(base: np.ndarray, skin: np.ndarray, eyes: np.ndarray) -> np.ndarray:
    """Hair grows above a line that falls from the top of the forehead over the temples to behind the ears."""
    height = base[:, 1] - base[eyes, 1].mean()
    behind = base[eyes, 2].max() - base[:, 2]
    hairline = np.interp(behind, [-20, 20, 60, 90, 130], [72, 66, 28, -5, -60])
    scalp = np.zeros(len(base), np.float32)
    scalp[skin] = np.clip((height - hairline)[skin] / 12, 0, 1)
    return scalp
