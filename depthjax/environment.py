"""The environment of a run: versions, devices, git revision, seeds."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from depthjax._version import __version__
from depthjax.config import Config, to_dict

PACKAGES = (
    "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "evosax", "numpy", "scipy", "scikit-image", "scikit-learn",
    "xgboost", "xgboost-cpu", "tensorflow-datasets", "grain", "array-record", "trimesh", "pillow",
)  # fmt: skip


def describe(config: Config) -> dict[str, Any]:
    """Return the content of `environment.json`."""
    import jax

    seeds = {name: section["seed"] for name, section in to_dict(config).items() if "seed" in section}
    return {
        "depthjax": __version__,
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := version_of(name))},
        "platform": platform.platform(),
        "processor": processor(),
        "cpu_count": os.cpu_count(),
        "devices": [f"{device.platform}: {device.device_kind}" for device in jax.devices()],
        "git_revision": _git_revision(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seeds": seeds,
    }


def version_of(package: str) -> str | None:
    """Return the version of an installed package, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def processor() -> str:
    """Return the name of the processor's model."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _git_revision() -> str | None:
    """Return the revision of the checkout that the package is imported from; None for an installed wheel."""
    root = Path(__file__).parents[1]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
