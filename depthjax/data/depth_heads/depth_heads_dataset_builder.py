"""The `depth_heads` builder: rendered depth faces in array_record files."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import tensorflow_datasets as tfds

from depthjax.config import EMOTIONS
from depthjax.data.crop import CROP_SHAPE
from depthjax.data.stored import features, parts


@dataclasses.dataclass
class DepthHeadsConfig(tfds.core.BuilderConfig):
    """Which people, emotions and frames, from which seed; see `depthjax.data.generate.generate`."""

    emotions: tuple[str, ...] = EMOTIONS
    subjects: int = 40
    frames: int = 10
    seed: int = 0
    full_sequence: bool = True


class Builder(tfds.core.GeneratorBasedBuilder):
    """Depth faces of people who do not exist: 128x200 pixels, whole millimetres, 0 is invalid."""

    VERSION = tfds.core.Version("1.1.0")
    RELEASE_NOTES = {"1.1.0": "In order; with names of people and sources."}  # noqa: RUF012 (declared so by the base)
    BUILDER_CONFIGS = [DepthHeadsConfig(name="ikfdb_like", description="40 people, seven emotions")]  # noqa: RUF012

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=features(CROP_SHAPE, self.builder_config.emotions),
            supervised_keys=("depth", "emotion"),
            homepage="https://static.makehumancommunity.org/",
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict(subjects=[str(i) for i in range(self.builder_config.subjects)]),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        del dl_manager  # nothing is downloaded: the head model comes with the package
        config = self.builder_config
        count = config.subjects * len(config.emotions) * config.frames
        return parts(self._generate_examples(), count, CROP_SHAPE)

    def _generate_examples(self) -> Iterator[dict[str, Any]]:
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
                source = f"seed {config.seed}, person {shots.subject}, {shots.emotion}, frame {frame}"
                row = {"depth": depth, "emotion": shots.emotion, "subject": shots.subject, "frame": frame}
                yield row | {"source": source}
