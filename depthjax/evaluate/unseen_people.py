"""What an accuracy on unseen people needs: a split by people, and people with names."""

from collections.abc import Sequence
from pathlib import Path

from depthjax.config import Config
from depthjax.data.listing import escape, list_faces
from depthjax.data.pattern import propose
from depthjax.errors import UserError

GROUP = "group "  # what prepare calls near-duplicates where no pattern names the people


def check_split(config: Config, stage: str) -> None:
    """Raise a UserError of one line for settings under which tested people may be known, before anything is done."""
    if config.data.split != "subject":
        raise UserError(f"{stage}: nobody may be on both sides: set --config.data.split=subject")
    if config.data.source == "folder" and "{subject}" not in config.data.pattern:
        raise _without_names(config, stage)


def check_names(config: Config, names: Sequence[str], stage: str) -> None:
    """Raise a UserError of one line if the subjects, whose names these are, are groups of near-duplicates."""
    if config.data.source != "depth_heads" and all(name.startswith(GROUP) for name in names):
        raise _without_names(config, stage)


def _without_names(config: Config, stage: str) -> UserError:
    fitting = [escape(template) for template in _proposed(config)]
    hint = f"these fit: {', '.join(map(repr, fitting))}" if fitting else "such as 's{subject}_f{frame}'"
    return UserError(f"{stage}: the people have no names: set --config.data.pattern, {hint}")


def _proposed(config: Config) -> list[str]:
    data = config.data
    if data.source != "folder" or "{emotion}" in data.pattern:  # proposals are of names within an emotion's folder
        return []
    files = list_faces(Path(data.path), data.emotions, names_differ=data.names_differ).files
    return propose([(file.emotion, file.name) for file in files]) if files else []
