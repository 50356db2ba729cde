"""Every method that makes faces, ours too, behind one contract."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from depthjax import cdcgan_kd
from depthjax.baselines import gan, gmm, kde, vae
from depthjax.baselines.fits import Baseline, fit_once, sample_fit
from depthjax.cdcgan_kd import Drawn
from depthjax.config import METHODS as LABELS
from depthjax.config import Config
from depthjax.data.faces import DepthFaces
from depthjax.keys import key_for
from depthjax.progress import Log, with_prefix


@dataclass(frozen=True)
class Method:
    """A method of `config.sample.methods`.

    Attributes:
        name: its key in the config and in every table.
        needs: the stages that fit it, in order; `fit` does the last of them.
        fit: (config, workdir, training faces, log) → the files and folders that it wrote. A finished fit of the same
            settings and faces is kept, an unfinished one goes on or starts again, another one is a UserError.
        sample: (config, workdir, emotions (n,) int32) → the faces, of `config.sample.seed`; the same call returns the
            same faces. UserError: no finished fit of these settings, or a damaged file.
        seed: (config) → the seed that decides which faces are drawn.
    """

    name: str
    needs: tuple[str, ...]
    fit: Callable[[Config, Path, DepthFaces, Log], list[Path]]
    sample: Callable[[Config, Path, np.ndarray], Drawn]
    seed: Callable[[Config], int] = lambda config: config.sample.seed

    @property
    def label(self) -> str:
        """Its name in the report."""
        return LABELS[self.name]


def _baseline(name: str, module: Baseline) -> Method:
    def fit(config: Config, workdir: Path, faces: DepthFaces, log: Log) -> list[Path]:
        key, folder = key_for(config.baselines.seed, f"fit {name}"), workdir / "baselines" / name
        fit_once(module, key, config, faces, folder, log=with_prefix(name, log))
        return [folder]

    def sample(config: Config, workdir: Path, emotion: np.ndarray) -> Drawn:
        key = key_for(config.sample.seed, f"sample {name}")
        images = sample_fit(module, key, config, workdir / "baselines" / name, emotion)
        return Drawn(images, emotion, np.zeros((len(images), 0), np.float32))

    return Method(name, ("baselines",), fit, sample)


REGISTRY = {
    method.name: method
    for method in (
        _baseline("gan", gan),
        _baseline("vae", vae),
        _baseline("gmm", gmm),
        _baseline("kde", kde),
        Method("cdcgan_kd", ("train",), cdcgan_kd.fit, cdcgan_kd.sample),
        Method(
            "cdcgan_kd_ga",
            ("train", "evolve"),
            cdcgan_kd.evolve,
            cdcgan_kd.sample_evolved,
            seed=lambda config: config.evolve.seed,
        ),
    )
}
