"""Draw what the embedded faces look like: docs/images/emotions.png and docs/images/sequence.png.

    python tools/contact_sheet.py

The first: seven emotions at their apex, of eight people. The second: the frames of whole sequences, from the
micro-expression to the offset. Both as the camera model delivers them, none picked.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from depthjax.config import EMOTIONS  # noqa: E402
from depthjax.data.crop import CROP_WIDTH_MM, nose_distance, to_square  # noqa: E402
from depthjax.data.depth_range import DepthRange  # noqa: E402
from depthjax.data.generate import generate  # noqa: E402
from depthjax.files import replacing  # noqa: E402
from depthjax.report.faces_image import mosaic, shade  # noqa: E402

SUBJECTS, FRAMES, PIXELS = 8, 10, 128
WINDOW = DepthRange(-10.0, 80.0)
SEQUENCES = ("happiness", "fear", "surprise", "anger")  # of the first four subjects, in this order


def main() -> None:
    """Write both pictures."""
    one = list(generate(subjects=range(SUBJECTS), emotions=EMOTIONS, frames=1, seed=0, full_sequence=False))
    rows = [np.concatenate([pictures(f.crops) for f in one if f.emotion == emotion]) for emotion in EMOTIONS]
    draw(ROOT / "docs/images/emotions.png", rows, EMOTIONS, "subjects")
    strips = [
        next(f for f in generate(subjects=range(n, n + 1), emotions=(e,), frames=FRAMES, seed=0, full_sequence=True))
        for n, e in enumerate(SEQUENCES)
    ]
    draw(ROOT / "docs/images/sequence.png", [pictures(s.crops) for s in strips], SEQUENCES, "time")


def pictures(crops: np.ndarray) -> np.ndarray:
    """Crops in millimetres as shaded pictures of the face."""
    images = to_square(WINDOW.from_mm(crops, nose_distance(crops)), PIXELS, crop="face")
    return shade(images, (WINDOW.near_mm, WINDOW.far_mm), CROP_WIDTH_MM / PIXELS)


def draw(path: Path, rows: list[np.ndarray], names: tuple[str, ...], across: str) -> None:
    """A sheet with a name beside each row, as PNG."""
    sheet = mosaic(rows, len(rows[0]), tile=PIXELS)
    step = (sheet.shape[0] + 6) / len(rows)
    figure, axes = plt.subplots(figsize=(sheet.shape[1] / 100, sheet.shape[0] / 100), dpi=120, layout="constrained")
    axes.imshow(sheet, cmap="gray", vmin=0, vmax=255)
    axes.set_yticks([step * (i + 0.5) - 3 for i in range(len(rows))], names)
    axes.set_xticks([])
    axes.set_xlabel(f"{across} →")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    with replacing(path) as file:
        file.write(buffer.getvalue())


if __name__ == "__main__":
    main()
