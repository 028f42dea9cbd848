"""The command lines of the scripts in experiments/."""
