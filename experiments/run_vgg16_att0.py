"""VGG-16, att0 alone.

    python experiments/run_vgg16_att0.py --data DIR

Paper (Table 1): accuracy 62.2%.
Here (kneeKL224 validation, 112x112 pixels, mean of 3 trainings): 63.7%; 2 minutes on an H100.
"""

from knee_attention.commands.scripts.experiment import main
from knee_attention.runs.experiment import Experiment

EXPERIMENT = Experiment(backbone="vgg16", branches=("att0",), fusion="single")

if __name__ == "__main__":
    main(EXPERIMENT)
