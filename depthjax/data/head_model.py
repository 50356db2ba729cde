"""The parametric head: a mesh whose shape is the base plus weighted targets (MakeHuman / MPFB2, CC0 1.0)."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from depthjax.files import read_arrays

ASSET = Path(__file__).parent / "assets" / "head_model.npz"


@dataclass(frozen=True)
class HeadModel:
    """Millimetres; x to the viewer's right, y up, z towards the viewer. Names of targets lead to rows of arrays."""

    base: np.ndarray  # (vertices, 3) float32, the mesh with all weights zero
    quads: np.ndarray  # (quads, 4) int32 vertex numbers
    macro: dict[str, int]  # sex, age and ancestry
    local: dict[str, int]  # features of a face
    face: dict[str, int]  # the 52 facial actions under their ARKit names
    macro_targets: np.ndarray  # (targets, vertices, 3) float32 displacements at weight 1, as the next two
    local_targets: np.ndarray
    face_targets: np.ndarray
    nose_tip: int  # number of the vertex
    eyes: np.ndarray  # vertex numbers of both eyeballs
    scalp: np.ndarray  # (vertices,) float32 in [0, 1], where hair grows


@functools.cache
def load_head_model() -> HeadModel:
    """Read the asset that `tools/bake_head_model.py` made, once a process."""
    asset = read_arrays(ASSET)
    base_unit, delta_unit = asset["units_mm"]
    base = (asset["base"] * base_unit).astype(np.float32)
    quads = asset["quads"].astype(np.int32)
    part = asset["part_names"][asset["parts"]]  # of each quad: "body", "helper-l-eye", ...
    skin, eyes = np.unique(quads[part == "body"]), np.unique(quads[np.char.endswith(part, "-eye")])
    nose_tip = int(skin[np.argmax(base[skin, 2] - np.abs(base[skin, 0]))])
    targets: dict[str, Any] = {}
    for kind in ("macro", "local", "face"):
        targets[kind], targets[f"{kind}_targets"] = _dense_targets(asset, kind, len(base), delta_unit)
    return HeadModel(base, quads, nose_tip=nose_tip, eyes=eyes, scalp=_scalp(base, skin, eyes), **targets)


def _dense_targets(asset: dict[str, Any], kind: str, vertices: int, unit: float) -> tuple[dict[str, int], np.ndarray]:
    ends, names = asset["target_ends"], asset["target_names"].tolist()
    chosen = [i for i, name in enumerate(names) if name.startswith(f"{kind}/")]
    dense = np.zeros((len(chosen), vertices, 3), np.float32)
    for row, i in enumerate(chosen):
        span = slice(ends[i - 1] if i else 0, ends[i])
        dense[row, asset["target_index"][span]] = asset["target_delta"][span] * unit
    return {names[i].split("/")[1]: row for row, i in enumerate(chosen)}, dense


def _scalp(base: np.ndarray, skin: np.ndarray, eyes: np.ndarray) -> np.ndarray:
    """Hair grows above a line that falls from the top of the forehead over the temples to behind the ears."""
    height = base[:, 1] - base[eyes, 1].mean()
    behind = base[eyes, 2].max() - base[:, 2]
    hairline = np.interp(behind, [-20, 20, 60, 90, 130], [72, 66, 28, -5, -60])
    scalp = np.zeros(len(base), np.float32)
    scalp[skin] = np.clip((height - hairline)[skin] / 12, 0, 1)
    return scalp
