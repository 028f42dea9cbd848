"""ResNet-50, att0 + att1, one loss per branch (Table 1: att0 60%, att1 56.88%).

    python experiments/run_resnet50_multiloss.py --data DIR
"""

from knee_attention.commands.scripts.experiment import main
from knee_attention.runs.experiment import Experiment

EXPERIMENT = Experiment(
    backbone="resnet50", branches=("att0", "att1"), fusion="multi_loss", loss_weights=(1.0, 0.8)
)

if __name__ == "__main__":
    main(EXPERIMENT)
