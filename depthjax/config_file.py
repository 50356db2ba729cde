"""Python files of the user: a config, whose `get_config()` returns the settings of a run, or a fitness."""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from depthjax.config import Config
from depthjax.config_values import validate
from depthjax.errors import ConfigError, UserError

PACKAGE = Path(__file__).parent


def load_config(path: Path) -> Config:
    """Return what `get_config()` of a config file, or of one that comes with depthjax (`quick`), returns, checked.

    A config is Python: run only files that you trust. Any mistake in it is a ConfigError.
    """
    path = find_config(path)
    # Configs derive from each other by `from configs import ...`: from those beside them, or those that are shipped.
    beside, own = str(path.resolve().parents[1]), str(shipped())
    sys.path[:0] = [] if beside in sys.path else [beside]
    sys.path += [] if own in sys.path else [own]
    module = run_file(path, "--config", "config_of_this_run")
    with said_of(f"--config {path}"):
        config = module.get_config()
    if not isinstance(config, Config):
        raise ConfigError(f"--config {path}: get_config() must return a depthjax Config")
    return validate(config)


def find_config(path: Path) -> Path:
    """Return the file, or the one of that name that comes with depthjax."""
    if path.is_file():
        return path
    named = {file.stem: file for file in sorted((shipped() / "configs").glob("*.py"))}
    if str(path) in named:
        return named[str(path)]
    raise ConfigError(f"--config {path}: no such file; those that come with depthjax go by name: {', '.join(named)}")


def shipped() -> Path:
    """Return the folder that holds `configs/` as it comes with depthjax: in a wheel, or the checkout."""
    return PACKAGE / "shipped" if (PACKAGE / "shipped").is_dir() else PACKAGE.parent


def run_file(path: Path, flag: str, name: str) -> ModuleType:
    """Run a Python file that the user named, as a module of this name; raise a ConfigError for any mistake in it."""
    if not path.is_file():
        raise ConfigError(f"{flag} {path}: no such file")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{flag} {path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    with said_of(f"{flag} {path}"):
        spec.loader.exec_module(module)
    return module


@contextmanager
def said_of(what: str) -> Iterator[None]:
    """Turn any error of the user's code within the block into one line that begins with `what`."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        first = str(error).strip().partition("\n")[0]  # jax explains on many lines
        raise ConfigError(f"{what}: {type(error).__name__}: {first}") from None
