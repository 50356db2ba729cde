"""Where numbers are places or yardsticks, every product asks for all of float32: seen in the programs themselves."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthjax.data import generate
from depthjax.data.kinect import FOCAL
from depthjax.data.render import View, render, sampling_bins
from depthjax.precision import exact_products

PRODUCT = re.compile(r"stablehlo\.(?:dot_general|convolution)[^\n]*")


def products(function, *arguments):
    """The lines of all products of a program."""
    return PRODUCT.findall(jax.jit(function).lower(*arguments).as_text())


def test_within_the_context_all_products_are_exact():
    x = jnp.ones((2, 8, 8, 1))

    def both(x):
        return jax.lax.conv(x.transpose(0, 3, 1, 2), jnp.ones((1, 1, 3, 3)), (1, 1), "SAME").sum() + (
            x[0, :, :, 0] @ x[1, :, :, 0]
        )

    assert len(products(both, x)) == 2 and not any("HIGHEST" in line for line in products(both, x))
    with exact_products():
        assert all("HIGHEST" in line for line in products(both, x))


@pytest.mark.parametrize("part", ["render", "rotation"])
def test_places_in_an_image_are_exact(part):
    if part == "rotation":
        found = products(generate._rotation, jnp.zeros(3))
    else:
        corners = np.array([[-50.0, -50, 900], [50, -50, 900], [50, 50, 900], [-50, 50, 900]], np.float32)
        bins = sampling_bins(np.array([[0, 1, 2, 3]]), corners[None], pixels_per_mm=0.2)
        view = View(jnp.float32(FOCAL), jnp.array([20.0, 20.0]))
        found = products(lambda v: render(v, jnp.zeros(4), view, bins=bins, shape=(40, 40)), jnp.asarray(corners))
    assert found and all("HIGHEST" in line for line in found)
