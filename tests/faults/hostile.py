"""Files, folders and flags made to harm: refused in one line, at once, with nothing executed or written elsewhere.

Lost: a refusal that is no UserError, or that takes too long. Wrong: what must be refused was taken, or something was
executed, or written outside the work folder.
"""

from __future__ import annotations

import collections
import io
import os
import re
import stat
import string
import zipfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from depthjax import files, pipeline
from depthjax.__main__ import parse
from depthjax.config import Config, Data, to_dict
from depthjax.config_values import override
from depthjax.data.checks import check
from depthjax.data.depth_files import read_images
from depthjax.safetensors_file import read_safetensors, write_safetensors
from tests.data.trees import EMOTIONS, face, png_header, tree
from tests.faults.fuzz import WATCH, Readers, Tally, bytes_like, fuzzed
from tests.faults.hostile_json import json_readers
from tests.faults.runs import Checks, Row

CASES = 1000  # of each fuzzed reader


def _member(name: str, data: bytes, *, link: bool = False) -> tuple[zipfile.ZipInfo, bytes]:
    info = zipfile.ZipInfo(name)
    info.external_attr = ((stat.S_IFLNK if link else stat.S_IFREG) | 0o644) << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    return info, data


def archives(folder: Path) -> dict[str, Path]:
    """Archives that lead elsewhere, or grow without measure."""
    array = io.BytesIO()
    np.save(array, face(1), allow_pickle=False)
    vast = io.BytesIO()
    np.lib.format.write_array_header_1_0(vast, {"descr": "|u1", "fortran_order": False, "shape": (40, 2048, 2048)})
    members = {
        "parent": _member("../evil.npy", array.getvalue()),
        "deep parent": _member("a/../../evil.npy", array.getvalue()),
        "absolute": _member(f"{folder}/evil.npy", array.getvalue()),
        "drive": _member("C:\\evil.npy", array.getvalue()),
        "backslash": _member("..\\evil.npy", array.getvalue()),
        "link": _member("depth.npy", b"/etc/passwd", link=True),
        "bomb": _member("depth.npy", vast.getvalue() + bytes(40 * 2048 * 2048)),
    }
    paths = {}
    for name, (info, data) in members.items():
        paths[name] = folder / f"{name}.npz"
        with zipfile.ZipFile(paths[name], "w") as archive:
            archive.writestr(info, data)
            if info.filename != "depth.npy":
                archive.writestr("depth.npy", array.getvalue())
    return paths


def archive_rows(folder: Path) -> list[Row]:
    """Each archive as a user's faces and as a file of a run."""
    outer = folder / "archives"
    outer.mkdir()
    tally = Tally("archives with ../, absolute names, links, 100:1: refused")
    for path in archives(outer).values():
        with WATCH.on():
            tally.run(lambda path=path: list(read_images(path)))
            tally.run(lambda path=path: files.read_arrays(path))
    taken = tally.taken
    case, tries, lost, outside = tally.row()
    return [(re.sub(r" \(.*", "", case), tries, lost, taken + outside)]


def bomb_rows(folder: Path) -> list[Row]:
    """Images that are small files and vast pictures."""
    outer = folder / "bombs"
    outer.mkdir()
    for i, (width, height) in enumerate(((20_000, 20_000), (2**31 - 1, 2**31 - 1), (2**31 - 1, 1), (4097, 4096))):
        for bits, colour in ((8, 0), (16, 0), (8, 2), (8, 6)):
            (outer / f"{i}_{bits}_{colour}.png").write_bytes(png_header(width, height, bits, colour))
    Image.new("L", (16_000, 16_000)).save(outer / "a.tif", compression="tiff_lzw")
    for name, shape in (
        ("a", (2**20, 2**20)),
        ("b", (2**40, 40, 32)),
        ("c", (1, 2**31, 2**31)),
        ("d", (10**9, 20, 20)),
    ):
        with (outer / f"{name}.npy").open("wb") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "<u2", "fortran_order": False, "shape": shape})
    tally = Tally("image bombs: refused from the header")
    for path in sorted(outer.iterdir()):
        with WATCH.on():
            tally.run(lambda path=path: list(read_images(path)))
    taken = tally.taken
    case, tries, lost, outside = tally.row()
    return [(re.sub(r" \(.*", "", case), tries, lost, taken + outside)]


# The readers, fuzzed.


def weight_readers(folder: Path) -> Readers:
    """safetensors, NPZ of a run and of a user."""
    tensors = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b/c": np.ones(3, np.float16), "d": np.array(1)}
    write_safetensors(folder / "good.safetensors", tensors, {"version": "1"})
    files.write_arrays(folder / "good.npz", depth=np.stack([face(1), face(2)]), names=np.array(["a", "bc"]))
    np.savez(folder / "plain.npz", allow_pickle=False, depth=face(3))
    arrays = [(folder / name).read_bytes() for name in ("good.npz", "plain.npz")]
    safe = (folder / "good.safetensors").read_bytes()

    def read(name: str, reader: Callable[[Path], Any]) -> Callable[[bytes, Path], Any]:
        def of(data: bytes, at: Path) -> Any:
            (at / name).write_bytes(data)
            return reader(at / name)

        return of

    return {
        "safetensors": (bytes_like([safe]), read("a.safetensors", read_safetensors)),
        ".npz of a run": (bytes_like(arrays), read("a.npz", files.read_arrays)),
        ".npz of a user": (bytes_like(arrays), read("a.npz", lambda path: list(read_images(path)))),
    }


def image_bytes(folder: Path) -> dict[str, list[bytes]]:
    """Good files of each kind that a folder may hold."""
    grey = (face(1) // 8).astype(np.uint8)
    Image.fromarray(face(1)).save(folder / "deep.png")
    Image.fromarray(grey).save(folder / "grey.png")
    Image.fromarray(face(1)).save(folder / "deep.tif")
    Image.fromarray(face(1).astype(np.float32)).save(folder / "float.tif")
    np.save(folder / "one.npy", face(1), allow_pickle=False)
    np.save(folder / "two.npy", np.stack([face(1), face(2)]), allow_pickle=False)
    np.savez(folder / "one.npz", allow_pickle=False, depth=face(1))
    kinds: dict[str, list[bytes]] = collections.defaultdict(list)
    for path in sorted(folder.glob("*.*")):
        kinds[path.suffix].append(path.read_bytes())
    return kinds


NAMES = st.text(
    st.one_of(
        st.sampled_from(string.ascii_letters + string.digits + "_-. {}*<>&\\'\"=+@$%\n\r\t\x1b\u202e\u2028é\udcff")
    ),
    min_size=1,
    max_size=40,
).filter(lambda name: name.strip(".") and "\0" not in name)


@st.composite
def folders(draw: st.DrawFn, kinds: dict[str, list[bytes]]) -> dict[str, Any]:
    """A few files to add to a good folder, and how it is to be read."""
    added = []
    for _ in range(draw(st.integers(1, 3))):
        suffix = draw(st.sampled_from((*kinds, ".PNG", ".txt", "")))
        name = draw(st.one_of(NAMES, st.from_regex(r"s[0-9]{1,3}_f[0-9]{1,30}", fullmatch=True)))
        what = draw(st.sampled_from(("bytes", "bytes", "bytes", "good", "folder", "link", "pipe")))
        data = draw(bytes_like(kinds[suffix.lower()])) if suffix.lower() in kinds else draw(st.binary(max_size=40))
        if what == "good" and suffix.lower() in kinds:
            data = draw(st.sampled_from(kinds[suffix.lower()]))
        target = draw(st.sampled_from(("..", ".", "nowhere", "/", "/dev/zero", "/etc/passwd", "s1_f0.png")))
        within = draw(st.sampled_from((*EMOTIONS, *EMOTIONS, "other", ".")))
        added.append((within, f"{name}{suffix}", what, data, target if target != "/" else ".."))
    pattern = st.text(st.sampled_from("sf_*-/0{}()[]+?\\."), max_size=12)
    parts = st.lists(
        st.one_of(st.sampled_from(["{subject}", "{emotion}", "{frame}", "*", "**"]), pattern), max_size=6
    ).map("".join)
    return {
        "added": added,
        "pattern": draw(st.one_of(st.just("s{subject}_f{frame}"), st.just(""), parts)),
        "on_error": draw(st.sampled_from(("fail", "skip"))),
        "source": draw(st.sampled_from(("folder", "folder", "ikfdb"))),
        "scale_mm": draw(st.sampled_from((0.0, 0.1, 1.0, 1000.0))),
        "polarity": draw(st.sampled_from(("auto", "darker_closer", "darker_farther"))),
        "invalid_value": draw(st.sampled_from((None, 0.0, float("nan"), 65535.0))),
    }


def folder_readers(folder: Path) -> Readers:
    """A good folder with hostile files among its own."""
    kinds = image_bytes(folder)

    def read(drawn: dict[str, Any], at: Path) -> Any:
        root, spool = at / "faces", at / "spool"
        if not root.exists():
            tree(root)
            (root / "other").mkdir()
        spool.mkdir(exist_ok=True)
        made = [_add(root, *spec) for spec in drawn["added"]]
        chosen = {
            name: drawn[name] for name in ("pattern", "on_error", "source", "scale_mm", "polarity", "invalid_value")
        }
        try:
            settings = Data(path=str(root), emotions=EMOTIONS, **chosen)
            said: list[str] = []
            try:
                checked = check(settings, root, spool, log=said.append)
                assert len(list(checked.rows())) == len(checked.faces)
                checked.labels()
            finally:
                assert all("\n" not in line and line.isprintable() for line in said), said
        finally:
            for path in (path for path in made if path is not None):
                path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
            for path in spool.iterdir():
                path.unlink()

    return {"the folder reader": (folders(kinds), read)}


def _add(root: Path, within: str, name: str, what: str, data: bytes, target: str) -> Path | None:
    path = root / within / name
    if path.exists() or path.is_symlink():
        return None
    if what == "folder":
        path.mkdir()
    elif what == "link":
        path.symlink_to(target)
    elif what == "pipe":
        os.mkfifo(path)
    else:
        path.write_bytes(data)
    return path


def _fields(node: Any, within: str = "") -> list[str]:
    found = []
    for name, value in node.items():
        found += _fields(value, f"{within}{name}.") if isinstance(value, dict) else [within + name]
    return found


def override_readers() -> Readers:
    """Values of every field, as text from a command line."""
    keys = st.one_of(
        st.sampled_from(_fields(to_dict(Config()))), st.text(max_size=12), st.sampled_from(("data", "a.b"))
    )
    numbers = st.one_of(
        st.integers(), st.integers(-3, 3), st.floats(), st.sampled_from((10**400, "1e999", "-0", "1_0"))
    )
    code = st.sampled_from(("__import__('os').mkdir('x')", "${HOME}", "{0.__class__}", "../../x", "/etc", "none", "nan",
                            "true", "fear,anger", "1,nan", "gan,vae,gmm,kde", "()", "[]", ",", " "))  # fmt: skip
    lists = st.lists(st.one_of(numbers, code).map(str), max_size=4).map(",".join)
    values = st.one_of(numbers.map(str), code, st.text(max_size=20), lists)

    pipeline.REPORT.fingerprint(Config())  # imports jax, which makes the folder of its cache

    def read(drawn: dict[str, str], at: Path) -> None:
        flags = [f"--config.{key}={value}" for key, value in drawn.items()]
        _, assignments = parse(["--config", "a.py", *flags])
        config = override(Config(), assignments)
        files.write_json(at / "config.json", to_dict(config))
        pipeline.REPORT.fingerprint(config)
        assert "/" not in config.name and config.name not in (".", ".."), config.name

    return {"overrides of the config": (st.dictionaries(keys, values, min_size=1, max_size=2), read)}


def attack_checks(folder: Path) -> Checks:
    """What is not drawn, but made."""
    kinds = {"archives": archive_rows, "image bombs": bomb_rows}
    return {name: partial(rows, folder) for name, rows in kinds.items()}


PARTS: dict[str, Callable[[Path, int], Checks]] = {
    "attacks": lambda folder, cases: attack_checks(folder),
    "overrides": lambda folder, cases: fuzzed(override_readers(), cases),
    "json": lambda folder, cases: fuzzed(json_readers(folder), cases),
    "weights": lambda folder, cases: fuzzed(weight_readers(folder), cases),
    "folder": lambda folder, cases: fuzzed(folder_readers(folder), cases),
}


def checks(folder: Path, cases: int = CASES, parts: Sequence[str] = tuple(PARTS)) -> Checks:
    """Every case of some parts.

    Args:
        folder: empty.
        cases: of each fuzzed reader.
    """
    found: Checks = {}
    for part in parts:
        (folder / part).mkdir()
        found |= PARTS[part](folder / part, cases)
    return found
