"""VGG-16 with global average pooling, without attention: a comparison for the related systems.

    python experiments/run_vgg16_plain.py --data DIR --crop square --image-size 112 112

Here (kneeKL224 validation, 112x112 pixels, 1 training): 62.6%; 105 minutes on 2 CPU cores.
"""

from knee_attention.commands.scripts.experiment import main
from knee_attention.runs.experiment import Experiment

EXPERIMENT = Experiment(backbone="vgg16_plain", branches=(), fusion="plain")

if __name__ == "__main__":
    main(EXPERIMENT)
