"""The dataset card: counts are exact, measures agree with what was planted, names stay inert."""

import csv
import dataclasses
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from stored_fake import EMOTIONS, SHAPE, fake_stored

from depthjax.config import Data
from depthjax.data.crop import nose_distance
from depthjax.data.near_duplicates import relief_boxes
from depthjax.data.stored import StoredFaces
from depthjax.report import dataset_numbers
from depthjax.report.croissant import source_of
from depthjax.report.dataset import (
    card_content,
    findings,
    labels_csv,
    markdown,
    percent,
    render_card,
    write_dataset_card,
)
from depthjax.report.dataset_numbers import Numbers, draw, measure, noise_mm

SETTINGS = Data()


@pytest.fixture(scope="module")
def faces() -> StoredFaces:
    return fake_stored()


@pytest.fixture(scope="module")
def numbers(faces: StoredFaces) -> Numbers:
    return measure(faces, SETTINGS, test=last_two(faces))


@pytest.fixture(scope="module")
def written(faces: StoredFaces, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    write_dataset_card(faces, SETTINGS, test=last_two(faces), folder=folder, stored=folder / "data")
    return folder


def last_two(faces: StoredFaces) -> np.ndarray:
    """The last two of eight subjects are test subjects."""
    return faces.subject >= 6


def subset(faces: StoredFaces, keep: np.ndarray) -> StoredFaces:
    rows = {name: getattr(faces, name)[keep] for name in ("depth", "emotion", "subject", "frame", "sources")}
    return dataclasses.replace(faces, **rows)


def with_depth(faces: StoredFaces, number: int, depth: np.ndarray | int) -> StoredFaces:
    changed = faces.depth.copy()
    changed[number] = depth
    return dataclasses.replace(faces, depth=changed)


def topics(faces: StoredFaces, settings: Data = SETTINGS, test: np.ndarray | None = None) -> dict[str, str]:
    found = findings(measure(faces, settings, test=last_two(faces) if test is None else test), settings)
    return {finding.topic: finding.level for finding in found}


def test_counts_and_sides_are_exact(numbers: Numbers) -> None:
    assert (numbers.faces, numbers.sampled) == (48, 48)
    np.testing.assert_array_equal(numbers.counts, np.full((3, 8), 2))
    assert (numbers.train_subjects.tolist(), numbers.test_subjects.tolist()) == ([0, 1, 2, 3, 4, 5], [6, 7])
    assert numbers.names[3] == "P03"


def test_distance_holes_and_noise_are_what_was_planted() -> None:
    faces = fake_stored(4, 2, sigma=1.5, holes=0.1)
    found = measure(faces, SETTINGS, test=faces.subject == 3)
    np.testing.assert_allclose(found.invalid_map.mean(), (faces.depth == 0).mean(), rtol=1e-9)
    np.testing.assert_allclose(found.face_invalid, 0.1, atol=0.01)
    np.testing.assert_allclose(np.median(found.noise), np.hypot(1.5, 1 / np.sqrt(12)), rtol=0.1)
    np.testing.assert_allclose(found.distance, nose_distance(faces.depth))


def test_noise_of_a_smooth_surface_is_none() -> None:
    y, x = np.mgrid[0:200, 0:128].astype(np.float32)
    relief = (0.004 * (x - 64) ** 2 + 0.002 * (y - 100) ** 2)[None]
    assert noise_mm(relief, np.ones(relief.shape, bool), 1.4)[0] < 1e-3
    assert np.isnan(noise_mm(relief, np.zeros(relief.shape, bool), 1.4)[0])
    assert np.isnan(noise_mm(relief[:, :5, :5], np.ones((1, 5, 5), bool), 1.4)[0])


def test_the_histogram_is_that_of_every_pixel(faces: StoredFaces, numbers: Numbers) -> None:
    relief = faces.depth.astype(np.float32) - nose_distance(faces.depth)[:, None, None]
    own = relief[faces.emotion == 1]
    expected = np.histogram(own, numbers.edges)[0] / own.size
    # A value on an edge may fall to either side of it: relief is in whole millimetres.
    np.testing.assert_allclose(numbers.relief[1].sum(), expected.sum(), atol=1e-3)
    np.testing.assert_allclose(np.cumsum(numbers.relief[1]), np.cumsum(expected), atol=2e-3)


def test_clipping_is_counted_in_the_part_that_the_networks_see(faces: StoredFaces) -> None:
    settings = Data(crop="face", near_mm=-5.0, far_mm=40.0)
    relief = faces.depth.astype(np.float32) - nose_distance(faces.depth)[:, None, None]
    relief = relief[:, 56:184]
    face = (relief > -60) & (relief < 160)
    found = measure(faces, settings, test=last_two(faces))
    np.testing.assert_allclose(found.clipped, ((relief[face] < -5).mean(), (relief[face] > 40).mean()), rtol=1e-6)
    assert "Depth clipped by the depth range" in topics(faces, settings)
    assert "Depth clipped by the depth range" not in topics(faces, Data(near_mm=-30.0, far_mm=159.0))


def test_two_recordings_of_one_face_across_the_split_ring(faces: StoredFaces) -> None:
    assert "Near-duplicates across the split" not in topics(faces)
    again = faces.depth[0] + np.rint(1.5 * np.random.default_rng(0).standard_normal(SHAPE)) + 60  # another distance
    planted = with_depth(faces, len(faces) - 1, again.astype(np.uint16))
    found = measure(planted, SETTINGS, test=last_two(planted))
    assert found.nearest.rate("across") == pytest.approx(1 / 12)
    assert found.nearest.rate("other") == pytest.approx(2 / 48)
    assert [(train, test) for train, test, _ in found.nearest.pairs] == [(0, len(faces) - 1)]
    assert topics(planted)["Near-duplicates across the split"] == "alarm"
    pairs = card_content(found, planted, SETTINGS)["pairs"]
    assert "neutral/s0_f0.png" in pairs[0][0] and "fear/s7_f1.png" in pairs[0][1]


def test_nearest_agrees_with_all_pairs(faces: StoredFaces, numbers: Numbers) -> None:
    boxes = relief_boxes(faces.depth).astype(np.float64)
    distance = np.sqrt(((boxes[:, None] - boxes[None]) ** 2).sum(axis=2))
    np.fill_diagonal(distance, np.inf)
    own = faces.subject[:, None] == faces.subject[None]
    np.testing.assert_allclose(numbers.nearest.same, np.where(own, distance, np.inf).min(1), rtol=1e-4)
    np.testing.assert_allclose(numbers.nearest.other, np.where(own, np.inf, distance).min(1), rtol=1e-4)
    test, train = faces.subject >= 6, faces.subject < 6
    np.testing.assert_allclose(numbers.nearest.across, distance[test][:, train].min(1), rtol=1e-4)


def test_people_added_to_be_tested_on_do_not_make_few_people_many(numbers: Numbers) -> None:
    twice = dataclasses.replace(numbers, subjects=[*numbers.subjects, *numbers.subjects])
    for added, said in ((0, False), (8, True)):
        found = findings(twice, Data(emotions=EMOTIONS, extra_test_subjects=added))
        assert ("Few subjects" in {finding.topic for finding in found}) == said


def test_each_fault_has_its_finding(faces: StoredFaces) -> None:
    assert topics(faces) == {"Few subjects": "warning"}
    fewer = subset(faces, (faces.emotion != 2) | (faces.subject < 5))
    assert {"Imbalanced emotions", "Emotions missing for some subjects"} <= set(topics(fewer))
    assert topics(subset(faces, faces.emotion != 2))["Emotions without a face"] == "alarm"
    assert topics(with_depth(faces, 3, 900))["Constant faces"] == "alarm"
    blind = faces.depth[3].copy()
    blind[80:150, 30:100] = 0
    assert topics(with_depth(faces, 3, blind))["Faces without a nose"] == "alarm"
    assert "Much invalid depth" in topics(fake_stored(8, 1, holes=0.3))
    assert "Many frames alike" in topics(
        dataclasses.replace(faces, depth=faces.depth[faces.frame * -1 + np.arange(48)])
    )


def test_a_split_by_image_is_an_alarm(faces: StoredFaces) -> None:
    found = measure(faces, SETTINGS, test=faces.frame == 1)
    assert (found.test.sum(), len(found.nearest.across)) == (24, 24)
    assert topics(faces, test=faces.frame == 1)["Same subjects on both sides"] == "alarm"


def test_a_large_set_is_drawn_evenly_and_again_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset_numbers, "SAMPLE", 48)
    rng = np.random.default_rng(0)
    count = 5000
    emotion = rng.choice(3, count, p=[0.8, 0.19, 0.01]).astype(np.int32)
    subject, frame = rng.integers(0, 20, count).astype(np.int32), np.arange(count, dtype=np.int32)
    big = StoredFaces(np.zeros((1, *SHAPE)), emotion, subject, frame, frame.astype(str), EMOTIONS, (), SHAPE)
    drawn = draw(big, seed=0)
    assert len(drawn) == len(set(drawn)) <= 48
    assert (np.abs(np.bincount(emotion[drawn]) - 16) < 4).all()  # the last run of a class may be short
    np.testing.assert_array_equal(drawn, draw(big, seed=0))
    assert not np.array_equal(drawn, draw(big, seed=1))


def test_what_is_measured_on_a_part_says_so(faces: StoredFaces, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset_numbers, "SAMPLE", 24)
    found = measure(faces, SETTINGS, test=last_two(faces))
    assert found.sampled == 24 and found.counts.sum() == 48
    text = card_content(found, faces, SETTINGS)["measured"]
    assert "measured on 24 of them" in text and "the true rates of near-duplicates are higher" in text


class Page(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_is_whole_accessible_and_loads_nothing(written: Path) -> None:
    html = (written / "dataset.html").read_text("utf-8")
    page = Page(html)
    for tag, attrs in page.tags:
        for name in ("src", "href", "srcset", "data", "action"):
            assert attrs.get(name, "data:").startswith(("data:", "#")), (tag, attrs)
    assert not re.search(r"https?://|@import|url\(", html) and "default-src 'none'" in html
    assert all(attrs.get("alt") for tag, attrs in page.tags if tag == "img")
    assert all(attrs.get("scope") for tag, attrs in page.tags if tag == "th")
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids)) and len([tag for tag, _ in page.tags if tag == "h1"]) == 1
    figures = {path.stem for path in (written / "figures" / "dataset").iterdir()}
    assert figures == {"examples", "counts", "depth"}
    assert not list(written.glob("**/*.tmp"))


def test_card_and_page_say_the_same(written: Path) -> None:
    card = (written / "dataset_card.md").read_text("utf-8")
    text = " ".join("".join(Page((written / "dataset.html").read_text("utf-8")).text).split())
    for word in ("Few subjects", "Invalid depth, inside the mean face", "CC0 1.0", "test faces to training faces"):
        assert word in card and word in text
    rows = [line for line in card.splitlines() if line.startswith("| ") and "Face pixels behind" in line]
    assert rows[0].split("|")[2].strip() in text


def test_croissant_has_the_checksum_of_the_table_written_before(written: Path) -> None:
    table = json.loads((written / "croissant.json").read_text("utf-8"))["distribution"][0]
    assert table["@id"] == "faces.csv"
    assert table["sha256"] == hashlib.sha256((written / "faces.csv").read_bytes()).hexdigest()


def test_the_same_set_gives_the_same_bytes(written: Path, faces: StoredFaces, tmp_path: Path) -> None:
    paths = write_dataset_card(faces, SETTINGS, test=last_two(faces), folder=tmp_path, stored=tmp_path / "data")
    assert all(path.exists() for path in paths)
    for path in (p for p in tmp_path.rglob("*") if p.is_file()):
        assert path.read_bytes() == (written / path.relative_to(tmp_path)).read_bytes(), path


HOSTILE = "<script>alert(1)</script>"


def test_hostile_names_are_inert_everywhere_and_another_size_is_described(tmp_path: Path) -> None:
    faces = fake_stored(4, 1, emotions=(HOSTILE, "$\\bad{", "a | b\n# c [x](y)"))
    sources = np.array([f"<img src=x onerror=alert(1)>{i}\udcff" for i in range(len(faces))], dtype=object)
    small = dataclasses.replace(faces, depth=faces.depth[np.arange(12) % 3, ::4, ::4], shape=(50, 32))
    hostile = dataclasses.replace(small, sources=sources, subjects=("<b>", '"', "\udcff", "'"))
    test = hostile.subject == 3
    write_dataset_card(hostile, Data(source="folder"), test=test, folder=tmp_path, stored=tmp_path / "data")
    page = Page((tmp_path / "dataset.html").read_text("utf-8"))
    assert len([tag for tag, _ in page.tags if tag == "script"]) == 0
    assert not [attrs for tag, attrs in page.tags if "onerror" in attrs or tag == "b"]
    assert "32 × 50 pixels" in "".join(page.text)
    assert HOSTILE in "".join(page.text) and "onerror" in "".join(page.text)
    card = (tmp_path / "dataset_card.md").read_text("utf-8")
    assert "\\<script\\>" in card and not re.search(r"(?<!\\)<script|(?<!\\)\[x", card)
    assert not [line for line in card.splitlines() if line.startswith("# c")]


def test_labels_csv_reads_back(faces: StoredFaces, numbers: Numbers) -> None:
    rows = list(csv.DictReader(labels_csv(faces, numbers).splitlines()))
    assert len(rows) == 48
    assert [int(row["subject"]) for row in rows] == faces.subject.tolist()
    assert [row["emotion"] for row in rows] == [EMOTIONS[label] for label in faces.emotion]
    assert [row["side"] for row in rows] == ["test" if s >= 6 else "train" for s in faces.subject]
    assert rows[5]["source"] == faces.sources[5] and rows[5]["subject_name"] == "P00"


@pytest.mark.parametrize("source", ["ikfdb", "folder"])
def test_data_of_ones_own_stay_there(faces: StoredFaces, numbers: Numbers, source: str) -> None:
    card = render_card(card_content(numbers, faces, Data(source=source)))
    assert "stay where they are" in card and "biometric data" in card and "0.6 mm a grey level" in card


def test_only_ikfdb_is_called_ikfdb(faces: StoredFaces, tmp_path: Path) -> None:
    own = Data(source="folder", path="/home/me/lab <b>2024", pattern="{subject}_{frame}", scale_mm=0.25)
    paths = write_dataset_card(faces, own, test=last_two(faces), folder=tmp_path, stored=tmp_path / "data")
    texts = [path.read_text("utf-8") for path in paths if path.is_file()]
    assert not [text for text in texts if "IKFDB" in text or "/home/me" in text]
    card, page, _, croissant = texts
    assert "lab \\<b\\>2024" in card and "lab &lt;b&gt;2024" in page and "Not known to depthjax" in card
    described = json.loads(croissant)
    assert "lab <b>2024" in described["description"] and "0.25" in str(described["rai:dataPreprocessingProtocol"])
    assert described["rai:dataAnnotationProtocol"] == [source_of("folder", "x").labelling]
    assert "Iranian Kinect Face Database" in source_of("ikfdb", "x").description


def test_shares_never_round_to_what_they_are_not() -> None:
    shares = [percent(x) for x in (0, 0.0001, 0.123, 0.99999, 1, None)]
    assert shares == ["0.0 %", "under 0.1 %", "12.3 %", "over 99.9 %", "100.0 %", "not comparable"]
    assert markdown("a|b\n*c*") == "a\\|b \\*c\\*"
