"""The sources of faces as tensorflow-datasets builders: array_record files, written without TensorFlow."""

from __future__ import annotations

import dataclasses
import itertools
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from depthjax import config as configs
from depthjax.data.checks import Checked, check
from depthjax.data.crop import CROP_SHAPE
from depthjax.data.depth_files import SUFFIXES
from depthjax.errors import UserError

PART_BYTES = 64 * 2**20  # of a split: the library holds a whole split in memory before it writes it
CROPS = "128x200 pixels, in the default emotions"


class _Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
    """Depth faces in whole camera millimetres (0 is invalid) with emotion, subject, frame and source, in order."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First version."}

    def _describe(self, shape: tuple[int, int], emotions: Iterable[str], **metadata: Any) -> tfds.core.DatasetInfo:
        columns = {
            # Plain bytes: the files are compressed as a whole.
            "depth": tfds.features.Tensor(shape=shape, dtype=np.uint16, encoding="bytes"),
            "emotion": tfds.features.ClassLabel(names=list(emotions)),
            "subject": np.int32,
            "frame": np.int32,
            "source": tfds.features.Text(),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description=type(self).__doc__,
            features=tfds.features.FeaturesDict(columns),
            supervised_keys=("depth", "emotion"),
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict(metadata),
        )

    def _parts(self, rows: Iterator[dict[str, Any]], count: int, shape: tuple[int, int]) -> dict[str, Any]:
        """Return splits of at most PART_BYTES; the library reads them in order."""
        size = max(1, PART_BYTES // (2 * shape[0] * shape[1]))
        starts = range(0, count, size)
        return {f"part_{i:05d}": self._generate_examples(itertools.islice(rows, size)) for i in range(len(starts))}

    def _generate_examples(self, rows: Iterator[dict[str, Any]]) -> Iterator[tuple[int, dict[str, Any]]]:
        return enumerate(rows)


@dataclasses.dataclass
class RenderedConfig(tfds.core.BuilderConfig):
    """Which subjects, emotions and frames, from which seed; see `depthjax.data.generate.generate`."""

    emotions: tuple[str, ...] = configs.EMOTIONS
    subjects: int = 40
    frames: int = 10
    seed: int = 0
    full_sequence: bool = True


class DepthHeads(_Builder):
    """Depth faces of subjects who do not exist, seen by a simulated Kinect v2: 128x200 pixels, in millimetres.

    Rendered from the CC0 head of MakeHuman / MPFB2.
    """

    VERSION = tfds.core.Version("1.2.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {
        "1.2.0": "Distance and place of a frame are drawn by emotion: all faces differ from those of 1.1.0.",
        "1.1.0": "In order; with names of subjects and sources.",
    }
    BUILDER_CONFIGS: ClassVar = [RenderedConfig(name="ikfdb_like", description="40 subjects, seven emotions")]

    def _info(self) -> tfds.core.DatasetInfo:
        config = self.builder_config
        return self._describe(CROP_SHAPE, config.emotions, subjects=[str(i) for i in range(config.subjects)])

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        del dl_manager  # nothing is downloaded: the head model comes with the package
        config = self.builder_config
        count = config.subjects * len(config.emotions) * config.frames
        return self._parts(self._rows(), count, CROP_SHAPE)

    def _rows(self) -> Iterator[dict[str, Any]]:
        from depthjax.data.generate import generate  # imports JAX: only when something is to be rendered

        config = self.builder_config
        wanted = {name: getattr(config, name) for name in ("emotions", "frames", "seed", "full_sequence")}
        for shots in generate(subjects=range(config.subjects), **wanted):
            for frame, depth in enumerate(shots.crops):
                source = f"seed {config.seed}, subject {shots.subject}, {shots.emotion}, frame {frame}"
                labels = {"emotion": shots.emotion, "subject": shots.subject, "frame": frame}
                yield {"depth": depth, "source": source, **labels}


@dataclasses.dataclass
class FolderConfig(tfds.core.BuilderConfig):
    """How a user's files are to be read, and `checked`: the faces, if they are checked already."""

    settings: configs.Data = dataclasses.field(default_factory=lambda: configs.Data(source="folder"))
    shape: tuple[int, int] = CROP_SHAPE
    listing: str = ""  # digest of the folder's state
    checked: Checked | None = None


class DepthFolder(_Builder):
    """Depth faces of a user's own, from a folder of each emotion under `manual_dir`."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = f"manual_dir holds a folder of each emotion, with files {', '.join(SUFFIXES)}."
    BUILDER_CONFIGS: ClassVar = [FolderConfig(name="crops", description=CROPS)]

    def _info(self) -> tfds.core.DatasetInfo:
        config = self.builder_config
        return self._describe(config.shape, config.settings.emotions, subjects=[], listing=config.listing)

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
        self.info.metadata["framing"] = checked.framing
        return self._parts(checked.rows(), len(checked.faces), checked.shape)


class Ikfdb(DepthFolder):
    """The Iranian Kinect Face Database (Mousavi and Mirinezhad 2021, SN Applied Sciences 3), from the user's own copy.

    Its licence forbids publishing any sample: what is stored stays with the user. Both layouts are read: the emotions'
    folders of the authors' later release, and person / expression / frame. Whole 512x424 frames are cropped.
    """

    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Ask the authors of IKFDB for a copy (its licence wants a signed request). manual_dir holds either the emotions'
    folders of their release (Fear/, Happiness/, Neutral/), or person / expression / frames.
    """
    BUILDER_CONFIGS: ClassVar = [FolderConfig(name="crops", description=CROPS, settings=configs.Data(source="ikfdb"))]
