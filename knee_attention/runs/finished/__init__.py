"""Use finished runs: evaluate, compare, report, publish, release."""
