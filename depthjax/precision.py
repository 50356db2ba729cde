"""Products in full float32: by default a GPU rounds their factors to 10 bits (TensorFloat-32).

Networks train and evolve with the fast default, as PyTorch's convolutions do. A position in an image or in millimetres,
and a number that is compared between machines, must not depend on the device: 10 bits of a pixel's position are a
quarter of a pixel.
"""

from contextlib import AbstractContextManager

import jax

EXACT = jax.lax.Precision.HIGHEST  # of one product


def exact_products() -> AbstractContextManager[None]:
    """Trace all products and convolutions within this context as EXACT."""
    return jax.default_matmul_precision("highest")
