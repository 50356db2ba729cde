"""Which ingredients of the recipe help: each taken out of ours and added to the repaired paper, at equal FLOPs.

Command: python tools/ablation.py --config configs/ablation.py --workdir runs/ablation
Device:  two CPU cores, about two and a half hours if both work (two commands with --only on one folder); stopped, it
         goes on where it was.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

from configs import paper, quick
from depthjax.config import Config
from depthjax.config_values import validate

BUDGET = 1e13  # floating-point operations of a training: half of the quick run
SEEDS = {"reference": (0, 1, 2), "minus": (0,), "plus": (0,)}  # of each kind of row
MORE_SEEDS = {"ours": tuple(range(3, 10))}  # of one recipe: whether it ever collapses
COUNT = 320  # faces of each emotion that are judged: as many as a training set has

# Ingredient: what it changes in the sections model and train (and sample) of the repaired paper.
Changes = tuple[dict[str, Any], ...]
ADOPTED: dict[str, Changes] = {
    "narrow networks": ({"generator_width": 128, "discriminator_width": 16}, {}),
    "small batches": ({}, {"batch_size": 8}),
    "longer average": ({}, {"ema_decay": 0.9975}),
    "low-pass output": ({"output_lowpass": 1.0}, {}),
    "new noise": ({}, {}, {"noise": True}),
    "return mask": ({"return_mask": True}, {}),
}
# Tried beside the repaired paper, and left.
OTHERS: dict[str, Changes] = {
    "no distillation": ({}, {"kd": "none"}),
    "gentle distillation": ({}, {"generator_kd_weight": 0.1, "discriminator_kd_weight": 0.05}),
    "feature distillation": ({}, {"kd": "feature", "kd_anneal": True}),
    "RpGAN with R1 + R2": (
        {"discriminator_norm": "none"},
        {"loss": "relativistic", "penalty": 1.0, "penalty_every": 4},
    ),
    "RpGAN with falling penalty": (
        {"discriminator_norm": "none"},
        {"loss": "relativistic", "penalty": 1.0, "penalty_every": 4, "penalty_end": 0.1},
    ),
    "hinge with spectral norm": ({"discriminator_norm": "spectral"}, {"loss": "hinge"}),
    "LeCam": ({}, {"lecam": 0.1}),
    "augmentation": ({}, {"augment": ("mirror", "shift", "scale", "depth", "turn")}),
    "cutout": ({}, {"augment": ("mirror", "shift", "cutout")}),
    # With the lowpass: what alternates from pixel to pixel is all but invisible to the sensor, and would be left in.
    "sensor": ({"output_lowpass": 1.0}, {"sensor": True}),
    "normals": ({"geometry": "normals"}, {}),
    "resized upsampling": ({"upsampling": "resize"}, {}),
    "projection": ({"projection": True}, {}),
    "minibatch statistics": ({"minibatch_std": True}, {}),
    "transitional training": ({}, {"transition": 0.5}),
    "cosine rates": ({}, {"schedule": "cosine"}),
    "fast rates": ({}, {"schedule": "cosine", "generator_lr": 4e-4, "discriminator_lr": 2e-4}),
    "averaging ramp": ({}, {"ema_decay": 0.995, "ema_ramp": 0.05}),
    "louder emotion": ({"emotion_gain": 16.0}, {}),
    "mismatched emotions": ({}, {"mismatched": 0.25}),
    "grain": ({"grain": True}, {}),
    "saturating output": ({"saturating": True}, {}),
}
# As the paper has them, but for its sizes: half of its widths and batch. At the budget both this averaging and that of
# ours look back over 6 % of their runs' steps; beside fewer steps, the longer one is too long, and its row says so.
REPAIRED: Changes = (
    {"generator_width": 256, "discriminator_width": 32, "output_lowpass": 0.0, "return_mask": False},
    {"batch_size": 16, "ema_decay": 0.98},
    {"noise": False},
)


@dataclass(frozen=True)
class Recipe:
    """A row of the table: its config, and whether the released filters go over its samples."""

    name: str
    kind: Literal["reference", "minus", "plus"]
    config: Config
    filtered: bool = False

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of its trainings."""
        return SEEDS[self.kind] + MORE_SEEDS.get(self.name, ())


def get_config() -> Config:
    base = quick.get_config()
    return replace(
        base,
        name="ablation",
        sample=replace(base.sample, methods=("cdcgan_kd",), count=COUNT),
        evaluate=replace(base.evaluate, feature_size=128),
    )


def get_recipes() -> tuple[Recipe, ...]:
    """Every row, in the order in which they are run and shown."""
    base = get_config()
    repaired = replaced(base, *REPAIRED)
    ours = changed(repaired, *ADOPTED)
    released = replace(repaired, train=paper.get_config().train)
    released = replace(released, train=replace(released.train, batch_size=16, teacher_batch_stats="frozen"))
    return (
        Recipe("as released", "reference", released, filtered=True),
        Recipe("repaired", "reference", repaired),
        Recipe("ours", "reference", ours),
        *(Recipe(f"ours - {name}", "minus", changed(repaired, *(i for i in ADOPTED if i != name))) for name in ADOPTED),
        Recipe("ours - distillation", "minus", changed(ours, "no distillation")),
        *(Recipe(f"repaired + {name}", "plus", changed(repaired, name)) for name in (*ADOPTED, *OTHERS)),
    )


def changed(config: Config, *names: str) -> Config:
    """The config with these ingredients; `schedule_steps` is set by whoever knows how long the training is."""
    config = replace(config, train=replace(config.train, schedule_steps=1))
    for name in names:
        config = replaced(config, *(ADOPTED | OTHERS)[name])
    return validate(config)


def replaced(
    config: Config, of_model: dict[str, Any], of_train: dict[str, Any], of_sample: dict[str, Any] | None = None
) -> Config:
    """The config with fields of its sections model, train and sample replaced."""
    return replace(
        config,
        model=replace(config.model, **of_model),
        train=replace(config.train, **of_train),
        sample=replace(config.sample, **(of_sample or {})),
    )
