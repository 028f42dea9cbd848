"""Antony et al.'s extended network, att1 alone (Table 1: 53.26%).

    python experiments/run_antony_extended_att1.py --data DIR
"""

from knee_attention.commands.scripts.experiment import main
from knee_attention.runs.experiment import Experiment

EXPERIMENT = Experiment(backbone="antony_extended", branches=("att1",), fusion="single")

if __name__ == "__main__":
    main(EXPERIMENT)
