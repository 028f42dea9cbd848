"""VGG-16, att1 alone (Table 1: 61.7%).

    python experiments/run_vgg16_att1.py --data DIR
"""

from knee_attention.commands.scripts.experiment import main
from knee_attention.runs.experiment import Experiment

EXPERIMENT = Experiment(backbone="vgg16", branches=("att1",), fusion="single")

if __name__ == "__main__":
    main(EXPERIMENT)
