"""Names in other scripts: a font that has them, else Latin letters, never empty boxes."""

import warnings

import matplotlib.font_manager as manager
import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.figure import Figure
from PIL import Image

from depthjax import fonts
from depthjax.report import figure_style as style
from depthjax.train.loop import write_grid

CHINESE, PERSIAN = "快乐", "خشم"


@pytest.fixture(autouse=True)
def only_matplotlibs_fonts(monkeypatch):
    """Whatever this system has; and what an earlier test asked is forgotten."""
    own = [entry for entry in manager.fontManager.ttflist if "mpl-data" in entry.fname]
    monkeypatch.setattr(manager.fontManager, "ttflist", own)
    for cached in (fonts.font_file, fonts.legible):
        cached.cache_clear()
    yield
    for cached in (fonts.font_file, fonts.legible):
        cached.cache_clear()


@pytest.fixture
def chinese_font(tmp_path):
    """A font of squares for the two characters, in matplotlib's list."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for point in ((0, 700), (700, 700), (700, 0)):
        pen.lineTo(point)
    pen.closePath()
    names = [".notdef", *(f"uni{ord(c):04X}" for c in CHINESE)]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(c): f"uni{ord(c):04X}" for c in CHINESE})
    builder.setupGlyf({name: pen.glyph() for name in names})
    builder.setupHorizontalMetrics(dict.fromkeys(names, (800, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Two Squares", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(tmp_path / "squares.ttf")
    manager.fontManager.addfont(tmp_path / "squares.ttf")
    return tmp_path / "squares.ttf"


def drawn_without_a_missing_character(name):
    with warnings.catch_warnings(), style.drawing([name]):
        warnings.simplefilter("error")  # matplotlib warns of each empty box
        figure = Figure(figsize=(1, 1))
        figure.text(0, 0.5, style.wrapped(name, 20, lines=1))
        figure.text(0, 0.1, style.wrapped(name, 20, lines=1), weight="bold")
        return style.render("name", figure)


def test_a_name_that_no_font_has_is_in_latin_letters_and_said_once():
    assert fonts.legible(CHINESE) == "KuaiLe" and style.wrapped(CHINESE, 20, lines=1) == "KuaiLe"
    assert fonts.families([CHINESE, "fear"]) == [fonts.DEFAULT]
    (line,) = fonts.notes(["fear", CHINESE, PERSIAN])
    assert f"{CHINESE} as KuaiLe" in line and "fear" not in line and "\n" not in line
    assert fonts.notes(["fear", "Überraschung"]) == []
    drawn_without_a_missing_character(CHINESE)


def test_a_name_that_a_font_has_is_shown_in_it(chinese_font):
    assert fonts.legible(CHINESE) == CHINESE and fonts.notes([CHINESE]) == []
    assert fonts.families([CHINESE]) == [fonts.DEFAULT, "Two Squares"]
    drawn_without_a_missing_character(CHINESE)
    assert fonts.pillow_font(CHINESE, 20).getname()[0] == "Two Squares"


def test_persian_letters_are_those_of_matplotlibs_font():
    assert fonts.legible(PERSIAN) == PERSIAN and fonts.families([PERSIAN]) == [fonts.DEFAULT]
    drawn_without_a_missing_character(PERSIAN)
    assert fonts.pillow_font(PERSIAN, 20).getname()[0] == fonts.DEFAULT
    assert fonts.pillow_font("fear", 20).getname()[0] != fonts.DEFAULT  # Pillow's own, as ever


def test_the_grids_of_a_training_name_their_rows_legibly(tmp_path):
    # Empty boxes are all alike, so two names of one length would look the same.
    def label(emotion):
        path = tmp_path / "grid.png"
        write_grid(path, np.ones((1, 1, 64, 64), np.float32), [emotion], "epoch 1")
        return np.asarray(Image.open(path))

    assert np.array_equal(label(CHINESE), label("KuaiLe"))
    assert not np.array_equal(label(PERSIAN), label(PERSIAN[::-1]))
