"""`model_card.md`: what a run's generator is, its training faces, its scores and its uses (Mitchell et al. 2019)."""

from __future__ import annotations

from depthjax.report import html
from depthjax.report.croissant import SOURCES, USES
from depthjax.report.formats import Number
from depthjax.report.stored import Run, method_name
from depthjax.report.verdicts import Verdict

SHOWN = (
    "batch_size",
    "epochs",
    "generator_lr",
    "discriminator_lr",
    "ema_decay",
    "generator_kd_weight",
    "discriminator_kd_weight",
)


def card_text(run: Run, facts: list[tuple[str, str]], verdicts: list[Verdict], folder: str) -> str:
    """Return the card as Markdown.

    Args:
        facts: terms and facts of the run, as the page has them.
        verdicts: what the evaluation says.
        folder: the run's work folder, by the name that a user would give.
    """
    config, evaluation = run.config, run.evaluation
    text = html.environment(autoescape=False).get_template("model_card.md.j2").render(
        name=_plain(str(config.get("name", "run"))),
        what=_what(run),
        facts=[(term, _plain(fact)) for term, fact in [*facts, *_recipe(config)]],
        verdicts=[{"topic": verdict.topic, "text": _plain(_words(verdict))} for verdict in verdicts],
        uses=USES,
        source=SOURCES[config["data"]["source"]],
        subjects=evaluation.data["test"]["subjects"] if evaluation else "no",
        folder=_plain(folder),
    )  # fmt: skip
    return text.strip() + "\n"


def _what(run: Run) -> str:
    methods = ", ".join(method_name(name) for name in run.samples) or "no method yet"
    return (
        f"A conditional generator of {run.config['data']['resolution']}-pixel depth images of faces with the emotions "
        f"{', '.join(map(_plain, run.emotions))}; the run's faces are by {methods}."
    )


def _recipe(config: dict) -> list[tuple[str, str]]:
    """The settings that differ most between recipes."""
    train = config.get("train", {})
    listed = [f"{name} {train[name]}" for name in SHOWN if name in train and train[name] not in ([], ())]
    return [("Training", " · ".join(listed))] if listed else []


def _words(verdict: Verdict) -> str:
    """Its sentences, each number with its interval."""
    return "".join(_number(part) if isinstance(part, Number) else part for part in verdict.parts)


def _number(number: Number) -> str:
    return number.text + (f" ({number.interval_text})" if number.interval else "")


def _plain(text: str) -> str:
    """Text of a run, which may not become a heading, a row, a tag or a link of the card."""
    flat = " ".join(text.splitlines())
    return "".join(f"\\{c}" if c in "\\`*_[]|#" else {"<": "&lt;", ">": "&gt;", "&": "&amp;"}.get(c, c) for c in flat)
