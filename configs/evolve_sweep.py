"""Which settings of the latent evolution matter: 2 x 2 x 2 points, three seeds each, on a finished quick run.

Command: python launch.py --config configs/evolve_sweep.py --workdir runs/quick --stages=sweep
Device:  two CPU cores, two minutes. Writes evolve/sweep.csv, evolve/sweep.npz and figures/sweep.png.

Any real-numbered field of `Evolve`, and its sizes, may be varied from the command line too:

    --config.sweep.mutation_sigma=0.05,0.1,0.2 --config.sweep.population=20,40

Strategies of evosax (mr15_ga, samr_ga, cma_es, sep_cma_es) sweep likewise, the adaptive genetic algorithms over their
first step size:

    --config.evolve.algorithm=samr_ga --config.sweep.mutation_sigma=0.05,0.5
"""

from dataclasses import replace

from configs import quick
from depthjax.config import Config, Sweep


def get_config() -> Config:
    base = quick.get_config()
    return replace(
        base,
        evolve=replace(
            base.evolve, algorithm="paper", fitness="realism", population=20, generations=10, hall_of_fame=20
        ),
        sweep=Sweep(
            seeds=3,
            grid={
                "mutation_sigma": (0.1, 0.5),
                "crossover_probability": (0.2, 0.8),
                "mutation_probability": (0.2, 0.8),
            },
        ),
    )
