"""ResNet-50, att2 alone.

    python experiments/run_resnet50_att2.py --data DIR

Paper (Table 1): accuracy 56.47%.
Here: not trained.
"""

from knee_attention.commands.scripts.experiment import main
from knee_attention.runs.experiment import Experiment

EXPERIMENT = Experiment(backbone="resnet50", branches=("att2",), fusion="single")

if __name__ == "__main__":
    main(EXPERIMENT)
