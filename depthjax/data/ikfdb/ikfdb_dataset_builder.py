"""The `ikfdb` builder: a user's own copy of IKFDB, in either layout, in array_record files."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import tensorflow_datasets as tfds

from depthjax import config as configs
from depthjax.data.depth_folder import depth_folder_dataset_builder as depth_folder


@dataclasses.dataclass
class IkfdbConfig(depth_folder.DepthFolderConfig):
    """As for any folder, but whole 512x424 frames are cropped, and people's folders may come first."""

    settings: configs.Data = dataclasses.field(default_factory=lambda: configs.Data(source="ikfdb"))


class Builder(depth_folder.Builder):
    """IKFDB from `manual_dir`: faces of 128x200 pixels in whole millimetres, 0 is invalid."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First version."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Ask the authors of IKFDB for a copy (its licence wants a signed request). manual_dir holds either the emotions'
    folders of their release (Fear/, Happiness/, Neutral/), or person / expression / frames.
    """
    BUILDER_CONFIGS: ClassVar[list[tfds.core.BuilderConfig]] = [
        IkfdbConfig(name="crops", description="128x200 pixels, in the package's default emotions")
    ]
