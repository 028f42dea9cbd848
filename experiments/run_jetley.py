"""VGG-16 with the attention of Jetley et al. 2018, which the paper names as related work.

    python experiments/run_jetley.py --data DIR --crop square --image-size 112 112

Here (kneeKL224 validation, 112x112 pixels, 1 training): 60.9%; 138 minutes on 2 CPU cores.
"""

from knee_attention.commands.scripts.experiment import main
from knee_attention.runs.experiment import Experiment

EXPERIMENT = Experiment(backbone="jetley", branches=(), fusion="plain")

if __name__ == "__main__":
    main(EXPERIMENT)
