"""How hard the rendered faces are: accuracy on unseen subjects, over several splits of the default 40.

    python tools/difficulty.py

Fits random forest and XGBoost on the fused features of 32 subjects and tests them on the 8 others, three emotions,
as `configs/quick.py` sets the faces. Meant to lie between 75 and 92 %: hard but possible.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from configs import quick  # noqa: E402
from depthjax.data import load  # noqa: E402
from depthjax.data.faces import DepthFaces, held_out_subjects  # noqa: E402
from depthjax.evaluate.classification import FitTask, Labelled, unseen_subjects_split  # noqa: E402
from depthjax.evaluate.handcrafted import fused_features  # noqa: E402

SPLITS = 5


def main() -> None:
    """Print a line a split, then the means."""
    config = quick.get_config()
    with tempfile.TemporaryDirectory() as folder:
        load.prepare(config.data, Path(folder), progress=print)
        faces = load.load(config.data, Path(folder))
    features = fused_features(faces.images, size=config.evaluate.feature_size)
    rows = np.array([accuracies(faces, features, split) for split in range(SPLITS)])
    print(f"mean     random forest {100 * rows[:, 0].mean():.1f} %, XGBoost {100 * rows[:, 1].mean():.1f} %")


def accuracies(faces: DepthFaces, features: np.ndarray, split: int) -> list[float]:
    """Return the accuracies of random forest and XGBoost on the subjects that seed `split` holds out."""
    test = held_out_subjects(faces.subject, 0.2, split)
    sides = (Labelled(features[rows], faces.emotion[rows], faces.subject[rows]) for rows in (~test, test))
    unseen = unseen_subjects_split(*sides)
    tasks = (FitTask(unseen, name, 0) for name in ("random_forest", "xgboost"))
    scores = [float((task.predict() == unseen.actual).mean()) for task in tasks]
    print(f"split {split}: random forest {100 * scores[0]:.1f} %, XGBoost {100 * scores[1]:.1f} %", flush=True)
    return scores


if __name__ == "__main__":
    main()
