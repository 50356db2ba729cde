"""What a second core of this machine can give: the same work of one thread on one core, then on two cores at once.

Command: python -m benchmarks.cores [--seconds S]
Needs:   two cores with nothing else running.

Two processes, each pinned to a core, do one piece of work after another, first one of them alone. A ratio of 2 means
that neither slows the other. Less is what both share: memory, cache, or the parts of a core if the two are its hardware
threads. No program that does this work gains more from the second core. Processor time counts, which others on the
machine change least.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

import numpy as np

from depthjax.parallel import ONE_THREAD

FACES, FEATURES, BINS = 1560, 1854, 64  # of a fit of the evaluation of `quick`: faces, values of each, their quantiles
READY, PAUSE = 12.0, 1.0  # seconds until both processes can begin, and between two works


def forest() -> Callable[[], object]:
    """Ten trees of the evaluation's forest."""
    from sklearn.ensemble import RandomForestClassifier

    faces, labels = quantiles()
    return lambda: RandomForestClassifier(10, random_state=0, n_jobs=1).fit(faces, labels)


def boosting() -> Callable[[], object]:
    """Two rounds of the evaluation's XGBoost."""
    from xgboost import XGBClassifier

    faces, labels = quantiles()
    return lambda: XGBClassifier(n_estimators=2, random_state=0, n_jobs=1).fit(faces, labels)


def gradients() -> Callable[[], object]:
    """HOG of 60 images of 128x128."""
    from depthjax.evaluate.handcrafted import histograms_of_gradients

    images = np.random.default_rng(0).integers(0, 255, (60, 128, 128), np.uint8)
    return lambda: histograms_of_gradients(images)


def products(side: int) -> Callable[[], object]:
    """About 17 GFLOP of products of float32 matrices."""
    a = np.random.default_rng(0).normal(size=(side, side)).astype(np.float32)
    return lambda: [a @ a for _ in range(max(1, 2048**3 // side**3))]


def copies() -> Callable[[], object]:
    """Four copies of 256 MB."""
    values = np.ones(2**26, np.float32)
    target = np.empty_like(values)
    return lambda: [np.copyto(target, values) for _ in range(4)]


WORKS: dict[str, Callable[[], Callable[[], object]]] = {
    "random forest": forest,
    "XGBoost": boosting,
    "HOG": gradients,
    "float32 products 512 a side": lambda: products(512),
    "float32 products 2048 a side": lambda: products(2048),
    "copies of 256 MB": copies,
}


def quantiles() -> tuple[np.ndarray, np.ndarray]:
    """Faces as their classifiers get them, with labels that some of the values tell of."""
    rng = np.random.default_rng(0)
    labels = np.arange(FACES) % 3
    faces = rng.integers(0, BINS, (FACES, FEATURES)).astype(np.float32)
    faces[:, ::9] = (faces[:, ::9] + 5 * labels[:, None]) % BINS
    return faces, labels


def main() -> None:
    """Print a row for each work."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="that each is repeated")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)  # a core, and when to begin
    flags = parser.parse_args()
    if flags.child:
        print(json.dumps(repeated(int(flags.child[0]), float(flags.child[1]), flags.seconds)))
        return
    command = [sys.executable, "-m", "benchmarks.cores", "--seconds", str(flags.seconds), "--child"]
    cores, begin = sorted(os.sched_getaffinity(0))[:2], str(time.time() + READY)
    if len(cores) < 2:
        sys.exit("error: this process may use one core only: two are needed")
    environment = os.environ | ONE_THREAD
    running = [
        subprocess.Popen([*command, str(core), begin], env=environment, stdout=subprocess.PIPE) for core in cores
    ]
    printed = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        sys.exit("error: a core began late or failed (its reason is above): try again with nothing else running")
    first, second = map(json.loads, printed)
    print(f"| work | one core | each of two at once | ratio |\n{'|---' * 4}|")
    for name in WORKS:
        alone, both = first[name][0], (first[name][1] + second[name][1]) / 2
        print(f"| {name} | {1e3 * alone:.0f} ms | {1e3 * both:.0f} ms | {2 * alone / both:.2f}x |")


def repeated(core: int, begin: float, seconds: float) -> dict[str, tuple[float, float]]:
    """Median seconds of a piece of each work: while the first core works alone, and while both do."""
    alone = core == min(os.sched_getaffinity(0))
    os.sched_setaffinity(0, [core])
    works = {name: make() for name, make in WORKS.items()}
    for run in works.values():
        run()
    if time.time() > begin:
        raise RuntimeError(f"not ready in {READY} s: is anything else running?")
    found = {}
    for number, (name, run) in enumerate(works.items()):
        start = begin + 2 * number * (seconds + PAUSE)
        by_itself = pieces(run, start, seconds) if alone else 0.0
        found[name] = by_itself, pieces(run, start + seconds + PAUSE, seconds)
    return found


def pieces(run: Callable[[], object], begin: float, seconds: float) -> float:
    """Median processor time of a piece of work, of those that end in time."""
    time.sleep(max(0.0, begin - time.time()))
    taken = []
    while time.time() < begin + seconds:
        start = time.process_time()
        run()
        taken.append(time.process_time() - start)
    return median(taken[:-1] or taken)


if __name__ == "__main__":
    main()
