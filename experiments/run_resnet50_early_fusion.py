"""ResNet-50, early fusion of att0 + att1.

    python experiments/run_resnet50_early_fusion.py --data DIR

Paper (Table 1): accuracy 59%.
Here (kneeKL224 validation, 112x112 pixels, 1 training): 62.5%; 6 minutes on an H100.
"""

from knee_attention.commands.scripts.experiment import main
from knee_attention.runs.experiment import Experiment

EXPERIMENT = Experiment(backbone="resnet50", branches=("att0", "att1"), fusion="early_fusion")

if __name__ == "__main__":
    main(EXPERIMENT)
