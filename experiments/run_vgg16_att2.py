"""VGG-16, att2 alone (Table 1: 58.8%).

    python experiments/run_vgg16_att2.py --data DIR
"""

from knee_attention.commands.scripts.experiment import main
from knee_attention.runs.experiment import Experiment

EXPERIMENT = Experiment(backbone="vgg16", branches=("att2",), fusion="single")

if __name__ == "__main__":
    main(EXPERIMENT)
