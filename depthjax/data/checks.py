"""Check a user's faces before anything is written, and report all problems at once."""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from depthjax import config as configs
from depthjax.data import frames
from depthjax.data.cut_page import draw_page
from depthjax.data.depth_files import SCALE
from depthjax.data.face_files import Face, read_files, read_spooled
from depthjax.data.listing import (
    DIFFER,
    DepthFile,
    Listing,
    Problem,
    escape,
    list_faces,
    no_match,
    shorten,
    table,
)
from depthjax.data.near_duplicates import group_alike
from depthjax.data.pattern import propose, spelling
from depthjax.data.plausible import KINDS
from depthjax.data.workers import in_order
from depthjax.errors import UserError, counted

FILES_A_TASK = 32
MIN_SUBJECTS_EACH, MIN_SUBJECTS = 2, 4
MAX_ODD = 0.1  # of the images
# What a camera records beside depth, as a word of a file's name.
_OTHER = re.compile(r"(?<![a-z])(ir|nir|infrared|rgb|colou?r|amplitude|intensity|confidence)(?![a-z])")
Log = Callable[[str], None]


@dataclass(frozen=True)
class Checked:
    """The faces that are to be stored, file by file in natural order, with their labels, (n,) int32 each."""

    faces: list[Face]
    subject: np.ndarray
    frame: np.ndarray
    subjects: tuple[str, ...]  # names, or groups that stand for them
    framing: frames.Framing | None = None  # how all were cut

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows of the stored set, in order, from where the check put them aside."""
        for i, (face, depth) in enumerate(zip(self.faces, read_spooled(self.faces), strict=True)):
            labels = {"emotion": face.file.emotion, "subject": int(self.subject[i]), "frame": int(self.frame[i])}
            yield {"depth": depth, "source": face.shown, **labels}

    def labels(self) -> dict[str, np.ndarray]:
        """Return every column of the stored set but the depth, (n,) each."""
        columns = {"emotion": self.emotion, "subject": self.subject, "frame": self.frame}
        return columns | {"sources": np.array([face.shown for face in self.faces])}

    @property
    def emotion(self) -> np.ndarray:
        """Label of each face."""
        return np.array([face.file.emotion for face in self.faces], np.int32)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of all."""
        return self.faces[0].shape


def check(settings: configs.Data, root: Path, spool: Path, *, log: Log, page: Path | None = None) -> Checked:
    """Check every file under `root` that the settings ask for; log what is found, the problems as one table.

    The faces wait in millimetres in `spool`, a folder of the caller's own, until `Checked.rows` has read them. What was
    cut is drawn in `page`, whatever is found. A UserError is raised for problems if `settings.on_error` is `fail`,
    where many images hold no face, and if too few subjects are left.
    """
    original, differ = settings.source == "ikfdb", settings.names_differ
    listing = list_faces(root, settings.emotions, settings.pattern, original=original, names_differ=differ)
    if not listing.files:
        notes = "".join(f"; {note}" for note in listing.notes)
        raise UserError(f"--config.data.path={escape(str(root))}: no depth image of these emotions{notes}")
    for note in listing.notes:
        log(note)
    files, others = _without_other_images(listing)
    grouped = "{subject}" not in listing.pattern
    files, unnamed = (_unnamed(files, settings, log), []) if grouped else _named(files, listing.pattern, settings)
    unnamed = [*others, *unnamed]
    log(f"checking {counted(len(files), 'file')}")
    framing = frames.decide(settings, [file.path for file in files], log)
    faces, problems = _read_all_files(files, settings, framing, spool, compare=grouped)
    if page:
        draw_page(page, faces)
        log(f"what was cut by this check, with the noses: {page}")
    faces, faceless = _without_faceless(faces, framing)
    faces, unlike = _alike(faces)
    problems = [*problems, *faceless]
    _report([*listing.problems, *unnamed, *problems, *unlike], faces, settings, root, log)
    if not faces:
        raise UserError(f"--config.data.path={escape(str(root))}: not one face can be used; see the table above")
    _check_meaning(problems, len(faces))
    for line in _units(faces, settings):
        log(line)
    checked = _grouped(faces, log) if grouped else _labelled(faces, log)
    _check_subjects(checked, settings, grouped)
    return replace(checked, framing=framing)


def _read_all_files(
    files: Sequence[DepthFile], settings: configs.Data, framing: frames.Framing, spool: Path, *, compare: bool
) -> tuple[list[Face], list[Problem]]:
    tasks = [files[start : start + FILES_A_TASK] for start in range(0, len(files), FILES_A_TASK)]
    read = partial(read_files, settings=settings, framing=framing, compare=compare, spool=spool)
    faces: list[Face] = []
    problems: list[Problem] = []
    results = (found for batch in in_order(read, tasks) for found in batch)
    for file, (found, faults) in zip(files, results, strict=True):
        problems += faults
        # The process returns a copy of the file's entry with every face: one is enough.
        faces += [face._replace(file=file) for face in found]
    return faces, problems


def _without_other_images(listing: Listing) -> tuple[list[DepthFile], list[Problem]]:
    """Set aside files named as infrared or colour among others that are not, where `*` or no pattern took both in."""
    words = [_OTHER.search((file.says.rest if file.says else file.name).lower()) for file in listing.files]
    if all(words):  # then it is what all are called
        return listing.files, []
    todo = "leave it out, or name all alike if it is depth"
    problems = [Problem(f.shown, "no depth", f"'{word[0]}' in its name, and not in all", todo)
                for f, word in zip(listing.files, words, strict=True) if word]  # fmt: skip
    return [file for file, word in zip(listing.files, words, strict=True) if not word], problems


def _unnamed(files: list[DepthFile], settings: configs.Data, log: Log) -> list[DepthFile]:
    """Return files whose frames are to be grouped, unless nobody asked for that and the names tell the subjects."""
    if not settings.pattern and (proposals := propose([(file.emotion, file.name) for file in files])):
        first, *others = (f"--config.data.pattern='{escape(proposal)}'" for proposal in proposals)
        also = f" ({' and '.join(others)} {'fits' if len(others) == 1 else 'fit'} too)" if others else ""
        raise UserError(
            f"no pattern names the subjects, and nearly all names fit {first}{also}: set it, so that nobody is in "
            "training and test; or --config.data.pattern='**' to group frames that look alike instead"
        )
    log("NO PATTERN NAMES THE SUBJECTS (--config.data.pattern): groups of near-duplicates are taken for subjects")
    if not settings.pattern:
        log("no simple pattern fits these names; see {subject}, {frame}, * and ** in docs/how-to/own-faces.md")
    return files


def _named(files: list[DepthFile], pattern: str, settings: configs.Data) -> tuple[list[DepthFile], list[Problem]]:
    """Return the files whose names match the pattern and spell their subject as most of its files do."""
    matching = [file for file in files if file.says]
    if not matching:
        proposals = propose([(file.emotion, file.name) for file in files])
        fitting = "; these fit: " + ", ".join(f"'{proposal}'" for proposal in proposals) if proposals else ""
        name = escape(files[0].name)
        raise UserError(f"--config.data.pattern={pattern} matches no name, such as '{name}'{fitting}")
    problems = [no_match(file.shown, file.name, pattern) for file in files if not file.says]
    usual = {} if settings.names_differ else _usual_spelling(matching)
    kept = []
    for file in matching:
        subject = _subject(file)
        if (other := usual.get(spelling(subject), subject)) == subject:
            kept.append(file)
            continue
        what = f"'{escape(subject)}' and '{escape(other)}' differ in case, zeros or spaces"
        problems.append(Problem(file.shown, "subject spelled twice", what, f"rename one, or {DIFFER}"))
    return kept, problems


def _usual_spelling(files: Sequence[DepthFile]) -> dict[str, str]:
    counts = Counter(map(_subject, files))
    return {spelling(name): name for name, _ in reversed(counts.most_common())}


def _subject(file: DepthFile) -> str:
    return (file.says.subject if file.says else None) or ""


def _without_faceless(faces: list[Face], framing: frames.Framing) -> tuple[list[Face], list[Problem]]:
    """Set aside images in which no face is recognised, unless they are crops that are stored as they are."""
    if framing.kind == frames.STORED:
        return faces, []
    image = "frame" if framing.kind == frames.WHOLE else "crop"
    faceless = [_faceless(face, image, "remove it, or mend --config.data.focal_px or rotate")
                for face in faces if face.nose_at is None]  # fmt: skip
    return [face for face in faces if face.nose_at], faceless


def _faceless(face: Face, image: str, todo: str) -> Problem:
    return Problem(face.shown, frames.NO_FACE, f"no face is recognised in this {image}", f"see cut_faces.png; {todo}")


def _alike(faces: Sequence[Face]) -> tuple[list[Face], list[Problem]]:
    """Leave out images whose size or unit is not that of most, and copies."""
    if not faces:
        return [], []
    shape = Counter(face.shape for face in faces).most_common(1)[0][0]
    stored = Counter(face.stored for face in faces if face.shape == shape).most_common(1)[0][0]
    kept: list[Face] = []
    problems: list[Problem] = []
    for face in faces:
        if face.shape != shape:
            what = "{1}x{0} pixels; most are {3}x{2}".format(*face.shape, *shape)
            problems.append(Problem(face.shown, "other size", what, "crop it alike, or remove it"))
        elif face.stored != stored:
            what = f"{face.stored}; most are {stored}"
            problems.append(Problem(face.shown, "other unit", what, "export all in one format, or remove it"))
        else:
            kept.append(face)
    copies = _copies(kept)
    return [face for face in kept if (face.spool, face.offset) not in copies], [*problems, *copies.values()]


def _copies(faces: Sequence[Face]) -> dict[tuple[Path, int], Problem]:
    """Return what to leave out of equal images: all but the first, or all if one of their emotions must be wrong."""
    by_digest: dict[bytes, list[Face]] = defaultdict(list)
    for face in faces:
        by_digest[face.digest].append(face)
    copies = {}
    for same in by_digest.values():
        contradicted = len({face.file.emotion for face in same}) > 1
        todo = "keep it under its one true emotion" if contradicted else "remove it"
        for face in same if contradicted else same[1:]:
            other = same[1] if face is same[0] else same[0]
            what = f"the same pixels as {shorten(other.shown)}"
            copies[face.spool, face.offset] = Problem(face.shown, "duplicate", what, todo)
    return copies


def _report(problems: Sequence[Problem], faces: Sequence[Face], settings: configs.Data, root: Path, log: Log) -> None:
    """Log the table; raise a UserError unless all that is in it can be gone on with."""
    kept = [_faceless(face, "crop", "kept as it is: remove it if it is no face") for face in faces if not face.nose_at]
    if not problems and not kept:
        return
    dropped = sum(problem.kind == frames.NO_FACE for problem in problems)
    without, images = dropped + len(kept), dropped + len(faces)
    if without:
        log(f"no face is recognised in {without} of {counted(images, 'image')} ({without / images:.0%})")
    for line in table([*problems, *kept]):
        log(line)
    _check_faces(without, images)
    if problems and settings.on_error == "fail":
        raise UserError(
            f"{counted(len(problems), 'problem')} in {escape(str(root))}, in the table above; nothing was written: "
            "mend them, or go on without these files by --config.data.on_error=skip"
        )
    if problems:
        log(f"going on without these {len(problems)} (--config.data.on_error=skip)")
    if kept:
        log(f"WARNING: crops in which no face is recognised are kept: {len(kept)}")


def _check_meaning(problems: Sequence[Problem], good: int) -> None:
    """Raise a UserError if so many images are no faces in millimetres that the others cannot be trusted either."""
    odd = sum(problem.kind in KINDS for problem in problems)
    if odd > MAX_ODD * (odd + good):
        raise UserError(
            f"no face has these distances: {odd} of {counted(odd + good, 'image')}; so the others are not to be "
            f"trusted: set {SCALE}; or leave out what is no depth (see the table above)"
        )


def _check_faces(without: int, images: int) -> None:
    """Raise a UserError if in many images no face is recognised: then the framing is wrong, not they."""
    if without > MAX_ODD * images:
        share = f"{without} of {counted(images, 'image')} ({without / images:.0%})"
        raise UserError(
            f"no face is recognised in {share}, more than {MAX_ODD:.0%}: look at cut_faces.png, and mend "
            "--config.data.framing, focal_px, width_mm or rotate, or remove these images"
        )


def _units(faces: Sequence[Face], settings: configs.Data) -> Iterator[str]:
    """What the values were taken for, and what looks odd in them."""
    stored, value = faces[0].stored, settings.invalid_value
    grey = "grey" in stored
    polarity = "darker_farther" if settings.polarity == "darker_farther" else "darker_closer"
    order = f", {polarity.replace('_', ' is ')} (--config.data.polarity)" if grey else ""
    marked = [] if grey else ["0"]
    marked += [] if value is None else [f"{value:g}"]
    invalid = f"{' and '.join(marked)} is invalid" if marked else "no level is invalid"
    yield f"{stored} (--config.data.scale_mm){order}; {invalid} (--config.data.invalid_value)"
    noses = [face.nose_mm for face in faces]
    yield "relief only: no distance from the camera" if grey else (
        f"noses are {min(noses):.0f} to {max(noses):.0f} mm from the camera")  # fmt: skip
    for level, count in Counter(face.hole for face in faces if face.hole is not None).items():
        yield (
            f"WARNING: level {level} fills most of the border of {count} of {counted(len(faces), 'image')}: it is a "
            f"hole or background; set --config.data.invalid_value={level}"
        )


def _labelled(faces: list[Face], log: Log) -> Checked:
    named = [_subject(face.file) for face in faces]
    subjects = tuple(dict.fromkeys(named))
    number = {name: i for i, name in enumerate(subjects)}
    subject = np.array([number[name] for name in named], np.int32)
    emotion = [face.file.emotion for face in faces]
    frame = [face.row if face.stack or not face.file.says else face.file.says.frame for face in faces]
    known = [f for f in zip(subject.tolist(), emotion, frame, strict=True) if f[2] is not None]
    numbers = _numbered(faces, subject)
    if len(known) == len(faces) and max(number or 0 for number in frame) > np.iinfo(np.int32).max:
        log("frame numbers are too long to store (times of day?): frames are numbered in the order of their names")
    elif len(set(known)) == len(faces):
        numbers = np.array(frame, np.int32)
    elif len(known) == len(faces):
        log("frame numbers come twice under this pattern: frames are numbered in the order of their names")
    return Checked(faces, subject, numbers, tuple(map(escape, subjects)))


def _numbered(faces: Sequence[Face], subject: np.ndarray) -> np.ndarray:
    """Return running numbers within each subject and emotion, (n,) int32."""
    following: defaultdict[tuple[int, int], Iterator[int]] = defaultdict(itertools.count)
    keys = [(number, face.file.emotion) for number, face in zip(subject.tolist(), faces, strict=True)]
    return np.array([next(following[key]) for key in keys], np.int32)


def _grouped(faces: list[Face], log: Log) -> Checked:
    boxes = np.stack([face.boxes for face in faces if face.boxes is not None])
    if len(faces) == 1:
        return Checked(faces, np.zeros(1, np.int32), np.zeros(1, np.int32), ("group 0",))
    folders = [(face.file.path.parent, face.file.emotion) for face in faces]
    follows = np.array([False, *(a == b for a, b in itertools.pairwise(folders))])
    group, thresholds = group_alike(boxes, follows)
    sizes = np.bincount(group)
    log(
        f"GROUPS OF NEAR-DUPLICATES ARE TAKEN FOR SUBJECTS: {len(sizes)} (closer than {thresholds.tight:.2f} mm, or "
        f"than {thresholds.wide:.2f} mm one after the other); the largest holds {sizes.max()} of {len(faces)} frames. "
        "They keep a burst of one clip on one side of a split, but are no subjects: faces of one subject may be on "
        "both sides, and scores are then too high"
    )
    names = tuple(f"group {i}" for i in range(len(sizes)))
    faces = [face._replace(boxes=None) for face in faces]
    return Checked(faces, group, _numbered(faces, group), names)


def _check_subjects(checked: Checked, settings: configs.Data, grouped: bool) -> None:
    labels = checked.emotion
    who, hint = ("subject", "subjects"), ""
    if grouped:
        who, hint = ("group of frames", "groups of frames"), "; a pattern that names subjects may help"
    for label, emotion in enumerate(settings.emotions):
        count = len(np.unique(checked.subject[labels == label]))
        if count < MIN_SUBJECTS_EACH:
            raise UserError(
                f"'{escape(emotion)}' has usable faces of {counted(count, *who)}, and at least {MIN_SUBJECTS_EACH} are "
                f"needed to test on unseen ones: add faces, or leave it out of --config.data.emotions{hint}"
            )
    if len(checked.subjects) < MIN_SUBJECTS:
        raise UserError(
            f"there are faces of {counted(len(checked.subjects), *who)}, and at least {MIN_SUBJECTS} are needed for a "
            f"split by subject: add faces{hint}"
        )
