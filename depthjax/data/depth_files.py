"""One depth file to its images, and their values to the stored form: whole camera millimetres.

No file is trusted: sizes are read before pixels, nothing is unpickled, stacks are read a row at a time (but
MAT files whole).
"""

from __future__ import annotations

import math
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from depthjax import config as configs
from depthjax.data import stacks
from depthjax.errors import counted
from depthjax.files import check_archive

MORE = (".pgm", ".exr", ".mat", ".ply", ".pcd")  # read by more_formats.py
SUFFIXES = (".png", ".tif", ".tiff", ".npy", ".npz", *MORE)
MAX_PIXELS = 16 * 2**20
MIN_SIDE = 16  # pixels; a face in fewer has no expression
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
AGAIN = "export it again, or remove it"
NAMES = ("depth", "images")  # of the array to take from an NPZ that holds several


class Unfit(Exception):
    """A file or image that cannot be used: the kind of fault, the fault in this file, and what its owner can do."""

    def __init__(self, kind: str, what: str, todo: str) -> None:
        super().__init__(f"{what}: {todo}")
        self.kind, self.what, self.todo = kind, what, todo


def read_images(path: Path) -> Iterator[np.ndarray]:
    """Yield the images of a file as stored, (height, width) each, integers or floats of the machine's byte order.

    What is no depth image raises Unfit; rows of a stack come before a fault behind them.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise Unfit("not a file", "not a regular file", "remove it")
        if status.st_size == 0:
            raise Unfit("empty", "0 bytes", AGAIN)
        with path.open("rb") as file:
            yield from _reader(path.suffix.lower())(file)
    except Unfit:
        raise
    except ImportError as error:
        what = f"{path.suffix.lower()} is read by {error.name}, which is not installed"
        raise Unfit("no reader", what, "pip install 'depthjax[formats]'") from None
    except OSError as error:
        if error.errno is None:  # Pillow's, of a damaged file
            raise _damaged(error) from None
        raise Unfit("unreadable", f"cannot be read ({error.strerror})", "make it readable, or remove it") from None
    except MemoryError:
        raise Unfit("too large", "does not fit into memory", "cut it into smaller files") from None
    except Exception as error:  # each decoder raises its own on damaged or hostile files
        raise _damaged(error) from None


def _damaged(error: Exception) -> Unfit:
    reason = " ".join(str(error).split())[:80] or type(error).__name__
    return Unfit("damaged", f"cannot be decoded ({reason})", AGAIN)


def check_size(height: int, width: int) -> None:
    """Raise Unfit for an image that is too large or too small for a face."""
    if height * width > MAX_PIXELS:
        todo = "crop it to the face, or remove it"
        raise Unfit("too large", f"{width}x{height} pixels: more than {MAX_PIXELS // 2**20} megapixels", todo)
    if min(height, width) < MIN_SIDE:
        raise Unfit("too small", f"{width}x{height} pixels: smaller than {MIN_SIDE}x{MIN_SIDE}", "remove it")


def _read_png(file: IO[bytes]) -> Iterator[np.ndarray]:
    from PIL.PngImagePlugin import PngImageFile

    header = file.read(26)
    if not header.startswith(PNG_SIGNATURE):
        raise Unfit("not a PNG", "named .png, but its bytes are no PNG", AGAIN)
    width, height, bits, colour = struct.unpack(">IIBB", header[16:26])
    check_size(height, width)
    if colour == 3:
        raise _colour_mapped("a colour palette")
    if colour != 0 and bits == 16:
        raise _colour_mapped("16-bit colour")
    if bits < 8:
        raise Unfit("few levels", f"{bits}-bit: {2**bits} levels are no depth", "export 8 or 16 bits")
    file.seek(0)
    # Not Image.open: it would try its other decoders, and warn of sizes that are checked here.
    with PngImageFile(file) as image:
        if getattr(image, "is_animated", False):
            raise Unfit("animated", f"an animation of {image.n_frames} frames", "save each frame as a file of its own")
        yield _single_channel(np.asarray(image))


def _read_tiff(file: IO[bytes]) -> Iterator[np.ndarray]:
    from PIL.TiffImagePlugin import TiffImageFile

    if file.read(4)[:2] not in (b"II", b"MM"):
        raise Unfit("not a TIFF", "named .tif, but its bytes are no TIFF", AGAIN)
    file.seek(0)
    # Pillow warns of odd tags; what counts is whether pixels come out.
    with warnings.catch_warnings(action="ignore"), TiffImageFile(file) as image:
        check_size(image.height, image.width)
        if image.mode in ("P", "CMYK", "YCbCr", "LAB"):
            raise _colour_mapped(f"{image.mode} colour")
        if image.mode == "1":
            raise Unfit("few levels", "1-bit: 2 levels are no depth", "export 8 or 16 bits")
        if image.tag_v2.next:
            raise Unfit("animated", "several images in one file", "save each image as a file of its own")
        pixels = _single_channel(np.asarray(image))
    yield pixels


def _single_channel(pixels: np.ndarray) -> np.ndarray:
    """Grey levels that were saved in several equal channels are grey levels; anything else is colour."""
    if pixels.ndim == 2:
        return native(pixels)
    colours = pixels[..., : pixels.shape[-1] - (pixels.shape[-1] in (2, 4))]
    opaque = pixels.shape[-1] in (1, 3) or (pixels[..., -1] == np.iinfo(pixels.dtype).max).all()
    if not opaque or not (colours == colours[..., :1]).all():
        raise _colour_mapped("colour pixels" if opaque else "transparent pixels")
    return native(colours[..., 0])


def _colour_mapped(what: str) -> Unfit:
    why = "a colour map is no depth: it cannot be turned back into millimetres"
    return Unfit("colour", f"{what}: {why}", "export the depth itself, as one channel of 8 or 16 bits")


def native(pixels: np.ndarray) -> np.ndarray:
    """Return numbers in the machine's byte order; raise Unfit if they are none."""
    if pixels.dtype.kind not in "uif":
        raise Unfit("no numbers", f"holds {pixels.dtype} values", "save integers or floats")
    return np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("="))


def _read_npz(file: IO[bytes]) -> Iterator[np.ndarray]:
    if not zipfile.is_zipfile(file):
        raise Unfit("not an NPZ", "named .npz, but its bytes are no complete NPZ", AGAIN)
    with zipfile.ZipFile(file) as archive:
        try:
            check_archive(archive)
        except ValueError as error:
            raise Unfit("hostile", str(error), "remove it") from None
        member = _choose_member(archive)
        with archive.open(member) as array:
            yield from _read_npy(array)
            array.read()  # to the end, where zipfile compares the checksum


def _choose_member(archive: zipfile.ZipFile) -> str:
    members = {name.removesuffix(".npy"): name for name in archive.namelist() if name.endswith(".npy")}
    return members[choose_array(list(members))]


def choose_array(names: Sequence[str]) -> str:
    """Return which of a file's arrays is the depth."""
    chosen = next((name for name in NAMES if name in names), names[0] if len(names) == 1 else None)
    if chosen is None:
        held = ", ".join(sorted(names)[:5]) or "no array"
        raise Unfit("several arrays", f"holds {held}", f"keep one array, or name the one to take '{NAMES[0]}'")
    return chosen


def _read_npy(file: IO[bytes]) -> Iterator[np.ndarray]:
    """Yield the images of an array, read one at a time."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    if dtype.hasobject:
        raise Unfit("no numbers", "holds Python objects, which are never unpickled here", "save a plain array")
    if dtype.kind not in "uif":
        raise Unfit("no numbers", f"holds {dtype} values", "save integers or floats")
    if len(shape) > 2 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) == 3 and shape[-1] in (3, 4):
        raise _colour_mapped(f"{shape[-1]} channels")
    if len(shape) not in (2, 3) or 0 in shape:
        raise Unfit("no images", f"an array of shape {shape}", "save (height, width) or (images, height, width)")
    if len(shape) == 3 and not stacks.is_stack(shape):
        raise _turned(shape)
    if fortran:
        raise Unfit("Fortran order", "saved column by column", "save np.ascontiguousarray(array)")
    height, width = shape[-2:]
    check_size(height, width)
    images, size = 1 if len(shape) == 2 else shape[0], height * width * dtype.itemsize
    ambiguous = len(shape) == 3 and stacks.is_ambiguous(shape)
    faces: list[bool] = []
    for row in range(images):
        data = file.read(size)
        if len(data) < size:
            raise Unfit("damaged", f"ends in the middle of image {row} of {images}", AGAIN)
        image = native(np.frombuffer(data, dtype).reshape(height, width))
        if ambiguous and (face := stacks.is_face(image)) is not None:
            faces.append(face)
        yield image
    if sum(faces) < stacks.MIN_FACES * len(faces):
        raise _turned(shape)


def _turned(shape: tuple[int, ...]) -> Unfit:
    count, height, width = shape
    what = f"shape {shape} is {counted(count, 'image')} of {width}x{height} pixels, which are no faces"
    return Unfit("shape", what, stacks.todo(shape))


def _reader(suffix: str) -> Callable[[IO[bytes]], Iterator[np.ndarray]]:
    if suffix in MORE:
        from depthjax.data.more_formats import READERS

        return READERS[suffix]
    return _READERS[suffix]


_READERS = {".png": _read_png, ".tif": _read_tiff, ".tiff": _read_tiff, ".npy": _read_npy, ".npz": _read_npz}
GREY_START_MM = 500.0  # where grey level 0 is put: relief has no absolute distance, and 0 mm means invalid depth
GREY_MM = 0.6  # of a level, unless it is set
MAX_MM = 2**16 - 1
SCALE = "--config.data.scale_mm, the millimetres of one stored unit"


class Meaning(NamedTuple):
    """What stored values are: grey levels (relief) or distances, and the millimetres of one unit."""

    grey: bool
    scale_mm: float


def meaning(dtype: np.dtype, settings: configs.Data) -> Meaning:
    """Return what values of this type mean: as set, or 8 bits are grey levels, other integers mm, floats metres."""
    grey = settings.polarity != "auto" or dtype == np.uint8
    return Meaning(grey, settings.scale_mm or (GREY_MM if grey else 1000.0 if dtype.kind == "f" else 1.0))


def to_millimetres(raw: np.ndarray, settings: configs.Data) -> np.ndarray:
    """Return stored values (height, width) as uint16 camera millimetres; 0 is invalid.

    Grey levels become `GREY_START_MM + level * scale_mm`, counted from the top of the range where darker is farther.
    `settings.invalid_value` marks invalid depth; NaN stands for infinities too. In distances, 0 always does.
    """
    means = meaning(raw.dtype, settings)
    if raw.dtype == np.uint16 and means == (False, 1.0) and settings.invalid_value is None:
        return raw  # already what is kept: half of an import's time, were it scaled like the others
    invalid = _invalid(raw, settings.invalid_value, means)
    values = raw[~invalid]
    if raw.dtype.kind == "f" and not np.isfinite(values).all():
        count = int((~np.isfinite(values)).sum())
        todo = "--config.data.invalid_value=nan, if that marks invalid depth"
        raise Unfit("not finite", f"NaN or infinity in {counted(count, 'pixel')}", todo)
    result = np.zeros(raw.shape, np.uint16)
    result[~invalid] = _scaled(values.astype(np.float64), raw.dtype, means, settings.polarity)
    return result


def _invalid(raw: np.ndarray, invalid: float | None, means: Meaning) -> np.ndarray:
    zero = np.zeros(raw.shape, bool) if means.grey else raw == 0
    if invalid is None:
        return zero
    if math.isnan(invalid):
        return zero | ~np.isfinite(raw)
    return zero | (raw == (np.asarray(invalid).astype(raw.dtype) if raw.dtype.kind == "f" else invalid))


def _scaled(values: np.ndarray, dtype: np.dtype, means: Meaning, polarity: str) -> np.ndarray:
    if polarity == "darker_farther" and dtype.kind != "u":
        what = f"{dtype} values have no top to count grey levels from"
        raise Unfit("polarity", what, "--config.data.polarity=auto if they are distances, else save unsigned integers")
    if values.size and values.min() < 0:
        todo = "--config.data.invalid_value, if they mark invalid depth"
        raise Unfit("negative", f"values down to {values.min():g}", todo)
    if means.grey:
        values = np.iinfo(dtype).max - values if polarity == "darker_farther" else values
    millimetres = np.round(GREY_START_MM * means.grey + values * means.scale_mm)
    if millimetres.size and millimetres.max() > MAX_MM:
        what = f"depth up to {millimetres.max():.0f} mm, at {means.scale_mm:g} mm a unit"
        raise Unfit("too far", what, f"set {SCALE}, or --config.data.invalid_value if that marks invalid depth")
    return millimetres
