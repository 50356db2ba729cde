"""All the ways in which a run may be harmed, in one table: case, tries, lost, wrong.

    python tests/faults/table.py [--only interruption,kill_smoke]

Takes about an hour on two cores. The short form is `pytest tests/faults`.
"""

from __future__ import annotations

import argparse
import importlib
import sys

from runs import Row, table

SCRIPTS = ("kill_smoke", "interruption", "corruption", "hostile", "soak")  # each has rows()


def main() -> int:
    """Print the table; 1 if anything was lost or wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(SCRIPTS), help=f"of {', '.join(SCRIPTS)}")
    found: list[Row] = []
    for name in parser.parse_args().only.split(","):
        print(f"{name}:", flush=True)
        found += importlib.import_module(name).rows()
    print(table(found))
    return int(any(lost or wrong for _, _, lost, wrong in found))


if __name__ == "__main__":
    sys.exit(main())
