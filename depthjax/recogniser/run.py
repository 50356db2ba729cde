"""The stage `recognise`: fit a classifier to the training faces, test it on held-out people, and write both down."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from depthjax.config import Config
from depthjax.data.faces import DepthFaces
from depthjax.data.frames import Framing
from depthjax.errors import counted
from depthjax.evaluate.recogniser import recogniser_features
from depthjax.evaluate.resampling import Estimate, bootstrap_mean
from depthjax.files import write_json, write_text
from depthjax.progress import Log
from depthjax.recogniser.classifier import CalibratedClassifier, fit_classifier, save_classifier

BINS = 10  # of the calibration error
FILE = "recogniser.safetensors"
CARD = """# An emotion classifier of depth faces

Fitted by depthjax to {faces} faces of {known}.

Accuracy on {people} not seen in the fit ({tested} faces): {share}. Expected calibration error {error:.1f} points.

What it says, by what is shown, in % of a row:

{table}

```python
import depthjax

probabilities = depthjax.recognise(depth, "{file}")  # depth: (n, height, width) millimetres, 0 is invalid
```

It holds for the sensor, the framing and the emotions of these faces. Posed emotions are not felt ones: do not use it
to judge people.
"""


def run_recognise(
    config: Config, train: DepthFaces, test: DepthFaces, workdir: Path, log: Log, *, shape: tuple[int, int],
    framing: Framing | None = None,
) -> list[Path]:  # fmt: skip
    """Fit, test, and write the classifier, its card and its numbers into `recognise/`; `framing` made the crops."""
    classifier = fit_classifier(train, config.data, shape, framing)
    found = tested_on(classifier, test, draws=config.evaluate.bootstrap, seed=config.evaluate.seed)
    folder = workdir / "recognise"
    save_classifier(folder / FILE, classifier)
    write_json(folder / "recogniser.json", asdict(found) | {"temperature": classifier.temperature})
    write_text(folder / "recogniser.md", card(found, train))
    log(f"accuracy on {counted(found.people, 'held-out person', 'held-out people')}: {found.share}")
    return [folder]


@dataclass(frozen=True)
class Tested:
    """What a classifier made of held-out people; shares in [0, 1]."""

    emotions: tuple[str, ...]
    people: int
    faces: int
    accuracy: Estimate  # its interval resamples people
    confusion: list[list[int]]  # faces, by what is shown (rows) and what was said
    calibration_error: float

    @property
    def share(self) -> str:
        """The accuracy in percent, with its interval."""
        value, low, high = self.accuracy.value or 0.0, self.accuracy.low, self.accuracy.high
        interval = "" if low is None or high is None else f" ({100 * low:.1f} to {100 * high:.1f})"
        return f"{100 * value:.1f} %{interval}"


def tested_on(classifier: CalibratedClassifier, test: DepthFaces, *, draws: int, seed: int) -> Tested:
    """Return what the classifier makes of the faces of held-out people."""
    features = recogniser_features(test, classifier.data.crop)
    chances = np.exp(classifier.log_probabilities(features))
    answer, classes = chances.argmax(1), len(test.emotions)
    confusion = np.zeros((classes, classes), int)
    np.add.at(confusion, (test.emotion, answer), 1)
    right = (answer == test.emotion).astype(np.float64)
    accuracy = bootstrap_mean(right, test.subject, draws=draws, seed=seed)
    people, error = len(np.unique(test.subject)), calibration_error(chances.max(1), right)
    return Tested(test.emotions, people, len(test), accuracy, confusion.tolist(), error)


def calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Return the mean difference of confidence and accuracy over BINS equal bins of confidence (Guo et al. 2017)."""
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(place, confidence - right, BINS)  # of a bin: its faces times their mean difference
    return float(np.abs(gaps).sum() / len(right))


def card(found: Tested, train: DepthFaces) -> str:
    """Return `recogniser.md`."""
    lines = [f"| {' | '.join(['shown', *found.emotions])} |", "|---" * (len(found.emotions) + 1) + "|"]
    for name, row in zip(found.emotions, found.confusion, strict=True):
        lines.append(f"| {name} | {' | '.join(f'{100 * count / max(1, sum(row)):.0f}' for count in row)} |")
    return CARD.format(
        faces=len(train), known=counted(len(np.unique(train.subject)), "person", "people"),
        people=counted(found.people, "person", "people"), tested=found.faces,
        share=found.share, error=100 * found.calibration_error, table="\n".join(lines), file=FILE,
    )  # fmt: skip
