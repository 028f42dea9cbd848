"""ResNet-50, att1 alone.

    python experiments/run_resnet50_att1.py --data DIR

Paper (Table 1): accuracy 58.67%.
Here (kneeKL224 validation, 112x112 pixels, 1 training): 63.4%; 5 minutes on an H100.
"""

from knee_attention.commands.scripts.experiment import main
from knee_attention.runs.experiment import Experiment

EXPERIMENT = Experiment(backbone="resnet50", branches=("att1",), fusion="single")

if __name__ == "__main__":
    main(EXPERIMENT)
