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

# Figure: its caption, and what it is to those who do not see it.
WORDS: dict[str, tuple[str, str]] = {
    "overview": (
        "Every emotion, real people beside each method, as surfaces lit from the upper left.",
        "Lit relief of faces: a row for each emotion, a block for each source.",
    ),
    "normals": (
        "The same faces as surface normals: the colour is the way the surface faces, so noise and flattened features "
        "show that depth alone hides.",
        "Surface normals of some faces of real people and of each method, in colours.",
    ),
    "difference": (
        "What an emotion does to the mean face, in millimetres: nearer than in the reference emotion, or farther. A "
        "method that has learnt an emotion moves what real people move.",
        "Maps of the mean depth of each emotion less the reference emotion's, a column for each source.",
    ),
    "interpolation": (
        "From one latent to another along the sphere, one emotion a row. Faces should change gradually; a jump means "
        "that the generator holds separate faces and little between them.",
        "Rows of generated faces that turn step by step from one into another.",
    ),
    "recognition": (
        "Accuracy on unseen people with 95\u202f% intervals; higher is better.",
        "Accuracy on unseen people with intervals: the numbers are in the table below.",
    ),
    "violins": (
        "The same accuracy over the seeds of each classifier: how much is luck of the draw.",
        "Violins of the accuracy of every seed, by classifier and source of the faces.",
    ),
    "annex_1": (
        "All four scores of the random forest's seeds by the released protocol, which tests on people it trained on "
        "(paper: annex 1).",
        "Violins of accuracy, precision, recall and F1 of every seed, by what the forest was trained on.",
    ),
    "scarcity": (
        "With few real people to learn from: accuracy on unseen people without and with generated faces.",
        "Lines of accuracy against the share of real people: the numbers are in the table below.",
    ),
    "distances": (
        "Lower is better, down to the grey band: what real people differ from other real people.",
        "Distances to real faces by method, with intervals and floors: the table below has the numbers.",
    ),
    "coverage": (
        "How much of the real faces' variety is reached, emotion by emotion; higher is better.",
        "Coverage of real faces by emotion and method.",
    ),
    "tsne": (
        "Faces of each source among real ones (t-SNE of the features). Nearness means likeness; the size of a gap, and "
        "distances between clusters, mean nothing.",
        "Scatter plots of t-SNE coordinates, real and generated, by emotion.",
    ),
    "lda": (
        "Emotions along the direction that best parts them in real faces. Generated faces should fall where the real "
        "ones of their emotion do.",
        "Densities along the first linear discriminant, by emotion and source.",
    ),
    "correlations": (
        "How the groups of handcrafted features move together, in real faces, generated ones and both.",
        "Correlation matrices of four groups of features, by source.",
    ),
    "nearest": (
        "The generated faces closest to any training face, each beside it, closest pair first: look for the same "
        "person.",
        "Pairs of a generated face and the real training face nearest to it.",
    ),
    "table_1": (
        "Table 1 of the paper as lines, with the published protocol.",
        "Lines of accuracy, precision, recall and F1 by method: the numbers are in the table below.",
    ),
    "table_2": (
        "Table 2 of the paper as bars, with the released formulas.",
        "Bars of the distances and scores by method: the numbers are in the table below.",
    ),
    "losses": (
        "A discriminator at 50\u202f% cannot tell real from generated; at 100\u202f% it has won; between them, losses "
        "have no better direction. Distillation losses ↓ compare each network with its moving average.",
        "Three line charts over the epochs: adversarial losses, distillation losses, discriminator accuracy.",
    ),
    "evolution": (
        "Fitness ↑ is what the search maximises; it says nothing by itself about quality. Lines: median of the "
        "independent islands; shaded: their range.",
        "Best and mean fitness over the generations, a panel for each emotion.",
    ),
}


def words(name: str) -> tuple[str, str]:
    """Caption and alternative text of a figure; of one that is not known here, its name."""
    title = name.replace("_", " ")
    return WORDS.get(name, (f"{title[:1].upper()}{title[1:]}.", f"Figure: {title}."))
