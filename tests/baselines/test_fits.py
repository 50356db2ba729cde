"""The contract of all baselines."""

import shutil
from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest

from depthjax.baselines.fits import fit_once, sample_fit
from depthjax.errors import UserError
from tests.baselines.conftest import MODULES

KEY = jax.random.key(2)
EMOTION = np.repeat(np.arange(3, dtype=np.int32), 30)

# Networks take half a minute to compile: tests/test_methods.py fits and samples them quickly.
NETWORKS = ("gan", "vae", "rs_imle")
NAMES = [pytest.param(name, marks=pytest.mark.nightly) if name in NETWORKS else name for name in MODULES]
pytestmark = pytest.mark.parametrize("name", NAMES)


def _stored(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def _changed(config, section, **fields):
    return replace(config, **{section: replace(getattr(config, section), **fields)})


def test_shapes_range_and_determinism(name, config, fitted):
    sample, folder = partial(sample_fit, MODULES[name]), fitted(name)
    images = sample(KEY, config, folder, EMOTION)
    assert images.shape == (90, 16, 16) and images.dtype == np.float32
    assert np.isfinite(images).all() and np.abs(images).max() <= 1
    assert not np.array_equal(images[0], images[1])
    other = sample(jax.random.key(3), config, folder, EMOTION)
    assert not np.allclose(images, other)
    assert sample(KEY, config, folder, EMOTION[:1]).shape == (1, 16, 16)


def test_all_that_is_learnt_is_on_disk(name, config, fitted, tmp_path):
    images = sample_fit(MODULES[name], KEY, config, fitted(name), EMOTION)
    moved = shutil.copytree(fitted(name), tmp_path / "elsewhere")
    np.testing.assert_array_equal(sample_fit(MODULES[name], KEY, config, moved, EMOTION), images)


def test_samples_show_the_emotion_that_was_asked_for(name, config, faces, fitted):
    order = np.random.default_rng(0).permutation(EMOTION)
    images = sample_fit(MODULES[name], KEY, config, fitted(name), order)
    real, ours = (
        np.stack([x[e == label].mean(0).ravel() for label in range(3)])
        for x, e in ((faces.images, faces.emotion), (images, order))
    )
    agreement = np.corrcoef(ours - ours.mean(0), real - real.mean(0))[:3, 3:]
    assert (np.argmax(agreement, axis=1) == np.arange(3)).all()
    assert np.diag(agreement).min() > 0.6


def test_a_finished_fit_is_kept(name, config, faces, fitted):
    said, before = [], _stored(fitted(name))
    fit_once(MODULES[name], jax.random.key(1), config, faces, fitted(name), log=said.append)
    assert said == ["fitted before, unchanged"] and _stored(fitted(name)) == before


def test_another_fit_is_refused_by_what_differs(name, config, faces, fitted):
    fit, sample = partial(fit_once, MODULES[name]), partial(sample_fit, MODULES[name])
    folder, before = fitted(name), _stored(fitted(name))

    def refuses(what, call, *arguments, **options):
        with pytest.raises(UserError, match=f"{folder.name} belongs to another fit: {what}.* is"):
            call(*arguments, **options)

    said = {"log": lambda _: None}
    own = {
        "gan": ("model", {"generator_width": 64}),
        "vae": ("baselines", {"vae_latent_size": 5}),
        "gmm": ("baselines", {"gmm_components": (1,)}),
        "kde": ("baselines", {"pca": (2,)}),
        "rs_imle": ("baselines", {"rs_imle_epsilon": 0.5}),
    }
    for section, change in (("data", {"near_mm": -5.0}), ("train", {"mirror": False}), own[name]):
        other, field = _changed(config, section, **change), f"{section}.{next(iter(change))}"
        refuses(field, fit, jax.random.key(1), other, faces, folder, **said)
        refuses(field, sample, KEY, other, folder, EMOTION)
    refuses("the seed", fit, KEY, config, faces, folder, **said)
    refuses("the faces", fit, jax.random.key(1), config, faces.take(np.arange(len(faces)) != 3), folder, **said)
    assert _stored(folder) == before


def test_folders_that_hold_no_whole_fit(name, config, fitted, tmp_path):
    sample = partial(sample_fit, MODULES[name])
    with pytest.raises(UserError, match="no finished fit: run the baselines stage"):
        sample(KEY, config, tmp_path / "empty", EMOTION)
    broken = shutil.copytree(fitted(name), tmp_path / "broken")
    for path in (p for p in broken.rglob("*") if p.is_file() and p.name != "fit.json"):
        path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match="damaged"):
        sample(KEY, config, broken, EMOTION)
    (broken / "fit.json").write_text("[]")
    with pytest.raises(UserError, match="is damaged"):
        sample(KEY, config, broken, EMOTION)


def test_a_fit_cut_short_leaves_nothing_that_samples(name, config, faces, tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    target = f"{name}.train" if name in NETWORKS else "densities.choose"
    monkeypatch.setattr(f"depthjax.baselines.{target}", stop)
    with pytest.raises(KeyboardInterrupt):
        fit_once(MODULES[name], jax.random.key(1), config, faces, tmp_path, log=lambda _: None)
    assert _stored(tmp_path) == {}
    with pytest.raises(UserError, match="no finished fit"):
        sample_fit(MODULES[name], KEY, config, tmp_path, EMOTION)


def test_too_few_faces_are_refused(name, config, faces, tmp_path):
    one = np.flatnonzero((faces.emotion != 1) | (np.arange(len(faces)) == np.argmax(faces.emotion == 1)))
    few = faces.take(one[:2]) if name == "gan" else faces.take(one)
    with pytest.raises(UserError, match=r"at least 2 are needed|fewer than a batch"):
        fit_once(MODULES[name], jax.random.key(1), config, few, tmp_path, log=lambda _: None)
    assert not (tmp_path / "fit.json").exists()
