"""Related systems on the same knees, against VGG-16 multi-loss by paired differences.

    python experiments/run_related.py --data DIR --crop square --image-size 112 112

VGG-16 without attention, VGG-16 with the attention of Jetley et al., the siamese patches of Tiulpin
et al., which keep their 300x300 pixels, and Antony et al.'s two networks. The same command resumes
a killed table.
"""

from pathlib import Path

from knee_attention.commands.scripts.tables import main

SCRIPTS = [
    Path(__file__).parent / f"run_{name}.py"
    for name in ("vgg16_multiloss", "vgg16_plain", "jetley", "tiulpin", "antony_clsf_baseline",
                 "antony_joint_baseline")
]  # fmt: skip

if __name__ == "__main__":
    main("related", SCRIPTS)
