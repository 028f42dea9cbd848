"""ResNet-50, att1 alone (Table 1: 58.67%).

    python experiments/run_resnet50_att1.py --data DIR
"""

from knee_attention.commands.scripts.experiment import main
from knee_attention.runs.experiment import Experiment

EXPERIMENT = Experiment(backbone="resnet50", branches=("att1",), fusion="single")

if __name__ == "__main__":
    main(EXPERIMENT)
