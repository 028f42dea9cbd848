"""Table 2: VGG-16 with attention against Antony et al.'s networks, ours beside the paper's.

    python experiments/run_table2.py --data DIR --crop square --image-size 112 112 --seeds 3

With --data all three networks see the same images. Without --data, on synthetic phantoms, VGG-16
sees halves of films and must find the joint, but Antony et al.'s networks see crops of the joint.
The same command resumes a killed table.
"""

from pathlib import Path

from knee_attention.commands.scripts.tables import main

SCRIPTS = [
    Path(__file__).parent / f"run_{name}.py"
    for name in ("antony_clsf_baseline", "antony_joint_baseline", "vgg16_multiloss")
]

if __name__ == "__main__":
    main("table2", SCRIPTS)
