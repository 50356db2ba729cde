"""Draw the faces of a run of the stage few: docs/images/few-people.png.

    python tools/draw_few.py --workdir runs/few [--people 3]

Of the first draw: the known people, what is added to them, and people to be recognised, a row each; every emotion,
taken at even distances, none picked. Generated faces are drawn anew from the stored training.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))
sys.path.insert(0, str(ROOT))

from contact_sheet import PIXELS, draw  # noqa: E402

from configs import few  # noqa: E402
from depthjax import load_config  # noqa: E402
from depthjax.config import METHODS, Config  # noqa: E402
from depthjax.data.crop import CROP_WIDTH_MM, to_square  # noqa: E402
from depthjax.data.faces import DepthFaces  # noqa: E402
from depthjax.evaluate.controls import control_sets, rendered_set  # noqa: E402
from depthjax.few.cell import added_sets  # noqa: E402
from depthjax.few.people import cells_of  # noqa: E402
from depthjax.files import read_json  # noqa: E402
from depthjax.pipeline import prepared_faces  # noqa: E402
from depthjax.report.faces_image import shade  # noqa: E402
from depthjax.train.many import teachers_of, train_many  # noqa: E402

ACROSS = 12  # faces of a row


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--people", type=int, default=3)
    flags = parser.parse_args()
    data = read_json(flags.workdir / "config.json")["data"]
    settings = {f"data.{name}": value for name, value in data.items() if value is not None}
    config = load_config(Path(few.__file__), settings)
    draw(ROOT / "docs/images/few-people.png", *rows(config, flags.workdir, flags.people), "faces")


def rows(config: Config, workdir: Path, people: int) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """Return the shaded faces of each row, and the rows' names."""
    train, test = (prepared_faces(config, workdir, part) for part in ("train", "test"))
    cells = cells_of(config, train.subject)[people]
    members = [np.flatnonzero(np.isin(train.subject, cell.subjects)) for cell in cells]
    keys = jnp.stack([cell.key(config.few.seed) for cell in cells])
    folder = workdir / "few" / f"people_{people}" / "checkpoints"
    state = train_many(config, train, members, keys, folder, steps=config.few.steps)  # finished: it is only read
    known = train.take(members[0])
    made = added_sets(cells[0].settings(config), teachers_of(state, 0), known)
    sets = {
        f"{people} known people": known,
        "augmented copies": control_sets(config, known, ACROSS, ["augmented"])["augmented"],
        "rendered people": rendered_set(config, train, ACROSS),
        **{f"{METHODS[name]}": made[name] for name in config.sample.methods},
        "people to recognise": test,
    }
    return [shaded(of) for of in sets.values()], tuple(sets)


def shaded(faces: DepthFaces) -> np.ndarray:
    """Return ACROSS shaded faces, as many of each emotion, at even distances."""
    each = ACROSS // len(faces.emotions)
    members = [np.flatnonzero(faces.emotion == label) for label in range(len(faces.emotions))]
    chosen = np.concatenate([of[np.linspace(0, len(of) - 1, each).astype(int)] for of in members])
    images = to_square(np.asarray(faces.images[chosen]), PIXELS, crop="full")
    return shade(images, (faces.depth_range.near_mm, faces.depth_range.far_mm), CROP_WIDTH_MM / PIXELS)


if __name__ == "__main__":
    main()
