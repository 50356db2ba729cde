"""Turn the public Inception weights of FID into the safetensors file that `evaluate.inception` takes.

    python tools/convert_inception_weights.py pt_inception-2015-12-05-6726825d.pth inception.safetensors

The `.pth` is the one of github.com/mseitzer/pytorch-fid (release `fid_weights`, 91 MiB), known by its sha256, and read
by `torch.load(weights_only=True)`, which executes nothing. Needs the reference extra (PyTorch).
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from convert_released_weights import read_state_dict

from depthjax.errors import UserError
from depthjax.evaluate import inception


def main() -> int:
    """Convert, and give the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="the public .pth")
    parser.add_argument("target", type=Path, help="the .safetensors to write")
    flags = parser.parse_args()
    try:
        convert(flags.source, flags.target)
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"{flags.target} cannot be written ({error.strerror})", file=sys.stderr)
        return 1
    print(f"name it in --config.evaluate.inception={flags.target}")
    return 0


def convert(source: Path, target: Path) -> None:
    """Write the public `.pth` as safetensors.

    Raises:
        UserError: the source is missing, or not that file by its sha256.
    """
    try:
        found = hashlib.sha256(source.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"{source} cannot be read ({error.strerror}): it should be {inception.SOURCE}") from None
    if found != inception.SOURCE_SHA256:
        raise UserError(
            f"{source} has the sha256 {found[:12]}..., not {inception.SOURCE_SHA256[:12]}...: it is not "
            f"{inception.SOURCE} of pytorch-fid"
        )
    inception.write_converted(target, from_pytorch(read_state_dict(source)), inception.SOURCE_SHA256)


def from_pytorch(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return tensors of the PyTorch port as flat arrays of ours, such as `params/Mixed_5b/branch1x1/conv/kernel`.

    The bias of the logits and counters of batches are left out: nothing reads them.
    """
    places = {
        "conv.weight": ("params", "conv/kernel"),
        "bn.weight": ("params", "bn/scale"),
        "bn.bias": ("params", "bn/bias"),
        "bn.running_mean": ("batch_stats", "bn/mean"),
        "bn.running_var": ("batch_stats", "bn/var"),
    }
    flat: dict[str, np.ndarray] = {}
    for name, value in tensors.items():
        if name == "fc.weight":
            flat["params/fc/kernel"] = np.ascontiguousarray(value.T, np.float32)
        for ending, (kind, leaf) in places.items():
            if name.endswith(f".{ending}"):
                turned = value.transpose(2, 3, 1, 0) if value.ndim == 4 else value
                path = name.removesuffix(ending).replace(".", "/")
                flat[f"{kind}/{path}{leaf}"] = np.ascontiguousarray(turned, np.float32)
    return flat


if __name__ == "__main__":
    sys.exit(main())
