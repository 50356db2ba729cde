"""The tables of a run, each a specification of lines and columns over its scores, and the paper's Tables 1 and 2."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from depthjax.config import INPUTS
from depthjax.errors import counted
from depthjax.report import formats
from depthjax.report.formats import ACCURACY, AS_PUBLISHED, CLASSIFIER_NAMES, POINTS, RECOGNITION, Format
from depthjax.report.paper import PAPER, TABLE_2, TABLE_2_SPREAD, printed, published_column
from depthjax.report.stored import StoredEvaluation, method_name
from depthjax.report.table import NONE, Column, Key, Line, Notes, Table, heads, pivot, reasons, reference, sizes, words
from depthjax.scores import Score

ALL = ("relief", "fused", "depthnet", "inception")
SHAPES = ("relief", "depthnet", "inception")  # of these tables; the rows of `fused` are in evaluation.csv
SPACES_EXPLAINED = {
    "relief": "32\u202f×\u202f32 box means of depth, then PCA: shape without texture.",
    "fused": "handcrafted features, then PCA: dominated by texture and noise; do not rank methods by it.",
    "depthnet": "a small network for emotion and identity, trained on rendered subjects outside the default data.",
    "inception": "the Inception network of 2015-12-05, trained on photographs.",
    "handcrafted": "the trees' features.",
    "boxes": "32\u202f×\u202f32 box means of depth.",
    "recogniser": "a small network for emotion, trained on rendered subjects of a wider population.",
}
PAIRED = ("paired difference of accuracies on the same faces; p by flipping signs of whole subjects, adjusted for the "
          "number of sets compared (Holm).")  # fmt: skip
CLASSIFIERS_EXPLAINED = (
    ("depthnet + logistic regression", "features of a network that was trained beforehand on other, rendered "
     "subjects."),
    ("Small network", "convolutional, trained from the given faces alone; no augmentation of its own."),
    ("recogniser, adapted", "the network of the stage recognise, which was trained beforehand on rendered subjects of "
     "a wider population, none of them in a default run; its last layer is fitted to the given faces and penalised "
     "for leaving its own answer."),
)  # fmt: skip
RANGE = ("Interval", "95\u202f%, bootstrap over subjects and generated faces, or the middle of draws of n faces.")


def _faces_per_class(line: Line) -> str:
    if published_column(line.key.method) is None:
        return NONE
    return "800" if line.key.protocol == "published_synthetic_real" else "400"


def _paper(head: str, measure: str = "") -> Column:
    return words(head, lambda line: printed(replace(line.key, measure=measure or line.key.measure)))


def _lines(protocol: str, measure: str, format: Format, *spaces: str, by_definition: str = NONE) -> list[Line]:
    """A measure of a table: a line for each of its spaces."""
    return [Line((format.head, space), Score("", protocol, "", measure, space), format, by_definition=by_definition)
            for space in spaces]  # fmt: skip


TO = {"train": "training", "test": "held-out"}


def _to(sets: Iterable[str], protocol: str, measure: str, format: Format, *spaces: str) -> list[Line]:
    """A distance of a table: a line for each of its spaces and each set of TO that it is to."""
    return [replace(line, words=(*line.words, TO[against]), key=replace(line.key, against=against))
            for line in _lines(protocol, measure, format, *spaces) for against in sets]  # fmt: skip


DISTANCES = (
    *_to(TO, "distance", "kid", formats.KID, *ALL),
    *_to(TO, "c2st", "accuracy", formats.C2ST, *ALL),
    *_to(TO, "distance", "frechet", formats.FRECHET, *ALL[:3]),
    *_to(TO, "distance", "frechet", formats.FID, *ALL[3:]),
    *_to(TO, "distance", "precision", formats.PRECISION, *ALL),
    *_to(TO, "distance", "recall", formats.RECALL, *ALL),
    *_to(TO, "distance", "density", formats.DENSITY, *ALL),
    *_to(TO, "distance", "coverage", formats.COVERAGE, *ALL),
    *_to(TO, "distance", "clipped_density", formats.CLIPPED_DENSITY, *ALL),
    *_to(TO, "distance", "clipped_coverage", formats.CLIPPED_COVERAGE, *ALL),
    *_to(("test",), "distance", "fld", formats.FLD, *SHAPES),
)
EMOTIONS = (
    *_lines("emotion", "score", formats.EMOTION_SCORE, "depthnet"),
    *_lines("emotion", "agreement", formats.AGREEMENT, "depthnet"),
    *_lines("emotion", "inception_score", formats.INCEPTION_SCORE, "inception"),
)
SIMILARITY = (*_lines("nearest", "ssim", formats.SSIM, "pixels"), *_lines("nearest", "psnr", formats.PSNR, "pixels"))
SIGNS = {
    "near_share": formats.NEAR_SHARE, **formats.PLANTED, "auth_pct": formats.AUTH_PCT, **formats.ATTACKS,
    "auc_inversion": formats.INVERSION, **formats.MEMBERS, "fld_gap": formats.FLD_GAP,
}  # fmt: skip
COPIES = (
    *(line for measure, format in SIGNS.items() for line in _lines("memorisation", measure, format, *SHAPES, "pixels")),
    *_lines("diversity", "vendi", formats.VENDI, *ALL),
    *_lines("diversity", "rke", formats.RKE, *ALL),
    *_lines("diversity", "ms_ssim", formats.MS_SSIM, "pixels"),
    *_lines("distance", "residual_ratio", formats.RESIDUAL, "relief", by_definition="1"),
)


def classifier_name(classifier: str) -> str:
    """Return the classifier's label."""
    return CLASSIFIER_NAMES.get(classifier, classifier)


# Measure and space: its line, for what speaks of single measures.
MEASURES = {(line.key.measure, line.key.space): line for line in (*DISTANCES, *EMOTIONS, *SIMILARITY, *COPIES)}
# The sets whose scores stand beside those of the methods.
ANCHORS = {
    "real": "Training faces",
    "held_out": "Held-out faces",
    "copies": "Copies with new noise",
    "gaussian": "Gaussians",
}
ANCHORS_EXPLAINED = (
    ("To", "the set that the distance is to."),
    ("Training faces, held-out faces", "of a distance to themselves: a random half of the subjects to the other half. "
     "Held-out subjects, which no generator has seen, give the distance to training faces of other subjects."),
    ("Copies with new noise", "training faces whose sensor noise is drawn anew: what a copying generator gets."),
    ("Gaussians", "one Gaussian of each emotion: the statistics of the training faces without any face. Beside signs "
     "of copying it is of the features themselves, elsewhere of principal components of the pixels."),
)  # fmt: skip
OF_HELD_OUT = ("emotion", "nearest", "trts")  # protocols whose rows of `real` are held-out faces


def all_tables(evaluation: StoredEvaluation) -> dict[str, Table]:
    """Return every table by name, in reading order; a table without any score is left out."""
    emotion = [
        Line((f"{formats.AGREEMENT.head} ({classifier_name(c)})", INPUTS.get(c, NONE)),
             Score("", "trts", c, "accuracy"), formats.AGREEMENT, "trtr")
        for c in evaluation.classifiers
    ]  # fmt: skip
    by_emotion = [
        replace(line, words=(*line.words, name), key=replace(line.key, emotion=name))
        for line in DISTANCES
        if line.key.measure in ("kid", "frechet", "coverage")
        for name in evaluation.emotions
    ]
    quality = [replace(line, words=(*line.words, NONE)) for line in (*EMOTIONS, *emotion, *SIMILARITY)]
    beside = partial(_beside_anchors, evaluation)
    made = (
        table_1(evaluation),
        table_1_published(evaluation),
        beside("table_2", "Table 2. Distances to training and held-out faces, and quality",
               [*DISTANCES, *quality], ("To",), *ANCHORS_EXPLAINED),
        beside("table_2_emotions", "Table 2 by emotion", by_emotion, ("To", "Emotion"), *ANCHORS_EXPLAINED),
        table_2_published(evaluation),
        beside("table_3", "Table 3. Memorisation and diversity", COPIES, (), *ANCHORS_EXPLAINED[2:]),
        table_4(evaluation),
    )  # fmt: skip
    return {table.name: table for table in made if table.rows}


def set_sizes(evaluation: StoredEvaluation) -> str:
    """Return how many faces and subjects there are, and how many generated faces."""
    train, test = evaluation.data["train"], evaluation.data["test"]
    counts = sorted(set(evaluation.data["generated"].values()))
    generated = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else "".join(map(str, counts)) or "no"
    return (
        f"{train['images']} training faces of {train['subjects']} subjects, {test['images']} held-out faces of "
        f"{counted(test['subjects'], 'subject')}, {generated} generated faces per method"
    )


def added_sets(evaluation: StoredEvaluation) -> dict[tuple[str, str], str]:
    """Return by (protocol, method) in words what classifiers with added faces were trained on, the simplest first."""
    added = evaluation.scores.where(protocol="added").values("method")
    methods = evaluation.methods
    order = [*(name for name in added if name not in methods), *methods]
    beside = evaluation.scores.where(protocol="added_augmented").values("method")
    on_top = [*(name for name in beside if name not in methods), *methods]
    return (
        {("trtr", "real"): "training faces"}
        | {("added", name): f"+ {method_name(name)}" for name in order}
        | {("added_augmented", name): f"+ {method_name('augmented')} + {method_name(name)}" for name in on_top}
    )


def _table(
    evaluation: StoredEvaluation, name: str, caption: str, text: tuple[str, ...], lines: Iterable[Line],
    columns: Sequence[Column], *notes: tuple[str, str],
) -> Table:  # fmt: skip
    rows = pivot(evaluation.scores, lines, columns)
    return Table(name, caption, heads(text, columns), len(text), rows, (*notes, *reasons(rows)))


def _compared(against: str) -> tuple[Column, Column]:
    """The difference to classifiers trained on another set, and its p."""

    def paired(line: Line) -> Key | None:
        protocol = f"paired_{line.key.protocol}"
        return replace(line.key, protocol=protocol, against=against) if line.key.method != "real" else None

    name = "training faces" if against == "real" else method_name(against)
    head = f"Against {name}, {POINTS.unit}\u00a0↑"
    difference = Column(head, {"measure": "accuracy"}, POINTS, key=paired)
    return difference, replace(difference, head=f"p against {name}", format=formats.PROBABILITY, field="p")


def _trained_on(evaluation: StoredEvaluation, alone: tuple[str, str], generated: dict[str, Key]) -> Iterator[Line]:
    """The lines of each classifier: words and protocol without generated faces, then those with, a line a method."""
    for c in evaluation.classifiers:
        yield Line((classifier_name(c), alone[0], NONE), Score("real", alone[1], c), ACCURACY)
        for (way, key), m in itertools.product(generated.items(), evaluation.methods):
            yield Line((classifier_name(c), way, method_name(m)), replace(key, method=m, classifier=c), ACCURACY)


def table_1(evaluation: StoredEvaluation) -> Table:
    """Scores on held-out subjects, by what the classifier was trained on."""

    scores = [Column(f.head, {"measure": m}, f) for m, f in RECOGNITION.items()]
    columns = (*scores, *_compared("real"), Column("n", {"measure": "accuracy"}, formats.COUNT, "n"))
    return _table(
        evaluation, "table_1",
        "Table 1. Emotions of held-out subjects: classifiers trained on training and on generated faces",
        ("Classifier", "Trained on", "Method"),
        _trained_on(evaluation, ("training faces", "trtr"), {"generated faces": Score("", "tstr")}), columns,
        ("Held-out subjects", "neither the classifier nor the generator saw a frame of them."),
        ("Training faces", "no upper bound: augmented copies beside them (table 4) raise it."),
        ("Against training faces", PAIRED),
        *CLASSIFIERS_EXPLAINED,
        *((f.name, f.meaning) for f in RECOGNITION.values()),
        ("Guessing", f"accuracy {ACCURACY.write(1 / len(evaluation.emotions))}\u202f%."),
        ("Sizes", set_sizes(evaluation) + "."),
        RANGE,
    )  # fmt: skip


def _anchor(method: str, head: str) -> Column:
    """Return the column of an anchor; rows of `real` are held-out faces in some protocols."""

    def key(line: Line) -> Key | None:
        if line.key.protocol in OF_HELD_OUT:
            return reference(line) if method == "held_out" else None
        return replace(line.key, method=method)

    return Column(head, {}, key=key, otherwise=lambda line: line.by_definition if method == "held_out" else NONE)


def _beside_anchors(
    evaluation: StoredEvaluation, name: str, caption: str, lines: Sequence[Line], more: tuple[str, ...],
    *notes: tuple[str, str],
) -> Table:  # fmt: skip
    scores, methods = evaluation.scores, evaluation.methods
    known = {*scores.values("method"), "real", "held_out"}
    anchors = [_anchor(anchor, head) for anchor, head in ANCHORS.items() if anchor in known]
    columns = (
        *anchors,
        *(Column(method_name(method), {"method": method}) for method in methods),
        words("n beside", lambda line: sizes(scores, reference(line), ("real", *ANCHORS))),
        words("n generated", lambda line: sizes(scores, line.key, methods)),
    )
    found = {row[: 2 + len(more)] for row in pivot(scores, lines, columns)}
    shown = [line for line in lines if line.words in found]
    spaces = dict.fromkeys(line.words[1] for line in shown)
    return _table(
        evaluation, name, caption, ("Measure", "Features", *more), shown, columns, *notes, *_meanings(shown),
        *((space, SPACES_EXPLAINED[space]) for space in spaces if space in SPACES_EXPLAINED),
        RANGE,
    )  # fmt: skip


def _meanings(lines: Sequence[Line]) -> Notes:
    return tuple({line.format.name: line.format.meaning for line in lines if line.format.meaning}.items())


def table_4(evaluation: StoredEvaluation) -> Table:
    """Accuracy on held-out subjects by what was added to the training faces."""
    lines = [
        Line((classifier_name(c), words), Score(method, protocol, c), ACCURACY)
        for c in evaluation.classifiers
        for (protocol, method), words in added_sets(evaluation).items()
    ]
    accuracy = {"measure": "accuracy"}
    columns = (Column(ACCURACY.head, accuracy), *_compared("augmented"), *_compared("real"),
               Column("n", accuracy, formats.COUNT, "n"))  # fmt: skip
    return _table(
        evaluation, "table_4",
        "Table 4. Training faces with added faces: accuracy on held-out subjects",
        ("Classifier", "Trained on"), lines, columns,
        ("Added faces", "as many of each set; all are made from the training faces, or drawn by a generator that "
         "learned from them. Beside augmented copies, they are a second set: twice as many faces are added."),
        ("Augmented copies", "mirrored, shifted, scaled and turned training faces with depth noise: the simplest rival "
         "of a generator."),
        ("Mixtures of two faces", "of one emotion, two subjects and near to each other (SMOTE)."),
        ("Against", PAIRED),
        *CLASSIFIERS_EXPLAINED,
        RANGE,
    )  # fmt: skip


def table_1_published(evaluation: StoredEvaluation) -> Table:
    """The released protocol, with the paper's Table 1 beside each number."""
    columns: list[Column] = []
    for measure, format in RECOGNITION.items():
        columns += [Column(format.head, {"measure": measure}, format)]
        columns += [_paper(f"{format.name} in the paper, %", measure)]
    columns += [Column("n", {"measure": "accuracy"}, formats.COUNT, "n"),
                words("Faces per class in the paper", _faces_per_class)]  # fmt: skip
    ways = {"generated faces": Score("", "published_synthetic"),
            "generated + prepared faces": Score("", "published_synthetic_real")}  # fmt: skip
    alone = ("prepared faces", "published_real")
    return _table(
        evaluation, "table_1_published",
        "Table 1 as published: the protocol of the released scripts, with the paper's numbers",
        ("Classifier", "Trained and tested on", "Method"), _trained_on(evaluation, alone, ways), columns,
        ("As published", "80\u202f% to train, 20\u202f% to test, split by image: frames of one subject are on "
         "both sides, the scaler sees the test faces, and generated faces are tested on generated faces."),
        ("Prepared faces", "training and held-out faces together."),
        ("In the paper", f"its Table 1 ({PAPER}; IKFDB, 400 and 800 images per class), for orientation "
         "and not for comparison. Both forms of the KD-cDCGAN stand beside its proposed method."),
        ("Interval", "over the classifier's seeds, not over subjects."),
    )  # fmt: skip


def table_2_published(evaluation: StoredEvaluation) -> Table:
    """The released formulas under other names, with the paper's Table 2 beside each number."""
    lines = [
        Line((format.head, space, method_name(m)), Score(m, "as_published", "", measure, space), format)
        for measure, format in AS_PUBLISHED.items()
        for space in ("depthnet", "inception", "pixels")
        for m in evaluation.methods
    ]
    columns = (Column("Here", {}), _paper("In the paper"), Column("n generated", {}, formats.COUNT, "n"))
    names = {"real": "its training faces", "proposed": "its proposed method"}
    spreads = [f"{names.get(m, m.upper())} {TABLE_2['score', m]:.2f} ± {x:.2f}" for m, x in TABLE_2_SPREAD.items()]
    return _table(
        evaluation, "table_2_published",
        "Table 2 as published: the formulas of the released scripts, with the paper's numbers",
        ("Measure", "Features", "Method"), lines, columns,
        *_meanings(lines),
        ("In the paper", f"its Table 2 ({PAPER}; IKFDB, another network), for orientation and not for "
         f"comparison. Its IS with spread: {', '.join(spreads)}."),
    )  # fmt: skip
