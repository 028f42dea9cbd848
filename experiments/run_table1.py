"""All twenty experiments of Table 1, ours beside the paper's.

    python experiments/run_table1.py --data DIR --seeds 3

Without --data it takes synthetic phantoms and, on two cores, less than 45 minutes. It may be killed
at any point; the same command goes on.
"""

from pathlib import Path

from knee_attention.commands.table1 import main

SCRIPTS = sorted(Path(__file__).parent.glob("run_*_*.py"))

if __name__ == "__main__":
    main(SCRIPTS)
