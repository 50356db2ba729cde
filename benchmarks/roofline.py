"""The bound of a training step on this machine: each convolution at the rate of a matrix product of its shape.

Command: python -m benchmarks.roofline [--size NAME] [--rounds N]
Needs:   nothing. Sizes are those of benchmarks/train_step.py; all cores count that the process may use.

A convolution is a matrix product of patches. Here, that product alone is timed, by jax and by NumPy's BLAS, and the
faster one counts: making patches, activations, batch statistics, Adam and the teachers' averages are free. So the sum
is less than what a program in float32 on this machine can reach, and PyTorch's time over it more than any ratio.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

import jax
import numpy as np

from benchmarks.train_step import SIZES, STEPS, clock, ours, sized
from depthjax.config import Config


@dataclass(frozen=True)
class Product:
    """A pass of a layer as a product (m, k) by (k, n), and how often a step does it."""

    layer: str
    shape: tuple[int, int, int]
    times: int

    @property
    def gflop(self) -> float:
        """Of one."""
        m, k, n = self.shape
        return 2e-9 * m * k * n


def main() -> None:
    """Print a row for each product, their sum, and our step beside it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, action="append", help="default: both of less than full width")
    parser.add_argument("--rounds", type=int, default=15, help="of each product and of our step; the median counts")
    flags = parser.parse_args()
    for name in flags.size or [name for name in SIZES if "full width" not in name]:
        config, batch = sized(*SIZES[name])
        print(f"\n{name}\n\n| layer | product | times | GFLOP | GFLOP/s | ms a step |\n{'|---' * 6}|", flush=True)
        total = flops = 0.0
        for product in products(config, batch):
            seconds = fastest(product.shape, flags.rounds)
            spent, done = product.times * seconds, product.times * product.gflop
            shape = " x ".join(map(str, product.shape))
            cells = f"{done:.2f} | {product.gflop / seconds:.0f} | {1e3 * spent:.2f}"
            print(f"| {product.layer} | {shape} | {product.times} | {cells} |", flush=True)
            total, flops = total + spent, flops + done
        step = timed(ours(config, batch), flags.rounds) / STEPS
        print(f"\nproducts {1e3 * total:.1f} ms ({flops:.1f} GFLOP), our step {1e3 * step:.1f} ms", flush=True)


def products(config: Config, batch: int) -> Iterator[Product]:
    """All products of a step: student and teacher of the generator, then five passes of the discriminator's."""
    side, classes, model = config.data.resolution, len(config.data.emotions), config.model
    g, d, area = model.generator_width, model.discriminator_width, (side // 16) ** 2
    latent = model.latent_size + classes
    yield Product("G dense, forwards", (batch, latent, g * area), 2)
    yield Product("G dense, kernel", (latent, batch, g * area), 1)
    for i in range(4):  # a transposed convolution: every pixel makes a block of four from 2x2 pixels
        pixels, c, f = batch * area * 4**i, g >> i, g >> (i + 1)
        yield Product(f"G {i + 1}, forwards", (pixels, 4 * c, 4 * f), 2)
        yield Product(f"G {i + 1}, input", (pixels, 16 * f, c), 1)
        yield Product(f"G {i + 1}, kernel", (16 * f, pixels, c), 1)
    pixels, c = batch * side**2, g >> 4
    yield Product("G last, forwards", (pixels, c, 9), 2)
    yield Product("G last, input", (pixels, 9, c), 1)
    yield Product("G last, kernel", (9, pixels, c), 1)
    for i in range(4):
        pixels, c, f = batch * area * 4 ** (3 - i), 1 + classes if i == 0 else d << (i - 1), d << i
        yield Product(f"D {i + 1}, forwards", (pixels, 16 * c, f), 5)
        yield Product(f"D {i + 1}, input", (pixels, 4 * f, 4 * c), 3 if i else 1)
        yield Product(f"D {i + 1}, kernel", (16 * c, pixels, f), 2)
    yield Product("D dense, forwards", (batch, (d << 3) * area, 1), 5)
    yield Product("D dense, input", (batch, 1, (d << 3) * area), 3)
    yield Product("D dense, kernel", ((d << 3) * area, batch, 1), 2)


def fastest(shape: tuple[int, int, int], rounds: int) -> float:
    """Seconds of the product, by the faster of two libraries."""
    m, k, n = shape
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(m, k)).astype(np.float32), rng.normal(size=(k, n)).astype(np.float32)
    on_device = jax.device_put((a, b))
    product: Any = jax.jit(lambda a, b: a @ b)
    return min(timed(lambda: jax.block_until_ready(product(*on_device)), rounds), timed(lambda: a @ b, rounds))


def timed(run: Callable[[], object], rounds: int) -> float:
    """The median seconds after a first call."""
    run()
    seconds = []
    for _ in range(rounds):
        start = clock()
        run()
        seconds.append(clock() - start)
    return median(seconds)


if __name__ == "__main__":
    main()
