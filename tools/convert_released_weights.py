"""Convert a released PyTorch `.pth` of the generator or the discriminator to a plain `.npz` of our variables.

Command: python tools/convert_released_weights.py generator.pth generator.npz --net generator \
             [--resolution 256 --width 512 --classes 3 --latent-size 256]

The `.pth` is read without executing the code that its pickle may hold. The `.npz` holds no pickle; its arrays are named
`params/conv_1/kernel` and so on. Classes keep the released order: fear, happiness, neutral.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict

from depthjax.errors import UserError
from depthjax.files import write_arrays
from depthjax.models.dcgan import Discriminator, Generator
from depthjax.models.released import Variables, discriminator_variables, generator_variables, read_state_dict


def main() -> int:
    """Convert, print every shape, and give the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="the released .pth")
    parser.add_argument("target", type=Path, help="the .npz to write")
    parser.add_argument("--net", choices=("generator", "discriminator"), required=True)
    parser.add_argument("--resolution", type=int, default=256)
    parser.add_argument("--width", type=int, help="of the first map (default: 512 for the generator, 64 otherwise)")
    parser.add_argument("--classes", type=int, default=3)
    parser.add_argument("--latent-size", type=int, default=256)
    flags = parser.parse_args()
    try:
        arrays = convert(flags)
        write_arrays(flags.target, **arrays)
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    for name, value in arrays.items():
        print(f"{name:32} {value.shape}")
    print(f"{sum(v.size for n, v in arrays.items() if n.startswith('params/')):,} parameters → {flags.target}")
    return 0


def convert(flags: argparse.Namespace) -> dict[str, np.ndarray]:
    """The arrays of the `.npz`, named by their path in the variables."""
    tensors, emotion = read_state_dict(flags.source), jnp.zeros(2, jnp.int32)
    variables: Variables
    if flags.net == "generator":
        generator = Generator(flags.resolution, flags.width or 512, flags.classes)
        shapes = jax.eval_shape(
            lambda: generator.init(jax.random.key(0), jnp.zeros((2, flags.latent_size)), emotion, False)
        )
        variables = generator_variables(tensors, shapes)
    else:
        discriminator = Discriminator(flags.width or 64, flags.classes)
        images = jnp.zeros((2, flags.resolution, flags.resolution))
        shapes = jax.eval_shape(lambda: discriminator.init(jax.random.key(0), images, emotion, False))
        variables = discriminator_variables(tensors, shapes)
    return flatten_dict(variables, sep="/")


if __name__ == "__main__":
    sys.exit(main())
