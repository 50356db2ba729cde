"""Settings from text, and their checks: the bounds beside each field, then the rules that tie fields together."""

import dataclasses
import difflib
import itertools
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from depthjax.config import BASELINE_METHODS, EMOTIONS, FITNESS, SWEPT_SIZES, Config, Evolve, Sweep, own_fitness
from depthjax.config_bounds import Bound, finite_32_bits, folder_names, required
from depthjax.errors import ConfigError
from depthjax.files import user_path

PATHS = (("data", "path"), ("evolve", "fitness"), ("evaluate", "inception"))  # whose ~ is a home folder


def override(config: Config, assignments: dict[str, str]) -> Config:
    """Return the config with dotted keys replaced by values parsed from text (never evaluated), then checked.

    Assignments look like `{"train.epochs": "3", "data.emotions": "fear,anger"}`. An unknown key, or text that does
    not parse as the field's type, is a ConfigError.
    """
    for key, text in assignments.items():
        config = _replace(config, key.split("."), text, key)
    return validate(config)


def _replace(node: Any, path: list[str], text: str, key: str) -> Any:
    kinds = _hints(type(node))
    if isinstance(node, Sweep):  # every field of its grid is a flag
        lists = {field: types.GenericAlias(tuple, (kind, ...)) for field, kind in sweepable().items()}
        kinds = {"seeds": kinds["seeds"]} | lists
    name = path[0]
    if name not in kinds:
        raise ConfigError(f"--config.{key}: there is no '{name}'; {_hint(name, kinds, 'known here')}")
    if isinstance(node, Sweep) and name != "seeds":
        _check_is_value(path, key)
        values = _parse(text, kinds[name], key)
        grid = {field: own for field, own in node.grid.items() if field != name}
        return replace(node, grid=grid | ({name: values} if values else {}))
    value = getattr(node, name)
    if not dataclasses.is_dataclass(value):
        _check_is_value(path, key)
        return replace(node, **{name: _parse(text, kinds[name], key)})
    if len(path) == 1:
        first = dataclasses.fields(value)[0].name
        raise ConfigError(f"--config.{key}: this is a section; name a field in it, such as {key}.{first}")
    return replace(node, **{name: _replace(value, path[1:], text, key)})


def _check_is_value(path: list[str], key: str) -> None:
    if len(path) > 1:
        raise ConfigError(f"--config.{key}: '{path[0]}' is a value, it has no field '{path[1]}'")


def _hint(name: str, known: Iterable[str], otherwise: str) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean '{close[0]}'?" if close else f"{otherwise}: {', '.join(known)}"


def sweepable() -> dict[str, Any]:
    """Return the fields of Evolve that a sweep may vary, with their types and bounds."""
    kinds = _hints(Evolve).items()
    return {n: kind for n, kind in kinds if n in SWEPT_SIZES or float in (kind, *typing.get_args(kind)[:1])}


def _parse(text: str, kind: Any, key: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return _parse(text, arguments[0], key)
    if origin is Literal:
        if text not in arguments:
            raise ConfigError(f"--config.{key}: '{text}' is not one of {', '.join(map(str, arguments))}")
        return text
    if origin is tuple:
        parts = (part.strip() for part in text.strip("()[]").split(","))
        return tuple(_parse(part, arguments[0], key) for part in parts if part)
    if origin in (typing.Union, types.UnionType):
        return None if text.lower() == "none" else _parse(text, arguments[0], key)
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ConfigError(f"--config.{key}: '{text}' is neither true nor false")
        return text.lower() == "true"
    try:
        return kind(text)
    except ValueError:
        wanted = "a whole number" if kind is int else "a number"
        raise ConfigError(f"--config.{key}: '{text}' is not {wanted}") from None


def _hints(section: type) -> dict[str, Any]:
    return typing.get_type_hints(section, include_extras=True)


def validate(config: Config) -> Config:
    """Return the config, `~` of its paths expanded; a ConfigError names a field at fault, and says what it may be."""
    config = _at_home(config)
    parts = (_data_rules, _train_rules, _evolve_rules, _sample_rules, _few_rules)
    # One after the other: a rule may rely on the bounds, and on the rules before it.
    broken = ((key, problem) for part in parts for holds, key, problem in part(config) if not holds)
    for key, problem in itertools.chain(_bounds_broken(config), broken):
        raise ConfigError(f"--config.{key}: {problem}")
    return config


def _at_home(config: Config) -> Config:
    for section, field in PATHS:
        part = getattr(config, section)
        path = getattr(part, field)
        if path.startswith("~"):
            config = replace(config, **{section: replace(part, **{field: str(user_path(path))})})
    return config


def _bounds_broken(node: Any, section: str = "") -> Iterator[tuple[str, str]]:
    """Every field whose value is outside the bounds beside it: its key, and what is wrong."""
    for field, kind in _hints(type(node)).items():
        key, value = section + field, getattr(node, field)
        if dataclasses.is_dataclass(value):
            yield from _bounds_broken(value, f"{key}.")
            continue
        if isinstance(value, Mapping):
            yield from _grid_broken(value, section)
            continue
        values = value if isinstance(value, tuple) else () if value is None else (value,)
        problems = [bound(values) for bound in _bounds_of(kind)]
        if key != "data.invalid_value":  # which may be nan
            problems += map(finite_32_bits, values)
        plain = typing.get_args(kind)[0] if typing.get_origin(kind) is Annotated else kind
        or_none = ", or none" if type(None) in typing.get_args(plain) else ""
        yield from ((key, problem + or_none) for problem in problems if problem)


def _grid_broken(grid: Mapping[str, Any], section: str) -> Iterator[tuple[str, str]]:
    """Yield every field of a sweep's grid that cannot be varied, or has a value outside its own bounds."""
    kinds = sweepable()
    for field, values in grid.items():
        if field not in kinds:
            yield section + field, f"cannot be varied; {_hint(field, kinds, 'those that can')}"
            continue
        kind = kinds[field]
        number = int if field in SWEPT_SIZES else (int, float)
        if not isinstance(values, (tuple, list)) or not all(isinstance(v, number) for v in values):
            yield section + field, f"must be a list of numbers, not {values!r}"
            continue
        problems = [required(values), *(bound(values) for bound in _bounds_of(kind))]
        problems += map(finite_32_bits, values)
        yield from ((section + field, problem) for problem in problems if problem)


def _bounds_of(kind: Any) -> tuple[Bound, ...]:
    return getattr(kind, "__metadata__", ())


Rules = list[tuple[bool, str, str]]  # between fields: whether it holds, the field to change, and what is wrong


def _data_rules(c: Config) -> Rules:
    data, rendered = c.data, c.data.source == "depth_heads"
    unknown = [e for e in data.emotions if e not in EMOTIONS] if rendered else []
    several_tests = rendered and data.extra_test_subjects and data.split == "image"
    return [
        (not unknown, "data.emotions", f"{', '.join(unknown)}: not among {', '.join(EMOTIONS)}"),
        (len(data.emotions) >= 2, "data.emotions", "name at least two emotions"),
        (not folder_names([c.name]), "name", folder_names([c.name]) or ""),
        (rendered or bool(data.path), "data.path", f"data.source = {data.source} needs the folder of its faces"),
        (not (rendered and data.path), "data.path", "is read only with data.source = folder or ikfdb: set it as well"),
        (
            not several_tests,
            "data.extra_test_subjects",
            "are subjects to test on that nobody trained on, and data.split = image tests on the same ones: set it "
            "to 0",
        ),
        (data.near_mm < 0 < data.far_mm, "data.near_mm", "near_mm must be below 0 (the nose tip) and far_mm above"),
    ]


def _train_rules(c: Config) -> Rules:
    size, parts = c.train.batch_size, c.train.accumulate
    distributed, count = c.distributed, c.distributed.process_count
    several = distributed.coordinator not in ("", "auto")
    enough = f"must leave at least 2 of the {size} faces of a batch to a microbatch: batch normalisation"
    alone = c.train.on_not_finite == "abort" or not distributed.coordinator
    below = f"must be below distributed.process_count = {count}"
    return [
        (size % max(parts, 1) == 0, "train.accumulate", f"must divide train.batch_size = {size}"),
        (parts == 1 or 2 * parts <= size, "train.accumulate", enough),
        (alone, "train.on_not_finite", "must be abort where several processes train together"),
        (not several or count >= 2, "distributed.process_count", "must be at least 2 with distributed.coordinator"),
        (not several or distributed.process_id < count, "distributed.process_id", below),
    ]


def _evolve_rules(c: Config) -> Rules:
    least = min(c.sweep.grid.get("population", (c.evolve.population,)))
    elite = max(c.sweep.grid.get("elite", (c.evolve.elite,)))
    return [
        (not _fitness_problem(c.evolve), "evolve.fitness", _fitness_problem(c.evolve)),
        (c.evolve.elite < c.evolve.population, "evolve.elite", "must be smaller than the population"),
        (least > elite or not c.sweep.grid, "sweep.population", f"must be above the elite = {elite}"),
    ]


def _sample_rules(c: Config) -> Rules:
    untrained = ", ".join(e for e in c.sample.emotions if e not in c.data.emotions)
    unfitted = [m for m in c.sample.methods if m in BASELINE_METHODS and m not in c.baselines.methods]
    verb = "is" if len(unfitted) == 1 else "are"
    name_it = f"{', '.join(unfitted)}: {verb} not fitted: name it in baselines.methods as well"
    return [
        (not untrained, "sample.emotions", f"{untrained}: the generator only knows {', '.join(c.data.emotions)}"),
        (not unfitted, "sample.methods", name_it),
    ]


def _few_rules(c: Config) -> Rules:
    people = c.few.people
    return [
        (1 not in people, "few.people", "must be at least 2, or 0 for all people"),
        (len(set(people)) == len(people), "few.people", "names a number of people twice"),
    ]


def _fitness_problem(settings: Evolve) -> str:
    name, (path, function) = settings.fitness, own_fitness(settings) or ("", "")
    if name in FITNESS or (path.endswith(".py") and function.isidentifier()):
        return ""
    close = difflib.get_close_matches(name, FITNESS, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    return f"'{name}' is neither one of {', '.join(FITNESS)} nor FILE.py:FUNCTION of your own{hint}"
