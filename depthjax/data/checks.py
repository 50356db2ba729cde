"""Check a user's faces before anything is written, and report all problems at once."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from depthjax import config as configs
from depthjax.data.face_files import Face, read_files, read_spooled
from depthjax.data.listing import (
    CELL,
    ORIGINAL_PATTERNS,
    SUBJECT_FIRST,
    DepthFile,
    Listing,
    Problem,
    escape,
    list_faces,
    shorten,
    table,
)
from depthjax.data.near_duplicates import group_alike
from depthjax.data.pattern import Name, compile_template, propose, read_name
from depthjax.data.workers import in_order
from depthjax.errors import UserError

FILES_A_TASK = 32
MIN_SUBJECTS_EACH, MIN_SUBJECTS = 2, 4
Log = Callable[[str], None]


@dataclass(frozen=True)
class Checked:
    """The faces that are to be stored, file by file in natural order, with their labels, (n,) int32 each."""

    faces: list[Face]
    subject: np.ndarray
    frame: np.ndarray
    subjects: tuple[str, ...]  # names, or groups that stand for them

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


def check(settings: configs.Data, root: Path, spool: Path, *, log: Log) -> Checked:
    """Check every file under `root` that the settings ask for; log what is found, the problems as one table.

    The faces wait in millimetres in `spool`, a folder of the caller's own, until `Checked.rows` has read them.
    A UserError is raised for problems if `settings.on_error` is `fail`, and if too few subjects are left.
    """
    listing = list_faces(root, settings.emotions, subject_first=settings.source == "ikfdb")
    if not listing.files:
        raise UserError(f"--config.data.path={escape(str(root))}: the emotions' folders hold no depth images")
    for note in listing.notes:
        log(note)
    names, unnamed = _names(settings, listing, log)
    grouped = not names
    files = [file for file in listing.files if grouped or file.name in names]
    log(f"checking {len(files)} files")
    faces, problems = _read_all_files(files, settings, spool, compare=grouped)
    faces, unlike = _alike(faces)
    _report([*listing.problems, *unnamed, *problems, *unlike], settings, root, log)
    if not faces:
        raise UserError(f"--config.data.path={escape(str(root))}: not one face can be used; see the table above")
    log(_units(faces[0].stored, settings))
    checked = _grouped(faces, log) if grouped else _labelled(faces, names, log)
    _check_subjects(checked, settings, grouped)
    return checked


def _read_all_files(
    files: Sequence[DepthFile], settings: configs.Data, spool: Path, *, compare: bool
) -> tuple[list[Face], list[Problem]]:
    tasks = [files[start : start + FILES_A_TASK] for start in range(0, len(files), FILES_A_TASK)]
    read = partial(read_files, settings=settings, compare=compare, spool=spool)
    faces: list[Face] = []
    problems: list[Problem] = []
    results = (found for batch in in_order(read, tasks) for found in batch)
    for file, (found, faults) in zip(files, results, strict=True):
        problems += faults
        # The process returns a copy of the file's entry with every face: one is enough.
        faces += [face._replace(file=file) for face in found]
    return faces, problems


def _names(settings: configs.Data, listing: Listing, log: Log) -> tuple[dict[str, Name], list[Problem]]:
    """Return subject and frame of each file's name; empty without a pattern."""
    template = settings.pattern
    if not template and listing.layout == SUBJECT_FIRST:
        template = max(ORIGINAL_PATTERNS, key=lambda t: len(_read_names(t, listing)))
        log(f"subjects are the first folders, as in the original IKFDB (--config.data.pattern='{template}')")
    names = _read_names(template, listing) if template else {}
    proposals = [] if names else propose([(file.emotion, file.name) for file in listing.files])
    if not template:
        log("NO PATTERN NAMES THE SUBJECTS (--config.data.pattern): groups of near-duplicates are taken for subjects")
        for proposal in proposals:
            log(f"these names fit: --config.data.pattern='{escape(proposal)}'")
        if not proposals:
            log("no simple pattern fits these names; see {subject}, {frame}, * and ** in docs/how-to/own-faces.md")
        return {}, []
    if not names:
        fitting = "; these fit: " + ", ".join(f"'{proposal}'" for proposal in proposals) if proposals else ""
        name = escape(listing.files[0].name)
        raise UserError(f"--config.data.pattern={template} matches no name, such as '{name}'{fitting}")
    todo = "rename it, or mend --config.data.pattern"
    unnamed = [Problem(f.shown, "no match", f"'{escape(f.name)[:CELL]}' does not match '{template}'", todo)
               for f in listing.files if f.name not in names]  # fmt: skip
    return names, unnamed


def _read_names(template: str, listing: Listing) -> dict[str, Name]:
    pattern = compile_template(template)
    read = ((file.name, read_name(pattern, file.name)) for file in listing.files)
    return {file: name for file, name in read if name is not None}


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


def _report(problems: Sequence[Problem], settings: configs.Data, root: Path, log: Log) -> None:
    if not problems:
        return
    for line in table(problems):
        log(line)
    if settings.on_error == "fail":
        raise UserError(
            f"{len(problems)} problems in {escape(str(root))}, in the table above; nothing was written: mend them, or "
            "go on without these files by --config.data.on_error=skip"
        )
    log(f"going on without these {len(problems)} (--config.data.on_error=skip)")


def _units(stored: str, settings: configs.Data) -> str:
    value = settings.invalid_value
    if stored.endswith("(grey)"):
        marked = "no level stands for invalid depth" if value is None else f"level {value:g} is invalid depth"
        polarity = f"{settings.polarity.replace('_', ' is ')} (--config.data.polarity)"
        level = f"a level is {settings.grey_mm:g} mm (--config.data.grey_mm)"
        return f"{stored}: {level}, {polarity}, {marked} (--config.data.invalid_value)"
    unit = stored.split("(")[1][:-1]
    invalid = "invalid" if value is None else f"invalid, and {value:g} too"
    return f"{stored}: depth in {unit} (--config.data.unit), 0 is {invalid} (--config.data.invalid_value)"


def _labelled(faces: list[Face], names: dict[str, Name], log: Log) -> Checked:
    parsed = [names[face.file.name] for face in faces]
    subjects = tuple(dict.fromkeys(name.subject for name in parsed))
    number = {name: i for i, name in enumerate(subjects)}
    subject = np.array([number[name.subject] for name in parsed], np.int32)
    emotion = [face.file.emotion for face in faces]
    frame = [face.row if face.stack else name.frame for face, name in zip(faces, parsed, strict=True)]
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
        f"{len(sizes)} GROUPS OF NEAR-DUPLICATES ARE TAKEN FOR SUBJECTS (closer than {thresholds.tight:.2f} mm, or "
        f"than {thresholds.wide:.2f} mm one after the other); the largest holds {sizes.max()} of {len(faces)} frames. "
        "They keep a burst of one clip on one side of a split, but are no subjects: faces of one subject may be on "
        "both sides, and scores are then too high"
    )
    names = tuple(f"group {i}" for i in range(len(sizes)))
    faces = [face._replace(boxes=None) for face in faces]
    return Checked(faces, group, _numbered(faces, group), names)


def _check_subjects(checked: Checked, settings: configs.Data, grouped: bool) -> None:
    labels = checked.emotion
    who, hint = ("groups of frames", "; a pattern that names subjects may help") if grouped else ("subjects", "")
    for label, emotion in enumerate(settings.emotions):
        count = len(np.unique(checked.subject[labels == label]))
        if count < MIN_SUBJECTS_EACH:
            raise UserError(
                f"'{escape(emotion)}' has usable faces of {count} {who}, and at least {MIN_SUBJECTS_EACH} are needed "
                f"to test on unseen ones: add faces, or leave it out of --config.data.emotions{hint}"
            )
    if len(checked.subjects) < MIN_SUBJECTS:
        raise UserError(
            f"there are faces of {len(checked.subjects)} {who}, and at least {MIN_SUBJECTS} are needed for a "
            f"split by subject: add faces{hint}"
        )
