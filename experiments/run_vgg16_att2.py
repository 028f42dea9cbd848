"""VGG-16, att2 alone.

    python experiments/run_vgg16_att2.py --data DIR

Paper (Table 1): accuracy 58.8%.
Here (kneeKL224 validation, 112x112 pixels, 1 training): 62.8%; 90 minutes on 2 CPU cores.
"""

from knee_attention.commands.scripts.experiment import main
from knee_attention.runs.experiment import Experiment

EXPERIMENT = Experiment(backbone="vgg16", branches=("att2",), fusion="single")

if __name__ == "__main__":
    main(EXPERIMENT)
