"""The page in headless Chromium: it filters, sorts, opens and turns a face, by hand and by keys, and stays inert."""

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from chromium import Chromium, find_chromium
from PIL import Image

from depthjax.data.depth_range import quantise
from depthjax.report.faces_image import gallery, one_per_subject, shade
from depthjax.report.page import render_page
from depthjax.report.stored import read_run

pytestmark = pytest.mark.nightly
HOSTILE = "</script><script>alert(1)</script>"


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium or Chrome on this machine's PATH")
    try:
        found = Chromium(path, tmp_path_factory.mktemp("profile"))
    except (RuntimeError, TimeoutError, OSError) as error:
        pytest.skip(f"{path} does not start headless here: {error}")
    yield found
    found.close()


@pytest.fixture
def page(browser: Chromium, finished: Path) -> Iterator[Chromium]:
    """The report, open; afterwards: no error, no warning, nothing asked of any network."""
    browser.open(finished / "report.html")
    yield browser
    assert browser.problems() == []
    assert browser.requests() == [(finished / "report.html").resolve().as_uri()]


def picture(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), np.int16)


def settled(page: Chromium, selector: str) -> np.ndarray:
    """An element's pixels once two frames have passed."""
    page.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return picture(page.shot(selector=selector))


def shown(page: Chromium) -> int:
    """Tiles that are laid out; the line above them must say the same."""
    count = page.run("Array.from(document.querySelectorAll('.tile')).filter((t) => t.offsetParent).length")
    counted = str(page.run("document.getElementById('gallery-count').textContent"))
    assert counted.startswith(f"{count} of ")
    return int(str(count))


def click(page: Chromium, selector: str) -> None:
    page.run(f"document.querySelector({json.dumps(selector)}).click()")


def test_the_gallery_filters_by_set_and_emotion(page: Chromium, finished: Path) -> None:
    payload = gallery(read_run(finished))
    assert payload is not None
    by_set = {group["id"]: [sheet["count"] for sheet in group["sheets"]] for group in payload["sets"]}
    assert shown(page) == sum(counts[0] for counts in by_set.values())
    click(page, '[data-all="emotion"]')
    assert shown(page) == sum(map(sum, by_set.values()))
    click(page, '[data-set="real"]')
    assert page.run("document.querySelector('[data-set=real]').getAttribute('aria-pressed')") == "false"
    assert shown(page) == sum(sum(counts) for name, counts in by_set.items() if name != "real")
    click(page, '[data-all="set"]')
    click(page, '[data-all="set"]')
    assert shown(page) == 0
    click(page, '[data-set="cdcgan_kd"]')
    assert shown(page) == sum(by_set["cdcgan_kd"])


def test_the_relief_is_that_of_the_figures(page: Chromium, finished: Path) -> None:
    page.run("document.getElementById('gallery').scrollIntoView()")
    page.wait("document.querySelector('.row[data-drawn=relief]')")
    size, drawn = json.loads(
        str(
            page.run("""(() => {
        const canvas = document.querySelector('.tile canvas');
        const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
        return JSON.stringify([canvas.width, Array.from(pixels)]); })()""")
        )
    )
    seen = np.array(drawn, np.float64).reshape(size, size, 4)
    on_white = seen[..., 0] * seen[..., 3] / 255 + 255 - seen[..., 3]
    run = read_run(finished)
    payload = gallery(run)
    assert payload is not None and run.train is not None
    face = quantise(one_per_subject(run.train, 0, 1)).astype(np.float32) / 127.5 - 1
    expected = shade(face, run.window_mm, (payload["height_mm"] / size, payload["width_mm"] / size))[0]
    assert np.abs(on_white - expected).max() <= 2
    click(page, '[data-view="depth"]')
    page.wait("document.querySelector('.row[data-drawn=depth]')")
    level = page.run("document.querySelectorAll('.tile canvas')[1].getContext('2d').getImageData(20, 20, 1, 1).data[0]")
    assert level == quantise(one_per_subject(run.train, 0, 2))[1, 20, 20]


def test_a_face_opens_as_a_surface_that_turns(page: Chromium) -> None:
    page.run("document.querySelector('.tile').scrollIntoView()")
    click(page, ".tile")
    page.wait("document.getElementById('surface').open")
    page.wait("document.querySelector('#surface h2').textContent.includes('1 of')")
    first = settled(page, "#surface canvas")
    background = first[4, 4]
    covered = (np.abs(first - background).max(-1) > 12).mean()
    assert 0.05 < covered < 0.8
    assert len(np.unique(first.reshape(-1, 3), axis=0)) > 50
    box = page.box("#surface canvas")
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.drag((x, y), (x + 90, y))
    turned = settled(page, "#surface canvas")
    assert (np.abs(turned - first).max(-1) > 12).mean() > 0.02
    page.press("+")
    nearer = settled(page, "#surface canvas")
    assert (np.abs(nearer - background).max(-1) > 12).sum() > 1.1 * (np.abs(turned - background).max(-1) > 12).sum()
    click(page, '[data-do="smooth"]')
    assert (np.abs(settled(page, "#surface canvas") - nearer).max(-1) > 6).any()
    click(page, '[data-do="next"]')
    assert "2 of" in str(page.run("document.querySelector('#surface h2').textContent"))


def test_all_of_it_works_by_keys(page: Chromium) -> None:
    page.run("document.querySelector('[data-emotion=\"1\"]').focus()")
    before = shown(page)
    page.press("Enter")
    assert shown(page) > before
    page.run("document.querySelector('.tile').focus()")
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):
        page.press(key)
    assert page.run("Array.from(document.querySelectorAll('.tile')).indexOf(document.activeElement)") == 1
    assert page.run("document.querySelector('.tiles').querySelectorAll('[tabindex=\"0\"]').length") == 1
    page.press("Enter")
    page.wait("document.activeElement === document.querySelector('#surface canvas')")
    page.wait("document.querySelector('#surface h2').textContent.includes('2 of')")
    first = settled(page, "#surface canvas")
    page.press("ArrowRight")
    assert (settled(page, "#surface canvas") != first).any()
    page.press("PageDown")
    page.press("Escape")
    page.wait("!document.getElementById('surface').open")
    assert "3 of" in str(page.run("document.activeElement.getAttribute('aria-label')"))


def test_tables_sort_by_number_both_ways(page: Chromium) -> None:
    click(page, "#table-table_1 th:nth-child(4) button")
    values = "Array.from(document.querySelectorAll('#table-table_1 tbody tr'), (r) => r.cells[3].dataset.sort)"
    up = [float(v) for v in json.loads(str(page.run(f"JSON.stringify({values})"))) if v]
    assert up == sorted(up) and len(set(up)) > 5
    page.run("document.querySelector('#table-table_1 th:nth-child(4) button').focus()")
    page.press("Enter")
    assert page.run("document.querySelector('#table-table_1 th:nth-child(4)').ariaSort") == "descending"
    down = [float(v) for v in json.loads(str(page.run(f"JSON.stringify({values})"))) if v]
    assert down == sorted(down, reverse=True)


def test_figures_enlarge_and_close(page: Chromium) -> None:
    click(page, "#figure-recognition button")
    assert page.run("document.getElementById('viewer').open") is True
    page.press("Escape")
    page.wait("!document.getElementById('viewer').open")


@pytest.mark.parametrize(("width", "dark"), [(390, True), (1200, False)])
def test_it_fits_its_window_in_light_and_dark(browser: Chromium, finished: Path, width: int, dark: bool) -> None:
    browser.open(finished / "report.html", width=width, dark=dark)
    assert browser.run("document.documentElement.scrollWidth <= innerWidth") is True
    paper = picture(browser.shot())[2, 2]
    assert (paper < 60).all() if dark else (paper > 240).all()
    assert browser.problems() == []


def test_printed_tables_are_not_cut(browser: Chromium, finished: Path) -> None:
    browser.open(finished / "report.html", width=688)  # of an A4 page between its margins
    browser.send("Emulation.setEmulatedMedia", media="print")
    browser.run("dispatchEvent(new Event('beforeprint'))")
    widest = "Math.max(...Array.from(document.querySelectorAll('main table'), (t) => t.getBoundingClientRect().right))"
    assert float(str(browser.run(widest))) <= 690
    assert browser.run("document.querySelector('.controls').offsetParent") is None
    assert browser.run("Array.from(document.querySelectorAll('details.printed')).every((d) => d.open)") is True
    browser.send("Emulation.setEmulatedMedia", media="")


def test_without_webgl_a_line_says_so(browser: Chromium, finished: Path) -> None:
    browser.open(finished / "report.html")
    browser.run("""(() => {
        const own = HTMLCanvasElement.prototype.getContext;
        HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
            return kind === '2d' ? own.call(this, kind, ...rest) : null;
        };
        document.querySelector('.tile').click(); })()""")
    assert "shows no WebGL" in str(browser.run("document.querySelector('#surface .missing').innerText"))
    assert browser.run("document.querySelector('#surface canvas').offsetParent") is None
    browser.press("Escape")
    browser.wait("!document.getElementById('surface').open")
    assert browser.problems() == []


def test_hostile_names_do_nothing(browser: Chromium, fabricate: Callable[..., Path], tmp_path: Path) -> None:
    workdir = fabricate(tmp_path / "run", emotions=(HOSTILE, '"><img src=x onerror=alert(2)>'), size=16, people=3)
    path = tmp_path / "report.html"
    path.write_text(render_page(read_run(workdir), {}), "utf-8")
    browser.open(path)
    browser.wait("document.querySelector('.tile')")
    assert browser.run("document.querySelector('.emotion h3').textContent") == HOSTILE
    assert browser.run("document.scripts.length") == 2
    assert not [e for e in browser.events if e["method"] == "Page.javascriptDialogOpening"]
    click(browser, ".tile")
    browser.wait("document.querySelector('#surface h2').textContent.includes('alert(1)')")
    assert browser.problems() == [] and browser.requests() == [path.resolve().as_uri()]
