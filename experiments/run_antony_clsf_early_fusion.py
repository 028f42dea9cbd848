"""Antony et al.'s classification network, early fusion of att1 + att2.

    python experiments/run_antony_clsf_early_fusion.py --data DIR

Paper (Table 1): accuracy 52.5%.
Here (kneeKL224 validation, 112x112 pixels, mean of 3 trainings): 61.0%; 1 minute on an H100.
"""

from knee_attention.commands.scripts.experiment import main
from knee_attention.runs.experiment import Experiment

EXPERIMENT = Experiment(backbone="antony_clsf", branches=("att1", "att2"), fusion="early_fusion")

if __name__ == "__main__":
    main(EXPERIMENT)
