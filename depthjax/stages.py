"""What each stage did last: a stamp that lets an unchanged stage be skipped."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from depthjax._version import __version__
from depthjax.config import Config, own_fitness, to_dict
from depthjax.errors import ConfigError
from depthjax.files import digest, file_digest, first_changed, read_sealed, tree_digest, write_sealed

LAYOUT = 4  # of the work folder; raised when all stages come to write other files
LAYOUTS = {"evaluate": 6, "prepare": 5}  # likewise, when one does

# Stage: the config sections it reads, and the stages whose files it reads.
STAGES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "prepare": (("data",), ()),
    "train": (("data", "model", "train"), ("prepare",)),
    "baselines": (("data", "model", "train", "baselines"), ("prepare",)),
    "evolve": (("evolve",), ("train",)),
    "sample": (("sample",), ("train", "baselines", "evolve", "prepare")),
    "evaluate": (("evaluate",), ("prepare", "sample")),
    "report": ((), ("prepare", "train", "baselines", "evolve", "sample", "evaluate")),
}
# Run only when asked for by name.
OPTIONAL: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "export": (("export",), ("prepare", "sample")),
    "sweep": (("evolve", "sweep"), ("train",)),
}
KNOWN = STAGES | OPTIONAL


def inputs(stage: str, config: Config) -> tuple[str, ...]:
    """The stages whose files this one reads, with these settings: an export those of the sets that it is to write."""
    before = KNOWN[stage][1]
    if stage != "export":
        return before
    of_sets = {"prepare" if name == "real" else "sample" for name in config.export.sets}
    return tuple(name for name in before if name in of_sets)


def fingerprint(stage: str, config: Config) -> str:
    """A sha256 of all that the stage's files depend on: its settings, those of the stages before it, the version."""
    sections, before = KNOWN[stage][0], inputs(stage, config)
    settings = to_dict(config)
    given = {s: settings[s] for s in sections}
    return digest(
        __version__,
        LAYOUTS.get(stage, LAYOUT),
        stage,
        given,
        [fingerprint(b, config) for b in before],
        *_own_code(stage, config),
    )


def _own_code(stage: str, config: Config) -> tuple[str, ...]:
    """The sha256 of the file that holds the user's own fitness, for a stage that runs it."""
    own = own_fitness(config.evolve) if "evolve" in KNOWN[stage][0] else None
    if own is None:
        return ()
    if not Path(own[0]).is_file():
        raise ConfigError(f"--config.evolve.fitness {own[0]}: no such file")
    return (file_digest(Path(own[0])),)


def is_done(stage: str, config: Config, workdir: Path) -> bool:
    """Whether the stage finished with these settings and faces, and all its files are still there."""
    return is_done_with(faces_state(stage, config, workdir), stage, config, workdir)


def is_done_with(faces: str | None, stage: str, config: Config, workdir: Path) -> bool:
    """`is_done` where `faces_state` is known: it looks at every file of a user's folder."""
    stamp = _read_stamp(workdir, stage)
    return (
        stamp.get("fingerprint") == fingerprint(stage, config)
        and faces in (stamp.get("faces", ""), None)
        and all((workdir / name).exists() for name in stamp["outputs"])
    )


def damaged(stage: str, workdir: Path, *, partly: bool = False) -> Path | None:
    """The first file that is not what the stage wrote (its sha256 stands in the stamp), or None.

    Args:
        partly: pass over what is checked where it is read, because a part of it may do: the arrays of checkpoints,
            which have a manifest; and over files that are gone, which their readers name.
    """
    written = _read_stamp(workdir, stage).get("sha256", {})
    if partly:
        looked_at = (n for n in written if "checkpoints" not in n.split("/") and (workdir / n).exists())
        written = {name: written[name] for name in looked_at}
    return first_changed(workdir, written, digest_of=_digest_now)


def _digest_now(path: Path) -> str:
    status = path.stat()
    return _digest_of(path, status.st_size, status.st_mtime_ns, status.st_ino)


@cache
def _digest_of(path: Path, *state: int) -> str:
    """Of a file in this state: it is read once a process, however many stages need it."""
    del state
    return file_digest(path)


def faces_state(stage: str, config: Config, workdir: Path) -> str | None:
    """What tells the user's own faces, as the stage finds them, from others: prepare in their folder, others in `data`.

    Empty for rendered faces. None where it cannot be told: a folder that is gone is no reason to do anything again.
    """
    if config.data.source == "depth_heads":
        return ""
    if stage == "prepare":
        folder = Path(config.data.path)
        return tree_digest(folder) if folder.is_dir() else None
    prepared = _read_stamp(workdir, "prepare")
    return str(prepared.get("faces", "")) if prepared else None


def mark_done(
    stage: str, config: Config, workdir: Path, *, outputs: list[Path], seconds: float, faces: str | None = ""
) -> None:
    """Stamp a stage that has finished, with the sha256 of every file that it wrote.

    Args:
        outputs: files or folders inside `workdir`.
        faces: `faces_state` before the stage began.
    """
    names = [path.relative_to(workdir).as_posix() for path in outputs]
    files = sorted(
        file for path in outputs for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()
    )
    done = {"fingerprint": fingerprint(stage, config), "faces": faces or ""}
    stamp = done | {"seconds": round(seconds, 2), "outputs": names}
    stamp["sha256"] = {file.relative_to(workdir).as_posix(): _digest_now(file) for file in files}
    write_sealed(_stamp(workdir, stage), stamp)


def clear(stage: str, workdir: Path) -> None:
    """Forget that a stage was done: its files are about to change."""
    _stamp(workdir, stage).unlink(missing_ok=True)


def _read_stamp(workdir: Path, stage: str) -> dict[str, Any]:
    """Empty where there is none, or only one of an earlier version, which knew no sha256."""
    path = _stamp(workdir, stage)
    stamp = read_sealed(path) if path.exists() else {}
    return stamp if isinstance(stamp.get("sha256"), dict) and isinstance(stamp.get("outputs"), list) else {}


def _stamp(workdir: Path, stage: str) -> Path:
    return workdir / "stages" / f"{stage}.json"
