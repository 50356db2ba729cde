"""Folders that look like a user's: small depth faces, and every way in which a file can be wrong."""

import functools
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from depthjax.data.head_model import load_head_model
from depthjax.data.people import sample_person

SHAPE = (40, 32)
EMOTIONS = ("neutral", "happiness", "fear")


def face(subject: int, emotion: int = 0, frame: int = 0, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """Camera millimetres (h, w) uint16 of a head, another mouth for each label; 0 around the face is no return."""
    rng, (height, width) = np.random.default_rng([subject, emotion, frame]), shape
    y, x = np.mgrid[:height, :width] / np.array([height, width])[:, None, None] - np.array([0.57, 0.5])[:, None, None]
    depth = 900 + _relief(subject, shape) + 6 * emotion * np.exp(-(((y - 0.18) / 0.1) ** 2)) + rng.normal(0, 0.6, shape)
    return np.where((x**2 + 0.6 * y**2 < 0.2) & np.isfinite(depth), np.round(depth), 0).astype(np.uint16)


@functools.cache
def _relief(subject: int, shape: tuple[int, int]) -> np.ndarray:
    """Millimetres behind the nose of one of the embedded heads, 180 mm across, seen from afar; infinite around it."""
    model, (height, width) = load_head_model(), shape
    rest = sample_person(model, seed=60, subject=subject).rest
    quads = (rest - rest[model.nose_tip])[model.quads]
    pixel = 180 / width
    grid = (np.arange(count := int(10 / pixel) + 2) + 0.5) / count
    u, v = (axis.ravel() for axis in np.meshgrid(grid, grid))
    x, up, near = np.moveaxis(quads, -1, 0) @ np.stack([(1 - u) * (1 - v), u * (1 - v), u * v, (1 - u) * v])
    column, row = np.rint(x / pixel + width / 2).astype(int), np.rint(0.57 * height - up / pixel).astype(int)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    relief = np.full(shape, np.inf)
    np.minimum.at(relief, (row[inside], column[inside]), -near[inside])
    return relief


def tree(root: Path, *, subjects: int = 4, frames: int = 2, name: str = "s{}_f{}.png") -> Path:
    """16-bit PNG: `root/EMOTION/s1_f0.png` and so on."""
    for emotion, folder in enumerate(EMOTIONS):
        for subject in range(1, subjects + 1):
            for frame in range(frames):
                path = root / folder / name.format(subject, frame)
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(face(subject, emotion, frame)).save(path)
    return root


def png_header(width: int, height: int, bits: int = 8, colour: int = 0) -> bytes:
    """A PNG that says its size and holds no pixels."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))


def bad_files(folder: Path) -> dict[str, str]:
    """One file of each fault; returns the kind of problem by file name."""
    good, other = face(90), face(91)
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("This is a note about the data.\n" * 10)
    Image.fromarray(good).save(folder / "cut.png")
    whole = (folder / "cut.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    moving = [Image.fromarray((face(92, frame=i) // 8).astype(np.uint8)) for i in range(3)]
    moving[0].save(folder / "moving.png", save_all=True, append_images=moving[1:])
    moving[0].save(folder / "pages.tif", save_all=True, append_images=moving[1:])
    Image.fromarray(np.stack([good % 251, good % 13, good % 7], -1).astype(np.uint8)).save(folder / "rainbow.png")
    Image.fromarray((good // 8).astype(np.uint8)).convert("P", palette=Image.Palette.ADAPTIVE).save(folder / "pal.png")
    Image.fromarray(np.zeros((1, 1), np.uint8)).save(folder / "dot.png")
    (folder / "vast.png").write_bytes(png_header(20_000, 20_000))
    np.lib.format.write_array_header_1_0(
        (folder / "vast.npy").open("wb"), {"descr": "<u2", "fortran_order": False, "shape": (20_000, 20_000)}
    )
    np.save(folder / "nan.npy", np.where(good > 0, good / 1000, np.nan).astype(np.float32))
    np.save(folder / "inf.npy", np.where(good > 0, good / 1000, np.inf).astype(np.float32))
    Image.fromarray(np.full(SHAPE, 900, np.uint16)).save(folder / "flat.png")
    Image.fromarray(np.zeros(SHAPE, np.uint16)).save(folder / "holes.png")
    noseless = good.copy()
    noseless[15:30, 8:24] = 0
    Image.fromarray(noseless).save(folder / "noseless.png")
    Image.fromarray(face(93, shape=(44, 32))).save(folder / "tall.png")
    levels = np.where(good > 0, (good - 850.0) / 0.6, 255).clip(0, 255)
    Image.fromarray(levels.astype(np.uint8)).save(folder / "grey.png")
    np.save(folder / "objects.npy", np.array([{"depth": 1}]), allow_pickle=True)
    np.save(folder / "fortran.npy", np.asfortranarray(np.stack([good, other])))
    np.savez(folder / "two.npz", first=good, second=other)
    np.save(folder / "stack_cut.npy", np.stack([good, other]))
    (folder / "stack_cut.npy").write_bytes((folder / "stack_cut.npy").read_bytes()[:-99])
    np.save(folder / "metres.npy", good.astype(np.float32))  # millimetres, read as metres
    np.save(folder / "below.npy", good.astype(np.int16) - 1000)
    (folder / "round.png").symlink_to("round2.png")
    (folder / "round2.png").symlink_to("round.png")
    (folder / "gone.png").symlink_to("nowhere.png")
    return {
        "empty.png": "empty", "text.png": "not a PNG", "cut.png": "damaged", "moving.png": "animated",
        "pages.tif": "animated", "rainbow.png": "colour", "pal.png": "colour", "dot.png": "too small",
        "vast.png": "too large", "vast.npy": "too large", "nan.npy": "not finite", "inf.npy": "not finite",
        "flat.png": "constant", "holes.png": "all invalid", "noseless.png": "no nose", "tall.png": "other size",
        "grey.png": "other unit", "objects.npy": "no numbers", "fortran.npy": "Fortran order",
        "two.npz": "several arrays", "stack_cut.npy": "damaged", "metres.npy": "too far", "below.npy": "negative",
        "round.png": "unreadable", "round2.png": "unreadable", "gone.png": "unreadable",
    }  # fmt: skip
