"""VGG-16, att0 alone (Table 1: 62.2%).

    python experiments/run_vgg16_att0.py --data DIR
"""

from knee_attention.commands.scripts.experiment import main
from knee_attention.runs.experiment import Experiment

EXPERIMENT = Experiment(backbone="vgg16", branches=("att0",), fusion="single")

if __name__ == "__main__":
    main(EXPERIMENT)
