"""Every way in which a user's folder can be wrong: told at once, before anything is written."""

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from trees import bad_files, face, png_header, tree

from depthjax.config import Data
from depthjax.data.checks import check
from depthjax.data.depth_files import Unfit, read_images
from depthjax.data.face_files import read_files
from depthjax.data.frames import STORED, Framing
from depthjax.data.listing import DepthFile, Problem, table
from depthjax.errors import ConfigError, UserError

PATTERN = "s{subject}_f{frame}"


def settings(root, **changes):
    return replace(Data(source="folder", path=str(root), pattern=PATTERN), **changes)


def told(root, **changes):
    """What check says, and its result or the error."""
    lines = []
    try:
        with tempfile.TemporaryDirectory() as spool:
            return lines, check(settings(root, **changes), root, Path(spool), log=lines.append)
    except UserError as error:
        return lines, error


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    root = tree(tmp_path_factory.mktemp("bad"))
    return root, bad_files(root / "fear")


def test_every_fault_is_told_at_once_with_what_to_do(bad):
    root, kinds = bad
    lines, error = told(root, pattern="**")
    assert isinstance(error, UserError) and error.exit_code == 1 and "\n" not in str(error)
    assert "nothing was written" in str(error) and "--config.data.on_error=skip" in str(error)
    for name in kinds:
        row = [line for line in lines if line.startswith(f"  fear/{name} ")]
        assert len(row) == 1 and len([cell for cell in row[0].split("  ") if cell.strip()]) == 3, name
    counts = lines[-1]
    assert counts.startswith(f"{len(kinds)} problems: ")
    for kind in set(kinds.values()):
        assert f"{list(kinds.values()).count(kind)} {kind}" in counts


def test_each_file_alone_has_its_kind_of_fault(bad, tmp_path):
    root, kinds = bad
    one = {"other size": (), "other unit": ()}
    for name, kind in kinds.items():
        file = DepthFile(root / "fear" / name, name, name, 0)
        how = {"framing": Framing(STORED, "", 0, 180.0), "compare": False, "spool": tmp_path}
        problems = read_files([file], settings=settings(root), **how)[0][1]
        assert [p.kind for p in problems] == ([] if kind in one else [kind]), name


def test_skip_goes_on_without_them(bad):
    root, kinds = bad
    lines, checked = told(root, pattern="**", on_error="skip")
    assert len(checked.faces) == 24 and checked.shape == (40, 32)
    assert f"going on without these {len(kinds)} (--config.data.on_error=skip)" in lines


def test_sizes_are_refused_before_pixels_are_decoded(tmp_path, monkeypatch):
    from PIL import PngImagePlugin

    monkeypatch.setattr(PngImagePlugin, "PngImageFile", None)  # not even reached
    for name, size in (("a.png", (20_000, 20_000)), ("b.png", (2**31 - 1, 2**31 - 1)), ("c.png", (1, 1))):
        (tmp_path / name).write_bytes(png_header(*size))
        with pytest.raises(Unfit, match="pixels"):
            list(read_images(tmp_path / name))


@pytest.mark.parametrize(("width", "fits"), [(4096, True), (4097, False)])
def test_sixteen_megapixels_are_the_most(tmp_path, width, fits):
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (4096, width)})
    with pytest.raises(Unfit) as fault:
        list(read_images(tmp_path / "a.npy"))
    assert fault.value.kind == ("damaged" if fits else "too large")


def test_grey_levels_in_equal_channels_are_grey_levels(tmp_path):
    grey = (face(1) // 8).astype(np.uint8)
    for mode in ("RGB", "RGBA", "LA"):
        Image.fromarray(grey).convert(mode).save(tmp_path / "a.png")
        assert np.array_equal(next(read_images(tmp_path / "a.png")), grey), mode
    Image.fromarray(np.stack([grey, grey // 2], -1), mode="LA").save(tmp_path / "a.png")
    with pytest.raises(Unfit, match="transparent"):
        list(read_images(tmp_path / "a.png"))


def test_copies_and_contradictions(tmp_path):
    root = tree(tmp_path)
    (root / "fear" / "s9_f0.png").write_bytes((root / "fear" / "s1_f0.png").read_bytes())
    (root / "fear" / "s9_f1.png").write_bytes((root / "neutral" / "s2_f0.png").read_bytes())
    lines, error = told(root)
    assert "3 problems: 3 duplicate" in lines and isinstance(error, UserError)
    assert any("fear/s9_f0.png" in line and "remove it" in line for line in lines)
    assert any("neutral/s2_f0.png" in line and "one true emotion" in line for line in lines)
    _, checked = told(root, on_error="skip")
    assert len(checked.faces) == 23  # of the contradicted pair neither


def test_the_first_of_each_kind_are_shown_and_the_rest_counted():
    many = [Problem(f"f{i}.png", "empty", "0 bytes", "remove it") for i in range(30)]
    lines = table([*many, Problem("x" * 99 + ".png", "link", "circle", "remove it")])
    assert sum("0 bytes" in line for line in lines) == 20 and "  ... and 10 more: empty" in lines
    assert lines[-1] == "31 problems: 30 empty, 1 link"
    assert max(map(len, lines)) < 100
    assert len({line.index("0 bytes") for line in lines if "0 bytes" in line}) == 1


def test_a_class_of_one_person_always_fails(tmp_path):
    root = tree(tmp_path)
    for path in (root / "fear").iterdir():
        if not path.name.startswith("s1"):
            path.unlink()
    for on_error in ("fail", "skip"):
        error = told(root, on_error=on_error)[1]
        assert "'fear' has usable faces of 1 subject," in str(error) and "at least 2" in str(error)


def test_too_few_people_in_all_fail_before_the_training(tmp_path):
    assert "faces of 3 subjects" in str(told(tree(tmp_path, subjects=3))[1])


def test_names_that_do_not_match_are_problems(tmp_path):
    root = tree(tmp_path)
    Image.fromarray(face(50)).save(root / "fear" / "stray.png")
    lines, error = told(root)
    assert isinstance(error, UserError) and "1 problem: 1 no match" in lines
    assert len(told(root, on_error="skip")[1].faces) == 24


def test_a_pattern_that_matches_nothing_proposes_others(tmp_path):
    error = told(tree(tmp_path), pattern="p{subject}-{frame}")[1]
    assert "matches no name, such as 's1_f0'" in str(error) and "'s{subject}_f{frame}'" in str(error)


def test_without_a_pattern_it_is_said_loudly(tmp_path):
    lines, checked = told(tree(tmp_path), pattern="**")
    assert any(line.startswith("NO PATTERN NAMES THE SUBJECTS") for line in lines)
    assert any("GROUPS OF NEAR-DUPLICATES ARE TAKEN FOR SUBJECTS" in line for line in lines)
    assert checked.subjects[0] == "group 0" and len(checked.subjects) == checked.subject.max() + 1


def test_the_folders_of_the_emotions(tmp_path):
    root = tree(tmp_path)
    (root / "fear").rename(root / "FEAR")
    (root / "disgust").mkdir()
    (root / "disgust" / "x.png").touch()
    (root / "fear2.txt").touch()
    (root / "neutral" / "notes.txt").touch()
    (root / "neutral" / ".hidden.png").touch()
    lines, checked = told(root)
    assert len(checked.faces) == 24
    assert "left out, not in --config.data.emotions: disgust" in lines
    assert any("1 file beside the folders" in line for line in lines) and any("1 .txt" in line for line in lines)
    error = told(root, emotions=("neutral", "anger"))[1]
    assert "no folder for anger; there is FEAR, disgust, happiness, neutral" in str(error)
    assert "no such folder" in str(told(root / "nowhere")[1])
    assert "no folder in it has files" in str(told(root / "disgust")[1])


def test_hostile_names_neither_crash_nor_reach_the_terminal(tmp_path):
    root = tree(tmp_path)
    names = [b"s7_f0\n\x1b[31m<script>.png", b"bad\xff\xfe.png", "s8_f1_fac\u0327e_é漢.png".encode(), b"x..\\..\\s.png"]
    for name in names:
        (root / "fear" / os.fsdecode(name)).touch()
    lines, error = told(root, pattern="**")
    printed = "\n".join([*lines, str(error)])
    assert "\x1b" not in printed and "s7_f0\\n\\x1b[31m<script>.png" in printed and "bad\\udcff\\udcfe.png" in printed
    printed.encode()  # no stray surrogates
    assert "4 problems: 4 empty" in lines


def test_links(tmp_path):
    outside = tmp_path / "elsewhere"
    root, other = tree(tmp_path / "faces"), tree(outside, subjects=6, frames=1, name="t{}_f{}.png")
    (root / "fear" / "loop").symlink_to(root / "fear")
    (root / "fear" / "up").symlink_to(root)
    (root / "fear" / "more").symlink_to(other / "fear")
    (root / "fear" / "s5_f0.png").symlink_to(other / "fear" / "t5_f0.png")
    lines, error = told(root, pattern="**{subject}_f{frame}")
    assert isinstance(error, UserError)
    assert sum("leads to a folder that is read already" in line for line in lines) == 2
    _, checked = told(root, pattern="**{subject}_f{frame}", on_error="skip")
    found = {face.shown for face in checked.faces}
    assert "fear/more/t6_f0.png" in found  # links are followed, out of the folder too
    assert ("fear/s5_f0.png" in found) != ("fear/more/t5_f0.png" in found)  # the same face once


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_and_folder(tmp_path):
    root = tree(tmp_path)
    (root / "fear" / "s1_f0.png").chmod(0)
    (root / "happiness" / "deep").mkdir(mode=0)
    lines, _ = told(root)
    assert "2 problems: 1 unreadable, 1 unreadable" in lines or "2 problems: 2 unreadable" in lines


def test_a_file_that_may_not_be_read_is_a_problem(tmp_path, monkeypatch):
    root = tree(tmp_path)
    real_open = Path.open

    def guarded(self, *arguments, **options):
        if self.name == "s1_f0.png" and self.parent.name == "fear":
            raise PermissionError(13, "Permission denied")
        return real_open(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", guarded)
    lines, _ = told(root)
    assert "1 problem: 1 unreadable" in lines and any("Permission denied" in line for line in lines)


def test_pipes_are_not_waited_for(tmp_path):
    root = tree(tmp_path)
    os.mkfifo(root / "fear" / "s6_f0.png")
    assert "1 problem: 1 not a file" in told(root)[0]


def test_rows_of_a_stack_are_named(tmp_path):
    root = tree(tmp_path)
    stack = np.stack([face(5, 2, i) for i in range(4)])
    stack[2] = 0
    np.save(root / "fear" / "s5_f0.npy", stack)
    lines, _ = told(root)
    assert any("fear/s5_f0.npy, row 2" in line and "no pixel has valid depth" in line for line in lines)
    _, checked = told(root, on_error="skip")
    assert [f.shown for f in checked.faces][-3:] == [f"fear/s5_f0.npy, row {i}" for i in (0, 1, 3)]
    assert checked.frame[-3:].tolist() == [0, 1, 3]


def test_frames_that_come_twice_are_numbered(tmp_path):
    lines, checked = told(tree(tmp_path), pattern="s{subject}_*")
    assert sorted(set(zip(checked.subject.tolist(), checked.frame.tolist(), strict=True))) == [
        (s, f) for s in range(4) for f in range(2)
    ]
    root = tree(tmp_path / "twice")
    Image.fromarray(face(1, 0, 77)).save(root / "neutral" / "s1_f000.png")
    lines, checked = told(root)
    assert any("come twice" in line for line in lines)
    key = [(f.file.emotion, s, n) for f, s, n in zip(checked.faces, checked.subject, checked.frame, strict=True)]
    assert len(set(key)) == 25


def test_what_is_stored_is_what_was_checked(tmp_path):
    root = tree(tmp_path / "own")
    checked = check(settings(root), root, tmp_path, log=lambda line: None)
    Image.fromarray(face(60)).save(root / "neutral" / "s1_f1.png")
    assert np.array_equal(list(checked.rows())[1]["depth"], face(1, 0, 1))


def test_a_wrong_pattern_is_refused_as_a_flag_is(tmp_path):
    with pytest.raises(ConfigError):
        check(settings(tmp_path, pattern="{who}"), tree(tmp_path), tmp_path, log=print)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".npy", ".npz"])
def test_random_bytes_are_a_problem_and_no_crash(tmp_path, suffix):
    rng, path = np.random.default_rng(0), tmp_path / f"a{suffix}"
    good = tmp_path / f"good{suffix}"
    {".npy": np.save, ".npz": np.savez_compressed}.get(suffix, lambda p, a: Image.fromarray(a).save(p))(good, face(1))
    whole = good.read_bytes()
    for _ in range(150):
        data = bytearray(whole)
        for at in rng.integers(0, min(len(data), 400), 6):
            data[at] = rng.integers(256)
        path.write_bytes(bytes(data[: rng.integers(1, len(data) + 1)]))
        try:
            assert all(image.ndim == 2 for image in read_images(path))
        except Unfit as fault:
            assert fault.what and "\n" not in fault.what
