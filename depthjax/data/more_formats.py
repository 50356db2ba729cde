"""PGM, EXR, MAT, PLY and PCD files to their depth images; `depth_files.py` reads the others and checks all.

EXR and MAT 7.3 want the extra `formats`; a missing library is an ImportError.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator, Sequence
from typing import IO, Any

import numpy as np

from depthjax.data.depth_files import AGAIN, MIN_SIDE, NAMES, Unfit, check_size, choose_array, native
from depthjax.data.stacks import is_stack, share_of_faces

HEADER_BYTES = 65536  # at most, of a PGM, PLY or PCD
DEPTH_CHANNELS = ("Z", "depth", "Depth", "depth.Z", "Y")
NUMBERS = {"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4",
           "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4",
           "float32": "f4", "float64": "f8"}  # fmt: skip
PGM = re.compile(rb"P5%(\d+)%(\d+)%(\d+)\s".replace(b"%", rb"(?:\s|#[^\n]*\n)+"))


def _read_pgm(file: IO[bytes]) -> Iterator[np.ndarray]:
    """Yield the image of a binary PGM as it is stored; 16-bit values are big-endian, and none is scaled."""
    header = PGM.match(file.read(HEADER_BYTES))
    if header is None:
        raise Unfit("not a PGM", "named .pgm, but no binary PGM (P5)", AGAIN)
    width, height, most = map(int, header.groups())
    check_size(height, width)
    file.seek(header.end())
    yield _exactly(file, np.dtype("u1" if most < 256 else ">u2"), height * width).reshape(height, width)


def _exactly(file: IO[bytes], dtype: np.dtype, count: int) -> np.ndarray:
    data = file.read(dtype.itemsize * count)
    if len(data) < dtype.itemsize * count:
        raise Unfit("damaged", f"ends after {len(data)} of {dtype.itemsize * count} bytes", AGAIN)
    values = np.frombuffer(data, dtype)
    return values if dtype.names else native(values)


def _read_exr(file: IO[bytes]) -> Iterator[np.ndarray]:
    import OpenEXR

    (left, top), (right, bottom) = OpenEXR.File(file.name, header_only=True).header()["dataWindow"]
    check_size(int(bottom - top + 1), int(right - left + 1))
    # The library prints a warning of a damaged file, and then has no part of it.
    with contextlib.redirect_stdout(io.StringIO()), OpenEXR.File(file.name, separate_channels=True) as image:
        channels = {name: channel.pixels for name, channel in image.channels().items()}
    name = next((name for name in DEPTH_CHANNELS if name in channels), next(iter(channels), ""))
    if name not in DEPTH_CHANNELS and any(not np.array_equal(channels[name], c) for c in channels.values()):
        held = ", ".join(sorted(channels)[:5])
        raise Unfit("colour", f"channels {held}: none is named as depth", f"name the depth '{DEPTH_CHANNELS[0]}'")
    yield native(channels[name])


def _read_mat(file: IO[bytes]) -> Iterator[np.ndarray]:
    """Yield the images of a MATLAB array: (height, width), (height, width, images) or (images, height, width)."""
    head = file.read(128)
    file.seek(0)
    array = _read_hdf5(file) if head.startswith((b"MATLAB 7.3", b"\x89HDF")) else _read_mat5(file)
    if array.dtype.kind not in "uif" or array.ndim not in (2, 3):
        raise Unfit("no images", f"holds {array.dtype} of shape {array.shape}", "save (height, width, images)")
    images = array[None] if array.ndim == 2 else _images_first(array)
    check_size(*images.shape[1:])
    yield from map(native, images)


def _images_first(array: np.ndarray) -> np.ndarray:
    """MATLAB's habit is images last, Python's is images first: the sides tell, else in which one there are faces."""
    last, first = np.moveaxis(array, -1, 0), array
    fitting = [images for images in (last, first) if is_stack(images.shape)]
    if not fitting:
        raise Unfit("shape", f"shape {array.shape} is no stack of faces", "save (height, width, images)")
    return max(fitting, key=lambda images: share_of_faces(images[:: -(-len(images) // 32)]))


def _read_mat5(file: IO[bytes]) -> np.ndarray:
    from scipy.io import loadmat, whosmat

    shapes = {name: shape for name, shape, _ in whosmat(file)}
    name = choose_array(_arrays(shapes))
    _check_all(shapes[name])
    file.seek(0)
    return np.asarray(loadmat(file, variable_names=[name])[name])


def _read_hdf5(file: IO[bytes]) -> np.ndarray:
    import h5py

    with h5py.File(file, "r") as members:
        sets = {name: member for name, member in members.items() if isinstance(member, h5py.Dataset)}
        chosen = sets[choose_array(_arrays({name: member.shape for name, member in sets.items()}))]
        _check_all(chosen.shape)
        # MATLAB writes its axes in reverse.
        return np.asarray(chosen).T if "MATLAB_class" in chosen.attrs else np.asarray(chosen)


def _arrays(shapes: dict[str, Sequence[int]]) -> list[str]:
    """Names of arrays that may hold images."""
    return [name for name, shape in shapes.items()
            if name in NAMES or (len(shape) in (2, 3) and sorted(shape)[-2] >= MIN_SIDE)]  # fmt: skip


def _check_all(shape: Sequence[int]) -> None:
    if np.prod(shape, dtype=float) > 2**31:
        raise Unfit("too large", f"an array of shape {tuple(shape)}", "cut it into smaller files")


def _read_pcd(file: IO[bytes]) -> Iterator[np.ndarray]:
    """Yield the depth (z) of an organised cloud."""
    lines = _header(file, b"DATA")
    said = {words[0]: words[1:] for line in lines if (words := line.split()) and not line.startswith("#")}
    if said["DATA"] == ["binary_compressed"]:
        raise Unfit("compressed", "a compressed PCD", "save it as binary or ascii")
    counts = map(int, said.get("COUNT", ["1"] * len(said["FIELDS"])))
    kinds = [(name, f"{kind.lower()}{size}", count) for name, kind, size, count in
             zip(said["FIELDS"], said["TYPE"], said["SIZE"], counts, strict=True)]  # fmt: skip
    height, width = int(said["HEIGHT"][0]), int(said["WIDTH"][0])
    yield _cloud(file, kinds, height, width, said["DATA"] == ["ascii"])


def _read_ply(file: IO[bytes]) -> Iterator[np.ndarray]:
    """Yield the depth (z) of an organised cloud: a header that gives columns and rows, and as many points."""
    lines = _header(file, b"end_header")
    if lines[0].strip() != "ply":
        raise Unfit("not a PLY", "named .ply, but its bytes are no PLY", AGAIN)
    text = "".join(lines).replace("\r\n", "\n")
    sides = ("num_rows|height", "num_cols|width")
    grid = [re.search(rf"(?:obj_info|comment).*\b(?:{names})\W+(\d+)", text) for names in sides]
    first = re.search(r"element (\w+) (\d+)\n((?:property \w+ \w+\n)*)", text)
    if first is None or first[1] != "vertex" or not all(grid):
        raise _not_organised()
    height, width = (int(found[1]) for found in grid if found)
    if height * width != int(first[2]):
        raise _not_organised()
    form = re.search(r"format (\w+)", text)
    order = ">" if form and form[1] == "binary_big_endian" else "<"
    kinds = [(name, order + NUMBERS[kind], 1) for kind, name in re.findall(r"property (\w+) (\w+)", first[3])]
    yield _cloud(file, kinds, height, width, bool(form and form[1] == "ascii"))


def _header(file: IO[bytes], last: bytes) -> list[str]:
    """Read the lines up to the one that begins with `last`."""
    lines: list[str] = []
    while file.tell() < HEADER_BYTES and (line := file.readline(1024)):
        lines.append(line.decode("latin-1"))
        if line.startswith(last):
            return lines
    raise Unfit("damaged", "its header has no end", AGAIN)


def _not_organised() -> Unfit:
    todo = "save it as rows and columns of the sensor (obj_info num_rows and num_cols), or as a depth image"
    return Unfit("no image", "a cloud whose points are in no rows and columns", todo)


def _cloud(file: IO[bytes], kinds: list[tuple[str, str, int]], height: int, width: int, ascii_: bool) -> np.ndarray:
    """The z of each point as an image: forward of the camera whichever way it looks, 0 where there is no point."""
    if height < 2:
        raise _not_organised()
    check_size(height, width)
    at = [name for name, _, _ in kinds].index("z")
    if ascii_:
        points: Any = np.loadtxt(file, max_rows=height * width, ndmin=2)
        z = points[:, sum(count for _, _, count in kinds[:at])].astype(np.float32)
    else:
        # Padding fields share a name, so all are named by number.
        dtype = np.dtype([(f"{i}", kind, (count,)) for i, (_, kind, count) in enumerate(kinds)])
        z = _exactly(file, dtype, height * width)[f"{at}"][:, 0]
    depth = np.where(np.isfinite(z), z, 0).reshape(height, width)
    return native(-depth if depth.max() <= 0 else depth)


READERS = {".pgm": _read_pgm, ".exr": _read_exr, ".mat": _read_mat, ".pcd": _read_pcd, ".ply": _read_ply}
