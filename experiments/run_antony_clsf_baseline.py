"""Antony et al.'s classification network on crops of the joint.

    python experiments/run_antony_clsf_baseline.py --data DIR

Paper (Table 2): accuracy 59%.
Here (kneeKL224 validation, 112x112 pixels, mean of 3 trainings): 59.0%; 1 minute on an H100.
"""

from knee_attention.commands.scripts.experiment import main
from knee_attention.runs.experiment import Experiment

EXPERIMENT = Experiment(backbone="antony_clsf_baseline", branches=(), fusion="dense")

if __name__ == "__main__":
    main(EXPERIMENT)
