"""Convert a released PyTorch `.pth` of the generator or the discriminator to a plain `.npz` of our variables.

Command: python tools/convert_released_weights.py generator.pth generator.npz --net generator \
             [--resolution 256 --width 512 --classes 3 --latent-size 256]

Needs:   the reference extra (PyTorch).

The `.pth` is read by `torch.load(weights_only=True)`, which executes nothing. The `.npz` holds no pickle; its arrays
are named `params/conv_1/kernel` and so on. Classes keep the released order: fear, happiness, neutral.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict

from depthjax.errors import UserError
from depthjax.files import write_arrays
from depthjax.models.dcgan import Discriminator, Generator

Variables = dict[str, Any]
Tensors = dict[str, np.ndarray]


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
    """Return the arrays of the `.npz`, named by their path in the variables."""
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


def read_state_dict(path: Path) -> Tensors:
    """Return the tensors of a PyTorch `.pth`, in the file's order, without executing its pickle.

    Raises:
        UserError: no such file, or anything in it but named tensors.
    """
    try:
        import torch
    except ImportError:
        raise UserError("reading a .pth needs PyTorch: pip install 'depthjax[reference]'") from None
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        return {name: tensor.numpy() for name, tensor in found.items()}
    except FileNotFoundError:
        raise UserError(f"{path} is missing: give the path of a .pth") from None
    except Exception as error:  # a damaged file makes torch raise almost anything
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path} is not a PyTorch state dict of plain tensors ({reason})") from None


def generator_variables(tensors: Tensors, variables: Variables) -> Variables:
    """Return a released generator's tensors as our generator's variables, matched by order and shape.

    Args:
        tensors: of the state dict, in the file's order.
        variables: ours, for their shapes (arrays or `jax.ShapeDtypeStruct`).
    Raises:
        UserError: naming the tensor that does not fit.
    """
    taken, params, stats = _Queue(tensors), variables["params"], variables["batch_stats"]
    width = params["conv_1"]["kernel"].shape[2]
    flat = params["linear"]["bias"].shape[0]
    order = _channels_last(flat, width)
    out: Variables = {"params": {}, "batch_stats": {}}
    latents = params["linear"]["kernel"].shape[0]
    weight, bias = taken.next((flat, latents)), taken.next((flat,))
    out["params"]["linear"] = {"kernel": weight[order].T, "bias": bias[order]}
    _take_norm(taken, out, "norm_0", stats["norm_0"]["mean"].shape[0], order)
    for i in range(1, 5):
        *_, channels, features = params[f"conv_{i}"]["kernel"].shape
        weight, bias = taken.next((channels, features, 4, 4)), taken.next((features,))
        # PyTorch's transposed convolution turns its kernel by 180 degrees, ours does not.
        out["params"][f"conv_{i}"] = {"kernel": weight[:, :, ::-1, ::-1].transpose(2, 3, 0, 1), "bias": bias}
        _take_norm(taken, out, f"norm_{i}", features)
    weight, bias = taken.next((1, width >> 4, 3, 3)), taken.next((1,))
    out["params"]["conv_out"] = {"kernel": weight.transpose(2, 3, 1, 0), "bias": bias}
    taken.finish()
    return _contiguous(out)


def discriminator_variables(tensors: Tensors, variables: Variables) -> Variables:
    """Return a released discriminator's tensors as our discriminator's variables; as `generator_variables`."""
    taken, params = _Queue(tensors), variables["params"]
    out: Variables = {"params": {}, "batch_stats": {}}
    for i in range(1, 5):
        *_, channels, features = params[f"conv_{i}"]["kernel"].shape
        weight, bias = taken.next((features, channels, 4, 4)), taken.next((features,))
        out["params"][f"conv_{i}"] = {"kernel": weight.transpose(2, 3, 1, 0), "bias": bias}
        if i > 1:
            _take_norm(taken, out, f"norm_{i}", features)
    flat = params["linear"]["kernel"].shape[0]
    weight, bias = taken.next((1, flat)), taken.next((1,))
    out["params"]["linear"] = {"kernel": weight[:, _channels_last(flat, features)].T, "bias": bias}
    taken.finish()
    return _contiguous(out)


def _channels_last(flat: int, channels: int) -> np.ndarray:
    """Where each of our flattened (h, w, channels) values lies in PyTorch's flattened (channels, h, w)."""
    return np.arange(flat).reshape(channels, -1).T.reshape(-1)


def _take_norm(taken: _Queue, out: Variables, name: str, features: int, order: Any = slice(None)) -> None:
    scale, bias, mean, var = (taken.next((features,))[order] for _ in range(4))
    out["params"][name] = {"scale": scale, "bias": bias}
    out["batch_stats"][name] = {"mean": mean, "var": var}


class _Queue:
    """Tensors in the order of the file, each taken with the shape that it must have."""

    def __init__(self, tensors: Tensors) -> None:
        self.left = [(n, v) for n, v in tensors.items() if not n.endswith("num_batches_tracked")]
        self.left.reverse()

    def next(self, shape: tuple[int, ...]) -> np.ndarray:
        """Take the next tensor, which must have this shape."""
        if not self.left:
            raise UserError(f"the released weights end before a tensor of shape {shape}: is this the other network?")
        name, value = self.left.pop()
        if value.shape != shape:
            raise UserError(
                f"tensor '{name}' has shape {value.shape} where {shape} belongs: set the data.resolution, "
                "data.emotions and model sizes that these weights were trained with"
            )
        return value.astype(np.float32)

    def finish(self) -> None:
        """Raise a UserError if a tensor is left."""
        if self.left:
            raise UserError(f"tensor '{self.left[-1][0]}' is left over: these weights are of a larger network")


def _contiguous(tree: Variables) -> Variables:
    return {k: _contiguous(v) if isinstance(v, dict) else np.ascontiguousarray(v) for k, v in tree.items()}


if __name__ == "__main__":
    sys.exit(main())
