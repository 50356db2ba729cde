"""Everything that may go wrong with a run, tried, in one table: case, tries, lost, wrong.

    python -m tests.faults.table [--only soak 'hostile: archives'] [--folder runs/faults] [--page docs/faults.md]

Takes hours on two cores, and may be stopped: what a check found is kept in the folder when it is done, and the page is
written anew. The short form is `pytest tests/faults`.
"""

from __future__ import annotations

import argparse
import datetime
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from depthjax.files import read_json, write_json, write_text
from tests.faults import corruption, hostile, interruption, kill_smoke, soak
from tests.faults.runs import Checks, Row

SCRIPTS = ("hostile", "corruption", "interruption", "kill_smoke", "soak")
HEAD = """# What was tried

Written by `python -m tests.faults.table`: what every file of `tests/faults/` does to a run, its files or its readers.
Lost: a run that could not go on, a refusal of more than a line, something that could have been read and was not.
Wrong: other numbers than those of the undisturbed run, something damaged or hostile that was taken.

| case | tries | lost | wrong | minutes | on |
|---|---:|---:|---:|---:|---|
"""


def checks(script: str, folder: Path, scratch: Path) -> Checks:
    """Those of one script; `folder` stays, `scratch` does not."""
    made = {
        "hostile": lambda: hostile.checks(scratch),
        "corruption": corruption.checks,
        "interruption": lambda: interruption.checks(folder),
        "kill_smoke": lambda: kill_smoke.checks(folder),
        "soak": soak.checks,
    }
    return {f"{script}: {name}": check for name, check in made[script]().items()}


def page(found: dict[str, Any]) -> str:
    """The table as Markdown, in the order of the scripts."""
    in_order = sorted(found, key=lambda name: SCRIPTS.index(name.partition(":")[0]))
    rows = []
    for facts in map(found.__getitem__, in_order):
        took = f"{facts['seconds'] / 60:.0f}"
        rows += [(*row, took, facts["date"]) for row in facts["rows"]]
    return HEAD + "".join(f"| {' | '.join(map(str, row))} |\n" for row in rows)


def result(check: Callable[[], Iterable[Row]]) -> dict[str, Any]:
    """The rows of a check, the seconds that it took, and when."""
    start = time.monotonic()
    rows = list(check())
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    return {"rows": rows, "seconds": round(time.monotonic() - start), "date": date}


def main() -> int:
    """Do what is not done yet; 1 if anything was ever lost or wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=SCRIPTS, help="scripts, or checks such as 'soak: kept'")
    parser.add_argument("--folder", type=Path, default=Path("runs/faults"), help="where results are kept")
    parser.add_argument("--page", type=Path, default=Path("docs/faults.md"))
    flags = parser.parse_args()
    only, results = flags.only, flags.folder / "results.json"
    found: dict[str, Any] = read_json(results) if results.exists() else {}
    for script in dict.fromkeys(one.partition(":")[0] for one in only):
        with tempfile.TemporaryDirectory() as scratch:
            for name, check in checks(script, flags.folder.resolve(), Path(scratch)).items():
                if name not in found and (script in only or name in only):
                    print(name, flush=True)
                    found[name] = result(check)
                    write_json(results, found)
                    write_text(flags.page, page(found))
    print(page(found))
    return int(any(row[2] or row[3] for facts in found.values() for row in facts["rows"]))


if __name__ == "__main__":
    sys.exit(main())
