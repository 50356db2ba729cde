"""depthjax: labelled, emotional depth faces, learnt from few.

From Python, a run is what it is to the launcher, a config and a folder (see `depthjax.library`):

    import depthjax

    config = depthjax.configure("configs/quick.py", {"data.subjects": 20})
    depthjax.fit_methods(config, "runs/mine")
    faces = depthjax.sample_faces(config, "runs/mine", emotions=("fear",), count=16)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from depthjax._version import __version__

if TYPE_CHECKING:
    from depthjax.library import (
        configure,
        evolve_latents,
        fit_methods,
        judge_faces,
        load_faces,
        sample_faces,
        write_report,
    )

__all__ = [
    "__version__",
    "configure",
    "evolve_latents",
    "fit_methods",
    "judge_faces",
    "load_faces",
    "sample_faces",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """The functions of `depthjax.library`, imported when one is asked for: they bring jax along."""
    if name in __all__:
        return getattr(import_module("depthjax.library"), name)
    raise AttributeError(f"module 'depthjax' has no attribute '{name}'")
