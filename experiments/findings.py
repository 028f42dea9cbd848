"""Findings from the published runs of a data set, beyond Tables 1 and 2.

    python experiments/findings.py --from experiments/results/kneekl224
"""

from knee_attention.commands.scripts.findings import main

if __name__ == "__main__":
    main()
