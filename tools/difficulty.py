"""How hard the embedded faces are: accuracy on unseen people, over several splits of the default 40.

    python tools/difficulty.py

Trains random forest and XGBoost on the fused features of 32 people and tests them on the 8 others, three emotions,
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
from depthjax.evaluate.classifiers import build  # noqa: E402
from depthjax.evaluate.features import fused_features  # noqa: E402
from depthjax.evaluate.protocols import Labelled, unseen_people_exam  # noqa: E402

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
    """Of random forest and XGBoost, on the people that seed `split` holds out."""
    test = held_out_subjects(faces.subject, 0.2, split)
    learnt, asked = (Labelled(features[rows], faces.emotion[rows], faces.subject[rows]) for rows in (~test, test))
    exam = unseen_people_exam(learnt, asked)
    scores = []
    for name in ("random_forest", "xgboost"):
        model = build(name, 0).fit(exam.faces.features[exam.train], exam.faces.emotion[exam.train])
        answers = model.predict(exam.faces.features[exam.test])
        scores.append(float((answers == exam.faces.emotion[exam.test]).mean()))
    print(f"split {split}: random forest {100 * scores[0]:.1f} %, XGBoost {100 * scores[1]:.1f} %", flush=True)
    return scores


if __name__ == "__main__":
    main()
