"""Put a run's own picture and numbers into the README.

    python launch.py --config configs/quick.py --workdir runs/quick
    python tools/readme_results.py --workdir runs/quick

Replaces what stands between the two `results` marks in README.md, and docs/images/quick.png.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from depthjax.files import read_json, replacing, write_text  # noqa: E402

NAMES = {"cdcgan_kd": "KD-cDCGAN", "cdcgan_kd_ga": "KD-cDCGAN + GA"}
CLASSIFIERS = {"random_forest": "random forest", "decision_tree": "decision tree", "xgboost": "XGBoost"}
WIDTH = 1400  # pixels of the picture


def percent(score: dict[str, Any]) -> str:
    """`61.2 % (52–70)`."""
    text = f"{100 * score['value']:.1f} %"
    return text + (" ({:.0f}–{:.0f})".format(*(100 * v for v in score["interval"])) if "interval" in score else "")


def distance(entry: dict[str, Any]) -> str:
    """`0.42 (0.40–0.45)`."""
    return "{:.2f} ({:.2f}–{:.2f})".format(entry["value"], *entry["interval"])


def table(rows: list[list[str]]) -> str:
    """A Markdown table; the first row is its head."""
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([head, "|" + "---|" * len(rows[0]), *body])


def recognition(evaluation: dict[str, Any]) -> str:
    """Accuracy on unseen people, by what the classifier was trained on."""
    methods = evaluation["methods"]
    first = next(iter(methods.values()))
    rows = [["accuracy on unseen people ↑", "trained on real", *(f"trained on {NAMES[m]}" for m in methods)]]
    for classifier, name in CLASSIFIERS.items():
        scores = [first["trtr"][classifier], *(m["tstr"][classifier] for m in methods.values())]
        rows.append([name, *(percent(score["accuracy"]) for score in scores)])
    return table(rows)


def distances(evaluation: dict[str, Any]) -> str:
    """KID and Fréchet distance beside their floor, and the relief residual."""
    methods, floor = evaluation["methods"], evaluation["floor"]
    rows = [["distance to real faces ↓", "floor: real to other real", *(NAMES[m] for m in methods)]]
    for kind, label in (("kid", "KID"), ("frechet", "Fréchet")):
        for space in ("relief", "fused"):
            entries = [floor[kind][space], *(m[kind][space] for m in methods.values())]
            rows.append([f"{label}, {space}", *map(distance, entries)])
    rows.append(
        ["relief residual, ratio to real", "1", *(distance_ratio(m["relief_residual"]) for m in methods.values())]
    )
    return table(rows)


def distance_ratio(entry: dict[str, Any]) -> str:
    """`1.31 (1.29–1.33)`."""
    return "{:.2f} ({:.2f}–{:.2f})".format(entry["ratio"], *entry["interval"])


def caption(workdir: Path, evaluation: dict[str, Any]) -> str:
    """Machine, n, seeds, date, minutes."""
    environment, data = read_json(workdir / "environment.json"), evaluation["data"]
    minutes = sum(read_json(path)["seconds"] for path in (workdir / "stages").glob("*.json")) / 60
    n = next(iter(evaluation["methods"].values()))["n"]
    return (
        f"{environment['processor']}, {environment['cpu_count']} cores, {minutes:.1f} minutes, "
        f"{environment['date'][:10]}; one training seed ({environment['seeds']['train']}). "
        f"Trained on {data['train']['images']} faces of {data['train']['subjects']} people, tested on "
        f"{data['test']['images']} of {data['test']['subjects']} others; {n} generated faces a method. In parentheses: "
        "95 % intervals, by resampling people (accuracy) or half-sets (distances)."
    )


def main() -> None:
    """Write the picture and the block."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", type=Path, default=Path("runs/quick"))
    workdir = parser.parse_args().workdir
    evaluation = read_json(workdir / "evaluation.json")
    picture = Image.open(workdir / "figures" / "overview.png").convert("L")
    picture = picture.resize((WIDTH, round(picture.height * WIDTH / picture.width)), Image.Resampling.LANCZOS)
    with replacing(ROOT / "docs" / "images" / "quick.png") as file:
        picture.save(file, format="PNG", optimize=True)
    readme = ROOT / "README.md"
    block = "\n\n".join([recognition(evaluation), distances(evaluation), caption(workdir, evaluation)])
    marks = r"(<!-- results -->\n).*?(<!-- /results -->)"
    text = re.sub(marks, lambda m: m.group(1) + block + "\n" + m.group(2), readme.read_text(), flags=re.S)
    write_text(readme, text)


if __name__ == "__main__":
    main()
