"""Antony et al.'s joint classification and regression on crops of the joint.

    python experiments/run_antony_joint_baseline.py --data DIR

Paper (Table 2): accuracy 62.29%.
Here (kneeKL224 validation, 112x112 pixels, mean of 3 trainings): 59.4%; 1 minute on an H100.
"""

from knee_attention.commands.scripts.experiment import main
from knee_attention.runs.experiment import Experiment

EXPERIMENT = Experiment(
    backbone="antony_joint_baseline", branches=(), fusion="joint", loss_weights=(0.5, 0.5)
)

if __name__ == "__main__":
    main(EXPERIMENT)
