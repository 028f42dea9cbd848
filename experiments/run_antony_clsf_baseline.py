"""Antony et al.'s classification network on knees cut out before (Table 2: 59%).

    python experiments/run_antony_clsf_baseline.py --data DIR
"""

from knee_attention.commands.scripts.experiment import main
from knee_attention.runs.experiment import Experiment

EXPERIMENT = Experiment(backbone="antony_clsf_baseline", branches=(), fusion="dense")

if __name__ == "__main__":
    main(EXPERIMENT)
