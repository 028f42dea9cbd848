"""ResNet-50, att0 alone.

    python experiments/run_resnet50_att0.py --data DIR

Paper (Table 1): accuracy 59.3%.
Here (kneeKL224 validation, 112x112 pixels, 1 training): 64.0%; 3 minutes on an H100.
"""

from knee_attention.commands.scripts.experiment import main
from knee_attention.runs.experiment import Experiment

EXPERIMENT = Experiment(backbone="resnet50", branches=("att0",), fusion="single")

if __name__ == "__main__":
    main(EXPERIMENT)
