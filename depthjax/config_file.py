"""A config file: Python whose `get_config()` gives the numbers of a run."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from depthjax.config import Config, validate
from depthjax.errors import ConfigError, UserError


def load_config(path: Path) -> Config:
    """Run a config file and take its `get_config()`.

    A config is Python: run only files that you trust.
    """
    if not path.is_file():
        raise ConfigError(f"--config {path}: no such file")
    folder = str(path.resolve().parents[1])
    if folder not in sys.path:
        sys.path.insert(0, folder)  # configs derive from each other by `from configs import ...`
    spec = importlib.util.spec_from_file_location("config_of_this_run", path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"--config {path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        config = module.get_config()
    except UserError:
        raise
    except Exception as error:  # whatever a user's file may do wrong
        raise ConfigError(f"--config {path}: {type(error).__name__}: {error}") from None
    if not isinstance(config, Config):
        raise ConfigError(f"--config {path}: get_config() must return a depthjax Config")
    return validate(config)
