"""The `depth_folder` builder: a user's own depth faces in array_record files."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from depthjax import config as configs
from depthjax.data.checks import Checked, check
from depthjax.data.crop import CROP_SHAPE
from depthjax.data.stored import features, parts
from depthjax.errors import UserError


@dataclasses.dataclass
class DepthFolderConfig(tfds.core.BuilderConfig):
    """How the files are to be read.

    Attributes:
        settings: unit, polarity, invalid, emotions, pattern and what to do about problems.
        shape: height and width of the images.
        listing: what tells this state of the folder from others.
        checked: the faces, if they are checked already.
    """

    settings: configs.Data = dataclasses.field(default_factory=lambda: configs.Data(source="folder"))
    shape: tuple[int, int] = CROP_SHAPE
    listing: str = ""
    checked: Checked | None = None


class Builder(tfds.core.GeneratorBasedBuilder):
    """Depth faces from class folders under `manual_dir`: whole millimetres, 0 is invalid."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First version."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = "manual_dir holds a folder of each emotion, with PNG, TIFF, NPY or NPZ files."
    BUILDER_CONFIGS: ClassVar[list[tfds.core.BuilderConfig]] = [
        DepthFolderConfig(name="crops", description="128x200 pixels, in the package's default emotions")
    ]

    def _info(self) -> tfds.core.DatasetInfo:
        config = self.builder_config
        return self.dataset_info_from_configs(
            features=features(config.shape, config.settings.emotions),
            supervised_keys=("depth", "emotion"),
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict(subjects=[], listing=config.listing),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        config = self.builder_config
        checked = config.checked
        if checked is None:
            self._spool = tempfile.TemporaryDirectory()  # goes when the builder goes
            checked = check(config.settings, Path(dl_manager.manual_dir), Path(self._spool.name), log=print)
        if checked.shape != tuple(config.shape):
            raise UserError(
                f"the images are {checked.shape}, the builder's config says {config.shape}: change its shape"
            )
        self.info.metadata["subjects"] = list(checked.subjects)
        return parts(self._generate_examples(checked), len(checked.faces), checked.shape)

    def _generate_examples(self, checked: Checked) -> Iterator[dict[str, Any]]:
        yield from checked.rows()
