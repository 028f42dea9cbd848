"""ResNet-50, att2 alone (Table 1: 56.47%).

    python experiments/run_resnet50_att2.py --data DIR
"""

from knee_attention.commands.scripts.experiment import main
from knee_attention.runs.experiment import Experiment

EXPERIMENT = Experiment(backbone="resnet50", branches=("att2",), fusion="single")

if __name__ == "__main__":
    main(EXPERIMENT)
