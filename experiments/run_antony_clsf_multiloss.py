"""Antony et al.'s classification network, att1 + att2, one loss per branch
(Table 1: att1 43.9%, att2 46.6%).

    python experiments/run_antony_clsf_multiloss.py --data DIR
"""

from knee_attention.commands.scripts.experiment import main
from knee_attention.runs.experiment import Experiment

EXPERIMENT = Experiment(
    backbone="antony_clsf", branches=("att1", "att2"), fusion="multi_loss", loss_weights=(1.0, 0.8)
)

if __name__ == "__main__":
    main(EXPERIMENT)
