"""The pages say what is: their examples run, their drawing is that of the imports, their links lead somewhere."""

import json
import re
import shutil
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import pytest

from depthjax.__main__ import main, make_parser
from depthjax.config import Config
from tests.conftest import CHEAP, SMOKE

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
FENCE = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.M | re.S)


def blocks(page, language):
    """(title, text) of each block of a page in this language."""
    found = FENCE.findall((DOCS / page).read_text("utf-8"))
    return [(title, text) for kind, title, text in found if kind == language]


@pytest.fixture
def folder(finished, smoke_config, tmp_path, monkeypatch):
    """An empty folder with a finished toy run as `runs/quick` and `runs/mine`, where every config is the toy's."""
    for name in ("quick", "mine"):
        shutil.copytree(finished, tmp_path / "runs" / name)
    monkeypatch.setattr("depthjax.library.config_file", SimpleNamespace(load_config=lambda path: smoke_config))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_all(texts):
    """One after the other, as a reader would in one session; the names that are left."""
    names = {"__name__": "page"}
    for text in texts:
        exec(compile(text, "page", "exec"), names)
    return names


def test_the_examples_from_python_run(folder):
    names = run_all(text for _, text in blocks("how-to/from-python.md", "python"))
    assert names["faces"].images.shape == (16, 32, 32) and Path(names["page"]).exists()
    assert names["small"].data.subjects == 20 and {"mine", "cdcgan_kd"} <= set(names["scores"].values("method"))


def test_the_fitness_of_the_page_evolves(folder, monkeypatch):
    written = blocks("how-to/own-fitness.md", "python")
    for title, text in (block for block in written if block[0]):
        (folder / title).write_text(text)
    (command,) = blocks("how-to/own-fitness.md", "bash")
    arguments = command[1].split()[2:]
    assert command[1].startswith("python launch.py --config configs/quick.py --workdir runs/quick ")
    assert main(["--config", SMOKE, *CHEAP, *arguments[2:]]) == 0
    names = run_all(text for title, text in written if not title)
    assert names["faces"].images.shape == (36, 32, 32)
    assert (folder / "runs" / "quick" / "evolve" / "fitness.py").read_text() == (folder / "shallow.py").read_text()


def test_the_notebook_opens_a_finished_run(folder, monkeypatch):
    import matplotlib.pyplot as plt

    notebook = json.loads((DOCS / "notebooks" / "results.ipynb").read_text("utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(plt.gcf()))
    names = run_all("".join(cell["source"]) for cell in cells)
    assert len(shown) == 3 and names["samples"]["images"].shape == (36, 32, 32)
    plt.close("all")


def test_the_drawing_is_that_of_the_imports(load_tool):
    tool = load_tool("draw_imports")
    graph = tool.imported_by(tool.PACKAGE)
    assert tool.PICTURE.read_text("utf-8") == tool.drawing(graph), "run python tools/draw_imports.py"
    order = tool.in_order(graph)
    assert all(order.index(other) < order.index(room) for room in graph for other in graph[room])
    assert {"data", "baselines"} <= graph["methods"]


def test_the_settings_page_has_every_field(load_tool):
    tool = load_tool("docs_hooks")
    page = tool.on_page_markdown(f"{tool.SETTINGS}\n{tool.HELP}")
    for section in (field for field in fields(Config) if field.name not in ("name", "stages")):
        part = page[page.index(f"## {section.name}\n") :]
        for field in fields(section.default_factory):
            assert f"| `{field.name}` |" in part, f"{section.name}.{field.name}"
    assert "| `generations` | `int` | `100` |" in page and "on each draw, with other seeds" in page
    assert make_parser().format_help() in page


def test_every_page_is_in_the_navigation_and_the_images_are_there():
    listed = (ROOT / "mkdocs.yml").read_text("utf-8")
    for page in DOCS.rglob("*.md"):
        text, name = page.read_text("utf-8"), page.relative_to(DOCS).as_posix()
        assert name in listed or name == "faults.md"
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
            assert (page.parent / link).exists(), f"{page}: {link}"


def test_the_readme_leads_to_its_own_headings():
    text = (ROOT / "README.md").read_text("utf-8")
    headings = {re.sub(r"[^a-z0-9 -]", "", line.lstrip("# ").lower()).replace(" ", "-")
                for line in text.splitlines() if line.startswith("#")}  # fmt: skip
    links = re.findall(r"\]\(#([^)]+)\)", text)
    assert links and set(links) <= headings


def test_the_readme_leads_somewhere():
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / "README.md").read_text("utf-8")):
        assert (ROOT / link).exists(), link
