"""The contract of every method, ours too."""

import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from depthjax import cdcgan_kd, pipeline, stages
from depthjax.config import METHODS, Baselines, Config, Data, Evolve, Model, Train
from depthjax.data.depth_range import DepthRange
from depthjax.data.faces import DepthFaces
from depthjax.errors import UserError
from depthjax.methods import REGISTRY, inversions
from depthjax.progress import no_log
from tests.conftest import METHODS as FITTED

EMOTION = np.array([2, 0, 2, 0, 2], np.int32)


@pytest.fixture(scope="module")
def config():
    return Config(
        data=Data(resolution=16),
        model=Model(latent_size=4, generator_width=16, discriminator_width=4),
        train=Train(epochs=1, batch_size=8, steps_per_dispatch=3, samples_every_epochs=1, save_every_epochs=1),
        evolve=Evolve(fitness="paper", generations=2, population=4, islands=1, hall_of_fame=3),
        baselines=Baselines(
            vae_epochs=1,
            vae_latent_size=2,
            vae_width=16,
            rs_imle_epochs=1,
            folds=2,
            pca=(2,),
            gmm_components=(1,),
        ),
    )


@pytest.fixture(scope="module")
def faces(config):
    emotion, subject, frame = (a.ravel().astype(np.int32) for a in np.mgrid[:3, :4, :2])
    images = np.random.default_rng(0).uniform(-1, 1, (24, 16, 16)).astype(np.float32)
    return DepthFaces(images, emotion, subject, frame, config.data.emotions, DepthRange.of(config.data))


def test_the_registry_holds_every_method_and_names_the_stages_that_fit_it():
    assert set(REGISTRY) == set(METHODS)
    assert all(name == method.name and set(method.needs) <= set(stages.STAGES) for name, method in REGISTRY.items())
    assert tuple(pipeline.ALL) == stages.KNOWN


def test_settings_that_change_no_file_repeat_no_stage(config):
    def fingerprints(**changes):
        changed = replace(config, train=replace(config.train, **changes))
        return [stage.fingerprint(changed) for stage in pipeline.ALL.values()]

    assert fingerprints(writers=("tensorboard",), strict_checkpoints=True) == fingerprints()
    assert fingerprints(mirror=True) != fingerprints()


@pytest.mark.parametrize(("log", "quiet"), [(no_log, True), (print, False)])
def test_training_is_quiet_without_a_log(log, quiet, config, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(cdcgan_kd, "train", lambda *_, quiet: asked.append(quiet) or SimpleNamespace(step=3))
    cdcgan_kd.fit(config, tmp_path, None, log)
    assert asked == [quiet]


@pytest.mark.parametrize("name", FITTED)
def test_a_fitted_method_samples_the_emotions_asked_for(name, finished, smoke_config):
    samples_what_is_asked_for(name, smoke_config, finished)


@pytest.mark.nightly
def test_every_method_is_fitted_and_sampled(config, faces, tmp_path):
    for name, method in REGISTRY.items():
        written = method.fit(config, tmp_path, faces, no_log)
        assert written and all(path.exists() for path in written)
        samples_what_is_asked_for(name, config, tmp_path)


def samples_what_is_asked_for(name, config, workdir):
    drawn, again = (REGISTRY[name].sample(config, workdir, EMOTION) for _ in range(2))
    assert drawn.images.shape == (5, config.data.resolution, config.data.resolution)
    assert drawn.images.dtype == np.float32 and np.isfinite(drawn.images).all() and np.abs(drawn.images).max() <= 1
    assert len(drawn.latents) == 5 and (drawn.emotion == EMOTION).all()
    np.testing.assert_array_equal(drawn.images, again.images)


def test_generators_are_inverted_once_for_the_same_faces(finished, smoke_config, tmp_path, monkeypatch):
    calls, workdir = [], shutil.copytree(finished, tmp_path / "run")
    faces = pipeline.prepared_faces(smoke_config, workdir, "test")

    def invert(key, decoder, images, emotion, *, steps):
        calls.append(steps)
        return images.mean(axis=(1, 2)) + len(calls)

    monkeypatch.setattr("depthjax.methods.invert", invert)
    of = inversions(smoke_config, workdir)
    errors = {name: errors_of(faces.take(np.arange(3))) for name, errors_of in of.items()}
    assert set(errors) == {"cdcgan_kd", "cdcgan_kd_ga"}
    assert calls == [smoke_config.evaluate.inversion_steps]  # evolved and random latents have one generator
    np.testing.assert_array_equal(errors["cdcgan_kd"], errors["cdcgan_kd_ga"])
    of["cdcgan_kd"](faces.take(np.arange(4)))
    assert len(calls) == 2


def test_methods_with_a_generator_have_a_decoder():
    assert [name for name in REGISTRY if REGISTRY[name].decoder] == ["gan", "vae", "cdcgan_kd", "cdcgan_kd_ga"]


@pytest.mark.parametrize("name", METHODS)
def test_what_is_not_fitted_is_refused(name, config, tmp_path):
    with pytest.raises(UserError, match="run the"):
        REGISTRY[name].sample(config, tmp_path, EMOTION)
