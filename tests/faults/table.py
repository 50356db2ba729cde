"""Everything that may go wrong with a run, tried, in one table: case, tries, lost, wrong.

    python -m tests.faults.table [--only soak 'hostile: archives'] [--folder runs/faults] [--page docs/faults.md]

Takes about half an hour on one core, and may be stopped: what a check found is kept in the folder when it is done, and
the page is written anew. The short form is `pytest -m nightly tests/faults`.
"""

from __future__ import annotations

import argparse
import datetime
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from depthjax.environment import processor
from depthjax.files import read_json, write_json, write_text
from tests.faults import corruption, hostile, interruption, kill_smoke, shell, soak
from tests.faults.runs import Checks, Row

SCRIPTS = ("hostile", "shell", "corruption", "interruption", "kill_smoke", "soak")
HEAD = """# What was tried

Written by `python -m tests.faults.table`: what every file of `tests/faults/` does to a run, its files or its readers.
Lost: a run that could not go on, a refusal of more than a line, something that could have been read and was not.
Wrong: other numbers than those of the undisturbed run, something damaged or hostile that was taken.
Minutes: of the check that the row belongs to, while other programs had their share of the processor.

| case | tries | lost | wrong | minutes | on |
|---|---:|---:|---:|---:|---|
"""


def checks(folder: Path, scratch: Path) -> Checks:
    """Those of every script; `folder` stays, `scratch` does not."""
    made = {
        "hostile": hostile.checks(scratch),
        "shell": shell.checks(scratch),
        "corruption": corruption.checks(),
        "interruption": interruption.checks(folder),
        "kill_smoke": kill_smoke.checks(folder),
        "soak": soak.checks(),
    }
    return {f"{script}: {name}": check for script in SCRIPTS for name, check in made[script].items()}


def chosen(known: Iterable[str], only: Sequence[str]) -> list[str]:
    """The names of checks that `only` names, or whose script it names, in its order."""
    return [name for one in only for name in known if one in (name, name.partition(":")[0])]


def page(found: dict[str, Any], known: Sequence[str]) -> str:
    """The table as Markdown, in the order of the scripts, the sums, and what was not tried yet."""
    done = [name for name in known if name in found]
    rows, in_all = [], [0, 0, 0]
    for facts in map(found.__getitem__, done):
        took = f"{facts['seconds'] / 60:.0f}"
        rows += [(*row, took, facts["date"]) for row in facts["rows"]]
    for row in rows:
        in_all = [total + count for total, count in zip(in_all, row[1:4], strict=True)]
    table = "".join(f"| {' | '.join(map(str, row))} |\n" for row in [*rows, ("in all", *in_all, "", "")])
    missing = ", ".join(f"`{name}`" for name in known if name not in found) or "nothing"
    machine = f"{processor()}, {os.cpu_count()} cores"
    return f"{HEAD}{table}\nOn {machine}; {len(rows)} rows. Not tried yet: {missing}.\n"


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
    results = flags.folder / "results.json"
    found: dict[str, Any] = read_json(results) if results.exists() else {}
    with tempfile.TemporaryDirectory() as scratch:
        known = checks(flags.folder.resolve(), Path(scratch))
        for name in chosen(known, flags.only):
            if name not in found:
                print(name, flush=True)
                found[name] = result(known[name])
                write_json(results, found)
                write_text(flags.page, page(found, list(known)))
    write_text(flags.page, page(found, list(known)))
    print(page(found, list(known)))
    return int(any(row[2] or row[3] for facts in found.values() for row in facts["rows"]))


if __name__ == "__main__":
    sys.exit(main())
