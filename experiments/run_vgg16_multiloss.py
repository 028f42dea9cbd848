"""VGG-16, att0 + att1, one loss per branch (Table 1: att0 64.3%, att1 63.2%).

    python experiments/run_vgg16_multiloss.py --data DIR
"""

from knee_attention.commands.scripts.experiment import main
from knee_attention.runs.experiment import Experiment

EXPERIMENT = Experiment(
    backbone="vgg16", branches=("att0", "att1"), fusion="multi_loss", loss_weights=(1.0, 0.8)
)

if __name__ == "__main__":
    main(EXPERIMENT)
