"""The siamese network of Tiulpin et al. 2018 on two patches of a crop of 300x300 pixels.

    python experiments/run_tiulpin.py --data DIR --crop square

Here (kneeKL224 validation, 300x300 pixels, 1 training): 62.8%; 120 minutes on 2 CPU cores.
"""

from knee_attention.commands.scripts.experiment import main
from knee_attention.runs.experiment import Experiment

EXPERIMENT = Experiment(
    backbone="tiulpin", branches=(), fusion="plain", image_size=(300, 300)
)

if __name__ == "__main__":
    main(EXPERIMENT)
