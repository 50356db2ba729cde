"""The stage `doctor`: what this machine has for a run, and what would be slow on it, on one screen."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from pathlib import Path

from depthjax import compile_cache
from depthjax._version import __version__
from depthjax.environment import PACKAGES, processor, version_of

NEEDED_DISK_GB = 2.0  # a run of quick with its checkpoints, and room to spare
NEEDED_MEMORY_GB = 4.0  # quick holds 2.5 at most
LABEL = 12  # characters


def lines(workdir: Path) -> list[str]:
    """Return the screen, line by line.

    Args:
        workdir: where runs go; it may be absent.
    """
    import jax

    disk = shutil.disk_usage(_existing(workdir)).free / 1e9
    total, free = _memory()
    cache = compile_cache.folder()
    devices = [f"{device.platform}: {device.device_kind}{_device_memory(device)}" for device in jax.devices()]
    found = {name: version for name in PACKAGES if (version := version_of(name))}
    facts = {
        "depthjax": f"{__version__}, Python {platform.python_version()}, {platform.platform(terse=True)}",
        "devices": "; ".join(devices),
        "processor": f"{processor()}, {_cores()} cores for this process",
        "memory": f"{free:.1f} of {total:.1f} GB free",
        "disk": f"{disk:.1f} GB free for {workdir}",
        "compiled": f"programs are kept in {cache} ({_size(cache)})",
        "packages": ", ".join(f"{name} {version}" for name, version in found.items()),
    }
    return [f"{name:<{LABEL}}{value}" for name, value in facts.items()] + ["", *_advice(disk, free, jax.devices())]


def _advice(disk: float, memory: float, devices: list) -> list[str]:
    advice = []
    if all(device.platform == "cpu" for device in devices):
        advice.append("no GPU: configs/quick.py takes 10 to 20 minutes on two cores; configs/paper.py is for a GPU")
    if _cores() < 2:
        advice.append("one core: features and classifiers take twice as long as on two cores")
    if memory < NEEDED_MEMORY_GB:
        advice.append(f"less than {NEEDED_MEMORY_GB:g} GB of free memory: configs/quick.py may not fit")
    if disk < NEEDED_DISK_GB:
        advice.append(f"less than {NEEDED_DISK_GB:g} GB of free disk: name another --workdir")
    if importlib.util.find_spec("xgboost") is None:
        advice.append("xgboost is missing: pip install 'depthjax[cpu]', or leave it out of evaluate.classifiers")
    return [f"! {line}" for line in advice] or ["nothing that would make a run slow was found"]


def _existing(path: Path) -> Path:
    path = path.absolute()
    return path if path.exists() else _existing(path.parent)


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
    total, free = sizes["MemTotal"], sizes["MemAvailable"]
    limit = _container_limit()
    return min(total, limit), min(free, limit)


def _container_limit() -> float:
    try:
        return int(Path("/sys/fs/cgroup/memory.max").read_text()) / 1e9
    except (OSError, ValueError):  # no cgroup, or "max"
        return float("inf")


def _device_memory(device: object) -> str:
    stats = getattr(device, "memory_stats", lambda: None)() or {}
    return f", {stats['bytes_limit'] / 1e9:.1f} GB" if "bytes_limit" in stats else ""


def _size(folder: Path) -> str:
    files = [path for path in folder.glob("*") if path.is_file()] if folder.is_dir() else []
    return f"{len(files)} files, {sum(path.stat().st_size for path in files) / 1e6:.0f} MB" if files else "empty"
