"""The machine of a run: its description, the cache of compiled programs, and the screen of `doctor`."""

from __future__ import annotations

import datetime
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from depthjax._version import __version__
from depthjax.config import Config, to_dict
from depthjax.errors import UserError, counted

if TYPE_CHECKING:
    import jax

PACKAGES = (
    "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "evosax", "numpy", "scipy", "scikit-image", "scikit-learn",
    "xgboost", "xgboost-cpu", "tensorflow-datasets", "grain", "array-record", "trimesh", "pillow",
)  # fmt: skip
CACHE = "JAX_COMPILATION_CACHE_DIR"
MIN_TIME = "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"
MIN_SECONDS = 0.05  # of compiling; a program that compiles faster is not kept
SHELL = ("JAX_", "XLA_", "LIBTPU_", "NVIDIA_TF32")  # variables of the shell that may change numbers
NEEDED_DISK_GB = 2.0  # a run of quick with its checkpoints, and room to spare
NEEDED_MEMORY_GB = 4.0  # quick holds 2.5 at most


def describe(config: Config) -> dict[str, Any]:
    """Return the content of `environment.json`: versions, devices, git revision, seeds, jax's settings in the shell."""
    return {
        "depthjax": __version__,
        "python": platform.python_version(),
        "packages": _versions(),
        "platform": platform.platform(),
        "processor": processor(),
        "cpu_count": os.cpu_count(),
        "devices": [f"{device.platform}: {device.device_kind}" for device in devices()],
        "shell": _shell(),
        "git_revision": _git_revision(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seeds": {name: section["seed"] for name, section in to_dict(config).items() if "seed" in section},
    }


def _shell() -> dict[str, str]:
    """Return the variables of jax and its compiler that are set, less those that a run does not follow."""
    from depthjax.keys import SETTINGS

    fixed = {CACHE, *(name.upper() for name in SETTINGS)}
    return {n: value for n, value in sorted(os.environ.items()) if n.startswith(SHELL) and n not in fixed}


def start_jax() -> None:
    """Import jax with the settings of every run, `keys.SETTINGS`; what it refuses of the shell is a UserError."""
    check_python()
    try:
        from depthjax.keys import fix_settings
    except ValueError as error:  # it reads the shell's variables when it is imported
        raise UserError(f"jax cannot start: {error}: unset that variable") from None
    fix_settings()


def devices() -> list[jax.Device]:
    """Return the devices of this process; a UserError where JAX_PLATFORMS names one that is not here."""
    import jax

    try:
        return jax.devices()
    except Exception as error:  # jax raises a RuntimeError or fails an assertion, by platform
        why = str(error).strip().partition("\n")[0].partition(" (set JAX")[0] if isinstance(error, RuntimeError) else ""
        platforms = getattr(jax.config, "jax_platforms", "")
        asked = f"JAX_PLATFORMS={platforms}" if platforms else "jax"
        raise UserError(
            f"{asked}: no such device on this machine{f' ({why})' if why else ''}: set JAX_PLATFORMS=cpu, or unset it"
        ) from None


def check_python() -> None:
    """Raise a UserError for a Python without docstrings: scikit-image cannot be imported there."""
    if sys.flags.optimize > 1:
        raise UserError("PYTHONOPTIMIZE=2 (-OO) drops docstrings, which scikit-image needs: unset it, or set it to 1")


def _versions() -> dict[str, str]:
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def processor() -> str:
    """Return the name of the processor's model."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _git_revision() -> str | None:
    """Return the revision of the checkout that the package is imported from; None for an installed wheel."""
    root = Path(__file__).parents[1]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def cache_folder() -> Path | None:
    """Return where compiled programs are kept: `JAX_COMPILATION_CACHE_DIR`, or in the home; None without a home."""
    if os.environ.get(CACHE):
        return Path(os.environ[CACHE])
    # Where there is no home, a tilde stays.
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 (Path raises)
    return None if base.startswith("~") else Path(base) / "depthjax" / "jax"


def cache_programs() -> Path | None:
    """Let jax keep its compiled programs in `cache_folder()`, so that a second start compiles only what has changed.

    A user who can write there can run code here. So the default folder is for its owner alone (0700), and one of
    another user is a UserError. A folder that the user names is taken as it is. Return the folder, or None where it
    cannot be written.
    """
    import jax

    place = cache_folder()
    if place is None:
        return None
    if not os.environ.get(CACHE):
        try:
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
            if place.stat().st_uid != os.getuid():
                raise UserError(f"{place} belongs to another user, who could run code here: remove it, or set {CACHE}")
            place.chmod(0o700)
        except OSError:  # a home that is missing or read-only: compile anew, as without a cache
            return None
    jax.config.update("jax_compilation_cache_dir", str(place))
    # By default jax leaves out what compiles within a second: half of the programs of a small run.
    if MIN_TIME not in os.environ:
        jax.config.update(MIN_TIME.lower(), MIN_SECONDS)
    return place


def doctor(workdir: Path) -> list[str]:
    """Return what this machine has for a run in `workdir` (it may be absent), and what would be slow, line by line."""
    check_python()
    found = devices()
    existing = next(folder for folder in (workdir.absolute(), *workdir.absolute().parents) if folder.exists())
    disk = shutil.disk_usage(existing).free / 1e9
    total, free = _memory()
    cache = cache_folder()
    cached = [path.stat().st_size for path in cache.glob("*") if path.is_file()] if cache else []
    facts = {
        "depthjax": f"{__version__}, Python {platform.python_version()}, {platform.platform(terse=True)}",
        "devices": "; ".join(f"{device.platform}: {device.device_kind}{_device_memory(device)}" for device in found),
        "processor": f"{processor()}, {_cores()} cores for this process",
        "memory": f"{free:.1f} of {total:.1f} GB free",
        "disk": f"{disk:.1f} GB free for {workdir}",
        "compiled": f"programs are kept in {cache} ({counted(len(cached), 'file')}, {sum(cached) / 1e6:.0f} MB)"
        if cache
        else "programs are not kept",
        "packages": ", ".join(f"{name} {version}" for name, version in _versions().items()),
    }
    return [f"{name:<12}{value}" for name, value in facts.items()] + ["", *_advice(disk, free, found)]


def _advice(disk: float, memory: float, found: list[jax.Device]) -> list[str]:
    no_gpu, no_xgboost = all(d.platform == "cpu" for d in found), importlib.util.find_spec("xgboost") is None
    rules = {
        "no GPU: configs/quick.py takes 10 to 20 minutes on two cores; configs/paper.py is for a GPU": no_gpu,
        "one core: features and classifiers take twice as long as on two cores": _cores() < 2,
        f"less than {NEEDED_MEMORY_GB:g} GB of free memory: configs/quick.py may not fit": memory < NEEDED_MEMORY_GB,
        f"no home folder: programs are compiled anew in every run; set {CACHE}": cache_folder() is None,
        f"less than {NEEDED_DISK_GB:g} GB of free disk: name another --workdir": disk < NEEDED_DISK_GB,
        "xgboost is missing: pip install 'depthjax[cpu]', or leave it out of evaluate.classifiers": no_xgboost,
    }
    advice = [f"! {line}" for line, applies in rules.items() if applies]
    return advice or ["nothing that would make a run slow was found"]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory() -> tuple[float, float]:
    """Return total and available gigabytes; the limit of a container counts as the total."""
    try:
        text = Path("/proc/meminfo").read_text()
        sizes = {line.split(":")[0]: int(line.split()[1]) / 1e6 for line in text.splitlines() if line.endswith("kB")}
    except OSError:  # not Linux
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
        return total, total
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text()) / 1e9
    except (OSError, ValueError):  # no cgroup, or "max"
        limit = float("inf")
    return min(sizes["MemTotal"], limit), min(sizes["MemAvailable"], limit)


def _device_memory(device: Any) -> str:
    stats = device.memory_stats() or {}
    return f", {stats['bytes_limit'] / 1e9:.1f} GB" if "bytes_limit" in stats else ""
