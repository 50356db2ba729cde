"""Toy faces whose emotions no one can mistake, and every method fitted to them once."""

import jax
import numpy as np
import pytest

from depthjax.baselines import gan, rs_imle, vae
from depthjax.baselines.densities import GMM, KDE
from depthjax.baselines.fits import fit_once
from depthjax.config import Baselines, Config, Data, Model, Train
from depthjax.data.depth_range import DepthRange
from depthjax.data.faces import DepthFaces
from depthjax.progress import no_log

MODULES = {"gan": gan, "vae": vae, "gmm": GMM, "kde": KDE, "rs_imle": rs_imle}


@pytest.fixture(scope="session")
def config():
    return Config(
        name="test",
        data=Data(resolution=16),
        model=Model(latent_size=8, generator_width=32, discriminator_width=8),
        train=Train(
            epochs=120,
            batch_size=24,
            generator_lr=2e-3,
            discriminator_lr=5e-4,  # of four seeds the GAN learns all emotions with each; at 1e-3 with two
            steps_per_dispatch=16,
            samples_every_epochs=120,
            save_every_epochs=120,
            mirror=True,
        ),
        baselines=Baselines(
            vae_epochs=20,
            vae_latent_size=4,
            vae_width=16,
            vae_lr=1e-2,
            rs_imle_epochs=40,
            rs_imle_lr=1e-2,
            folds=3,
            pca=(2, 4),
            gmm_components=(1, 2),
        ),
    )


@pytest.fixture(scope="session")
def faces(config):
    """Eight people, each emotion a band of its own that is near; people differ in how near all of them is."""
    emotion, subject, frame = (a.ravel().astype(np.int32) for a in np.mgrid[:3, :8, :4])
    rng = np.random.default_rng(0)
    images = np.full((len(emotion), 16, 16), 0.5) + rng.normal(0, 0.05, (len(emotion), 16, 16))
    images += np.linspace(-0.3, 0.3, 8)[subject][:, None, None]
    for image, label in zip(images, emotion, strict=True):
        image[5 * label : 5 * label + 5] -= 1
    window = DepthRange(config.data.near_mm, config.data.far_mm)
    return DepthFaces(images.astype(np.float32).clip(-1, 1), emotion, subject, frame, config.data.emotions, window)


@pytest.fixture(scope="session")
def fitted(config, faces, tmp_path_factory):
    """(name) → the folder of the method's fit; never write in it."""
    folders = {}

    def fit(name):
        if name not in folders:
            folders[name] = tmp_path_factory.mktemp(name)
            fit_once(MODULES[name], jax.random.key(1), config, faces, folders[name], log=no_log)
        return folders[name]

    return fit
