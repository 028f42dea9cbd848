"""Antony et al.'s classification network, att1 + att2, one loss per branch.

    python experiments/run_antony_clsf_multiloss.py --data DIR

Paper (Table 1): accuracy att1 43.9%, att2 46.6%.
Here (kneeKL224 validation, 112x112 pixels, mean of 3 trainings): att1 59.8%, att2 60.5%; 1 minute
on an H100.
"""

from knee_attention.commands.scripts.experiment import main
from knee_attention.runs.experiment import Experiment

EXPERIMENT = Experiment(
    backbone="antony_clsf", branches=("att1", "att2"), fusion="multi_loss", loss_weights=(1.0, 0.8)
)

if __name__ == "__main__":
    main(EXPERIMENT)
