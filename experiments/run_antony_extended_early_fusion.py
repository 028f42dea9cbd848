"""Antony et al.'s extended network, early fusion of att1 + att2.

    python experiments/run_antony_extended_early_fusion.py --data DIR

Paper (Table 1): accuracy 56.17%.
Here (kneeKL224 validation, 112x112 pixels, mean of 3 trainings): 61.3%; 1 minute on an H100.
"""

from knee_attention.commands.scripts.experiment import main
from knee_attention.runs.experiment import Experiment

EXPERIMENT = Experiment(
    backbone="antony_extended", branches=("att1", "att2"), fusion="early_fusion"
)

if __name__ == "__main__":
    main(EXPERIMENT)
