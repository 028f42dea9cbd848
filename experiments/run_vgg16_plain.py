"""VGG-16 with global average pooling, without attention: a comparison for the related systems.

    python experiments/run_vgg16_plain.py --data DIR --crop square --image-size 112 112

With 20 epochs in place of the recipe's 30 (kneeKL224 validation, 112x112 pixels, 1 training):
61.5%; 137 minutes on 2 CPU cores. Thirty epochs would take more than three hours there.
Here: not trained.
"""

from knee_attention.commands.scripts.experiment import main
from knee_attention.runs.experiment import Experiment

EXPERIMENT = Experiment(backbone="vgg16_plain", branches=(), fusion="plain")

if __name__ == "__main__":
    main(EXPERIMENT)
