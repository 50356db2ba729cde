"""Figures from stored files: they hold the stored numbers, nothing is cut off, and names are set as they stand."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from evaluation_fake import METHODS, changed, fake_evaluation, without
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from depthjax import files
from depthjax.errors import UserError
from depthjax.report import figures_scores, figures_spaces
from depthjax.report.figure_style import METHOD_LOOKS, STYLE, emotion_look, method_colour, render, wrapped
from depthjax.report.figures import OUTCOMES, all_figures, draw_figures, draw_sweep, explained, mean_with_error
from depthjax.report.stored import Run, StoredEvaluation, read_run
from depthjax.scores import read_scores

FACES = ("overview", "normals", "difference", "interpolation", "nearest")
SCORES = ("recognition", "added", "violins", "annex_1", "distances", "coverage", "table_1", "table_2")
CHARTS = (*SCORES, "lda", "tsne", "correlations", "losses", "evolution")
HOSTILE = ("neutral", "<script>$\\frac{1}{0}$", "a name of an emotion that comes to no end " * 4)


@pytest.fixture(scope="module")
def run(finished: Path) -> Run:
    return read_run(finished)


def draw(run: Run, name: str) -> Figure | None:
    (spec,) = (spec for spec in all_figures(run) if spec.name == name)
    with matplotlib.rc_context(STYLE):
        return spec.draw(run)


def drawn(figure: Figure | None) -> Figure:
    assert figure is not None
    return figure


def texts(figure: Figure) -> list[str]:
    return [t.get_text() for t in figure.findobj(matplotlib.text.Text) if t.get_text() and t.get_visible()]


def cut_off(figure: Figure) -> list[str]:
    """Words that leave the picture by more than a pixel."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()
    found = []
    for text in set(figure.findobj(matplotlib.text.Text)) - _ticks_not_drawn(figure):
        box = text.get_window_extent(renderer)
        beyond = min(box.x0, box.y0, figure.bbox.x1 - box.x1, figure.bbox.y1 - box.y1)
        if text.get_text().strip() and text.get_visible() and beyond < -1:
            found.append(text.get_text())
    return found


def _ticks_not_drawn(figure: Figure) -> set:
    """Labels of hidden axes, and of ticks outside an axis' range: matplotlib keeps them, and draws none."""
    hidden = set()
    for axes in figure.axes:
        for axis, (low, high) in ((axes.xaxis, sorted(axes.get_xlim())), (axes.yaxis, sorted(axes.get_ylim()))):
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if not (axes.axison and low <= tick.get_loc() <= high):
                    hidden |= {tick.label1, tick.label2}
    return hidden


def test_every_figure_is_stored_twice_with_caption_and_alternative_text(run: Run, finished: Path) -> None:
    specs = {spec.name: spec for spec in all_figures(run)}
    assert {*CHARTS, *FACES, "faces_1_happiness_depth", "faces_2_fear_shaded"} <= set(specs)
    assert {path.stem for path in (finished / "figures").glob("*.png")} == set(specs)
    for name, spec in specs.items():
        assert spec.caption.endswith(".") and spec.alt.endswith(".")
        assert "real" not in re.findall(r"\w+", f"{spec.caption} {spec.alt}".lower())
        with Image.open(finished / "figures" / f"{name}.png") as picture:
            grey = name.startswith("faces") or name in ("overview", "interpolation")
            assert min(picture.size) > 150 and picture.mode == ("L" if grey else "RGB")
        svg = (finished / "figures" / f"{name}.svg").read_text()
        assert svg.startswith("<?xml") and "<script" not in svg and not re.search(r'href="http', svg)


@pytest.mark.parametrize("name", ["lda", "tsne", "violins"])
def test_the_same_files_give_the_same_bytes(run: Run, finished: Path, name: str) -> None:
    figure = drawn(draw(run, name))
    with matplotlib.rc_context(STYLE):
        again = render(name, figure)
    assert again.svg == (finished / "figures" / f"{name}.svg").read_bytes()
    assert again.png == (finished / "figures" / f"{name}.png").read_bytes()


QUICK = ("recognition", "added", "lda", "normals", "difference", "interpolation", "nearest")
REST = [pytest.param(name, marks=pytest.mark.nightly) for name in (*CHARTS, "overview") if name not in QUICK]


@pytest.mark.parametrize("name", [*QUICK, *REST])
def test_long_and_hostile_names_are_set_as_they_stand(run: Run, name: str) -> None:
    odd = "W" * 200 if name in FACES else "$\\bad{ <img> method " * 4
    figure = drawn(draw(_hostile(run, odd), name))
    assert cut_off(figure) == []
    assert name not in ("difference", "interpolation", "normals") or any("<script>" in text for text in texts(figure))


def _hostile(run: Run, odd: str) -> Run:
    """The run with hostile names of emotions, and of one of its two methods."""
    stored = fake_evaluation(HOSTILE, ("gan", "vae"))
    data = stored["data"] | {"generated": {"gan": 300, odd: 300}}
    rows = [row | {"method": odd} if row["method"] == "vae" else row for row in stored["scores"]]
    assert run.evaluation is not None and run.embedding is not None and run.nearest is not None
    runs = {name.replace("/vae/", f"/{odd}/"): values for name, values in run.evaluation.runs.items()}
    evaluation = StoredEvaluation(data, stored["settings"], read_scores(rows, ""), runs)
    embedding = {n.replace("vae", odd): a for n, a in run.embedding.items() if not re.search("gmm|kde|cdcgan", n)}
    config = run.config | {"data": run.config["data"] | {"emotions": list(HOSTILE)}}
    samples = {"gan": run.samples["gan"], odd: run.samples["vae"]}
    nearest = run.nearest | {f"{kind}/{odd}": run.nearest[f"{kind}/vae"] for kind in ("index", "distance")}
    changes = {"config": config, "evaluation": evaluation, "embedding": embedding, "samples": samples}
    return replace(run, **changes, nearest=nearest)


def test_one_colour_a_method_whatever_else_is_shown(evaluation: StoredEvaluation) -> None:
    assert len({colour for colour, _ in METHOD_LOOKS.values()}) == len({m for _, m in METHOD_LOOKS.values()}) + 1 == 8
    two = dict.fromkeys(("cdcgan_kd_ga", "kde"), 300)
    evaluation = replace(evaluation, data=evaluation.data | {"generated": two})
    for draw_one in (figures_scores.recognition, figures_spaces.coverage):
        lines = drawn(draw_one(evaluation)).axes[0].lines
        shown = {to_hex(line.get_color()).lower() for line in lines if line.get_marker() not in ("", "None")}
        assert {method_colour("cdcgan_kd_ga").lower(), method_colour("kde").lower()} <= shown
        assert method_colour("cdcgan_kd").lower() not in shown


def test_emotions_look_like_no_method() -> None:
    looks = [emotion_look(label) for label in range(7)]
    assert len({colour for colour, *_ in looks}) == len({marker for _, marker, _ in looks}) == 7
    assert not {colour for colour, *_ in looks} & {colour for colour, _ in METHOD_LOOKS.values()}


def test_lda_shows_each_set_on_one_scale_and_clouds_without_spread_as_lines(run: Run) -> None:
    arrays = dict(run.embedding or {})
    arrays["lda/gan"] = np.where(arrays["emotion/gan"] == 1, 2.5, arrays["lda/gan"])
    figure = drawn(figures_spaces.lda(replace(run, embedding=arrays)))
    titles = [axes.get_title("left") or axes.get_title() for axes in figure.axes]
    assert titles[:3] == ["Training faces", "Held-out faces", "GAN"] and len(titles) == 8
    assert len({axes.get_xlim() for axes in figure.axes}) == len({axes.get_ylim() for axes in figure.axes}) == 1
    (line,) = [li for li in figure.axes[2].lines if len(set(li.get_xdata())) == 1]
    assert set(line.get_xdata()) == {2.5} and line.get_color() == emotion_look(1)[0]
    curve = figure.axes[0].lines[0]
    assert np.trapezoid(curve.get_ydata(), curve.get_xdata()) == pytest.approx(1, abs=0.05)


def test_tsne_places_each_point_where_it_is_stored(run: Run) -> None:
    arrays = run.embedding or {}
    figure = drawn(figures_spaces.tsne(run))
    everyone, *emotions = figure.axes[3].collections
    assert len(everyone.get_offsets()) == sum(len(a) for name, a in arrays.items() if name.startswith("tsne/"))
    for label, points in enumerate(emotions):
        np.testing.assert_allclose(points.get_offsets(), arrays["tsne/vae"][arrays["emotion/vae"] == label])
    assert len({axes.get_xlim() for axes in figure.axes}) == 1


def test_correlations_are_written_as_stored(run: Run) -> None:
    arrays = dict(run.embedding or {})
    arrays["correlation/gan"] = np.full((4, 4), -0.001, np.float32)
    arrays["correlation/both/kde"] = np.full((4, 4), -0.37, np.float32)
    words = texts(drawn(figures_spaces.correlations(replace(run, embedding=arrays))))
    titles = {text.replace("\n", " ") for text in words}
    assert words.count("0.00") >= 16 and words.count("\u22120.37") == 16 and "\u22120.00" not in words
    assert {"Training faces", "Held-out faces", "KDE with training faces",
            "KD-cDCGAN evolved with training faces"} <= titles  # fmt: skip


def value(evaluation: StoredEvaluation, **columns: object) -> float:
    score = evaluation.scores.find(**columns)
    assert score is not None and score.value is not None
    return score.value


def test_charts_hold_the_stored_numbers(evaluation: StoredEvaluation) -> None:
    lines = drawn(figures_scores.recognition(evaluation)).axes[0].lines
    points = [li.get_xdata()[0] for li in lines if li.get_marker() in "osD^vP" and len(li.get_xdata()) == 1]
    forest = {"classifier": "random_forest", "measure": "accuracy"}
    stored = [value(evaluation, protocol="tstr", method=m, **forest) for m in METHODS]
    real = value(evaluation, protocol="trtr", method="real", **forest)
    np.testing.assert_allclose(points, 100 * np.array([real, *stored]))
    bars = drawn(figures_scores.table_2(evaluation))
    published = {"protocol": "as_published", "measure": "frechet", "space": "depthnet"}
    assert [bar.get_width() for bar in bars.axes[0].patches] == [
        value(evaluation, method=m, **published) for m in METHODS
    ]
    assert "not the FID; on depthnet" in texts(bars) and "Fréchet, as published ↓" in texts(bars)


def test_lines_of_table_1_have_the_papers_beside(evaluation: StoredEvaluation) -> None:
    figure = drawn(figures_scores.table_1(evaluation))
    lines = [list(np.asarray(line.get_ydata(), float)) for line in figure.axes[0].lines]
    assert [85.42, 81.67, 65.42, 60.42, 91.67, 91.67] in lines and [97.92] in lines
    columns = {"protocol": "published_synthetic", "classifier": "xgboost", "measure": "accuracy"}
    ours = [100 * value(evaluation, method=m, **columns) for m in METHODS]
    assert any(len(values) == 6 and np.allclose(values, ours) for values in lines)


def test_added_faces_stand_beside_a_line_at_augmented_copies(evaluation: StoredEvaluation) -> None:
    figure = drawn(figures_scores.added(evaluation))
    assert len(figure.axes) == 5 and "+ augmented copies" in texts(figure)
    axes, columns = figure.axes[2], {"classifier": "xgboost", "measure": "accuracy"}
    copies = 100 * value(evaluation, protocol="added", method="augmented", **columns)
    assert list(axes.lines[0].get_xdata()) == [copies, copies]
    points = {li.get_ydata()[0]: li for li in axes.lines if li.get_marker() not in ("None", "")}
    rows = [("trtr", "real"), *(("added", m) for m in ("augmented", "mixtures", *METHODS)),
            *(("added_augmented", m) for m in METHODS)]  # fmt: skip
    shown = [points[row].get_xdata()[0] for row in range(len(rows))]
    np.testing.assert_allclose(shown, [100 * value(evaluation, protocol=p, method=m, **columns) for p, m in rows])
    assert points[len(rows) - 1].get_markerfacecolor() == "white" != points[3].get_markerfacecolor()


def test_violins_need_enough_runs(evaluation: StoredEvaluation) -> None:
    runs = 0.6 + 0.01 * np.random.default_rng(0).standard_normal(30)
    changes = evaluation.runs | {"tstr/vae/random_forest/accuracy": runs}
    figure = drawn(figures_scores.violins(replace(evaluation, runs=changes)))
    assert [len(axes.collections) for axes in figure.axes] == [1] + [0] * 14
    assert "Random forest, 3–30 seeds" in [text.replace("\n", " ") for text in texts(figure)]
    dots = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 30]
    np.testing.assert_allclose(dots[0].get_xdata(), 100 * runs)


def test_annex_1_shows_every_seed_of_every_score(evaluation: StoredEvaluation) -> None:
    recall = {"published_synthetic_real/vae/random_forest/recall": np.array([0.1, 0.2, 0.4])}
    figure = drawn(figures_scores.annex_1(replace(evaluation, runs=evaluation.runs | recall)))
    assert len(figure.axes) == 12
    titles = [axes.get_title("left") or axes.get_title() for axes in figure.axes[:4]]
    assert [title.split(",")[0] for title in titles] == ["Accuracy", "Precision", "Recall", "F1"]
    shown = [[np.round(line.get_xdata(), 6).tolist() for line in axes.lines] for axes in figure.axes[8:]]
    assert [[10.0, 20.0, 40.0] in panel for panel in shown] == [False, False, True, False]
    assert figures_scores.annex_1(replace(evaluation, runs={})) is None


def test_coverage_of_each_emotion_where_it_is_stored(evaluation: StoredEvaluation) -> None:
    scores = [row for row in evaluation.scores if not row.emotion]
    pooled = replace(evaluation, scores=type(evaluation.scores)(scores))
    gmm = {"protocol": "distance", "measure": "coverage", "method": "gmm", "space": "relief", "against": "test"}
    parted = changed(evaluation, gmm | {"emotion": "happiness"}, value=None, low=None, high=None, reason="too few")
    assert "happiness" not in texts(drawn(figures_spaces.coverage(pooled)))
    figure = drawn(figures_spaces.coverage(parted))
    assert "happiness" in texts(figure)
    lines = figure.axes[0].lines
    marks = [li.get_xdata()[0] for li in lines if li.get_markersize() == 4 and len(li.get_xdata()) == 1]
    assert marks[6:8] == [value(evaluation, emotion=name, **gmm) for name in ("neutral", "fear")]


def test_what_was_not_computed_is_named_or_left_out(evaluation: StoredEvaluation) -> None:
    kinds = ("trtr", "tstr", "added", "published_real", "published_synthetic", "published_synthetic_real",
             "as_published")  # fmt: skip
    for protocol in kinds:
        evaluation = changed(evaluation, {"protocol": protocol}, value=None, low=None, high=None, reason="no test set")
    evaluation = replace(evaluation, runs={})
    for draw_one in (figures_scores.recognition, figures_scores.added, figures_scores.violins,
                     figures_scores.annex_1, figures_scores.table_1, figures_scores.table_2):  # fmt: skip
        assert draw_one(evaluation) is None, draw_one.__name__
    kid = {"protocol": "distance", "measure": "kid", "space": "relief", "method": "gmm", "against": "test"}
    evaluation = changed(evaluation, kid, value=None, low=None, high=None, reason="too few faces")
    assert texts(drawn(figures_spaces.distances(evaluation))).count("not computed") == 1
    nothing = without(evaluation, protocol="distance")
    assert figures_spaces.distances(nothing) is None and figures_spaces.coverage(nothing) is None


def test_nothing_is_drawn_of_nothing(finished: Path, tmp_path: Path) -> None:
    shutil.copy(finished / "config.json", tmp_path / "config.json")
    assert draw_figures(read_run(tmp_path), tmp_path / "figures") == {}
    assert not (tmp_path / "figures").exists()


def test_a_far_value_does_not_press_the_others_together(evaluation: StoredEvaluation) -> None:
    kid = {"protocol": "distance", "measure": "kid", "space": "relief", "method": "gmm", "against": "test"}
    figure = drawn(figures_spaces.distances(changed(evaluation, kid, value=40.0, low=35.0, high=44.0)))
    assert [axes.get_xscale() for axes in figure.axes[:3]] == ["symlog", "linear", "linear"]


def test_a_sweep_shows_means_and_what_each_setting_explains(tmp_path: Path) -> None:
    setting, other = np.array([1.0, 1.0, 2.0, 2.0]), np.array([1.0, 2.0, 1.0, 2.0])
    outcome = np.array([0.0, 0.0, 4.0, 4.0])
    assert (explained(setting, outcome), explained(other, outcome), explained(setting, 0 * outcome)) == (1, 0, 0)
    assert mean_with_error(np.array([1.0, 3.0])) == (2.0, pytest.approx(1.96)) and mean_with_error(outcome[:1])[1] == 0
    paths = draw_sweep(tmp_path, {"islands": setting, "sigma": other}, dict.fromkeys(OUTCOMES, outcome))
    assert [path.name for path in paths] == ["sweep.png", "sweep.svg"] and all(path.stat().st_size for path in paths)


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        ("evaluation/embedding.npz", "tsne/gan", np.zeros((3, 2), np.float32)),
        ("evaluation/embedding.npz", "lda/train", np.full(60, np.nan, np.float32)),
        ("evaluation/embedding.npz", "emotion/vae", np.full(27, 3)),
        ("evaluation/embedding.npz", "correlation/kde", np.zeros((3, 3))),
        ("evaluation/nearest.npz", "distance/gan", np.zeros(3)),
        ("evaluation/nearest.npz", "index/gan", np.full(27, -1)),
        ("evaluation/nearest.npz", "reference", np.zeros(2)),
        ("samples/cdcgan_kd/interpolation.npz", "images", np.zeros((3, 32, 32))),
    ],
)
def test_damaged_arrays_are_one_line(finished: Path, tmp_path: Path, path: str, name: str, value: np.ndarray) -> None:
    arrays = files.read_arrays(finished / path) | {name: value}
    shutil.copy(finished / "config.json", tmp_path)
    files.write_arrays(tmp_path / path, **arrays)
    with pytest.raises(UserError) as error:
        read_run(tmp_path)
    assert Path(path).name in str(error.value) and "--stages=" in str(error.value) and "\n" not in str(error.value)


def test_names_are_wrapped_and_cut() -> None:
    assert wrapped("a$b", 9, lines=1) == r"a\$b"
    assert wrapped("one two three", 7, lines=2) == "one two\nthree"
    assert wrapped("one two three four", 7, lines=2) == "one two\nthree…"
    assert wrapped("x" * 30, 10, lines=1) == "x" * 9 + "…" and wrapped("", 5, lines=1) == ""
