"""All twenty experiments of Table 1, with our accuracies beside the paper's.

    python experiments/run_table1.py --data DIR --seeds 3

Without --data it uses synthetic phantoms and takes less than 45 minutes on two cores. The same
command resumes a killed table. --workers 2 trains in two processes.
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
    main("table1", SCRIPTS)
