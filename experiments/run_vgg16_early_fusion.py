"""VGG-16, early fusion of att0 + att1.

    python experiments/run_vgg16_early_fusion.py --data DIR

Paper (Table 1): accuracy 63%.
Here (kneeKL224 validation, 112x112 pixels, mean of 3 trainings): 64.7%; 3 minutes on an H100.
"""

from knee_attention.commands.scripts.experiment import main
from knee_attention.runs.experiment import Experiment

EXPERIMENT = Experiment(backbone="vgg16", branches=("att0", "att1"), fusion="early_fusion")

if __name__ == "__main__":
    main(EXPERIMENT)
