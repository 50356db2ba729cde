"""Imports point one way, from data in to report out, and the pure packages stay pure."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "depthjax"
FLOW = ("_version", "errors", "scores", "signals", "lock", "files", "artifact", "safetensors_file",
        "config_bounds", "config", "config_values", "config_file", "fonts", "keys", "parallel", "precision", "progress",
        "stages", "environment", "data", "models", "train", "baselines", "evolve", "evaluate",
        "report", "export", "evolving", "cdcgan_kd", "methods", "recogniser", "few", "pipeline", "library",
        "__main__")  # fmt: skip
# What a package may import besides itself and BASE.
ALLOWED = {
    "train": {"data", "models"},
    "baselines": {"data", "models", "train"},
    "evolve": {"data", "models"},
    "evaluate": {"data", "models"},
    "report": {"data", "stages"},
    "export": {"data"},
    "evolving": {"data", "train", "evolve"},
    "cdcgan_kd": {"data", "models", "train", "evolving"},
    "methods": {"data", "models", "baselines", "cdcgan_kd"},
    "few": {"data", "models", "train", "evolve", "evaluate", "report", "evolving", "cdcgan_kd"},
    "recogniser": {"data", "evaluate"},
    "pipeline": {"environment", "stages", "data", "train", "evaluate", "report", "export", "evolving",
                 "cdcgan_kd", "methods", "recogniser", "few"},
    "library": {"config_file", "data", "evaluate", "pipeline", "methods", "recogniser", "report", "stages"},
    "__init__": {"library"},
    "__main__": {"config_file", "environment", "pipeline", "report", "stages"},
}  # fmt: skip
BASE = {"_version", "errors", "scores", "signals", "lock", "files", "artifact", "safetensors_file", "config_bounds",
        "config", "config_values", "config_file", "fonts", "keys", "parallel", "precision", "progress"}  # fmt: skip
PURE = (
    "models",
    "evolve",
    "train/step.py",
    "train/state.py",
)


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module, [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)


def packages(path):
    for module, names in imports(path):
        if module == "depthjax":
            yield from (n if n in FLOW else "__init__" for n in names)
        elif module.startswith("depthjax."):
            yield module.split(".")[1]


FILES = sorted(ROOT.rglob("*.py"))


def test_a_package_imports_only_what_comes_before_it():
    for path in FILES:
        package = path.relative_to(ROOT).parts[0].removesuffix(".py")
        allowed = ALLOWED.get(package, set()) | BASE | {package}
        assert set(packages(path)) <= allowed, path


@pytest.mark.parametrize("part", PURE)
def test_pure_packages_touch_no_file_and_print_nothing(part):
    paths = [ROOT / part] if part.endswith(".py") else sorted((ROOT / part).glob("*.py"))
    for path in paths:
        names = {n.id for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Name)}
        assert not names & {"open", "print", "Path"}, path
        modules = {module.split(".")[0] for module, _ in imports(path)}
        assert not modules & {"os", "pathlib", "random", "time", "sys"}, path


def test_nothing_heavy_is_imported_before_the_flags_are_checked():
    import subprocess
    import sys

    heavy = ("jax", "numpy", "sklearn", "matplotlib")
    code = f"import sys, depthjax.__main__; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def calls(path, name):
    """Every call of `name` (`np.load`, `load`), as its keywords by name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == name:
            yield {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}


def test_nothing_unpickles():
    folders = ("tools", "benchmarks", "configs", "experiments")
    tools = [path for folder in folders for path in (ROOT.parent / folder).glob("*.py")]
    for path in (*FILES, *tools):
        modules = {module.split(".")[0] for module, _ in imports(path)}
        assert not modules & {"pickle", "dill", "cloudpickle", "shelve", "marshal"}, path
        text = path.read_text()
        assert not any(word in text for word in ("allow_pickle=True", "joblib.load", "eval(input")), path
        assert all(given.get("weights_only") == "True" for given in calls(path, "torch.load")), path
        for name in ("np.load", "numpy.load"):
            assert all(given.get("allow_pickle") == "False" for given in calls(path, name)), path


def test_nothing_is_evaluated():
    for path in FILES:
        names = {n.func.id for n in ast.walk(ast.parse(path.read_text()))
                 if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}  # fmt: skip
        assert not names & {"eval", "exec", "compile", "__import__"}, path
