"""ResNet-50, att0 + att1 fused early (Table 1: 59%).

    python experiments/run_resnet50_early_fusion.py --data DIR
"""

from knee_attention.commands.scripts.experiment import main
from knee_attention.runs.experiment import Experiment

EXPERIMENT = Experiment(backbone="resnet50", branches=("att0", "att1"), fusion="early_fusion")

if __name__ == "__main__":
    main(EXPERIMENT)
