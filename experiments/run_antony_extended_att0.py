"""Antony et al.'s extended network, att0 alone.

    python experiments/run_antony_extended_att0.py --data DIR

Paper (Table 1): accuracy 40%.
Here (kneeKL224 validation, 112x112 pixels, mean of 3 trainings): 58.3%; 1 minute on an H100.
"""

from knee_attention.commands.scripts.experiment import main
from knee_attention.runs.experiment import Experiment

EXPERIMENT = Experiment(backbone="antony_extended", branches=("att0",), fusion="single")

if __name__ == "__main__":
    main(EXPERIMENT)
