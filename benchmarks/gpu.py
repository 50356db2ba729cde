"""What one GPU does in at most eight minutes: training, evolution, sampling, evaluation, and `quick` end to end.

Command: python -m benchmarks.gpu [--minutes 8] [--json runs/gpu.json]
         python -m benchmarks.gpu --rehearse    every row at toy size on a CPU: that it runs, not how fast
         python -m benchmarks.gpu --counts      operations, bytes and collectives of a training step, by the compiler
Needs:   a GPU that jax can use, but for the last two. PyTorch is timed too where it has CUDA, or the row says why not.

Finished rows are kept in the JSON file; the same command goes on with those that are missing, then with those that
failed. A row is not started if its estimate exceeds what is left of `--minutes`. A worker process measures the rows;
where one fails or is late, that worker is ended, and the next row gets a new one.

Training is at the paper's width and batch (512/64, 32), in turn with the peers. TensorFloat-32 is what jax and PyTorch
take by default; "exact" is full float32; of bfloat16 are only the networks' maps. Evolution is the paper's algorithm on
random weights. The evaluated faces are rendered ones of other people. Compilation is left out, but for `quick`.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.table import Row, report
from depthjax.errors import UserError, without_traceback
from depthjax.files import read_json, write_json
from depthjax.signals import ending_on_signals

ROOT = Path(__file__).parents[1]
MARK = "row: "  # begins what a worker has to say, on its standard output
EXACT, TF32, BFLOAT16 = "float32 exact", "TensorFloat-32", "bfloat16"
PEERS = ("PyTorch eager", "torch.compile, CUDA graphs")  # of train_step.PEERS
TOY_DATA = {"data.subjects": 5, "data.frames": 2, "data.resolution": 16}  # of the config smoke


@dataclass(frozen=True)
class Found:
    """What a row has measured so far."""

    seconds: float  # of one unit of work: a step, an evolution, a whole command
    note: str
    peers: dict[str, float] = field(default_factory=dict)  # seconds of the same
    kernels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task:
    """A row to measure."""

    name: str
    estimate: float  # seconds with compilation; a guess until a GPU has run it
    measure: Callable[..., Iterator[Found]]  # (toy, *arguments); each that it yields replaces the one before
    arguments: tuple[Any, ...] = ()


def train(toy: bool, side: int, precision: str) -> Iterator[Found]:
    """A training step, then its longest kernels, then the peers in turn."""
    from benchmarks.train_step import interleaved, ours, sized
    from depthjax.precision import exact_products

    config, batch_size = sized(16, 16, 4, 4) if toy else sized(side, 512, 64, 32)
    if precision == BFLOAT16:
        config = replace(config, model=replace(config.model, dtype="bfloat16"))
    with exact_products() if precision == EXACT else nullcontext():
        run, rounds = ours(config, batch_size), 2 if toy else 5
        seconds = interleaved({"ours": run}, rounds)["ours"]
        found = Found(seconds, f"{batch_size / seconds:,.0f} images/s")
        yield found
        if side == 256:
            found = replace(found, kernels=longest_kernels(run))
            yield found
        if precision == TF32:
            yield beside_peers(found, config, batch_size, run, rounds)


def longest_kernels(run: Callable[[], None]) -> tuple[str, ...]:
    """The three kernels that take most time of a dispatch, by the profiler."""
    import jax

    from benchmarks.train_step import STEPS

    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            run()
        profile = jax.profiler.ProfileData.from_file(str(next(Path(folder).rglob("*.xplane.pb"))))
    totals: Counter[str] = Counter()
    for plane in profile.planes:
        on_gpu = plane.name.startswith("/device:GPU")
        for line in plane.lines:
            if line.name.startswith("Stream" if on_gpu else "tf_XLA"):
                for event in line.events:
                    # On a CPU, names with colons are the runtime's own.
                    totals[event.name] += event.duration_ns if on_gpu or "::" not in event.name else 0
    whole, longest = sum(totals.values()), totals.most_common(3)
    return tuple(f"{name[:80]}: {1e-6 * ns / STEPS:.3f} ms a step, {100 * ns / whole:.0f} %" for name, ns in longest)


def beside_peers(found: Found, config: Any, batch_size: int, run: Callable[[], None], rounds: int) -> Found:
    """Time the step again, in turn with those peers that can run."""
    from benchmarks import train_step

    runs, notes = {"ours": run}, [found.note]
    for name in PEERS:
        try:
            runs[name] = train_step.theirs(config, batch_size, mode=train_step.PEERS[name])
        except Exception as error:
            notes.append(f"no {name}: {first_line(error)}")
    seconds = train_step.interleaved(runs, rounds)
    return replace(found, seconds=seconds.pop("ours"), peers=seconds, note="; ".join(notes))


def evolve(toy: bool, islands: int, population: int, generations: int) -> Iterator[Found]:
    """An evolution of three emotions at 256x256, the second call of it."""
    from benchmarks.evolve import RELEASED, Case, our_run, timed

    case = Case("toy", 16, 16, 2, 1) if toy else Case("full256", 256, 512, generations, 1)
    run = our_run(case, replace(RELEASED, islands=2 if toy else islands, population=6 if toy else population))
    first, again = timed(run), timed(run)
    rate = f"{again.evaluations:,} faces decoded, {again.evaluations / again.wall:,.0f} a second"
    yield Found(again.wall, f"{rate}; first call, with compilation, {first.wall:.1f} s")


def sample(toy: bool) -> Iterator[Found]:
    """Faces of random latents, as arrays on the host."""
    import jax
    import numpy as np

    from depthjax.models.dcgan import DECODE_BATCH, Generator, decode

    count, generator = (200, Generator(16, 16, 3)) if toy else (10_000, Generator(256, 512, 3))
    latents = np.random.default_rng(0).normal(size=(count, 256)).astype(np.float32)
    emotion = (np.arange(count) % 3).astype(np.int32)
    variables = jax.jit(lambda key: generator.init(key, latents[:1], emotion[:1], False))(jax.random.key(0))
    decode(generator, variables, latents[:DECODE_BATCH], emotion[:DECODE_BATCH])
    start = time.perf_counter()
    decode(generator, variables, latents, emotion)
    seconds = time.perf_counter() - start
    yield Found(seconds, f"{count / seconds:,.0f} faces/s, products in full float32")


def evaluate(toy: bool) -> Iterator[Found]:
    """The evaluation of `quick`, of as many faces as 40 people have."""
    from depthjax.data.faces import joined, made_faces
    from depthjax.library import evaluate_faces, load_config, load_faces

    settings: dict[str, Any] = {"baselines.methods": "", "sample.methods": "cdcgan_kd"}
    if toy:
        settings |= TOY_DATA | {"evaluate.classifiers": "decision_tree"}
    config = load_config("smoke" if toy else "quick", settings)
    others = config if toy else load_config("quick", settings | {"data.seed": 1, "data.extra_test_subjects": 0})
    with tempfile.TemporaryDirectory() as folder:
        people = joined(load_faces(others, Path(folder) / f"seed{others.data.seed}", log=None))
        faces = made_faces(people.images, people.emotion, people.emotions, people.depth_range)
        run = Path(folder) / f"seed{config.data.seed}"
        load_faces(config, run, log=None)
        start = time.perf_counter()
        evaluate_faces(config, run, {"cdcgan_kd": faces}, log=None)
        yield Found(time.perf_counter() - start, f"{len(faces):,} faces; {os.cpu_count()} cores; no latent inversion")


def quick(toy: bool) -> Iterator[Found]:
    """The whole command, start and compilation included, in a folder that is removed."""
    from depthjax import stages

    # A rehearsal ends with the first stage: the tests run the others.
    toys = ["--stages=prepare", *(f"--config.{name}={value}" for name, value in TOY_DATA.items())]
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        command = [sys.executable, "launch.py", "--config", f"configs/{'smoke' if toy else 'quick'}.py"]
        command += ["--workdir", folder, "--quiet", *(toys if toy else ())]
        # An empty folder of compiled programs: the first start on a machine.
        environment = os.environ | ({} if toy else {"JAX_COMPILATION_CACHE_DIR": f"{folder}/programs"})
        subprocess.run(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=True)
        seconds = time.perf_counter() - start
        done = [(name, stages.read(name, Path(folder))) for name in stages.STAGES]
    yield Found(seconds, ", ".join(f"{name} {record.facts['seconds']:.0f} s" for name, record in done if record))


def training(side: int, precision: str, estimate: float) -> Task:
    """The row of a training step."""
    return Task(f"training step {side}x{side}, {precision}", estimate, train, (side, precision))


def evolving(islands: int, population: int, generations: int, estimate: float) -> Task:
    """The row of an evolution."""
    name = f"evolution 256x256, 3 emotions x {islands} islands x {population}, {generations} generations"
    return Task(name, estimate, evolve, (islands, population, generations))


TASKS = (
    training(256, TF32, 110),
    training(256, BFLOAT16, 45),
    evolving(400, 8, 10, 70),
    evolving(1, 20, 100, 25),
    Task("sampling 10,000 faces of 256x256", 30, sample),
    training(64, TF32, 60),
    training(256, EXACT, 45),
    evolving(64, 20, 10, 40),
    training(128, TF32, 75),
    training(128, BFLOAT16, 25),
    training(64, BFLOAT16, 20),
    training(128, EXACT, 25),
    training(64, EXACT, 20),
    Task("evaluation of 1,200 faces, `quick`'s settings", 150, evaluate),
    Task("`quick`, end to end", 330, quick),
)


def serve(toy: bool) -> None:
    """Measure the rows that are named on standard input, a line each; end at the first that fails."""
    tasks = {task.name: task for task in TASKS}
    say({"machine": machine()})
    for line in sys.stdin:
        task = tasks[line.strip()]
        try:
            for found in task.measure(toy, *task.arguments):
                say(asdict(found))
        except Exception as error:
            traceback.print_exc()
            say({"done": False, "failed": first_line(error)})
            sys.exit(1)
        say({"done": True})


def say(what: dict[str, Any]) -> None:
    """Tell the parent."""
    print(MARK + json.dumps(what), flush=True)


def first_line(error: Exception) -> str:
    """An error in a line."""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:120]}"


def machine() -> dict[str, Any]:
    """Start jax as a run does, and return what the numbers depend on."""
    from depthjax.config import Config
    from depthjax.environment import cache_programs, describe, start_jax

    start_jax()
    cache_programs()
    found = describe(Config())
    return {name: found[name] for name in ("devices", "processor", "cpu_count", "packages")}


class Worker:
    """A process that measures rows, one at a time, in a session of its own: its children end with it."""

    def __init__(self, command: Sequence[str]) -> None:
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, cwd=ROOT, start_new_session=True, **pipes)
        self.said: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in self.process.stdout:
            if line.startswith(MARK):
                self.said.put(json.loads(line.removeprefix(MARK)))
        self.said.put(None)

    def measure(self, name: str, limit: float) -> Iterator[dict[str, Any]]:
        """Yield what the worker says of a row; the last has `done`, whether or not the worker lived to say so."""
        with suppress(BrokenPipeError):  # it has ended, which the next line says
            self.process.stdin.write(f"{name}\n")
            self.process.stdin.flush()
        end, last = time.monotonic() + limit, False
        while not last:
            said = self.hear(end - time.monotonic())
            last = "done" in said
            yield said

    def hear(self, limit: float) -> dict[str, Any]:
        """The next that the worker says, or why it says nothing."""
        try:
            said = self.said.get(timeout=max(0.0, limit))
        except queue.Empty:
            return {"done": False, "failed": "stopped: it took too long"}
        if said is None:
            return {"done": False, "failed": f"its process ended with exit code {self.process.wait()}"}
        return said

    def end(self, grace: float = 3.0) -> None:
        """End the process and its children; one without a row ends by itself, and removes its temporary files."""
        with suppress(BrokenPipeError, subprocess.TimeoutExpired):
            self.process.stdin.close()
            self.process.wait(grace)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def missing(tasks: Sequence[Task], rows: dict[str, Any]) -> list[Task]:
    """Those that are not done: first those never tried."""
    return sorted((t for t in tasks if not rows.get(t.name, {}).get("done")), key=lambda task: task.name in rows)


def measure_all(tasks: Sequence[Task], path: Path, seconds: float, command: list[str], platform: str) -> dict[str, Any]:
    """Measure what is missing and fits into so many seconds; return all that the file then holds, by row."""
    end, worker = time.monotonic() + seconds, None
    state = read_json(path) if path.exists() else {"machine": None, "rows": {}}
    rows = state["rows"]
    try:
        for task in missing(tasks, rows):
            if task.estimate > end - time.monotonic():
                print(f"no time left for {task.name} ({task.estimate:.0f} s)", file=sys.stderr, flush=True)
                continue
            if worker is None:
                worker = Worker(command)
                said = worker.hear(end - time.monotonic())
                state["machine"] = same_machine(said, state["machine"], platform, path)
            start = time.monotonic()
            for said in worker.measure(task.name, min(3 * task.estimate, end - start)):
                rows[task.name] = rows.get(task.name, {}) | said | {"date": time.strftime("%Y-%m-%d %H:%M")}
                write_json(path, state)
            print(f"{task.name}: {rows[task.name]}", file=sys.stderr, flush=True)
            if not rows[task.name]["done"]:
                worker.end(grace=0)
                worker = None
    finally:
        if worker is not None:
            worker.end()
    return state


def same_machine(said: dict[str, Any], before: Any, platform: str, path: Path) -> dict[str, Any]:
    """Return the worker's machine; a UserError if it has no such device, or is not that of the file's rows."""
    found, devices = said.get("machine", {}), said.get("machine", {}).get("devices", [])
    if not devices or not devices[0].startswith(platform):
        raise UserError(f"jax finds no {platform}, but {devices or said}: --rehearse runs on a CPU")
    if before not in (None, found):
        raise UserError(f"{path} holds rows of another machine or of other versions: give another --json")
    return found


def table(tasks: Sequence[Task], rows: dict[str, Any]) -> list[Row]:
    """A line for each row and peer; those without a number say so."""
    lines = []
    for task in tasks:
        row = rows.get(task.name, {})
        failed = None if row.get("done") else row.get("failed")
        note = "; ".join(filter(None, (row.get("note", "not measured"), failed)))
        for peer, peer_s in (row.get("peers") or {"": None}).items():
            lines.append(Row(task.name, peer, row.get("seconds"), peer_s, note))
            note = ""
    return lines


def main() -> None:
    """Measure what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=8, help="in all; default: 8")
    parser.add_argument("--json", type=Path, help="where rows are kept; default: runs/gpu.json, or gpu_rehearsal.json")
    parser.add_argument("--rehearse", action="store_true", help="every row at toy size, on a CPU")
    parser.add_argument("--counts", action="store_true", help="of the compiler, on a CPU; nothing is measured")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    flags, start = parser.parse_args(), time.monotonic()
    xla_flags = os.environ.get("XLA_FLAGS", "")
    if flags.counts:
        os.environ["JAX_PLATFORMS"] = "cpu"
        from benchmarks import memory

        return memory.print_counts(devices=8)
    if flags.serve:
        return serve(flags.rehearse)
    path = flags.json or ROOT / "runs" / ("gpu_rehearsal.json" if flags.rehearse else "gpu.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # or there would be no memory for PyTorch and `quick`
    command, tasks = [sys.executable, "-m", "benchmarks.gpu", "--serve"], TASKS
    if flags.rehearse:
        os.environ["JAX_PLATFORMS"] = "cpu"
        os.environ["XLA_FLAGS"] = f"{xla_flags} --xla_backend_optimization_level=0"
        command, tasks = [*command, "--rehearse"], tuple(replace(task, estimate=60.0) for task in TASKS)
    with without_traceback(), ending_on_signals():
        state = measure_all(tasks, path, 60 * flags.minutes, command, "cpu" if flags.rehearse else "gpu")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    took = f"took {time.monotonic() - start:.0f} s, {used.ru_utime + used.ru_stime:.0f} s of processor time"
    print(f"{(state['machine'] or {}).get('devices')}; {path}{' (toy sizes)' if flags.rehearse else ''}; {took}")
    report(table(tasks, state["rows"]))
    for name, kernel in ((name, k) for name, row in state["rows"].items() for k in row.get("kernels", ())):
        print(f"{name}: {kernel}")


if __name__ == "__main__":
    main()
