"""Turn the public Inception weights of FID into the safetensors file that `evaluate.inception` takes.

    python tools/convert_inception_weights.py pt_inception-2015-12-05-6726825d.pth inception.safetensors

The `.pth` is the one of github.com/mseitzer/pytorch-fid (release `fid_weights`, 91 MiB), known by its sha256, and read
without executing the code that its pickle may hold.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from depthjax.errors import UserError
from depthjax.evaluate.inception import convert


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


if __name__ == "__main__":
    sys.exit(main())
