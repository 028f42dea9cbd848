"""Experiments: training, run folders, sweeps, finished runs, and the localiser's training."""
