"""Figures made of faces: depth as pictures, the right pairs, differences in true millimetres."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_figures import cut_off, texts

from depthjax.data.depth_range import quantise
from depthjax.errors import UserError
from depthjax.report import figures_faces as drawn
from depthjax.report.faces_image import (
    BACKGROUND,
    mosaic,
    normal_colours,
    normals,
    one_per_subject,
    shade,
    spaced_samples,
    surface,
)
from depthjax.report.stored import Run, read_run

WINDOW = (-10.0, 80.0)


@pytest.fixture(scope="module")
def run(finished: Path) -> Run:
    return read_run(finished)


def image(depth: np.ndarray) -> np.ndarray:
    """Millimetres behind the nose tip, infinite for none, to [-1, 1]."""
    return ((np.clip(depth, *WINDOW) + 10) / 90 * 2 - 1).astype(np.float32)


def test_closest_pairs_come_first_with_their_relative_distance(run: Run) -> None:
    assert run.nearest is not None
    assert run.train is not None
    distance, index = run.nearest["distance/vae"].astype(float), run.nearest["index/vae"]
    found = drawn.closest_pairs(run, "vae", 4)
    best = sorted(range(len(distance)), key=lambda i: distance[i])[:4]
    np.testing.assert_array_equal(found.generated, [run.samples["vae"]["images"][i] for i in best])
    np.testing.assert_array_equal(found.train, [run.train["images"][index[i]] for i in best])
    expected = [distance[i] / float(np.median(run.nearest["held_out"])) for i in best]
    np.testing.assert_allclose(found.relative, expected, rtol=1e-6)
    assert found.median == pytest.approx(np.median(distance) / np.median(run.nearest["held_out"]))
    figure = drawn.nearest(run)
    assert figure is not None
    assert cut_off(figure) == []
    shown = texts(figure)
    assert {f"{value:.2f}" for value in expected} <= set(shown)
    assert {"GAN", "VAE", "GMM", "KDE", "KD-cDCGAN", "KD-cDCGAN evolved"} <= set(shown)


def test_pairs_of_other_faces_are_refused(run: Run) -> None:
    assert run.nearest is not None
    for name, values in (("index/gan", np.full(27, 10**6)), ("distance/gan", np.ones(3))):
        with pytest.raises(UserError, match="--stages=evaluate"):
            drawn.closest_pairs(replace(run, nearest=run.nearest | {name: values}), "gan", 4)


def test_an_impossible_reference_is_not_a_number(run: Run) -> None:
    assert run.nearest is not None
    figure = drawn.nearest(replace(run, nearest=run.nearest | {"reference": np.float32(0)}))
    assert figure is not None
    assert "n/a" in texts(figure)


def test_two_faces_are_apart_only_where_both_have_a_surface() -> None:
    a, b = image(np.array([[[10.0, np.inf, np.inf, 30.0]]])), image(np.array([[[14.5, 20.0, np.inf, 20.0]]]))
    np.testing.assert_allclose(drawn.depth_apart(a, b, WINDOW), [[[4.5, np.nan, np.nan, 10.0]]], atol=1e-4)


def test_differences_are_those_of_the_mean_depths_in_mm(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawn, "CHUNK", 7)
    assert run.train is not None
    images, emotion = run.train["images"], run.train["emotion"]
    found = drawn.differences_mm(images, emotion, [1, 2], 0, run.window_mm)
    depth = (images.astype(np.float64) + 1) / 2 * 90 - 10
    depth[depth >= 80 - 4.5] = np.nan
    means = []
    for label in range(3):
        faces = depth[emotion == label]
        seen = np.isfinite(faces).sum(0)
        means.append(np.where(seen >= len(faces) / 2, np.nansum(faces, 0) / np.maximum(seen, 1), np.nan))
    np.testing.assert_allclose(found, [means[1] - means[0], means[2] - means[0]], atol=1e-3)
    assert 0.2 < np.isfinite(found).mean() < 0.8


def test_a_mouth_eight_mm_farther_is_eight_mm_of_the_farther_colour(run: Run) -> None:
    depth = np.full((6, 32, 32), 20.0)
    depth[:, :, :8] = np.inf
    depth[3:, 20:24, 14:20] += 8
    stored = {"images": image(depth), "emotion": np.repeat([0, 1], 3)}
    (change,) = drawn.differences_mm(stored["images"], stored["emotion"], [1], 0, WINDOW)
    assert np.isnan(change[:, :8]).all()
    np.testing.assert_allclose(change[20:24, 14:20], 8, atol=1e-4)
    np.testing.assert_allclose(change[:20, 8:], 0, atol=1e-4)
    config = run.config | {"data": run.config["data"] | {"emotions": ["neutral", "happiness"]}}
    figure = drawn.difference(replace(run, config=config, train=stored, samples={"gan": stored}))
    assert figure is not None
    picture = figure.axes[0].images[0].get_array()
    assert picture is not None
    red, _, blue = (int(c) for c in picture[88, 66])
    assert red > blue + 60  # orange
    assert picture[60, 10].tolist() == list(drawn.MASK)
    assert np.ptp(picture[30, 80].astype(int)) < 4  # no change: without hue
    np.testing.assert_array_equal(picture[:, :128], picture[:, 134:])  # one scale for all sets
    assert any("purple: nearer to the camera" in text for text in texts(figure))


def test_a_set_without_an_emotion_says_so(run: Run) -> None:
    gan = {name: values[run.samples["gan"]["emotion"] != 2] for name, values in run.samples["gan"].items()}
    figure = drawn.difference(replace(run, samples={"gan": gan}))
    assert figure is not None
    assert texts(figure).count("no faces") == 1
    assert drawn.normals(replace(run, samples={"gan": gan})) is not None


def test_the_reference_is_neutral_or_the_first() -> None:
    assert drawn.reference_label(["fear", "Neutral", "joy"]) == 1
    assert drawn.reference_label(["fear", "joy"]) == 0


@pytest.mark.parametrize(("right", "down"), [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (-0.6, 0.8)])
def test_a_tilted_plane_has_the_colour_of_its_normal(right: float, down: float) -> None:
    y, x = np.mgrid[:32, :32] - 16.0
    plane = image(30 + right * x + down * y)[None]
    # Two tangents in mm, x right, y up, z towards the viewer; depth grows away from the viewer.
    normal = np.cross([2.0, 0.0, -right], [0.0, 3.0, down])
    expected = 127.5 * (normal / np.linalg.norm(normal) + 1)
    found = normals(plane, WINDOW, (3.0, 2.0))
    assert found.shape == (1, 32, 32, 3)
    np.testing.assert_allclose(found[0, 12:20, 12:20], np.broadcast_to(expected, (8, 8, 3)), atol=1)


def test_normals_stand_on_white_and_their_key_has_the_same_colours() -> None:
    picture = np.ones((1, 32, 32), np.float32)
    picture[:, 8:24, 8:24] = 0
    assert normals(picture, WINDOW, 2.8)[0, 2, 2].tolist() == [255, 255, 255]
    assert not surface(np.array([0.95, 1.0]), WINDOW).any()
    np.testing.assert_allclose(
        normal_colours(np.array([[0, 0, 3.0], [2, 0, 0]])), [[127.5, 127.5, 255], [255, 127.5, 127.5]]
    )


def test_interpolation_shows_every_step_of_the_emotions_that_were_sampled(run: Run) -> None:
    assert run.interpolation is not None
    gan = run.samples["cdcgan_kd"]
    some = {name: values[gan["emotion"] != 1] for name, values in gan.items()}
    two = {"images": run.interpolation["images"][[0, 2]]}
    figure = drawn.interpolation(replace(run, samples={"cdcgan_kd": some}, interpolation=two))
    assert figure is not None
    assert {"neutral", "fear"} <= set(texts(figure))
    assert "happiness" not in texts(figure) and not any("new noise" in text for text in texts(figure))
    assert np.shape(figure.axes[0].images[0].get_array()) == (2 * 118 - 6, 9 * 118 - 6)
    with pytest.raises(UserError, match="--stages=sample"):
        drawn.interpolation(replace(run, samples={"cdcgan_kd": some}))
    drawn_holes = run.config.get("model", {}) | {"validity_mask": True}
    noisy = drawn.interpolation(replace(run, config=run.config | {"sample": {"noise": True}, "model": drawn_holes}))
    assert noisy is not None and any("before new noise; invalid pixels are drawn anew" in text for text in texts(noisy))


def test_what_is_absent_is_not_drawn(run: Run) -> None:
    assert drawn.nearest(replace(run, nearest=None)) is None
    assert drawn.nearest(replace(run, train=None)) is None
    assert drawn.nearest(replace(run, samples={})) is None
    assert drawn.interpolation(replace(run, interpolation=None)) is None
    assert drawn.difference(replace(run, train=None, samples={})) is None
    assert drawn.normals(replace(run, train=None, samples={})) is None
    one = run.config | {"data": run.config["data"] | {"emotions": ["neutral"]}}
    assert drawn.difference(replace(run, config=one)) is None
    assert drawn.difference(replace(run, train=None)) is not None


def _plane(right: float = 0.0, down: float = 0.0) -> np.ndarray:
    """A plane whose depth grows by these millimetres a pixel, as an image in [-1, 1]."""
    y, x = np.mgrid[:32, :32].astype(np.float32)
    return (((30 + right * (x - 16) + down * (y - 16)) + 10) / 90 * 2 - 1)[None]


def test_grey_is_fixed_darker_is_closer_and_never_stretched() -> None:
    images = np.array([[[-1.0, 1.0, 0.0, -2.0, 2.0]]], np.float32)
    assert quantise(images).tolist() == [[[0, 255, 128, 0, 255]]]
    assert np.ptp(quantise(0.01 * images)) <= 6


@pytest.mark.parametrize(("right", "down"), [(-1.0, 0.0), (0.0, -1.0)])
def test_surfaces_that_face_up_or_left_are_brighter(right: float, down: float) -> None:
    towards, away = (shade(_plane(s * right, s * down), WINDOW, 2.0)[0, 8:24, 8:24] for s in (1, -1))
    assert towards.min() > away.max() + 40


def test_shading_depends_on_slope_in_millimetres_not_on_resolution_or_depth() -> None:
    coarse = shade(_plane(1.0), WINDOW, 2.0)[0, 16, 16]
    fine = shade(_plane(0.5), WINDOW, 1.0)[0, 16, 16]
    oblong = shade(_plane(1.0), WINDOW, (9.0, 2.0))[0, 16, 16]
    nearer = shade(_plane(1.0) - 0.3, WINDOW, 2.0)[0, 16, 16]
    np.testing.assert_allclose([fine, oblong, nearer], float(coarse), atol=1)


def test_shading_agrees_with_normals_by_cross_product() -> None:
    light = np.array([-1.0, -1.2, 1.6])
    # Two tangents of the exaggerated surface, in mm: right, down, towards the viewer.
    normal = np.cross([2.0, 0.0, -1.2 * 0.7], [0.0, 2.0, -1.2 * -0.4])
    facing = normal @ light / np.linalg.norm(normal) / np.linalg.norm(light)
    shaded = shade(_plane(0.7, -0.4), WINDOW, 2.0)[0, 16, 16]
    assert shaded == pytest.approx(240 * (facing + 0.3) / 1.3, abs=1)


def test_background_is_white_holes_are_dark_and_edges_do_not_flare() -> None:
    image = np.ones((1, 32, 32), np.float32)
    image[:, 8:24, 8:24] = 0.0
    image[:, 15:18, 15:18] = 1.0
    shaded = shade(image, WINDOW, 2.8)[0]
    assert shaded[2, 2] == BACKGROUND
    assert shaded[16, 16] < 60
    assert np.ptp(shaded[11:14, 10:22].astype(int)) <= 2  # flat up to its outline: the far plane does not leak in
    assert shade(np.zeros((0, 32, 32), np.float32), WINDOW, 2.8).shape == (0, 32, 32)


def test_mosaic_places_rows_and_leaves_blanks_white() -> None:
    rows = [np.zeros((2, 4, 4), np.uint8), np.full((1, 4, 4), 100, np.uint8)]
    sheet = mosaic(rows, 2, tile=8, gap=2)
    assert sheet.shape == (18, 18)
    assert (sheet[:8, :8] == 0).all()
    assert (sheet[10:, :8] == 100).all()
    assert (sheet[10:, 8:] == 255).all()
    row = np.zeros((1, 4, 4, 3), np.uint8)
    row[..., 0] = 200
    coloured = mosaic([row], 2, tile=8, gap=2)
    assert coloured.shape == (8, 18, 3) and coloured[4, 4].tolist() == [200, 0, 0] and (coloured[:, 8:] == 255).all()


def test_training_faces_are_middle_frames_of_different_subjects() -> None:
    subject = np.repeat([7, 3, 9], 3)
    train = {
        "images": np.arange(9, dtype=np.float32)[:, None, None] * np.ones((1, 2, 2), np.float32),
        "emotion": np.zeros(9, np.int32),
        "subject": subject,
        "frame": np.array([2, 0, 1] * 3),
    }
    assert one_per_subject(train, 0, 2)[:, 0, 0].tolist() == [2.0, 5.0]
    assert len(one_per_subject(train, 0, 8)) == 3
    assert one_per_subject(train, 1, 8).shape == (0, 2, 2)


def test_samples_stand_at_even_distances() -> None:
    samples = {"images": np.arange(6.0)[:, None, None], "emotion": np.array([1, 0, 1, 0, 1, 1])}
    assert spaced_samples(samples, 1, 2).ravel().tolist() == [0.0, 4.0]
    assert spaced_samples(samples, 1, 9).ravel().tolist() == [0.0, 2.0, 4.0, 5.0]
    assert len(spaced_samples(samples, 2, 3)) == 0
