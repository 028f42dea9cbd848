"""VGG-16, att1 alone.

    python experiments/run_vgg16_att1.py --data DIR

Paper (Table 1): accuracy 61.7%.
Here (kneeKL224 validation, 112x112 pixels, 1 training): 64.9%; 4 minutes on an H100.
"""

from knee_attention.commands.scripts.experiment import main
from knee_attention.runs.experiment import Experiment

EXPERIMENT = Experiment(backbone="vgg16", branches=("att1",), fusion="single")

if __name__ == "__main__":
    main(EXPERIMENT)
