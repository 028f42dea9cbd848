"""Antony et al.'s extended network, att1 + att2 fused early (Table 1: 56.17%).

    python experiments/run_antony_extended_early_fusion.py --data DIR
"""

from knee_attention.commands.scripts.experiment import main
from knee_attention.runs.experiment import Experiment

EXPERIMENT = Experiment(
    backbone="antony_extended", branches=("att1", "att2"), fusion="early_fusion"
)

if __name__ == "__main__":
    main(EXPERIMENT)
