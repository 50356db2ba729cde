"""What stands where on the page, and the words beside each figure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Section:
    """A part of the page that shows stored results.

    Attributes:
        anchor: its id.
        title: a heading, a question where the section answers one.
        short: the same in the list of contents.
        intro: a paragraph, shown with results.
        parts: names of figures ("figure NAME") and tables ("table NAME") in the order of the page.
        missing: what to say where none of them is there.
        stages: that would make them.
    """

    anchor: str
    title: str
    short: str
    intro: str
    parts: tuple[str, ...]
    missing: str
    stages: str


SECTIONS = (
    Section(
        "recognition",
        "Do generated faces teach a classifier about real people?",
        "Recognition",
        "Classifiers are trained on real faces (the ceiling) or on generated faces, then asked about real people of "
        "whom neither they nor the generator saw a single frame.",
        ("figure recognition", "table table_1", "figure violins", "figure scarcity",
         "table table_4"),
        "Recognition has not been measured yet.",
        "evaluate,report",
    ),
    Section(
        "distances",
        "How far are they from real faces?",
        "Distances",
        "",
        ("figure distances", "table table_2", "figure coverage", "figure tsne", "figure lda",
         "figure correlations"),
        "Distances have not been measured yet.",
        "evaluate,report",
    ),
    Section(
        "copies",
        "Are they copies, and are they varied?",
        "Copies and variety",
        "A generator that learns from few people can copy them, or find one good face and repeat it. Either would look "
        "well in the tables above.",
        ("figure nearest", "table table_3"),
        "Copies have not been looked for yet.",
        "evaluate,report",
    ),
    Section(
        "published",
        "The published protocol",
        "Published protocol",
        "As the paper's released scripts do it: random splits, so frames of one person fall on both sides, and "
        "generated faces are tested on generated faces. It says how consistent the faces are among themselves, not "
        "whether they help to recognise real people.",
        ("figure table_1", "table table_1_published", "figure annex_1", "figure table_2", "table table_2_published"),
        "The published protocol has not run yet.",
        "evaluate,report",
    ),
    Section(
        "training",
        "Training",
        "Training",
        "",
        ("figure losses",),
        "There are no training metrics yet.",
        "train,report",
    ),
    Section(
        "evolution",
        "Evolution",
        "Evolution",
        "",
        ("figure evolution",),
        "No latents have been evolved yet.",
        "evolve,sample,report",
    ),
)  # fmt: skip

FACE_FIGURES = ("normals", "difference", "interpolation")
