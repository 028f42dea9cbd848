"""All twenty experiments of Table 1, ours beside the paper's.

    python experiments/run_table1.py --data DIR --seeds 3

Without --data it takes synthetic phantoms and, on two cores, less than 45 minutes. It may be killed
at any point; the same command goes on. With --workers 2 it works in two processes.
"""

from pathlib import Path

from knee_attention.commands.scripts.tables import main
from knee_attention.evidence.paper import PAPER_TABLE_1

SCRIPTS = [
    Path(__file__).parent / f"run_{backbone}_{variant}.py"
    for backbone, variants in PAPER_TABLE_1.items()
    for variant in variants
]

if __name__ == "__main__":
    main(1, SCRIPTS)
