"""Antony et al.'s extended network, att1 + att2, one loss per branch
(Table 1: att1 55.61%, att2 55.68%).

    python experiments/run_antony_extended_multiloss.py --data DIR
"""

from knee_attention.commands.scripts.experiment import main
from knee_attention.runs.experiment import Experiment

EXPERIMENT = Experiment(
    backbone="antony_extended", branches=("att1", "att2"), fusion="multi_loss",
    loss_weights=(1.0, 0.8),
)

if __name__ == "__main__":
    main(EXPERIMENT)
