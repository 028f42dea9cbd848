"""Antony et al.'s classification network, att2 alone.

    python experiments/run_antony_clsf_att2.py --data DIR

Paper (Table 1): accuracy 44.53%.
Here (kneeKL224 validation, 112x112 pixels, mean of 3 trainings): 61.3%; 1 minute on an H100.
"""

from knee_attention.commands.scripts.experiment import main
from knee_attention.runs.experiment import Experiment

EXPERIMENT = Experiment(backbone="antony_clsf", branches=("att2",), fusion="single")

if __name__ == "__main__":
    main(EXPERIMENT)
