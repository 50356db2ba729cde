"""depthjax: labelled depth faces of emotions, generated from few subjects.

From Python, a run is a config and a folder, as it is on the command line (see `depthjax.library`):

    import depthjax

    config = depthjax.load_config("configs/quick.py", {"data.subjects": 20})
    depthjax.train_methods(config, "runs/mine")
    faces = depthjax.sample_faces(config, "runs/mine", emotions=("fear",), count=16)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from depthjax._version import __version__

if TYPE_CHECKING:
    from depthjax.library import evaluate_faces, evolve_latents, load_config, load_faces  # isort: skip
    from depthjax.library import recognise, sample_faces, train_methods, write_report

__all__ = [
    "__version__", "evaluate_faces", "evolve_latents", "load_config", "load_faces", "recognise", "sample_faces",
    "train_methods", "write_report",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Return a function of `depthjax.library`, imported when one is asked for: it brings jax along."""
    if name in __all__:
        return getattr(import_module("depthjax.library"), name)
    raise AttributeError(f"module 'depthjax' has no attribute '{name}'")
