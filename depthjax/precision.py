"""Float32 as float32: on a GPU, products round what they multiply to 10 bits (TensorFloat-32) unless told not to.

Networks may train and evolve so: it is the fast way, and PyTorch's convolutions do the same. Where a number is a place
in an image or in millimetres, or is compared between machines, it must not depend on the device: 10 bits of a pixel's
number are a quarter of a pixel.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

import jax

EXACT = jax.lax.Precision.HIGHEST  # of one product


def exact_products() -> AbstractContextManager[None]:
    """All products and convolutions that are traced in this context are EXACT, those of a whole network among them."""
    return jax.default_matmul_precision("highest")
