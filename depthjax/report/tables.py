"""The tables of a run, each a specification of lines and columns over its scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from depthjax.report import formats, published
from depthjax.report.formats import ACCURACY, AS_PUBLISHED, CLASSIFIER_NAMES, POINTS, RECOGNITION, Format
from depthjax.report.stored import StoredEvaluation, method_name
from depthjax.report.table import (
    NONE,
    Column,
    Key,
    Line,
    Table,
    Words,
    heads,
    meanings,
    pivot,
    reasons,
    reference,
    sizes,
)
from depthjax.scores import Score

ALL = ("relief", "fused", "depthnet", "inception")
SPACES_EXPLAINED = {
    "relief": "32\u202f×\u202f32 box means of depth, then PCA: shape without texture.",
    "fused": "handcrafted features, then PCA: dominated by texture and noise; do not rank methods by it.",
    "depthnet": "a small network for emotion and identity, trained on rendered subjects outside the default data.",
    "inception": "the Inception network of 2015-12-05, trained on photographs.",
    "handcrafted": "the classifiers' features.",
}
RANGE = ("Interval", "95\u202f%, bootstrap over held-out subjects, or over half-sets for distances.")


@dataclass(frozen=True)
class Row:
    """A measure of a table: a line for each of its spaces.

    Attributes:
        reference: the protocol of the reference where it is another one.
        by_definition: the reference where none is measured.
    """

    protocol: str
    measure: str
    format: Format
    spaces: tuple[str, ...]
    reference: str = ""
    by_definition: str = NONE


TABLE_2 = (
    Row("distance", "kid", formats.KID, ALL),
    Row("distance", "frechet", formats.FRECHET, ALL[:3]),
    Row("distance", "frechet", formats.FID, ALL[3:]),
    Row("distance", "precision", formats.PRECISION, ALL),
    Row("distance", "recall", formats.RECALL, ALL),
    Row("distance", "density", formats.DENSITY, ALL),
    Row("distance", "coverage", formats.COVERAGE, ALL),
    Row("distance", "clipped_density", formats.CLIPPED_DENSITY, ALL),
    Row("distance", "clipped_coverage", formats.CLIPPED_COVERAGE, ALL),
    Row("emotion", "score", formats.EMOTION_SCORE, ("depthnet",)),
    Row("emotion", "agreement", formats.AGREEMENT, ("depthnet",)),
    Row("emotion", "inception_score", formats.INCEPTION_SCORE, ("inception",)),
    Row("trts", "accuracy", formats.AGREEMENT, ("handcrafted",), reference="trtr"),
    Row("nearest", "ssim", formats.SSIM, ("pixels",)),
    Row("nearest", "psnr", formats.PSNR, ("pixels",)),
)
TABLE_3 = (
    Row("memorisation", "auth_pct", formats.AUTH_PCT, ALL),
    Row("memorisation", "nearest_ratio", formats.NEAREST_RATIO, ALL, by_definition="1"),
    Row("nearest", "identical", formats.IDENTICAL, ("pixels",)),
    Row("diversity", "vendi", formats.VENDI, ALL),
    Row("diversity", "ms_ssim", formats.MS_SSIM, ("pixels",)),
    Row("distance", "residual_ratio", formats.RESIDUAL, ("relief",), by_definition="1"),
)


def _lines(row: Row, classifiers: Sequence[str] = ()) -> Iterator[Line]:
    if row.protocol == "trts":
        for c in classifiers:
            words = (f"{row.format.head} ({classifier_name(c)})", *row.spaces)
            yield Line(words, Score("", "trts", c, row.measure), row.format, row.reference)
        return
    for space in row.spaces:
        key = Score("", row.protocol, "", row.measure, space)
        yield Line((row.format.head, space), key, row.format, by_definition=row.by_definition)


def classifier_name(classifier: str) -> str:
    """Return the classifier's label."""
    return CLASSIFIER_NAMES.get(classifier, classifier)


# Measure and space: its line, for what speaks of single measures.
MEASURES = {(line.key.measure, line.key.space): line for row in (*TABLE_2, *TABLE_3) for line in _lines(row)}


def all_tables(evaluation: StoredEvaluation) -> dict[str, Table]:
    """Return every table by name, in reading order; a table without any score is left out."""
    made = (
        table_1(evaluation),
        table_1_published(evaluation),
        _beside_reference(evaluation, "table_2", "Table 2. Distances to held-out faces, and quality", TABLE_2),
        table_2_published(evaluation),
        _beside_reference(evaluation, "table_3", "Table 3. Memorisation and diversity", TABLE_3),
        table_4(evaluation),
    )
    return {table.name: table for table in made if table.rows}


def set_sizes(evaluation: StoredEvaluation) -> str:
    """Return how many faces and subjects there are, and how many generated faces."""
    train, test = evaluation.data["train"], evaluation.data["test"]
    counts = sorted(set(evaluation.data["generated"].values()))
    generated = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else "".join(map(str, counts)) or "no"
    return (
        f"{train['images']} training faces of {train['subjects']} subjects, {test['images']} held-out faces of "
        f"{test['subjects']} subjects, {generated} generated faces per method"
    )


def table_1(evaluation: StoredEvaluation) -> Table:
    """Scores on held-out subjects, by what the classifier was trained on."""
    lines = list(_unseen_lines(evaluation))
    scores = [Column(f.head, {"measure": m}, f) for m, f in RECOGNITION.items()]
    compared = Column(f"Against training faces, {POINTS.unit}\u00a0↑", {"measure": "accuracy"}, POINTS, key=_paired)
    columns = (*scores, compared, replace(compared, head="p", format=formats.PROBABILITY, field="p"),
               Column("n", {"measure": "accuracy"}, formats.COUNT, "n"))  # fmt: skip
    rows = pivot(evaluation.scores, lines, columns)
    guessing = f"accuracy {ACCURACY.write(1 / len(evaluation.emotions))}\u202f%."
    return Table(
        "table_1",
        "Table 1. Emotions of held-out subjects: classifiers trained on training and on generated faces",
        heads(("Classifier", "Trained on", "Method"), columns),
        3,
        rows,
        (
            ("Held-out subjects", "neither the classifier nor the generator saw a frame of them."),
            ("Against training faces", "paired difference of accuracies on the same faces; p by flipping signs of "
             "whole subjects, not corrected for the number of methods."),
            *((f.name, f.meaning) for f in RECOGNITION.values()),
            ("Guessing", guessing),
            ("Sizes", set_sizes(evaluation) + "."),
            RANGE,
            *reasons(rows),
        ),
    )  # fmt: skip


def _unseen_lines(evaluation: StoredEvaluation) -> Iterator[Line]:
    for c in evaluation.classifiers:
        name = classifier_name(c)
        yield Line((name, "training faces", NONE), Score("real", "trtr", c), ACCURACY)
        for m in evaluation.methods:
            yield Line((name, "generated faces", method_name(m)), Score(m, "tstr", c), ACCURACY)
        for m in evaluation.methods:
            key = Score(m, "scarcity", c, share=1.0)
            yield Line((name, "generated + training faces", method_name(m)), key, ACCURACY)


def _paired(line: Line) -> Key | None:
    """The paired test of a line of Table 1 against the training faces."""
    protocol = {"tstr": "paired_tstr", "scarcity": "paired_scarcity"}.get(line.key.protocol)
    return replace(line.key, protocol=protocol, against="real") if protocol else None


def _beside_reference(evaluation: StoredEvaluation, name: str, caption: str, measures: Sequence[Row]) -> Table:
    """Measures as lines, and a column for the reference and for each method."""
    methods = evaluation.methods
    lines = [line for row in measures for line in _lines(row, evaluation.classifiers)]
    columns: tuple[Column | Words, ...] = (
        Column("Reference", {}, key=reference, otherwise=lambda line: line.by_definition),
        *(Column(method_name(method), {"method": method}) for method in methods),
        Column("n reference", {}, formats.COUNT, "n", reference),
        sizes("n generated", methods),
    )
    rows = pivot(evaluation.scores, lines, columns)
    shown = [line for line in lines if line.words in {row[:2] for row in rows}]
    spaces = tuple(dict.fromkeys(line.words[1] for line in shown))
    return Table(
        name,
        caption,
        heads(("Measure", "Features"), columns),
        2,
        rows,
        (
            ("Reference", "held-out faces measured in the same way; for a distance, the estimator between two "
             "disjoint groups of subjects: what a perfect generator would get."),
            *meanings(shown),
            *((space, SPACES_EXPLAINED[space]) for space in spaces if space in SPACES_EXPLAINED),
            RANGE,
            *reasons(rows),
        ),
    )  # fmt: skip


def table_4(evaluation: StoredEvaluation) -> Table:
    """Accuracy by the share of training subjects, without and with generated faces."""
    scarcity = evaluation.settings.get("scarcity") or {}
    subjects = {float(share): str(n) for share, n in (scarcity.get("shares") or {}).items()}
    lines = list(_scarcity_lines(evaluation, subjects))
    columns = (
        Column("Training faces only", {"method": "real"}),
        *(Column(method_name(method), {"method": method}) for method in evaluation.methods),
    )
    rows = pivot(evaluation.scores, lines, columns)
    return Table(
        "table_4",
        "Table 4. Few training subjects, without and with generated faces: accuracy on held-out subjects",
        heads(("Classifier", "Number", "Training subjects, %", "subjects"), columns),
        2,
        rows,
        (
            ("Accuracy", "trained on that share of the training subjects, alone or with all generated faces of the "
             "method in the heading."),
            ("Gain", "with generated faces minus without, paired on the same held-out faces."),
            ("Limit", "each generator was trained on all training subjects, whatever share the classifier sees."),
            ("Interval", f"95\u202f%, over held-out subjects; mean of {scarcity.get('draws', 'several')} draws."),
            *reasons(rows),
        ),
    )  # fmt: skip


def _scarcity_lines(evaluation: StoredEvaluation, subjects: dict[float, str]) -> Iterator[Line]:
    shares = shares_of(evaluation)
    for c in evaluation.classifiers:
        for share in shares:
            for name, protocol, against, format in (
                (ACCURACY.head, "scarcity", "", ACCURACY),
                (f"Gain, {POINTS.unit}\u00a0↑", "paired_scarcity", "real", POINTS),
            ):
                words = (classifier_name(c), name, f"{100 * share:g}", subjects.get(share, NONE))
                yield Line(words, Score("", protocol, c, "accuracy", share=share, against=against), format)


def shares_of(evaluation: StoredEvaluation) -> list[float]:
    """Return the shares of training subjects of the scarcity protocol, smallest first."""
    return sorted(share for share in evaluation.scores.where(protocol="scarcity").values("share") if share is not None)


def table_1_published(evaluation: StoredEvaluation) -> Table:
    """The released protocol, with the paper's Table 1 beside each number."""
    columns: list[Column | Words] = []
    for measure, format in RECOGNITION.items():
        columns += [
            Column(format.head, {"measure": measure}, format),
            _paper(f"{format.name} in the paper, %", measure),
        ]
    columns += [Column("n", {"measure": "accuracy"}, formats.COUNT, "n"),
                Words("Faces per class in the paper", lambda _, key: published.faces_per_class(key))]  # fmt: skip
    rows = pivot(evaluation.scores, _published_lines(evaluation), columns)
    return Table(
        "table_1_published",
        "Table 1 as published: the protocol of the released scripts, with the paper's numbers",
        heads(("Classifier", "Trained and tested on", "Method"), columns),
        3,
        rows,
        (
            ("As published", "80\u202f% to train, 20\u202f% to test, split by image: frames of one subject are on "
             "both sides, the scaler sees the test faces, and generated faces are tested on generated faces."),
            ("In the paper", f"its Table 1 ({published.PAPER}; IKFDB, 400 and 800 images per class), for orientation "
             "and not for comparison. Both forms of the KD-cDCGAN stand beside its proposed method."),
            ("Interval", "over the classifier's seeds, not over subjects."),
            *reasons(rows),
        ),
    )  # fmt: skip


def _published_lines(evaluation: StoredEvaluation) -> Iterator[Line]:
    for c in evaluation.classifiers:
        name = classifier_name(c)
        yield Line((name, "training faces", NONE), Score("real", "published_real", c), ACCURACY)
        for mix, words in (("synthetic", "generated faces"), ("synthetic_real", "generated + training faces")):
            for m in evaluation.methods:
                yield Line((name, words, method_name(m)), Score(m, f"published_{mix}", c), ACCURACY)


def _paper(head: str, measure: str = "") -> Words:
    """The paper's number for the same method, classifier and protocol."""
    return Words(head, lambda _, key: published.printed(replace(key, measure=measure or key.measure)))


def table_2_published(evaluation: StoredEvaluation) -> Table:
    """The released formulas under other names, with the paper's Table 2 beside each number."""
    lines = [
        Line((format.head, space, method_name(m)), Score(m, "as_published", "", measure, space), format)
        for measure, format in AS_PUBLISHED.items()
        for space in ("depthnet", "inception", "pixels")
        for m in evaluation.methods
    ]
    columns = (Column("Here", {}), _paper("In the paper"), Column("n generated", {}, formats.COUNT, "n"))
    rows = pivot(evaluation.scores, lines, columns)
    return Table(
        "table_2_published",
        "Table 2 as published: the formulas of the released scripts, with the paper's numbers",
        heads(("Measure", "Features", "Method"), columns),
        3,
        rows,
        (
            *meanings(lines),
            ("In the paper", f"its Table 2 ({published.PAPER}; IKFDB, another network), for orientation and not for "
             f"comparison. Its IS with spread: {published.spreads()}."),
            *reasons(rows),
        ),
    )  # fmt: skip
