"""Feeds: streamed batches are whole epochs, resume exactly, and train as resident ones do."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from depthjax.train import loop
from depthjax.train.feed import feed_for, streamed_batches


def _numbered(faces):
    """The same faces with their number as every pixel."""
    numbers = np.arange(len(faces), dtype=np.float32)
    return replace(faces, images=np.broadcast_to(numbers[:, None, None], faces.images.shape))


def _numbers(batches, count):
    return [next(batches)["images"][:, 0, 0].astype(int).tolist() for _ in range(count)]


def test_every_epoch_is_another_permutation_and_the_rest_sits_out(faces):
    epochs = np.array(_numbers(streamed_batches(_numbered(faces), batch_size=6, seed=0, first=0), 8)).reshape(2, 24)
    assert all(len(set(epoch.tolist())) == 24 for epoch in epochs)  # of 26 faces, in four batches of six
    assert epochs[0].tolist() != epochs[1].tolist()


def test_a_stream_goes_on_where_it_stopped(faces):
    whole = _numbers(streamed_batches(_numbered(faces), batch_size=6, seed=0, first=0), 9)
    assert _numbers(streamed_batches(_numbered(faces), batch_size=6, seed=0, first=5), 4) == whole[5:]
    assert _numbers(streamed_batches(_numbered(faces), batch_size=6, seed=1, first=0), 9) != whole


def test_the_budget_decides(config, faces):
    needed = faces.images.nbytes / 2**20
    assert not feed_for(config, faces, 0).streamed
    tight = replace(config, data=replace(config.data, device_budget=int(needed)))
    assert feed_for(tight, faces, 0).streamed
    chunk = feed_for(tight, faces, 0).take(2)
    assert chunk.images.shape == (3, 6, 16, 16) and not chunk.images[2].any()
    for row, number in zip(chunk.images[:2].reshape(12, 16, 16), chunk.emotion[:2].reshape(12), strict=True):
        matches = (faces.images == np.asarray(row)).all(axis=(1, 2))
        assert matches.sum() == 1 and faces.emotion[matches] == number


@pytest.mark.nightly
def test_streamed_training_resumes_bit_for_bit(config, faces, tmp_path):
    streamed = replace(config, data=replace(config.data, device_budget=0), train=replace(config.train, epochs=2))
    whole = loop.train(streamed, faces, tmp_path / "whole", progress=lambda row: None)
    first = replace(streamed, train=replace(streamed.train, epochs=1, save_every_epochs=1))
    loop.train(first, faces, tmp_path / "parts", progress=lambda row: None)
    parts = loop.train(streamed, faces, tmp_path / "parts", progress=lambda row: None)
    assert int(parts.step) == 8
    jax.tree.map(np.testing.assert_array_equal, parts, whole)
