"""ResNet-50, att0 + att1, one loss per branch.

    python experiments/run_resnet50_multiloss.py --data DIR

Paper (Table 1): accuracy att0 60%, att1 56.88%.
Here (kneeKL224 validation, 112x112 pixels, 1 training): att0 63.0%, att1 63.8%; 6 minutes on an
H100.
"""

from knee_attention.commands.scripts.experiment import main
from knee_attention.runs.experiment import Experiment

EXPERIMENT = Experiment(
    backbone="resnet50", branches=("att0", "att1"), fusion="multi_loss", loss_weights=(1.0, 0.8)
)

if __name__ == "__main__":
    main(EXPERIMENT)
