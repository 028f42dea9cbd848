"""The search for the loss weights w0 and w1 of a multi-loss network, 0.5 to 1.0 (section 3.3).

    python experiments/run_weight_search.py --data DIR --backbone antony_clsf --workers 2
"""

from pathlib import Path

from knee_attention.commands.scripts.weight_search import main

SCRIPTS = sorted(Path(__file__).parent.glob("run_*_multiloss.py"))

if __name__ == "__main__":
    main(SCRIPTS)
