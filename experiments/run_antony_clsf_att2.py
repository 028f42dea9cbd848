"""Antony et al.'s classification network, att2 alone (Table 1: 44.53%).

    python experiments/run_antony_clsf_att2.py --data DIR
"""

from knee_attention.commands.scripts.experiment import main
from knee_attention.runs.experiment import Experiment

EXPERIMENT = Experiment(backbone="antony_clsf", branches=("att2",), fusion="single")

if __name__ == "__main__":
    main(EXPERIMENT)
