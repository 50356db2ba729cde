"""The command line: flags only, then `depthjax.pipeline.run`."""

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from depthjax._version import __version__
from depthjax.config_file import load_config
from depthjax.config_values import override
from depthjax.errors import ConfigError, UserError
from depthjax.files import user_path
from depthjax.progress import say
from depthjax.signals import Stopped, end, ending_on_signals
from depthjax.stages import KNOWN, OPTIONAL, STAGES

COMPARE = "compare"  # no stage of one run: it reads several
RED, PLAIN = "\033[31m", "\033[0m"
DOCTOR = "doctor"  # no stage either: it looks at the machine


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    try:
        with ending_on_signals():
            return _main(sys.argv[1:] if arguments is None else arguments)
    except (UserError, Stopped) as error:
        print_error(error)
        return error.exit_code
    except OSError as error:  # a full disk, a folder that may not be written
        where = f" ({error.filename})" if error.filename else ""
        print_error(f"{error.strerror or error}{where}")
        return 1


def print_error(what: object) -> None:
    """One line on standard error; its beginning is red on a terminal, unless NO_COLOR is set."""
    coloured = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    print(f"{RED}depthjax:{PLAIN} {what}" if coloured else f"depthjax: {what}", file=sys.stderr)


def _main(arguments: list[str]) -> int:
    flags, assignments = parse(arguments)
    if flags.stages.strip() == COMPARE:
        say(f"comparison: {compare(flags)}")
        return 0
    if flags.stages.strip() == DOCTOR:
        from depthjax.environment import doctor, start_jax

        start_jax()
        say("\n".join(doctor(flags.workdir or Path("runs"))))
        return 0
    config = override(load_config(flags.config), assignments)
    wanted = parse_stages(flags.stages or ",".join(config.stages) or "all")
    workdir = flags.workdir or Path("runs") / config.name
    from depthjax.environment import start_jax

    start_jax()  # only once the flags are known to be right: it takes time
    from depthjax.pipeline import run

    report = run(config, workdir, wanted, log=None if flags.quiet else say)
    if report.exists() and not flags.quiet:
        say(f"report: {report}")
    return 0


def parse(arguments: list[str]) -> tuple[argparse.Namespace, dict[str, str]]:
    """The named flags, and the `--config.a.b=value` overrides."""
    parser = make_parser()
    flags, others = parser.parse_known_args(arguments)
    assignments = _assignments(others)
    _check_stages(flags, assignments)
    if flags.config is None and flags.stages.strip() not in (COMPARE, DOCTOR):
        parser.error("the following arguments are required: --config")
    return flags, assignments


def make_parser() -> argparse.ArgumentParser:
    """The flags and their help."""
    parser = argparse.ArgumentParser(
        prog="python -m depthjax" if Path(sys.argv[0]).name == "__main__.py" else "launch.py",
        allow_abbrev=False,
        description="Train on labelled depth faces, evolve and sample new ones, and evaluate them.",
        epilog="Any setting of the config: --config.SECTION.FIELD=VALUE, for instance --config.train.epochs=3",
    )
    config_help = "such as configs/quick.py, or quick; compare and doctor need none"
    parser.add_argument("--config", type=user_path, metavar="FILE", help=config_help)
    parser.add_argument("--workdir", type=user_path, metavar="DIR", help="the run's folder (default: runs/NAME)")
    workdirs_help = f"the runs that --stages={COMPARE} sets side by side; may be given once for each"
    parser.add_argument("--workdirs", action="append", metavar="DIR,DIR", help=workdirs_help)
    stages_help = (
        f"all ({', '.join(STAGES)}), or some of them (default: the config's, or all); only by name: "
        f"{', '.join(OPTIONAL)}; alone: {COMPARE}, {DOCTOR}"
    )
    parser.add_argument("--stages", default="", metavar="A,B", help=stages_help)
    parser.add_argument("--quiet", action="store_true", help="print only warnings and errors")
    parser.add_argument("--version", action="version", version=f"depthjax {__version__}")
    return parser


def _check_stages(flags: argparse.Namespace, assignments: dict[str, str]) -> None:
    """A comparison has no config of its own, no other stage has several folders, and the doctor has none."""
    wanted = [name.strip() for name in flags.stages.split(",")]
    if DOCTOR in wanted and len(wanted) > 1:
        raise ConfigError(f"--stages: {DOCTOR} runs alone: it looks at the machine, and at no run")
    if COMPARE not in wanted:
        if flags.workdirs is not None:
            raise ConfigError(f"--workdirs goes with --stages={COMPARE} only; one run's folder is --workdir")
    elif len(wanted) > 1:
        raise ConfigError(f"--stages: {COMPARE} runs alone, on finished runs: give it --workdirs and no other stage")
    elif flags.config is not None or assignments:
        raise ConfigError(f"--stages={COMPARE} takes no config: each of the --workdirs holds its own")


def compare(flags: argparse.Namespace) -> Path:
    """Write compare.html of several runs, in --workdir or else in runs/, and return its path."""
    from depthjax.report.comparison import write_comparison  # imports matplotlib

    given = flags.workdirs or []
    workdirs = [path for text in given for path in split_folders(text, alone=len(given) == 1)]
    return write_comparison(workdirs, (flags.workdir or Path("runs")) / "compare.html")


def split_folders(text: str, *, alone: bool) -> list[Path]:
    """Return the folders of a list with commas; a comma may be part of a folder's name, if the folder is there.

    `alone`: no other flag names folders, so that text which may be read in several ways is a ConfigError.
    """
    readings = list(_readings(text))
    if len(readings) > 1 and alone:
        raise ConfigError(f"--workdirs={text} can be read in several ways: give the flag once for each folder")
    # None: some folder is missing, and the comparison says which. Several: the first is the text as it is.
    return readings[0] if readings else [user_path(name.strip()) for name in text.split(",") if name.strip()]


def _readings(text: str) -> Iterator[list[Path]]:
    """Yield every way to cut a list at commas so that each part is a folder, the one with the longest parts first."""
    cuts = [len(text), *(place for place in reversed(range(len(text))) if text[place] == ",")]
    for cut in cuts:
        name, rest = text[:cut].strip(), text[cut + 1 :]
        if name and user_path(name).is_dir():
            yield from ([user_path(name), *others] for others in (_readings(rest) if rest.strip() else [[]]))


def _assignments(others: list[str]) -> dict[str, str]:
    joined: list[str] = []
    for part in others:
        if joined and not part.startswith("--") and "=" not in joined[-1]:
            joined[-1] += f"={part}"  # `--config.a.b value` beside `--config.a.b=value`
        else:
            joined.append(part)
    found = {}
    for name, equals, value in (flag.partition("=") for flag in joined):
        if not name.startswith("--config."):
            raise ConfigError(f"{name}: unknown flag; see --help")
        if not equals:
            raise ConfigError(f"{name}: give it a value, {name}=VALUE")
        found[name.removeprefix("--config.")] = value
    return found


def parse_stages(text: str) -> list[str]:
    """Stage names in the order of the pipeline."""
    names = list(STAGES) if text == "all" else [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in KNOWN:
            raise ConfigError(f"--stages: there is no '{name}'; known: {', '.join(KNOWN)}")
    if not names:
        raise ConfigError(f"--stages: name at least one of {', '.join(KNOWN)}")
    return sorted(names, key=list(KNOWN).index)


if __name__ == "__main__":
    end(main())
