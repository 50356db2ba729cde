"""Draw right and wrong framing for docs/how-to/own-faces.md, from rendered faces only.

python tools/draw_framing.py [docs/images/framing.png]
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("agg")
sys.path.insert(0, str(Path(__file__).parent))
import matplotlib.pyplot as plt
import scenes

from depthjax.data.crop import NOSE_ROW
from depthjax.data.find_face import Nose, crop_about


def main(path: Path) -> None:
    """Render one person, frame her five ways, write a PNG."""
    camera = scenes.CAMERAS["kinect_v2"]._replace(noise=0.5)
    near = {"yaw": 8, "pitch": 4, "roll": 3, "distance": (750.0, 751.0), "hand": 0.0}
    shot = scenes.random_shot(np.random.default_rng(14), seed=21, subject=14, camera=camera, wall=500.0, **near)
    nose = Nose(*shot.nose)
    right = crop_about(shot.frame, nose, focal=shot.focal)
    ear = nose._replace(x=nose.x + 30, y=nose.y + 15)
    pictures = {
        "right: 180 mm wide,\nnose at the cross": right,
        "right: a whole frame,\nof which this is cut": shot.frame,
        "right: sideways or upside down,\nturned upright": np.rot90(right),
        "wrong: too wide; set focal_px\nor width_mm": crop_about(shot.frame, nose, focal=shot.focal, width_mm=330.0),
        "wrong: no nose in the middle;\nset focal_px or width_mm": crop_about(shot.frame, ear, focal=shot.focal),
    }
    figure, axes = plt.subplots(1, len(pictures), figsize=(11, 3.3), layout="constrained")
    for axis, (title, depth) in zip(axes, pictures.items(), strict=True):
        shown = np.where(depth > 0, depth.astype(float) - nose.distance, np.nan)
        axis.imshow(-shown, cmap="gray", vmin=-170, vmax=20)
        axis.set(xticks=[], yticks=[], facecolor="#28284f")
        axis.set_title(title, fontsize=9, color="#1a7f37" if title.startswith("right") else "#a11")
    axes[0].plot(63.5, NOSE_ROW, "+", color="#e62828", markersize=14, markeredgewidth=2)
    figure.savefig(path, dpi=80)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images/framing.png"))
