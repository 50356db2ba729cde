"""The paper's run as its scripts were released: 256x256, batch 32, 500 epochs, on 40 rendered subjects.

The released scripts average the teacher's weights and leave its batch statistics at their start, and the fitness of
their evolution differs from equation 2. `repaired` is this run with these errors fixed.

Command: python launch.py --config configs/paper.py
Device:  one CUDA GPU.
"""

from depthjax.config import Config, Data, Evaluate, Evolve, Sample, Train


def get_config() -> Config:
    return Config(
        name="paper",
        data=Data(subjects=40, frames=10, resolution=256, crop="full"),
        train=Train(
            epochs=500,
            batch_size=32,
            generator_lr=8e-5,
            discriminator_lr=1.5e-5,
            teacher_batch_stats="frozen",
        ),
        evolve=Evolve(fitness="released", islands=20),
        sample=Sample(count=400),
        evaluate=Evaluate(seeds=30, feature_size=256),
    )
