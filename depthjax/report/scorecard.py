"""The scorecard that opens the report: a question a row, answered for each method from the rows of scores.

A paired difference answers if its interval excludes zero and its p, adjusted after Holm, is at most 0.05. Any other
number answers if its interval and that of the set it is compared with do not overlap. Everything else is not shown.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from depthjax.errors import counted
from depthjax.report import formats
from depthjax.report.formats import ACCURACY, POINTS, Format, Number
from depthjax.report.stored import StoredEvaluation, method_name
from depthjax.report.table import NONE, Notes, Table, cell_text
from depthjax.report.tables import classifier_name
from depthjax.scores import Score

YES, NO, OPEN = "yes", "no", "not shown"
LEVEL = 0.05
# Spaces that judge, the first that was measured: evolution selects in the relief, noise dominates the fused features.
SPACES = ("depthnet", "relief")
# Sets that numbers are compared with.
ANCHORS = {
    "held_out": "held-out faces",
    "real": "training faces",
    "copies": "copies",
    "gaussian": "Gaussians",
}
Part = str | Number
Ends = tuple[float, float]


@dataclass(frozen=True)
class Answer:
    """What a row says about one method."""

    word: str  # YES, NO or OPEN
    number: Number | None = None  # the effect; None: it is not stored
    note: str = ""  # how far the answer reaches, or why there is none


@dataclass(frozen=True)
class Row:
    """A question, what answers it, and the answer for each method."""

    question: str
    measure: str  # with its unit
    answers: dict[str, Answer]
    beside: tuple[Part, ...]  # what it is compared with: words and numbers
    table: str  # the name of the table with these numbers
    good: str = YES  # the answer that one hopes for
    further: bool = False  # whether another row answers the question first

    def tone(self, method: str) -> str:
        """Return whether the answer is `good`, `bad` or `open`."""
        word = self.answers[method].word
        return "open" if word == OPEN else "good" if word == self.good else "bad"


@dataclass(frozen=True)
class Level:
    """A number that is compared with that of other sets of faces.

    The number has to lie beyond the first of `anchors` that was measured, or beyond each of the first `beyond`; copies
    stand there for comparison and decide nothing. With `planted`, whether it is low is decided by the same set with
    near-copies planted among its faces.
    """

    question: str
    format: Format
    key: Score  # of its rows, less method and space
    anchors: tuple[str, ...]
    good: str  # the answer that one hopes for: yes is a number above the anchor
    table: str
    planted: str = ""  # the measure of the set with near-copies; "": the anchor decides
    beyond: int = 1
    by_definition: float | None = None  # the anchor's number where none is stored
    further: bool = False


TOLD, COPIES, VARIED = (
    "Can it be told from held-out faces?",
    "Does it copy training faces?",
    "Is it as varied as held-out faces?",
)
HELPS, ALONE = "Does it help beyond augmented copies?", "Alone, does it teach as well as training faces?"
BEST = "Is it the best method?"
LEVELS = (
    Level(TOLD, formats.C2ST, Score("", "c2st", measure="accuracy", against="test"), ("held_out",), NO, "table_2",
          by_definition=0.5),
    Level(TOLD, formats.KID, Score("", "distance", measure="kid", against="test"),
          ("held_out", "real", "copies", "gaussian"), NO, "table_2", further=True),
    Level(COPIES, formats.NEAR_SHARE, Score("", "memorisation", measure="near_share"),
          ("held_out", "gaussian", "copies"), NO, "table_3", planted="near_share_planted_10", beyond=2),
    *(Level(COPIES, format, Score("", "memorisation", measure=measure), ("gaussian", "copies"), NO, "table_3",
            further=True) for measure, format in formats.ATTACKS.items()),
    Level(VARIED, formats.VENDI, Score("", "diversity", measure="vendi"), ("held_out", "real"), YES, "table_3"),
    Level(VARIED, formats.COVERAGE, Score("", "distance", measure="coverage", against="test"), ("held_out", "real"),
          YES, "table_2", further=True),
)  # fmt: skip
RULES: Notes = (
    ("Yes, no", "a paired difference whose 95\u202f% interval excludes zero, with p\u202f≤\u202f0.05 after Holm's "
     "correction over the methods; or a number whose interval does not overlap that of the first set in the column "
     "Compared with. Near a training face: yes above held-out faces and Gaussians, no below the same set with "
     "10\u202f% near-copies."),
    ("Not shown", "neither was shown; it does not mean that there is no difference."),
    ("Classifier", "the one that is best when trained without generated faces (with augmented copies where these were "
     "measured); a small line counts the answers of all."),
    ("Copies, Gaussians", "training faces with new sensor noise; a Gaussian of each emotion, which remembers nobody."),
    ("Augmented copies", "training faces mirrored, shifted, scaled and turned a little, with depth noise, as many as "
     "the generated faces: what one can have without a generator."),
)  # fmt: skip


def scorecard(evaluation: StoredEvaluation) -> list[Row]:
    """Return the rows: each question once, then by further measures; empty if no method was evaluated."""
    if not evaluation.methods:
        return []
    rows = [*_helps(evaluation), _alone(evaluation), *(_level(evaluation, level) for level in LEVELS)]
    rows += [_best(evaluation)] if len(evaluation.methods) > 1 else []
    return sorted(rows, key=lambda row: row.further)


def best_classifier(evaluation: StoredEvaluation) -> str:
    """Return the classifier with the best accuracy without generated faces; no method has a say in it."""
    scores, found = evaluation.scores, []
    for classifier in evaluation.classifiers:
        augmented = Score("augmented", "added", classifier, "accuracy")
        row = scores.at(augmented) or scores.at(replace(augmented, method="real", protocol="trtr"))
        found += [row] if row else []
    return max(found, key=lambda row: row.value or 0.0).classifier if found else "xgboost"


def extent(evaluation: StoredEvaluation) -> str:
    """Return what the intervals contain, in one line."""
    trainings, subjects = int(evaluation.settings.get("trainings", 1)), evaluation.data["test"]["subjects"]
    if trainings > 1:
        held_out = counted(subjects, "held-out subject")
        return f"Means of {trainings} trainings; 95\u202f% intervals over trainings and {held_out}."
    return (
        f"One training: the 95\u202f% intervals are over {subjects} held-out subjects and do not contain how much "
        "another training would differ."
    )


def _helps(evaluation: StoredEvaluation) -> Iterator[Row]:
    classifier = best_classifier(evaluation)
    reference = evaluation.scores.at(Score("augmented", "added", classifier, "accuracy"))
    numbers: tuple[Part, ...] = (" ", Number(reference, ACCURACY)) if reference else ()
    ways = {"paired_added_augmented": ", added to them", "paired_added": ", instead of them"}
    for protocol, way in ways.items():
        beside = ("training faces + augmented copies", *numbers)
        row = _paired(evaluation, HELPS, way, Score("", protocol, classifier, "accuracy", against="augmented"), beside)
        yield replace(row, further=protocol == "paired_added")


def _alone(evaluation: StoredEvaluation) -> Row:
    key = Score("", "paired_tstr", best_classifier(evaluation), "accuracy", against="real")
    reference = evaluation.scores.at(replace(key, method="real", protocol="trtr", against=""))
    numbers: tuple[Part, ...] = (" ", Number(reference, ACCURACY)) if reference else ()
    return _paired(evaluation, ALONE, "", key, ("training faces", *numbers))


def _paired(evaluation: StoredEvaluation, question: str, way: str, key: Score, beside: tuple[Part, ...]) -> Row:
    """A row of paired differences, whose small line counts the answers of all classifiers."""
    rows = evaluation.scores.where(protocol=key.protocol, against=key.against)
    classifiers = rows.values("classifier")
    answers = {}
    for method in evaluation.methods:
        words = [_difference(rows.at(replace(key, method=method, classifier=c))).word for c in classifiers]
        answer = _difference(rows.at(replace(key, method=method)))
        answers[method] = replace(answer, note=answer.note or _counted(words))
    measure = f"accuracy of {classifier_name(key.classifier)}{way}, {POINTS.unit}"
    family = rows.where(classifier=key.classifier)
    subjects = max((row.n or 0 for row in family), default=0)
    if subjects and len(family) * 2 / 2**subjects > LEVEL:
        beside = (*beside, f"; with {counted(subjects, 'subject')} no difference can be significant")
    return Row(question, measure, answers, beside, "table_1" if key.protocol == "paired_tstr" else "table_4")


def _counted(words: Sequence[str]) -> str:
    """`yes with 1, no with 2 of 5 classifiers`."""
    found = [f"{word} with {words.count(word)}" for word in (YES, NO) if word in words]
    return f"{', '.join(found) or 'none'} of {len(words)} classifiers" if len(words) > 1 else ""


def _difference(row: Score | None) -> Answer:
    if row is None or row.value is None:
        return _absent(row)
    number = Number(row, POINTS)
    if row.p is None or not number.excludes_zero or row.p > LEVEL:
        return Answer(OPEN, number)
    return Answer(YES if row.value > 0 else NO, number)


def _absent(row: Score | None) -> Answer:
    return Answer(OPEN, None, row.reason if row else "not measured")


def _level(evaluation: StoredEvaluation, level: Level) -> Row:
    measured = evaluation.scores.where(protocol=level.key.protocol, measure=level.key.measure).values("space")
    space = next((space for space in SPACES if space in measured), SPACES[0])
    key = replace(level.key, space=space)
    rows = {m: evaluation.scores.at(replace(key, method=m)) for m in (*level.anchors, *evaluation.methods)}
    anchors = {m: Number(row, level.format) for m in level.anchors if (row := rows[m]) and row.value is not None}
    deciding = [number for method, number in anchors.items() if method != "copies"]
    first = _ends(deciding[: level.beyond], level.by_definition)
    answers = {}
    for method in evaluation.methods:
        planted = evaluation.scores.at(replace(key, method=method, measure=level.planted)) if level.planted else None
        answers[method] = _beside(rows[method], level, first, planted)
    measure = f"{level.format.name} ({space})" + (f", {level.format.unit}" if level.format.unit else "")
    beside = _listed(anchors, level)
    return Row(level.question, measure, answers, beside, level.table, level.good, level.further)


def _ends(numbers: Sequence[Number], by_definition: float | None = None) -> Ends | None:
    """Return the lowest and the highest end of all intervals; a number without one is its own."""
    ends = [end for x in numbers for end in (x.interval or (x.value, x.value)) if end is not None]
    ends = ends or ([] if by_definition is None else [by_definition])
    return (min(ends), max(ends)) if ends else None


def _beside(row: Score | None, level: Level, anchor: Ends | None, planted: Score | None) -> Answer:
    """Answer for a number that may lie above its anchor, or below it (of copies: below a set with planted ones)."""
    if row is None or row.value is None:
        return _absent(row)
    number, copies = Number(row, level.format), Number(planted, level.format) if planted else None
    last = _ends([copies] if copies else []) if level.planted else anchor
    note = f"{copies.digits} with 10\u202f% copies" if copies else ""
    if number.interval is None or anchor is None:
        return Answer(OPEN, number, row.reason or "nothing to compare it with")
    if number.interval[0] > anchor[1]:
        return Answer(YES, number, note)
    return Answer(NO if last and number.interval[1] < last[0] else OPEN, number, note)


def _listed(anchors: dict[str, Number], level: Level) -> tuple[Part, ...]:
    parts: list[Part] = []
    for method, number in anchors.items():
        # The first decides: it has its interval.
        parts += ["; " if parts else "", ANCHORS[method] + " ", number.digits if parts else number]
    guessing = level.by_definition is not None
    parts += [f"{'; ' if parts else ''}guessing {level.format.write(level.by_definition or 0)}"] if guessing else []
    return tuple(parts) or (NONE,)


def _best(evaluation: StoredEvaluation) -> Row:
    """Whether each method is ahead of all others, alone and pair by pair."""
    classifier, methods = best_classifier(evaluation), evaluation.methods
    rows = evaluation.scores.where(protocol="paired_tstr", classifier=classifier)
    wins = {(row.method, row.against): _difference(row).word for row in rows if {row.method, row.against} <= {*methods}}
    answers = {}
    for method in methods:
        ahead = sum(word == (YES if a == method else NO) for (a, b), word in wins.items() if method in (a, b))
        behind = sum(word == (NO if a == method else YES) for (a, b), word in wins.items() if method in (a, b))
        row = evaluation.scores.at(Score(method, "tstr", classifier, "accuracy"))
        if not wins or row is None or row.value is None:
            answers[method] = _absent(row if wins else None)
            continue
        word = YES if ahead == len(methods) - 1 else NO if behind else OPEN
        answers[method] = Answer(word, Number(row, ACCURACY), f"ahead of {ahead}, behind {behind}")
    measure = f"accuracy of {classifier_name(classifier)}, alone, {ACCURACY.unit}"
    others = f"{len(methods) - 1} other methods, pair by pair" if len(methods) > 2 else "the other method"
    return Row(BEST, measure, answers, (others,), "table_1")


def as_text(parts: Iterable[Part]) -> str:
    """Return words and numbers, these with their intervals, as one text."""
    return "".join(part if isinstance(part, str) else cell_text(part) for part in parts)


def answer_text(answer: Answer) -> str:
    """Return `not shown, \u22120.2 (\u22121.0 to 0.5)`."""
    return answer.word + (f", {cell_text(answer.number)}" if answer.number else "")


def as_table(evaluation: StoredEvaluation, rows: Sequence[Row]) -> Table:
    """Return the scorecard as a table of words, for files."""
    methods = evaluation.methods
    columns = ("Question", "Measure", *map(method_name, methods), "Compared with")
    body = [(row.question, row.measure, *(answer_text(row.answers[m]) for m in methods), as_text(row.beside))
            for row in rows]  # fmt: skip
    notes = (("Intervals", extent(evaluation)), *RULES)
    return Table("scorecard", "Scorecard", columns, len(columns), tuple(body), notes)


def as_lines(evaluation: StoredEvaluation) -> list[str]:
    """Return the scorecard in plain text: a line a row, below it a line a method."""
    rows = scorecard(evaluation)
    if not rows:
        return []
    width = max(len(method_name(m)) for m in evaluation.methods)
    lines = [f"scorecard: {extent(evaluation)}"]
    for row in rows:
        lines += [f"{row.question} By {row.measure}; compared with {as_text(row.beside)}"]
        for method, answer in row.answers.items():
            note = f"; {answer.note}" if answer.note else ""
            lines += [f"    {method_name(method):{width}}  {answer_text(answer)}{note}"]
    return lines
