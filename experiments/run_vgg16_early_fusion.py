"""VGG-16, att0 + att1 fused early (Table 1: 63%).

    python experiments/run_vgg16_early_fusion.py --data DIR
"""

from knee_attention.commands.scripts.experiment import main
from knee_attention.runs.experiment import Experiment

EXPERIMENT = Experiment(backbone="vgg16", branches=("att0", "att1"), fusion="early_fusion")

if __name__ == "__main__":
    main(EXPERIMENT)
