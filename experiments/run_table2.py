"""Attention end to end against Antony's networks: Table 2, with the paper's.

    python experiments/run_table2.py --data DIR --crop square --seeds 3

With --data all three networks see the same images. Without it, on synthetic phantoms, VGG-16 sees
halves of films and has to find the joint, and Antony's networks are shown it cut out. It may be
killed at any point; the same command goes on.
"""

from pathlib import Path

from knee_attention.commands.scripts.tables import main

SCRIPTS = [
    Path(__file__).parent / f"run_{name}.py"
    for name in ("antony_clsf_baseline", "antony_joint_baseline", "vgg16_multiloss")
]

if __name__ == "__main__":
    main(2, SCRIPTS)
