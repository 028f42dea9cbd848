"""VGG-16, att0 + att1, one loss per branch.

    python experiments/run_vgg16_multiloss.py --data DIR

Paper (Table 1): accuracy att0 64.3%, att1 63.2%.
Here (kneeKL224 validation, 112x112 pixels, mean of 3 trainings): att0 64.3%, att1 65.0%; 5
minutes on an H100.
"""

from knee_attention.commands.scripts.experiment import main
from knee_attention.runs.experiment import Experiment

EXPERIMENT = Experiment(
    backbone="vgg16", branches=("att0", "att1"), fusion="multi_loss", loss_weights=(1.0, 0.8)
)

if __name__ == "__main__":
    main(EXPERIMENT)
