"""What the numbers say, in plain words, computed from evaluation.json and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from depthjax.report.numbers import DECIBEL, DISTANCE, PERCENT, RATIO, SIMILARITY, Number, count, lookup, number
from depthjax.report.stored import method_name
from depthjax.report.tables import CLASSIFIER_NAMES, classifiers_of, nearest_reference


@dataclass(frozen=True)
class Verdict:
    """A topic and its sentence: words and the numbers between them."""

    topic: str
    parts: tuple[str | Number, ...]


def verdicts(evaluation: dict[str, Any], classes: int) -> list[Verdict]:
    """The summary of an evaluation, most important first.

    Args:
        evaluation: evaluation.json.
        classes: the number of emotions, for the rate of guessing.
    """
    methods = list(lookup(evaluation, ("methods",)))
    if not methods:
        return []
    found = [_use(evaluation, methods, classes)]
    if {"cdcgan_kd", "cdcgan_kd_ga"} <= set(methods):
        found += [_evolution(evaluation)]
    found += [_shape(evaluation, methods), _noise(evaluation, methods), _copies(evaluation, methods)]
    return found


def headline_classifier(evaluation: dict[str, Any]) -> str:
    """The classifier that the summary speaks of: XGBoost where it ran, fixed beforehand and not the luckiest."""
    names = classifiers_of(evaluation, "tstr")
    return "xgboost" if "xgboost" in names else names[0]


def _accuracy(evaluation: dict[str, Any], method: str, protocol: str) -> Number:
    return number(evaluation, ("methods", method, protocol, headline_classifier(evaluation), "accuracy"), PERCENT)


def _use(evaluation: dict[str, Any], methods: list[str], classes: int) -> Verdict:
    classifier = headline_classifier(evaluation)
    people = count(evaluation, ("methods", methods[0], "tstr", classifier, "subjects_test"))
    faces = count(evaluation, ("methods", methods[0], "tstr", classifier, "n_test"))
    values = [_accuracy(evaluation, method, "tstr") for method in methods]
    name = CLASSIFIER_NAMES.get(classifier, classifier)
    parts: list[str | Number] = [f"Trained on generated faces only, {name} recognises the emotion of unseen people in "]
    parts += _listed(values, methods)
    parts += [" of the pictures. Trained on real faces it gets ", _accuracy(evaluation, methods[0], "trtr")]
    parts += [
        f"; guessing gives {PERCENT.write(1 / classes)}{PERCENT.unit} (",
        faces,
        " pictures, ",
        people,
        " people).",
    ]
    guesses = [m for m, v in zip(methods, values, strict=True) if v.interval and v.interval[0] <= 1 / classes]
    if guesses:
        parts += [f" {_names(guesses)} cannot be told from guessing."]
    return Verdict("Use", tuple(parts))


def _listed(values: list[Number], methods: list[str]) -> list[str | Number]:
    """`a (first), b (second) and c (third)`."""
    parts: list[str | Number] = []
    for position, (value, method) in enumerate(zip(values, methods, strict=True)):
        joint = "" if position == 0 else " and " if position == len(methods) - 1 else ", "
        parts += [joint, value, f" ({method_name(method)})"]
    return parts


def _names(methods: list[str]) -> str:
    *most, last = map(method_name, methods)
    return f"{', '.join(most)} and {last}" if most else last


def _evolution(evaluation: dict[str, Any]) -> Verdict:
    before, after = (_accuracy(evaluation, m, "tstr") for m in ("cdcgan_kd", "cdcgan_kd_ga"))
    kid = [number(evaluation, ("methods", m, "kid", "relief"), DISTANCE) for m in ("cdcgan_kd", "cdcgan_kd_ga")]
    recognition = _change(before, after, "rises", "falls")
    distance = _change(kid[0], kid[1], "grows", "shrinks")
    words = f"recognition {recognition} and the distance to real faces (KID on relief) {distance}"
    return Verdict("Evolution", (f"With evolved instead of random latents {words} by more than the intervals.",))


def _change(before: Number, after: Number, rises: str, falls: str) -> str:
    """A word for a change: only intervals that do not meet count as one."""
    if before.interval is not None and after.interval is not None:
        if after.interval[0] > before.interval[1]:
            return rises
        if after.interval[1] < before.interval[0]:
            return falls
    return "does not change"


def _shape(evaluation: dict[str, Any], methods: list[str]) -> Verdict:
    values = [number(evaluation, ("methods", m, "kid", "relief"), DISTANCE) for m in methods]
    floor = number(evaluation, ("floor", "kid", "relief"), DISTANCE)
    told = [m for m, v in zip(methods, values, strict=True) if _beyond(v, floor)]
    parts: list[str | Number] = [
        "In shape (KID on relief) they stand ",
        *_listed(values, methods),
        " from real faces; ",
    ]
    parts += ["real people stand ", floor, " from other real people"]
    if not told:
        parts += [": the generated faces cannot be told from that."]
    elif len(told) == len(methods):
        parts += [": the generated faces can still be told from real ones."]
    else:
        parts += [f": only {_names(told)} can be told from that."]
    return Verdict("Shape", tuple(parts))


def _beyond(value: Number, floor: Number) -> bool:
    return value.interval is None or floor.interval is None or value.interval[0] > floor.interval[1]


def _noise(evaluation: dict[str, Any], methods: list[str]) -> Verdict:
    ratios = [number(evaluation, ("methods", m, "relief_residual"), RATIO, value_key="ratio") for m in methods]
    begin = "Noise and detail finer than the shape features are "
    return Verdict("Noise", (begin, *_listed(ratios, methods), " times those of real faces."))


def _copies(evaluation: dict[str, Any], methods: list[str]) -> Verdict:
    values = [number(evaluation, ("methods", m, "ssim"), SIMILARITY) for m in methods]
    references = [nearest_reference(evaluation, ("methods", m, "ssim")) for m in methods]
    parts: list[str | Number] = ["Likeness to the nearest training face (SSIM) is ", *_listed(values, methods)]
    parts += ["; that of unseen real people is ", references[0], ". "]
    closer = {name: _closer(evaluation, methods, key) for key, name in (("ssim", "SSIM"), ("psnr", "PSNR"))}
    suspects = [m for m in methods if any(m in found for found in closer.values())]
    if suspects:
        by = " and ".join(name for name, found in closer.items() if found)
        verb = "is" if len(suspects) == 1 else "are"
        words = (
            f"By {by}, {_names(suspects)} {verb} closer to the training faces than real people are: look for copies."
        )
    else:
        words = (
            "None is closer than real people by more than the intervals, in SSIM or PSNR: no sign of copying by these."
        )
    return Verdict("Copies", (*parts, words))


def _closer(evaluation: dict[str, Any], methods: list[str], key: str) -> list[str]:
    """Methods whose faces are more like the nearest training face than unseen people are, beyond the intervals."""
    style = SIMILARITY if key == "ssim" else DECIBEL
    return [
        m
        for m in methods
        if _above(number(evaluation, ("methods", m, key), style), nearest_reference(evaluation, ("methods", m, key)))
    ]


def _above(value: Number, reference: Number) -> bool:
    low = value.interval[0] if value.interval else value.value
    high = reference.interval[1] if reference.interval else reference.value
    return low is not None and high is not None and low > high
