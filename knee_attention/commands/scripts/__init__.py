"""Command lines of the scripts in experiments/."""
