"""Antony et al.'s joint classification and regression on knees cut out before (Table 2: 62.29%).

    python experiments/run_antony_joint_baseline.py --data DIR
"""

from knee_attention.commands.scripts.experiment import main
from knee_attention.runs.experiment import Experiment

EXPERIMENT = Experiment(
    backbone="antony_joint_baseline", branches=(), fusion="joint", loss_weights=(0.5, 0.5)
)

if __name__ == "__main__":
    main(EXPERIMENT)
