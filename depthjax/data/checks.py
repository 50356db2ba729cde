"""Everything of a user's faces is looked at before anything is written; all that is wrong is told at once."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from depthjax import config as configs
from depthjax.data.crop import nose_distance
from depthjax.data.depth_files import Unfit, read_images
from depthjax.data.listing import ORIGINAL_PATTERNS, SUBJECT_FIRST, DepthFile, Listing, Problem, escape, list_faces
from depthjax.data.millimetres import to_millimetres, unit_of
from depthjax.data.near_duplicates import group_alike, relief_boxes
from depthjax.data.pattern import Name, compile_template, propose, read_name
from depthjax.data.workers import in_order
from depthjax.errors import UserError

SENSOR_SHAPE = (424, 512)  # a whole frame of a Kinect v2, in which the face is still to be found
SHOWN = 20  # problems of a kind
CELL = 60  # characters of a path in the table
FILES_A_TASK = 32
LEAST_SUBJECTS, LEAST_PEOPLE = 2, 4
Say = Callable[[str], None]


class Seen(NamedTuple):
    """An image that can be used by itself: its row in the file, what tells it from others, what it is compared by."""

    row: int
    shape: tuple[int, int]
    stored: str
    digest: bytes
    boxes: np.ndarray | None


class Look(NamedTuple):
    """What a look into a file found."""

    seen: list[Seen]
    problems: list[Problem]
    rows: int


class Face(NamedTuple):
    """An image that is to be stored."""

    file: DepthFile
    seen: Seen
    stack: bool

    @property
    def shown(self) -> str:
        """Where it comes from, for people and for provenance."""
        return f"{self.file.shown}, row {self.seen.row}" if self.stack else self.file.shown


@dataclass(frozen=True)
class Checked:
    """The faces that are to be stored, file by file in natural order, with their labels.

    Attributes:
        faces: (n,) where each is read from.
        subject: (n,) int32, an index into `subjects`.
        frame: (n,) int32.
        subjects: names of people, or of groups that stand for them.
        shape: height and width, the same for all.
    """

    faces: list[Face]
    subject: np.ndarray
    frame: np.ndarray
    subjects: tuple[str, ...]
    shape: tuple[int, int]

    def rows(self, settings: configs.Data) -> Iterator[dict[str, Any]]:
        """The rows of the stored set, in order, converted again from the files.

        Raises:
            UserError: a file is no longer what it was when it was checked.
        """
        for i, (face, depth) in enumerate(zip(self.faces, _depths(self.faces, settings), strict=True)):
            labels = {"emotion": face.file.emotion, "subject": int(self.subject[i]), "frame": int(self.frame[i])}
            yield {"depth": depth, "source": face.shown, **labels}


def check(settings: configs.Data, root: Path, *, say: Say) -> Checked:
    """Look into every file that the settings ask for.

    Args:
        root: the folder of the faces.
        say: called with what is found, line by line; the problems as one table.
    Raises:
        UserError: there are problems and `settings.on_error` is `fail`; or too few people are left.
    """
    listing = list_faces(root, settings.emotions, subject_first=settings.source == "ikfdb")
    if not listing.files:
        raise UserError(f"--config.data.path={escape(str(root))}: the emotions' folders hold no depth images")
    for note in listing.notes:
        say(note)
    names, unnamed = _names(settings, listing, say)
    grouped = not names
    files = [file for file in listing.files if grouped or file.name in names]
    say(f"looking into {len(files)} files")
    faces, problems = _look_into(files, settings, compare=grouped)
    problems = [*listing.problems, *unnamed, *problems]
    faces, more = _alike(faces)
    _tell([*problems, *more], settings, root, say)
    if not faces:
        raise UserError(f"--config.data.path={escape(str(root))}: not one face can be used; see the table above")
    say(_units(faces, settings))
    checked = _grouped(faces, say) if grouped else _labelled(faces, names, say)
    _refuse_few_people(checked, settings, grouped)
    return checked


def look(files: Sequence[DepthFile], *, settings: configs.Data, compare: bool) -> list[Look]:
    """Look into some files; runs in a process of its own.

    Args:
        compare: also measure what near-duplicates are found by.
    """
    return [_look(file, settings, compare) for file in files]


def _look(file: DepthFile, settings: configs.Data, compare: bool) -> Look:
    seen: list[Seen] = []
    problems: list[Problem] = []
    rows = 0
    try:
        for row, raw in enumerate(read_images(file.path)):
            rows += 1
            try:
                seen.append(_see(row, raw, settings, compare))
            except Unfit as fault:
                problems.append(Problem(f"{file.shown}, row {row}", fault.kind, fault.what, fault.todo))
    except Unfit as fault:  # of the file: rows before the fault are not trusted either
        return Look([], [Problem(file.shown, fault.kind, fault.what, fault.todo)], rows)
    if rows == 1:
        problems = [p._replace(path=file.shown) for p in problems]
    return Look(seen, problems, rows)


def _see(row: int, raw: np.ndarray, settings: configs.Data, compare: bool) -> Seen:
    depth = face_of(raw, settings)
    if not depth.any():
        raise Unfit("all holes", "no pixel has a return", "remove it; or see --config.data.hole")
    returns = depth[depth > 0]
    if returns.min() == returns.max():
        raise Unfit("constant", "every pixel has the same value", "remove it")
    if nose_distance(depth[None])[0] == 0:
        raise Unfit("no nose", "no depth around the nose (the middle of the image)", "crop it about the face; or remove it")
    digest = hashlib.blake2b(depth.tobytes(), digest_size=16).digest()
    boxes = relief_boxes(depth[None])[0] if compare else None
    unit = unit_of(raw.dtype, settings.unit)
    bits = f"{8 * raw.dtype.itemsize}-bit {'floats' if raw.dtype.kind == 'f' else 'integers'}"
    return Seen(row, depth.shape, f"{bits} ({unit})", digest, boxes)


def face_of(raw: np.ndarray, settings: configs.Data) -> np.ndarray:
    """A stored image as a face in camera millimetres: found and cropped, if it is a whole frame of IKFDB's sensor.

    Raises:
        Unfit: it is no depth in the configured unit, or a frame without a face.
    """
    depth = to_millimetres(raw, settings)
    if settings.source != "ikfdb" or depth.shape != SENSOR_SHAPE:
        return depth
    from depthjax.data.find_face import crop_from_frame

    face = crop_from_frame(depth)
    if face is None:
        raise Unfit("no face", "no face found in the sensor's frame", "crop it to 128x200 yourself, or remove it")
    return face


def _look_into(files: Sequence[DepthFile], settings: configs.Data, *, compare: bool) -> tuple[list[Face], list[Problem]]:
    tasks = [files[start : start + FILES_A_TASK] for start in range(0, len(files), FILES_A_TASK)]
    faces: list[Face] = []
    problems: list[Problem] = []
    looks = (found for looks in in_order(partial(look, settings=settings, compare=compare), tasks) for found in looks)
    for file, found in zip(files, looks, strict=True):
        problems += found.problems
        faces += [Face(file, seen, found.rows > 1) for seen in found.seen]
    return faces, problems


def _names(settings: configs.Data, listing: Listing, say: Say) -> tuple[dict[str, Name], list[Problem]]:
    """What the files' names say of person and frame; nothing at all without a pattern."""
    template = settings.pattern
    if not template and listing.layout == SUBJECT_FIRST:
        template = max(ORIGINAL_PATTERNS, key=lambda t: len(_read_all(t, listing)))
        say(f"people are the first folders, as in the original IKFDB (--config.data.pattern='{template}')")
    if not template:
        _propose(listing, say)
        return {}, []
    names = _read_all(template, listing)
    todo = "rename it, or mend --config.data.pattern"
    unnamed = [Problem(f.shown, "no match", f"'{escape(f.name)[:CELL]}' does not match '{template}'", todo)
               for f in listing.files if f.name not in names]  # fmt: skip
    if not names:
        fitting = "; these fit: " + ", ".join(f"'{t}'" for t in _proposals(listing)) if _proposals(listing) else ""
        raise UserError(
            f"--config.data.pattern={template} matches no name, such as '{escape(listing.files[0].name)}'{fitting}"
        )
    return names, unnamed


def _read_all(template: str, listing: Listing) -> dict[str, Name]:
    pattern = compile_template(template)
    read = ((file.name, read_name(pattern, file.name)) for file in listing.files)
    return {file: name for file, name in read if name is not None}


def _proposals(listing: Listing) -> list[str]:
    return propose([(file.emotion, file.name) for file in listing.files])


def _propose(listing: Listing, say: Say) -> None:
    say("NO PATTERN SAYS WHOSE FACE A FILE IS (--config.data.pattern): near-duplicates are grouped to stand for people")
    proposals = _proposals(listing)
    for template in proposals:
        say(f"these names fit: --config.data.pattern='{escape(template)}'")
    if not proposals:
        say("no simple pattern fits these names; see {subject}, {frame}, * and ** in the README")


def _alike(faces: Sequence[Face]) -> tuple[list[Face], list[Problem]]:
    """Without images whose size or unit is not that of most, and without copies."""
    if not faces:
        return [], []
    shape = Counter(face.seen.shape for face in faces).most_common(1)[0][0]
    stored = Counter(face.seen.stored for face in faces if face.seen.shape == shape).most_common(1)[0][0]
    kept: list[Face] = []
    problems: list[Problem] = []
    for face in faces:
        size = "{1}x{0}".format(*face.seen.shape)
        if face.seen.shape != shape:
            what = f"{size} pixels; most are {shape[1]}x{shape[0]}"
            problems.append(Problem(face.shown, "other size", what, "crop it alike, or remove it"))
        elif face.seen.stored != stored:
            what = f"{face.seen.stored}; most are {stored}"
            problems.append(Problem(face.shown, "other unit", what, "export all in one format, or remove it"))
        else:
            kept.append(face)
    kept, copies = _without_copies(kept)
    return kept, [*problems, *copies]


def _without_copies(faces: Sequence[Face]) -> tuple[list[Face], list[Problem]]:
    """The first of equal images; none of those that stand under two emotions, for one of the labels is wrong."""
    by_digest: dict[bytes, list[Face]] = defaultdict(list)
    for face in faces:
        by_digest[face.seen.digest].append(face)
    problems, dropped = [], set()
    for same in (group for group in by_digest.values() if len(group) > 1):
        contradicted = len({face.file.emotion for face in same}) > 1
        todo = "keep it under its one true emotion" if contradicted else "remove it"
        for face in same if contradicted else same[1:]:
            other = same[1] if face is same[0] else same[0]
            problems.append(Problem(face.shown, "duplicate", f"the same pixels as {_cut(other.shown)}", todo))
            dropped.add(face[:1] + (face.seen.row,))
    return [face for face in faces if face[:1] + (face.seen.row,) not in dropped], problems


def _tell(problems: Sequence[Problem], settings: configs.Data, root: Path, say: Say) -> None:
    if not problems:
        return
    for line in table(problems):
        say(line)
    if settings.on_error == "fail":
        raise UserError(
            f"{len(problems)} problems in {escape(str(root))}, in the table above; nothing was written: mend them, or "
            "go on without these files by --config.data.on_error=skip"
        )
    say(f"going on without these {len(problems)} (--config.data.on_error=skip)")


def table(problems: Sequence[Problem]) -> list[str]:
    """The problems as aligned lines, the first of each kind, and the count of each kind."""
    kinds: dict[str, list[Problem]] = defaultdict(list)
    for problem in problems:
        kinds[problem.kind].append(problem)
    rows = [("file", "what", "what to do")]
    for kind in kinds.values():
        rows += [(_cut(p.path), p.what, p.todo) for p in kind[:SHOWN]]
        if len(kind) > SHOWN:
            rows.append((f"... and {len(kind) - SHOWN} more: {kind[0].kind}", "", ""))
    widths = [max(len(row[i]) for row in rows if row[1]) for i in range(2)]
    lines = [f"  {file:<{widths[0]}}  {what:<{widths[1]}}  {todo}".rstrip() for file, what, todo in rows]
    counts = ", ".join(f"{len(kind)} {name}" for name, kind in kinds.items())
    return [*lines, f"{len(problems)} problems: {counts}"]


def _cut(path: str) -> str:
    return path if len(path) <= CELL else "..." + path[3 - CELL :]


def _units(faces: Sequence[Face], settings: configs.Data) -> str:
    stored = faces[0].seen.stored
    hole = "no return" if settings.hole is None else f"no return, and {settings.hole:g} too"
    if stored.endswith("(grey)"):
        marked = "no level stands for no return" if settings.hole is None else f"level {settings.hole:g} is no return"
        return (
            f"{stored}: a level is {settings.grey_mm:g} mm (--config.data.grey_mm), "
            f"{settings.polarity.replace('_', ' is ')} (--config.data.polarity), {marked} (--config.data.hole)"
        )
    return f"{stored}: depth in {stored.split('(')[1][:-1]} (--config.data.unit), 0 is {hole} (--config.data.hole)"


def _labelled(faces: list[Face], names: dict[str, Name], say: Say) -> Checked:
    said = [names[face.file.name] for face in faces]
    subjects = tuple(dict.fromkeys(name.subject for name in said))
    number = {name: i for i, name in enumerate(subjects)}
    subject = np.array([number[name.subject] for name in said], np.int32)
    emotion = np.array([face.file.emotion for face in faces])
    frame = [face.seen.row if face.stack else name.frame for face, name in zip(faces, said, strict=True)]
    known = [f for f in zip(subject.tolist(), emotion.tolist(), frame, strict=True) if f[2] is not None]
    numbers = _numbered(subject, emotion)
    if len(set(known)) == len(faces):
        numbers = np.array(frame, np.int32)
    elif len(known) == len(faces):
        say("frame numbers come twice under this pattern: frames are numbered in the order of their names")
    return Checked(faces, subject, numbers, tuple(map(escape, subjects)), faces[0].seen.shape)


def _numbered(subject: np.ndarray, emotion: np.ndarray) -> np.ndarray:
    """Running numbers within each subject and emotion."""
    following: Counter[tuple[int, int]] = Counter()
    numbers = np.empty(len(subject), np.int32)
    for i, key in enumerate(zip(subject.tolist(), emotion.tolist(), strict=True)):
        numbers[i] = following[key]
        following[key] += 1
    return numbers


def _grouped(faces: list[Face], say: Say) -> Checked:
    boxes = np.stack([face.seen.boxes for face in faces if face.seen.boxes is not None])
    group, threshold = group_alike(boxes) if len(faces) > 1 else (np.zeros(1, np.int32), 0.0)
    sizes = np.bincount(group)
    say(
        f"{len(sizes)} GROUPS OF NEAR-DUPLICATES (closer than {threshold:.2f} mm) STAND FOR PEOPLE; the largest holds "
        f"{sizes.max()} of {len(faces)} frames. They keep a burst of one clip on one side of a split, but they are no "
        "people: faces of one person may be on both sides, and scores flatter"
    )
    emotion = np.array([face.file.emotion for face in faces])
    names = tuple(f"group {i}" for i in range(len(sizes)))
    return Checked([_light(face) for face in faces], group, _numbered(group, emotion), names, faces[0].seen.shape)


def _light(face: Face) -> Face:
    return face._replace(seen=face.seen._replace(boxes=None))


def _refuse_few_people(checked: Checked, settings: configs.Data, grouped: bool) -> None:
    people: dict[int, set[int]] = defaultdict(set)
    for face, subject in zip(checked.faces, checked.subject.tolist(), strict=True):
        people[face.file.emotion].add(subject)
    who, hint = ("groups of frames", "; a pattern that names people may help") if grouped else ("people", "")
    for label, emotion in enumerate(settings.emotions):
        if len(people[label]) < LEAST_SUBJECTS:
            raise UserError(
                f"'{escape(emotion)}' has usable faces of {len(people[label])} {who}, and at least {LEAST_SUBJECTS} are "
                f"needed to test on someone else: add faces, or leave it out of --config.data.emotions{hint}"
            )
    if len(checked.subjects) < LEAST_PEOPLE:
        raise UserError(
            f"there are faces of {len(checked.subjects)} {who}, and at least {LEAST_PEOPLE} are needed to keep people "
            f"apart in the tests: add faces{hint}"
        )


def _depths(faces: Sequence[Face], settings: configs.Data) -> Iterator[np.ndarray]:
    """Every face in camera millimetres: single files by several processes, stacks row by row in this one."""
    for stack, run in _runs(faces):
        if stack:
            yield from _convert_file(run, settings)
        else:
            tasks = (run[start : start + FILES_A_TASK] for start in range(0, len(run), FILES_A_TASK))
            for depths in in_order(partial(convert, settings=settings), tasks):
                yield from depths


def _runs(faces: Sequence[Face]) -> Iterator[tuple[bool, list[Face]]]:
    """Consecutive faces: of one stack, or of single files."""
    run: list[Face] = []
    for face in faces:
        if run and (face.stack or run[-1].stack) and face.file.path != run[-1].file.path:
            yield run[-1].stack, run
            run = []
        run.append(face)
    if run:
        yield run[-1].stack, run


def convert(faces: Sequence[Face], *, settings: configs.Data) -> list[np.ndarray]:
    """Single files to camera millimetres; runs in a process of its own."""
    return [depth for face in faces for depth in _convert_file([face], settings)]


def _convert_file(faces: Sequence[Face], settings: configs.Data) -> Iterator[np.ndarray]:
    """The rows of one file that `faces` name, in order."""
    wanted = {face.seen.row: face for face in faces}
    found = 0
    try:
        for row, raw in enumerate(read_images(faces[0].file.path)):
            if row in wanted:
                depth = face_of(raw, settings)
                if hashlib.blake2b(depth.tobytes(), digest_size=16).digest() != wanted[row].seen.digest:
                    break
                found += 1
                yield depth
    except Unfit as fault:
        raise _changed(faces[0], fault.what) from None
    if found < len(faces):
        raise _changed(faces[0], "other pixels")


def _changed(face: Face, what: str) -> UserError:
    return UserError(f"{face.file.shown} changed while the faces were being stored ({what}): run again")
