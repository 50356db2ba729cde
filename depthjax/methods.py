"""Every method that makes faces, ours too, behind one contract; their faces, written as labelled images."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import numpy as np
from PIL import Image

from depthjax import cdcgan_kd
from depthjax.baselines import gan, rs_imle, vae
from depthjax.baselines.densities import GMM, KDE
from depthjax.baselines.fits import Baseline, fit_once, sample_fit
from depthjax.cdcgan_kd import Drawn
from depthjax.config import Config
from depthjax.data.depth_range import DepthRange, quantise
from depthjax.data.faces import DepthFaces, made_faces
from depthjax.data.noise import lowpass_face, read_noise, with_training_noise
from depthjax.errors import UserError
from depthjax.files import cached_arrays, digest, read_arrays, replacing_folder, write_arrays
from depthjax.keys import key_for
from depthjax.models.inversion import Decoder, invert
from depthjax.progress import Log, with_prefix

Decoding = Callable[[Config, Path], Decoder]


@dataclass(frozen=True)
class Method:
    """A method of `config.sample.methods`.

    Attributes:
        needs: the stages that fit it, in order; `fit` does the last of them.
        fit: (config, workdir, training faces, log) → the files and folders that it wrote. A finished fit of the same
            settings and faces is kept, an unfinished one goes on or starts again, another one is a UserError.
        sample: (config, workdir, emotions (n,) int32) → the faces, of `config.sample.seed`; the same call returns the
            same faces. UserError: no finished fit of these settings, or a damaged file.
        lowpass_inside: whether its generator is ours, which has `model.output_lowpass`.
        seed: (config) → the seed that decides which faces are drawn.
        decoder: (config, workdir) → the generator of its faces from latents, of a finished fit; None: it has none.
    """

    name: str
    needs: tuple[str, ...]
    fit: Callable[[Config, Path, DepthFaces, Log], list[Path]]
    sample: Callable[[Config, Path, np.ndarray], Drawn]
    lowpass_inside: bool = False
    seed: Callable[[Config], int] = lambda config: config.sample.seed
    decoder: Decoding | None = None


def _baseline(name: str, module: Baseline, decoder: Decoding | None = None, *, lowpass_inside: bool = False) -> Method:
    def fit(config: Config, workdir: Path, faces: DepthFaces, log: Log) -> list[Path]:
        key, folder = key_for(config.baselines.seed, f"fit {name}"), workdir / "baselines" / name
        fit_once(module, key, config, faces, folder, log=with_prefix(name, log))
        return [folder]

    def sample(config: Config, workdir: Path, emotion: np.ndarray) -> Drawn:
        key = key_for(config.sample.seed, f"sample {name}")
        images = sample_fit(module, key, config, workdir / "baselines" / name, emotion)
        return Drawn(images, emotion, np.zeros((len(images), 0), np.float32))

    found = decoder and (lambda config, workdir: decoder(config, workdir / "baselines" / name))
    return Method(name, ("baselines",), fit, sample, lowpass_inside, decoder=found)


REGISTRY = {
    method.name: method
    for method in (
        _baseline("gan", gan, gan.decoder),
        _baseline("vae", vae, vae.decoder),
        _baseline("gmm", GMM),
        _baseline("kde", KDE),
        _baseline("rs_imle", rs_imle, lowpass_inside=True),
        Method("cdcgan_kd", ("train",), cdcgan_kd.fit, cdcgan_kd.sample, True, decoder=cdcgan_kd.decoder),
        Method(
            "cdcgan_kd_ga",
            ("train", "evolve"),
            cdcgan_kd.evolve,
            cdcgan_kd.sample_evolved,
            lowpass_inside=True,
            seed=lambda config: config.evolve.seed,
            decoder=cdcgan_kd.decoder,
        ),
    )
}


def draw(config: Config, workdir: Path) -> Iterator[tuple[str, Drawn]]:
    """Yield each method of `sample.methods` with its faces, `sample.count` of every emotion asked for."""
    emotion = asked_emotions(config)
    for name in config.sample.methods:
        yield name, finished(config, workdir, name, REGISTRY[name].sample(config, workdir, emotion))


def finished(config: Config, workdir: Path, name: str, drawn: Drawn) -> Drawn:
    """Apply `sample.lowpass` and `sample.noise` to the faces of any method."""
    images, settings = drawn.images, config.sample
    # Faces of a generator that has a low-pass get no second one.
    filtered = REGISTRY[name].lowpass_inside and config.model.output_lowpass > 0
    if settings.lowpass and not filtered:
        images = lowpass_face(images, settings.lowpass)
    if settings.noise:
        images = with_training_noise(images, drawn.emotion, read_noise(workdir), seed=settings.seed, name=name)
    return drawn._replace(images=images)


def inversions(config: Config, workdir: Path) -> dict[str, Callable[[DepthFaces], np.ndarray]]:
    """Return, by method that has a decoder, the function (n faces) → the (n,) errors of `invert`; kept in files."""
    decoders = {name: REGISTRY[name].decoder for name in config.sample.methods}
    return {name: partial(_errors, decoder, config, workdir) for name, decoder in decoders.items() if decoder}


def _errors(decoding: Decoding, config: Config, workdir: Path, faces: DepthFaces) -> np.ndarray:
    decoder, steps, seed = decoding(config, workdir), config.evaluate.inversion_steps, config.evaluate.seed
    weights = [np.asarray(leaf) for leaf in jax.tree.leaves(decoder.variables)]
    name = digest(*weights, faces.images, faces.emotion, str(decoder.generator), steps, seed, "inversion 1")
    images, key = faces.images, key_for(seed, "invert")
    path = workdir / "features" / f"inversion-{name[:32]}.npz"
    return cached_arrays(path, lambda: {"errors": invert(key, decoder, images, faces.emotion, steps=steps)})["errors"]


def asked_emotions(config: Config) -> np.ndarray:
    """Return (n,) int32: the labels of the faces that the config asks for."""
    names = config.sample.emotions or config.data.emotions
    return np.repeat(np.array([config.data.emotions.index(e) for e in names], np.int32), config.sample.count)


def write_samples(folder: Path, drawn: Drawn, emotions: tuple[str, ...]) -> None:
    """Write `folder/EMOTION/NNNNN.png` (8 bits, darker is closer) and `folder/samples.npz`, whole or not at all."""
    if not np.isfinite(drawn.images).all():
        raise UserError(
            f"{folder.name}: faces that are not finite were drawn: its networks are damaged, train them again"
        )
    grey = quantise(drawn.images)
    with replacing_folder(folder) as temporary:
        for label in np.unique(drawn.emotion):
            (temporary / emotions[label]).mkdir()
            for number, image in enumerate(grey[drawn.emotion == label]):
                Image.fromarray(image).save(temporary / emotions[label] / f"{number:05d}.png")
        arrays = drawn._asdict()
        between = arrays.pop("between")
        write_arrays(temporary / "samples.npz", **arrays)
        if between is not None:
            write_arrays(temporary / "interpolation.npz", images=between)


def read_samples(folder: Path, config: Config) -> DepthFaces:
    """Return the samples of one method; see `as_faces`."""
    stored = read_arrays(folder / "samples.npz")
    return as_faces(stored["images"], stored["emotion"], config)


def as_faces(images: np.ndarray, emotion: np.ndarray, config: Config) -> DepthFaces:
    """Return images (n, h, w) in [-1, 1] with labels (n,) as faces; every face is a subject of its own."""
    return made_faces(images, emotion, config.data.emotions, DepthRange.of(config.data))
