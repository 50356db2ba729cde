"""A stage of a run as one object, and the record that lets a finished stage be skipped."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from depthjax import artifact
from depthjax._version import __version__
from depthjax.artifact import Record
from depthjax.config import Config, own_fitness, to_dict
from depthjax.errors import ConfigError
from depthjax.files import digest, file_digest, tree_digest

if TYPE_CHECKING:
    from depthjax.progress import Log

LAYOUT = 6  # of the work folder; raised when stages come to write other files
STAGES = ("prepare", "train", "baselines", "evolve", "sample", "evaluate", "report")  # in order
OPTIONAL = ("export", "sweep", "few", "recognise")  # run only when asked for by name
KNOWN = (*STAGES, *OPTIONAL)
WITHOUT_EFFECT = ("writers", "strict_checkpoints")  # settings of train that change no file of a stage


@dataclass(frozen=True)
class Stage:
    """One stage."""

    name: str
    sections: tuple[str, ...]  # of the config, which its files depend on
    needs: tuple[Stage, ...]  # whose files it reads
    run: Callable[[Config, Path, Log], list[Path]]  # → the files and folders that it wrote
    uses: Callable[[Config], Collection[str]] | None = None  # the names of those it reads with a config; None: all
    reads: Callable[[Config], list[str]] | None = None  # digests of files, beside the settings, that they depend on

    def inputs(self, config: Config) -> list[Stage]:
        """Return the stages whose files this one reads with these settings."""
        return [stage for stage in self.needs if self.uses is None or stage.name in self.uses(config)]

    def fingerprint(self, config: Config) -> str:
        """Return a sha256 of all that the files depend on: settings, own fitness, stages before, version, networks."""
        settings = to_dict(config)
        given = {section: settings[section] for section in self.sections}
        if "train" in given:
            given["train"] = {name: value for name, value in given["train"].items() if name not in WITHOUT_EFFECT}
        before = [stage.fingerprint(config) for stage in self.inputs(config)]
        before += self.reads(config) if self.reads else []
        own = own_fitness(config.evolve) if "evolve" in self.sections else None
        if own and not Path(own[0]).is_file():
            raise ConfigError(f"--config.evolve.fitness {own[0]}: no such file")
        code = [file_digest(Path(own[0]))] if own else []
        return digest(__version__, LAYOUT, self.name, given, before, *code)

    def is_done(self, config: Config, workdir: Path, faces: str | None = None) -> bool:
        """Return whether the stage finished with these settings and `faces_state`, and its outputs are there."""
        record = read(self.name, workdir)
        if record is None or record.settings.get("fingerprint") != self.fingerprint(config):
            return False
        outputs = record.facts.get("outputs")
        if not isinstance(outputs, list) or not all((workdir / str(name)).exists() for name in outputs):
            return False
        faces = faces_state(self.name, config, workdir) if faces is None else faces
        return faces in (record.settings.get("faces"), None)

    def finish(
        self, config: Config, workdir: Path, outputs: Sequence[Path], *, seconds: float = 0.0, faces: str | None = ""
    ) -> None:
        """Write the record of a stage whose `faces_state` was `faces` before it began."""
        settings = {"fingerprint": self.fingerprint(config), "faces": faces or ""}
        names = [path.relative_to(workdir).as_posix() for path in outputs]
        facts = {"seconds": round(seconds, 2), "outputs": names}
        artifact.finish(record_path(self.name, workdir), workdir, outputs, settings, facts)


def damaged(name: str, workdir: Path, *, partly: bool = False) -> Path | None:
    """Return the first file that is not what the stage wrote, or None.

    If `partly`, pass over checkpoints, whose reader checks the part that it reads, and over missing files, which their
    readers name.
    """
    record = read(name, workdir)
    written = {} if record is None else record.sha256
    if partly:
        kept = (n for n in written if "checkpoints" not in n.split("/") and (workdir / n).exists())
        written = {name: written[name] for name in kept}
    return artifact.first_damaged(workdir, written)


def faces_state(name: str, config: Config, workdir: Path) -> str | None:
    """Return what identifies the user's own faces as a stage finds them: prepare in their folder, others in `data`.

    Empty for rendered faces. None where it is unknown: a missing folder is no reason to do anything again.
    """
    if config.data.source == "depth_heads":
        return ""
    if name == "prepare":
        folder = Path(config.data.path)
        return tree_digest(folder) if folder.is_dir() else None
    prepared = read("prepare", workdir)
    return None if prepared is None else str(prepared.settings.get("faces", ""))


def read(name: str, workdir: Path) -> Record | None:
    """Return the record of a finished stage, or None."""
    return artifact.read_record(record_path(name, workdir))


def record_path(name: str, workdir: Path) -> Path:
    """Return where the record of a stage is."""
    return workdir / "stages" / f"{name}.json"
