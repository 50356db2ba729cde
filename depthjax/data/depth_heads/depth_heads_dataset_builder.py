"""The `depth_heads` builder: rendered depth faces in array_record files."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from depthjax.config import EMOTIONS
from depthjax.data.crop import CROP_SHAPE


@dataclasses.dataclass
class DepthHeadsConfig(tfds.core.BuilderConfig):
    """Which people, emotions and frames, from which seed; see `depthjax.data.generate.generate`."""

    emotions: tuple[str, ...] = EMOTIONS
    subjects: int = 40
    frames: int = 10
    seed: int = 0
    full_sequence: bool = True


class Builder(tfds.core.GeneratorBasedBuilder):
    """Depth faces of people who do not exist: 128x200 pixels, whole millimetres, 0 is no return."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}  # noqa: RUF012 (the base class declares it so)
    BUILDER_CONFIGS = [DepthHeadsConfig(name="ikfdb_like", description="40 people, seven emotions")]  # noqa: RUF012

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "depth": tfds.features.Tensor(shape=CROP_SHAPE, dtype=np.uint16, encoding="zlib"),
                    "emotion": tfds.features.ClassLabel(names=list(self.builder_config.emotions)),
                    "subject": np.int32,
                    "frame": np.int32,
                }
            ),
            supervised_keys=("depth", "emotion"),
            homepage="https://static.makehumancommunity.org/",
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        del dl_manager  # nothing is downloaded: the head model comes with the package
        return {"faces": self._generate_examples()}

    def _generate_examples(self) -> Iterator[tuple[str, dict[str, Any]]]:
        from depthjax.data.generate import generate  # imports JAX: only when something is to be rendered

        config = self.builder_config
        for shots in generate(
            subjects=range(config.subjects),
            emotions=config.emotions,
            frames=config.frames,
            seed=config.seed,
            full_sequence=config.full_sequence,
        ):
            for frame, depth in enumerate(shots.crops):
                name = f"{shots.subject:05d}_{shots.emotion}_{frame:05d}"
                row = {"depth": depth, "emotion": shots.emotion, "subject": shots.subject, "frame": frame}
                yield name, row
