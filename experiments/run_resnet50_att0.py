"""ResNet-50, att0 alone (Table 1: 59.3%).

    python experiments/run_resnet50_att0.py --data DIR
"""

from knee_attention.commands.scripts.experiment import main
from knee_attention.runs.experiment import Experiment

EXPERIMENT = Experiment(backbone="resnet50", branches=("att0",), fusion="single")

if __name__ == "__main__":
    main(EXPERIMENT)
