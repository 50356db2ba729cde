"""The files of the fixed networks that depthjax ships; what these networks read is part of what results depend on."""

from pathlib import Path

from depthjax.files import file_digest

DEPTHNET, RECOGNISER = (Path(__file__).parent / "assets" / f"{name}.safetensors" for name in ("depthnet", "recogniser"))


def digests() -> list[str]:
    """Return the sha256 (hex) of both files."""
    return [file_digest(path) for path in (DEPTHNET, RECOGNISER)]
