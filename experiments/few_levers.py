"""What rendered people are worth where few are known: their weight, their noise, the network that they taught.

Command: python -m experiments.few_levers --workdir runs/mine [--people 3,4,8] [--draws 6]
Device:  two CPU cores, about five minutes. WORKDIR has prepared faces (--stages=prepare).

Logistic regression on features, and the recogniser's last layer adapted with several penalties: accuracy on the
held-out people of the folder, means over draws of the known ones and standard deviations over draws. It is what choices
were made by: use people that no reported number is of.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from depthjax.config import EMOTIONS, Config
from depthjax.data.faces import DepthFaces, joined
from depthjax.data.noise import noise_spectrum, with_training_noise
from depthjax.errors import without_traceback
from depthjax.evaluate.adapted_head import PENALTIES, adapt
from depthjax.evaluate.classification import PENALTY
from depthjax.evaluate.controls import RENDERED_WEIGHT, control_sets, rendered_set
from depthjax.evaluate.depthnet import depthnet_features
from depthjax.evaluate.recogniser import own_head, read_emotions
from depthjax.evaluate.resampling import Estimate
from depthjax.few.effects import mean_over_people
from depthjax.few.people import draw_people
from depthjax.files import read_json, write_text
from depthjax.library import load_config
from depthjax.pipeline import prepared_faces

RENDERED, COPIES = 300, 100  # faces of each emotion
WEIGHTS = (0.1, 0.3, 1.0, 3.0)  # of all rendered faces together, as a share of the known ones
BALANCINGS = 200  # passes until the shares do not change
WEIGHT_PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0)  # of what the recogniser's last layer changes
ADAPTED = "recogniser, adapted"
# What was taken, and what it is compared with: the classifiers that are best without rendered faces.
TAKEN = (ADAPTED, "+ augmented copies, penalty 1")
RIVALS = tuple(
    (reader, way) for reader in ("depthnet", "recogniser") for way in ("their faces alone", "+ augmented copies")
)


class Sets(NamedTuple):
    """Features (n, d) and emotion (n,) of the known people, their copies, rendered faces, the same with other noise."""

    known: tuple[np.ndarray, np.ndarray]
    copies: tuple[np.ndarray, np.ndarray]
    rendered: tuple[np.ndarray, np.ndarray]
    noisy: tuple[np.ndarray, np.ndarray]


def main() -> None:
    """Measure every way, print the table, and write it into the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--people", default="3,4,8")
    parser.add_argument("--draws", type=int, default=6)
    flags = parser.parse_args()
    config = config_of(flags.workdir)
    train, test = (prepared_faces(config, flags.workdir, part) for part in ("train", "test"))
    counts = [int(count) for count in flags.people.split(",")]
    text = "\n".join(table(config, train, test, counts, flags.draws))
    write_text(flags.workdir / "few_levers.md", text + "\n")
    print(text)


def config_of(workdir: Path, name: str = "quick") -> Config:
    """Return a config with the data settings of the folder."""
    stored = read_json(workdir / "config.json")["data"]
    return load_config(name, {f"data.{field}": value for field, value in stored.items() if value is not None})


READERS: dict[str, Callable[[DepthFaces, str], np.ndarray]] = {
    "depthnet": lambda of, crop: depthnet_features(of.images, depth_range=of.depth_range, crop=crop).features,
    "recogniser": lambda of, crop: read_emotions(of.images, depth_range=of.depth_range, crop=crop).features,
}


def table(config: Config, train: DepthFaces, test: DepthFaces, counts: list[int], draws: int) -> Iterator[str]:
    """Yield the lines of a Markdown table: a row for each way, a column for each number of people."""
    yield from own_answers(config, train, test)
    yield ""
    yield "| " + " | ".join(["features", "trained on", *(f"{count} people" for count in counts)]) + " |"
    yield "|" + "---|" * (2 + len(counts))
    rendered = rendered_set(config, train, RENDERED)
    found = [measured(config, train, test, rendered, count, draws) for count in counts]
    for reader, way in found[0]:
        shares = [100 * np.mean(of[reader, way], axis=1) for of in found]
        cells = [f"{of.mean():.1f} ({of.std(ddof=1):.1f})" for of in shares]
        yield "| " + " | ".join([reader, way, *cells]) + " |"
    yield ""
    yield f"{': '.join(TAKEN)}, in points beyond another row, with 95 % intervals over draws and people:"
    yield ""
    yield "| " + " | ".join(["features", "trained on", *(f"{count} people" for count in counts)]) + " |"
    yield "|" + "---|" * (2 + len(counts))
    for rival in RIVALS:
        gains = [mean_over_people(np.stack(of[TAKEN])[:, None] - np.stack(of[rival])[:, None]) for of in found]
        yield "| " + " | ".join([*rival, *map(points, gains)]) + " |"


def own_answers(config: Config, train: DepthFaces, test: DepthFaces) -> Iterator[str]:
    """Yield how often the network is right that has seen no label of this sensor, for all emotions and without fear.

    As it is; and with biases found on frames without labels, of the other people or of those tested.
    """
    others, own = (
        read_emotions(of.images, depth_range=of.depth_range, crop=config.data.crop).log_probabilities
        for of in (train, test)
    )
    for without in ("", "fear"):
        names = [name for name in test.emotions if name != without]
        columns, labels = ([of.index(name) for name in names] for of in (EMOTIONS, test.emotions))
        unlabelled, asked = (
            of[np.isin(faces.emotion, labels)][:, columns].astype(np.float64)
            for of, faces in ((others, train), (own, test))
        )
        actual = np.searchsorted(labels, test.emotion[np.isin(test.emotion, labels)])
        biases = {
            "as it is": np.zeros(len(names)),
            "biases by unlabelled frames of other people": balancing(unlabelled),
            "biases by the tested frames": balancing(asked),
        }
        for what, bias in biases.items():
            right = (asked + bias).argmax(1) == actual
            shares = ", ".join(f"{name} {100 * right[actual == i].mean():.0f}" for i, name in enumerate(names))
            yield f"- Own answer of {len(names)} emotions, {what}: {100 * right.mean():.1f} % ({shares})."


def balancing(logits: np.ndarray) -> np.ndarray:
    """Return biases (classes,) that make all classes as likely, on average over unlabelled faces: logits (n, classes).

    It needs to know that they are as frequent, and no label.
    """
    bias = np.zeros(logits.shape[1])
    for _ in range(BALANCINGS):
        bias -= 0.5 * np.log(softmax(logits + bias, axis=1).mean(0) * logits.shape[1])
    return bias


def points(gain: Estimate) -> str:
    """Return a difference with its interval, in points."""
    value, low, high = (100 * (number or 0.0) for number in (gain.value, gain.low, gain.high))
    return f"{value:.1f} ({low:.1f} to {high:.1f})"


def measured(
    config: Config, train: DepthFaces, test: DepthFaces, rendered: DepthFaces, count: int, draws: int
) -> dict[tuple[str, str], list[np.ndarray]]:
    """Return the accuracy on each tested person, (people,), of each draw, by features and way."""
    read = {reader: {"test": of(test, config.data.crop), "rendered": of(rendered, config.data.crop)}
            for reader, of in READERS.items()}  # fmt: skip
    found: dict[tuple[str, str], list[np.ndarray]] = {}
    member = np.unique(test.subject, return_inverse=True)[1]
    for number, people in enumerate(draw_people(np.unique(train.subject), count, draws, seed=1)):
        known = train.take(np.flatnonzero(np.isin(train.subject, people)))
        settings = replace(config, evaluate=replace(config.evaluate, seed=number))
        copies = control_sets(settings, known, COPIES, ["augmented"])["augmented"]
        spectrum = noise_spectrum(known.images)
        images = with_training_noise(rendered.images, rendered.emotion, spectrum, seed=number, name="rendered")
        made = {"known": known, "copies": copies, "noisy": replace(rendered, images=images)}
        whole = joined([*made.values()])
        cuts = np.cumsum([len(of) for of in made.values()])[:-1]
        parts = {}
        for reader, of in READERS.items():
            features = dict(zip(made, np.split(of(whole, config.data.crop), cuts), strict=True))
            parts[reader] = features | {"rendered": read[reader]["rendered"], "test": read[reader]["test"]}
        parts["both"] = {name: np.hstack([parts[reader][name] for reader in READERS]) for name in parts["depthnet"]}
        for way, answer in adapted(parts["recogniser"], known, copies, rendered):
            right = np.bincount(member, answer == test.emotion) / np.bincount(member)
            found.setdefault((ADAPTED, way), []).append(right)
        for reader, of_part in parts.items():
            labels = {"known": known, "copies": copies, "rendered": rendered, "noisy": rendered}
            sets = Sets(*((of_part[name], labels[name].emotion) for name in Sets._fields))
            for way, answer in answers(sets, known.subject, of_part["test"]):
                right = np.bincount(member, answer == test.emotion) / np.bincount(member)
                found.setdefault((reader, way), []).append(right)
    return found


def adapted(
    features: dict[str, np.ndarray], known: DepthFaces, copies: DepthFaces, rendered: DepthFaces
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each way to adapt the recogniser's last layer, and what it then says of the test faces."""
    head = own_head(known.emotions)

    def adapted_to(*names: str, penalty: float = PENALTIES[0], share: float = 0.0) -> np.ndarray:
        faces = {"known": known, "copies": copies, "rendered": rendered}
        rows = np.concatenate([features[name] for name in names])
        each = [np.full(len(faces[name]), share if name == "rendered" else 1.0) for name in names]
        emotion = np.concatenate([faces[name].emotion for name in names])
        weights, bias = adapt(head, rows, emotion, np.concatenate(each), (penalty, PENALTIES[1]))
        answer: np.ndarray = (features["test"] @ weights + bias).argmax(1)
        return answer

    for penalty in WEIGHT_PENALTIES:
        yield f"their faces alone, penalty {penalty:g}", adapted_to("known", penalty=penalty)
        yield f"+ augmented copies, penalty {penalty:g}", adapted_to("known", "copies", penalty=penalty)
    share = RENDERED_WEIGHT * len(known) / len(rendered)
    yield "+ augmented copies and rendered faces, penalty 1", adapted_to("known", "copies", "rendered", share=share)


def answers(sets: Sets, subject: np.ndarray, test: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each way to train, and what a classifier then says of the test faces; `subject` is the known faces'."""
    yield "their faces alone", fitted([sets.known], [1.0], test)
    yield "+ augmented copies", fitted([sets.known, sets.copies], [1.0, 1.0], test)
    yield "rendered faces alone", fitted([sets.rendered], [1.0], test)
    for weight in WEIGHTS:
        share = weight * len(sets.known[1]) / len(sets.rendered[1])
        yield f"+ rendered faces, weight {weight:g}", fitted([sets.known, sets.rendered], [1.0, share], test)
    share = best_weight(sets, subject) * len(sets.known[1]) / len(sets.rendered[1])
    yield (
        "+ rendered faces, weight by leaving known people out",
        fitted([sets.known, sets.rendered], [1.0, share], test),
    )
    share = len(sets.known[1]) / len(sets.rendered[1])
    yield "+ rendered faces with the sensor's noise, weight 1", fitted([sets.known, sets.noisy], [1.0, share], test)
    both = [sets.known, sets.copies, sets.rendered]
    yield "+ augmented copies and rendered faces, weight 1", fitted(both, [1.0, 1.0, share], test)


def best_weight(sets: Sets, subject: np.ndarray) -> float:
    """Return the weight of rendered faces with which each known person is recognised best from the others."""
    features, emotion = sets.known

    def right(weight: float) -> float:
        found = []
        for one in np.unique(subject):
            rest, left_out = subject != one, subject == one
            share = weight * rest.sum() / len(sets.rendered[1])
            answer = fitted([(features[rest], emotion[rest]), sets.rendered], [1.0, share], features[left_out])
            found.append((answer == emotion[left_out]).mean())
        return float(np.mean(found))

    return max(WEIGHTS, key=right)  # the smallest of equals


def fitted(sets: list[tuple[np.ndarray, np.ndarray]], weights: list[float], test: np.ndarray) -> np.ndarray:
    """Return what a logistic regression on standardised features says of the test faces."""
    features, emotion = (np.concatenate(column) for column in zip(*sets, strict=True))
    weight = np.concatenate([np.full(len(of[1]), share) for of, share in zip(sets, weights, strict=True)])
    scaler = StandardScaler().fit(features)
    model = LogisticRegression(C=PENALTY, max_iter=1000).fit(scaler.transform(features), emotion, weight)
    answer: np.ndarray = model.predict(scaler.transform(test))
    return answer


if __name__ == "__main__":
    with without_traceback():
        main()
