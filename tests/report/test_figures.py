"""Figures from stored files: all that can be drawn are, alike each time, with nothing cut off and no name obeyed."""

import copy
import re
import shutil
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from evaluation_fake import METHODS, fake_evaluation
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from depthjax import files
from depthjax.errors import UserError
from depthjax.report import figures_scores, figures_spaces, figures_violins
from depthjax.report.figure_style import METHOD_LOOKS, STYLE, emotion_look, method_colour, wrapped
from depthjax.report.figures import _render, _wanted, draw_figures
from depthjax.report.stored import Run, read_run

CHARTS = ("lda", "tsne", "correlations", "recognition", "scarcity", "violins", "annex_1", "distances", "coverage",
          "table_1", "table_2")  # fmt: skip
FACES = ("overview", "normals", "difference", "interpolation", "nearest")
HOSTILE = ("neutral", "<script>$\\frac{1}{0}$", "a name of an emotion that comes to no end " * 4)


@pytest.fixture(scope="module")
def run(finished: Path) -> Run:
    return read_run(finished)


def draw(run: Run, name: str) -> Figure | None:
    with matplotlib.rc_context(STYLE):
        return _wanted(run)[name]()


def texts(figure: Figure) -> list[str]:
    return [t.get_text() for t in figure.findobj(matplotlib.text.Text) if t.get_text() and t.get_visible()]


def cut_off(figure: Figure) -> list[str]:
    """Words that leave the picture by more than a pixel."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()
    found = []
    for text in figure.findobj(matplotlib.text.Text):
        box = text.get_window_extent(renderer)
        beyond = min(box.x0, box.y0, figure.bbox.x1 - box.x1, figure.bbox.y1 - box.y1)
        seen = text.get_text().strip() and text.get_visible() and (text.axes is None or text.axes.axison)
        if seen and beyond < -1 and text not in _ticks_beyond(figure):
            found.append(text.get_text())
    return found


def _ticks_beyond(figure: Figure) -> set:
    """Labels of ticks outside an axis' range: matplotlib keeps them, and draws none."""
    beyond = set()
    for axes in figure.axes:
        for axis, (low, high) in ((axes.xaxis, sorted(axes.get_xlim())), (axes.yaxis, sorted(axes.get_ylim()))):
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if not low <= tick.get_loc() <= high:
                    beyond |= {tick.label1, tick.label2}
    return beyond


def test_every_figure_is_stored_twice(finished: Path) -> None:
    folder = finished / "figures"
    for name in (*CHARTS, *FACES, "losses", "evolution", "faces_1_happiness_depth"):
        with Image.open(folder / f"{name}.png") as picture:
            grey = name.startswith("faces") or name in ("overview", "interpolation")
            assert min(picture.size) > 150 and picture.mode == ("L" if grey else "RGB")
        svg = (folder / f"{name}.svg").read_text()
        assert svg.startswith("<?xml") and "<script" not in svg and not re.search(r'href="http', svg)


@pytest.mark.parametrize("name", ["lda", "tsne", "violins"])
def test_the_same_files_give_the_same_bytes(run: Run, finished: Path, name: str) -> None:
    figure = draw(run, name)
    assert figure is not None
    with matplotlib.rc_context(STYLE):
        again = _render(name, figure)
    assert again.svg == (finished / "figures" / f"{name}.svg").read_bytes()
    assert again.png == (finished / "figures" / f"{name}.png").read_bytes()


def test_long_and_hostile_names_are_set_as_they_stand(run: Run) -> None:
    evaluation = fake_evaluation(HOSTILE)
    odd = "$\\bad{ <img> method " * 4
    evaluation["methods"] = {"gan": evaluation["methods"]["gan"], odd: evaluation["methods"]["vae"]}
    embedding = {
        n.replace("vae", odd): a for n, a in (run.embedding or {}).items() if not re.search("gmm|kde|cdcgan", n)
    }
    config = run.config | {"data": run.config["data"] | {"emotions": list(HOSTILE)}}
    hostile = replace(run, config=config, evaluation=evaluation, embedding=embedding,
                      samples={"gan": run.samples["gan"], odd: run.samples["vae"]})  # fmt: skip
    for name in (*CHARTS, "overview", "evolution"):
        figure = draw(hostile, name)
        assert figure is not None
        assert cut_off(figure) == [], name


def test_one_colour_a_method_whatever_else_is_shown(run: Run) -> None:
    assert len({colour for colour, _ in METHOD_LOOKS.values()}) == len({m for _, m in METHOD_LOOKS.values()}) + 1 == 7
    evaluation = copy.deepcopy(run.evaluation)
    assert evaluation is not None
    evaluation["methods"] = {m: evaluation["methods"][m] for m in ("cdcgan_kd_ga", "kde")}
    for draw_one in (figures_scores.recognition, figures_spaces.coverage):
        figure = draw_one(evaluation, 3 if draw_one is figures_scores.recognition else ("a", "b", "c"))  # type: ignore[operator]
        seen = {
            to_hex(line.get_color()).lower() for line in figure.axes[0].lines if line.get_marker() not in ("", "None")
        }
        assert {method_colour("cdcgan_kd_ga").lower(), method_colour("kde").lower()} <= seen
        assert method_colour("cdcgan_kd").lower() not in seen


def test_emotions_look_like_no_method() -> None:
    looks = [emotion_look(label) for label in range(7)]
    assert len({colour for colour, *_ in looks}) == len({marker for _, marker, _ in looks}) == 7
    assert not {colour for colour, *_ in looks} & {colour for colour, _ in METHOD_LOOKS.values()}


def test_lda_shows_each_set_on_one_scale_and_clouds_without_spread_as_lines(run: Run) -> None:
    arrays = dict(run.embedding or {})
    arrays["lda/gan"] = np.where(arrays["emotion/gan"] == 1, 2.5, arrays["lda/gan"])
    figure = figures_spaces.lda(arrays, run.emotions, list(run.samples))
    titles = [axes.get_title("left") or axes.get_title() for axes in figure.axes]
    assert titles[:3] == ["Real people", "Other real people", "GAN"] and len(titles) == 8
    assert len({axes.get_xlim() for axes in figure.axes}) == len({axes.get_ylim() for axes in figure.axes}) == 1
    (line,) = [li for li in figure.axes[2].lines if len(set(li.get_xdata())) == 1]
    assert set(line.get_xdata()) == {2.5} and line.get_color() == emotion_look(1)[0]
    curve = figure.axes[0].lines[0]
    area = np.trapezoid(curve.get_ydata(), curve.get_xdata())
    assert area == pytest.approx(1, abs=0.05)


def test_tsne_places_each_point_where_it_is_stored(run: Run) -> None:
    arrays = run.embedding or {}
    figure = figures_spaces.tsne(arrays, run.emotions, list(run.samples))
    everyone, *emotions = figure.axes[3].collections
    assert len(everyone.get_offsets()) == sum(len(a) for name, a in arrays.items() if name.startswith("tsne/"))
    for label, points in enumerate(emotions):
        np.testing.assert_allclose(points.get_offsets(), arrays["tsne/vae"][arrays["emotion/vae"] == label])
    assert len({axes.get_xlim() for axes in figure.axes}) == 1


def test_correlations_are_written_as_stored(run: Run) -> None:
    arrays = dict(run.embedding or {})
    arrays["correlation/gan"] = np.full((4, 4), -0.001, np.float32)
    arrays["correlation/both/kde"] = np.full((4, 4), -0.37, np.float32)
    figure = figures_spaces.correlations(arrays, list(run.samples))
    words = texts(figure)
    titles = {text.replace("\n", " ") for text in words}
    assert words.count("0.00") >= 16 and words.count("\u22120.37") == 16 and "\u22120.00" not in words
    assert {"Real people", "Other real people", "KDE with real", "KD-cDCGAN, evolved with real"} <= titles


def test_charts_hold_the_stored_numbers(run: Run) -> None:
    evaluation = run.evaluation
    assert evaluation is not None
    figure = figures_scores.recognition(evaluation, 3)
    assert figure is not None
    points = [
        line.get_xdata()[0]
        for line in figure.axes[0].lines
        if line.get_marker() in "osD^vP" and len(line.get_xdata()) == 1
    ]
    stored = [evaluation["methods"][m]["tstr"]["random_forest"]["accuracy"]["value"] for m in METHODS]
    real = evaluation["methods"]["gan"]["trtr"]["random_forest"]["accuracy"]["value"]
    np.testing.assert_allclose(points, 100 * np.array([real, *stored]))
    bars = figures_scores.table_2(evaluation)
    assert bars is not None
    widths = [bar.get_width() for bar in bars.axes[0].patches]
    assert widths == [evaluation["methods"][m]["as_published"]["frechet"]["value"] for m in METHODS]
    assert any("not the FID" in words for words in texts(bars)) and "Fréchet, as published ↓" in texts(bars)


def test_lines_of_table_1_have_the_papers_beside(run: Run) -> None:
    figure = figures_scores.table_1(run.evaluation or {})
    assert figure is not None
    drawn = [list(np.asarray(line.get_ydata(), float)) for line in figure.axes[0].lines]
    assert [85.42, 81.67, 65.42, 60.42, 91.67, 91.67] in drawn and [97.92] in drawn
    ours = [
        100 * run.evaluation["methods"][m]["published"]["synthetic"]["xgboost"]["accuracy"]["value"] for m in METHODS
    ]  # type: ignore[index]
    assert any(len(values) == 6 and np.allclose(values, ours) for values in drawn)


def test_gains_are_the_paired_differences(run: Run) -> None:
    figure = figures_scores.scarcity(run.evaluation or {}, 3)
    assert figure is not None
    stored = (run.evaluation or {})["methods"]["kde"]["scarcity"]["xgboost"]
    gains = [100 * stored[share]["paired"]["difference"] for share in ("0.1", "0.25", "0.5", "1")]
    lower = figure.axes[5]
    assert any(len(line.get_ydata()) == 4 and np.allclose(line.get_ydata(), gains) for line in lower.lines)
    assert lower.get_xticklabels()[0].get_text() == "10 %\n3 people"


def test_violins_need_enough_runs() -> None:
    evaluation = fake_evaluation()
    runs = (0.6 + 0.01 * np.random.default_rng(0).standard_normal(30)).tolist()
    evaluation["methods"]["vae"]["tstr"]["random_forest"]["runs"]["accuracy"] = runs
    figure = figures_violins.violins(evaluation)
    assert figure is not None
    assert [len(axes.collections) for axes in figure.axes] == [1, 0, 0, 0, 0, 0, 0, 0, 0]
    assert "Random forest, 3–30 seeds" in texts(figure)
    dots = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 30]
    np.testing.assert_allclose(dots[0].get_xdata(), 100 * np.array(runs))


def test_annex_1_shows_every_seed_of_every_score() -> None:
    evaluation = fake_evaluation()
    recall = [0.1, 0.2, 0.4]
    evaluation["methods"]["vae"]["published"]["synthetic_real"]["random_forest"]["runs"]["recall"] = recall
    figure = figures_violins.annex_1(evaluation)
    assert figure is not None and len(figure.axes) == 12
    assert [axes.get_title() for axes in figure.axes[:4]] == ["Accuracy", "Precision", "Recall", "F1"]
    shown = [[line.get_xdata().tolist() for line in axes.lines] for axes in figure.axes[8:]]
    assert [[10.0, 20.0, 40.0] in ([round(x, 6) for x in xs] for xs in panel) for panel in shown] == [
        False, False, True, False,
    ]  # fmt: skip
    for method in evaluation["methods"].values():
        method["published"] = {"reason": "nobody is unseen"}
    assert figures_violins.annex_1(evaluation) is None


def test_coverage_of_each_emotion_where_it_is_stored() -> None:
    evaluation = fake_evaluation()
    plain = figures_spaces.coverage(evaluation, ("a", "b", "c"))
    evaluation["methods"]["kde"]["coverage"]["relief"]["by_emotion"] = [
        {"value": 0.2, "interval": [0.1, 0.3]}, {"reason": "too few"}, {"value": 0.7},
    ]  # fmt: skip
    figure = figures_spaces.coverage(evaluation, ("a", "b", "c"))
    assert plain is not None and figure is not None
    assert "b" in texts(figure) and "b" not in texts(plain)
    marks = [
        line.get_xdata()[0]
        for line in figure.axes[0].lines
        if line.get_markersize() == 4 and len(line.get_xdata()) == 1
    ]
    assert marks == [0.2, 0.7]


def test_what_was_not_computed_is_said_or_left_out(run: Run) -> None:
    evaluation, kinds = fake_evaluation(), ("trtr", "tstr", "scarcity", "published", "as_published")
    for method in evaluation["methods"].values():
        method |= {key: {"reason": "nobody is unseen"} for key in kinds}
    evaluation["scarcity"] = {"reason": "nobody is unseen"}
    evaluation["methods"]["gmm"]["kid"]["relief"] = {"reason": "too few faces"}
    poor = replace(run, evaluation=evaluation)
    for name in ("recognition", "scarcity", "violins", "annex_1", "table_1", "table_2"):
        assert draw(poor, name) is None, name
    shown = draw(poor, "distances")
    assert shown is not None and texts(shown).count("not computed") == 1


def test_an_earlier_schema_gives_what_it_has(run: Run, evaluation_1: dict) -> None:
    old = replace(run, evaluation=evaluation_1, embedding=None, nearest=None, interpolation=None)
    assert not {"lda", "tsne", "correlations"} & set(_wanted(old))
    for name in ("recognition", "distances", "table_1"):
        assert draw(old, name) is not None
    for name in ("scarcity", "coverage", "table_2", "nearest", "interpolation"):
        assert draw(old, name) is None


def test_nothing_is_drawn_of_nothing(finished: Path, tmp_path: Path) -> None:
    shutil.copy(finished / "config.json", tmp_path / "config.json")
    assert draw_figures(read_run(tmp_path), tmp_path / "figures") == {}
    assert not (tmp_path / "figures").exists()


def test_a_far_value_does_not_press_the_others_together() -> None:
    evaluation = fake_evaluation()
    evaluation["methods"]["gmm"]["kid"]["relief"] |= {"value": 40.0, "interval": [35.0, 44.0]}
    figure = figures_spaces.distances(evaluation)
    assert figure is not None
    assert [axes.get_xscale() for axes in figure.axes[:3]] == ["symlog", "linear", "linear"]


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
