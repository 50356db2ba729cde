"""Training faces on the device: all at once if they fit, else streamed from disk."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from depthjax.config import Config
from depthjax.data.faces import DepthFaces
from depthjax.train.mesh import on_devices, replicated, split
from depthjax.train.step import Batch

MEGABYTE = 2**20


class ResidentFeed:
    """The whole training set on the device, once; on a mesh whole on each device, for any may need any face."""

    streamed = False  # whether `take` gives the batches of a dispatch, or the whole training set

    def __init__(self, faces: DepthFaces, mesh: Mesh | None) -> None:
        self.mesh, self.sharding = mesh, None if mesh is None else replicated(mesh)
        arrays = (np.asarray(faces.images, np.float32), np.asarray(faces.emotion, np.int32))
        self.shapes = Batch(*on_devices(arrays, self.sharding))

    def take(self, count: int) -> Batch:
        """Return the same arrays every time: the program itself shuffles them."""
        del count
        return self.shapes


class StreamedFeed:
    """Batches that grain reads ahead, in an order that depends on the seed and the step alone.

    Each epoch is a new permutation of all faces, cut into full batches; the remainder is left out of that epoch. (It is
    not the permutation of a set on the device: a training resumed with another budget gets other batches.)
    """

    streamed = True

    def __init__(self, config: Config, faces: DepthFaces, step: int, mesh: Mesh | None) -> None:
        self.mesh, self.sharding = mesh, None if mesh is None else split(mesh, axis=1)
        self._max_steps, size = config.train.steps_per_dispatch, config.train.batch_size
        self._batches = streamed_batches(faces, batch_size=size, seed=config.train.seed, first=step)
        pixels = faces.images.shape[1:]
        self.shapes = Batch(
            jax.ShapeDtypeStruct((self._max_steps, size, *pixels), jnp.float32),  # type: ignore[arg-type]
            jax.ShapeDtypeStruct((self._max_steps, size), jnp.int32),  # type: ignore[arg-type]
        )

    def take(self, count: int) -> Batch:
        """Return `count` batches, and zeros up to the length that the program was compiled for."""
        rows = [next(self._batches) for _ in range(count)]
        images, emotion = (np.zeros(s.shape, s.dtype) for s in self.shapes)
        for i, row in enumerate(rows):
            images[i], emotion[i] = row["images"], row["emotion"]
        return Batch(*on_devices((images, emotion), self.sharding))


Feed = ResidentFeed | StreamedFeed  # where the loop takes its faces from


def feed_for(config: Config, faces: DepthFaces, step: int, mesh: Mesh | None = None) -> Feed:
    """Return the feed of a training at `step`: resident up to `data.device_budget` megabytes, else streamed."""
    fits = faces.images.size * np.float32().itemsize <= config.data.device_budget * MEGABYTE
    return ResidentFeed(faces, mesh) if fits else StreamedFeed(config, faces, step, mesh)


def streamed_batches(faces: DepthFaces, *, batch_size: int, seed: int, first: int) -> Iterator[dict[str, np.ndarray]]:
    """Yield batches of `images` (b, h, w) and `emotion` (b,) without end, from batch number `first` on."""
    import grain  # takes seconds to import

    rows: Any = grain.MapDataset.source(_Rows(faces)).seed(seed).shuffle()
    batches = rows.batch(batch_size, drop_remainder=True).repeat()
    ahead = iter(batches.to_iter_dataset(grain.ReadOptions(num_threads=4, prefetch_buffer_size=64)))
    ahead.set_state({"next_index": first})
    return ahead


class _Rows:
    """Faces one by one, as grain wants a source."""

    def __init__(self, faces: DepthFaces) -> None:
        self._faces = faces

    def __len__(self) -> int:
        return len(self._faces)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        return {"images": np.asarray(self._faces.images[index]), "emotion": self._faces.emotion[index]}
